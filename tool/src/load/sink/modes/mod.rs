//! The ways to receive: what one is to a connection's thread, and the table of all of them; one file per way.

mod buf_ring;
mod devmem;
mod recv;
mod recv_zerocopy;
mod splice;
mod sys;
mod trunc;
mod uring_recv;
mod uring_zcrx;

use std::io;
use std::time::Duration;

use socket2::Socket;

use super::check::Checker;
use super::result::Figures;
use crate::load::tls;

/// Longest wait of one call, so that the stop flag is looked at. (A stopping sink also shuts its connections down,
/// which ends every wait at once.)
pub(super) const WAIT: Duration = Duration::from_secs(1);

/// How the sink gets rid of bytes. The choice decides what the sender measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Mode {
    /// recv(2) into a buffer: copies every byte, like an application.
    #[default]
    Recv,
    /// recv(2) with `MSG_TRUNC`: the kernel drops the bytes without a copy.
    Trunc,
    /// splice(2) into a pipe and on to /dev/null: pages are passed on, not copied.
    Splice,
    /// `TCP_ZEROCOPY_RECEIVE`: maps pages where their alignment allows it, and reads the rest.
    RecvZerocopy,
    /// One multishot receive of `io_uring` with a ring of provided buffers: copies every byte.
    UringRecv,
    /// `io_uring` zero-copy receive; tells why it is not possible here.
    UringZcrx,
    /// TCP devmem; tells why it is not possible here.
    Devmem,
}

/// One way to receive, as the table knows it.
pub(super) struct ModeEntry {
    mode: Mode,
    name: &'static str,
    /// The bytes can be looked at.
    sees_bytes: bool,
    /// Works on a socket whose TLS records the kernel decrypts.
    takes_tls: bool,
    /// Whether this kernel can do it, found out by trying; the text is why not.
    available: fn() -> Result<(), String>,
    /// Sets it up for one connection, on the thread that will receive.
    open: fn(&Socket, Want) -> io::Result<Box<dyn Receive>>,
}

/// What a connection wants of its way to receive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    /// Bytes must be shown to the check.
    pub(super) verify: bool,
    /// Most bytes of one receive.
    pub(super) buffer: usize,
}

/// One way to take bytes out of a connected TCP socket. Each connection has its own, used by one thread.
pub(super) trait Receive {
    /// Takes what has come, waiting for it at most [`WAIT`]; 0 at the end of the stream. The bytes taken are counted
    /// by the caller, everything else in `tally`.
    ///
    /// # Errors
    /// `WouldBlock` when nothing came; anything else ends the connection.
    fn receive(&mut self, socket: &Socket, tally: &mut Tally) -> io::Result<usize>;
}

/// What one connection counts beside its bytes.
#[derive(Default)]
pub(super) struct Tally {
    /// Calls that received something.
    pub(super) calls: u64,
    /// What only some ways to receive know.
    pub(super) figures: Figures,
    check: Option<Checker>,
}

impl Tally {
    pub(super) fn new(verify: bool) -> Self {
        Self { check: verify.then(Checker::default), ..Self::default() }
    }

    /// Shows the next bytes of the stream to the check, if there is one.
    fn see(&mut self, bytes: &[u8]) {
        if let Some(check) = &mut self.check {
            check.feed(bytes);
        }
    }

    /// The check's result.
    pub(super) fn check(&self) -> Option<&Checker> {
        self.check.as_ref()
    }
}

/// A way every kernel this program runs on has.
#[allow(clippy::unnecessary_wraps, reason = "a row of the table of modes")]
fn always() -> Result<(), String> {
    Ok(())
}

/// In the order of [`Mode`].
static MODES: &[ModeEntry] = &[
    ModeEntry {
        mode: Mode::Recv,
        name: "recv",
        sees_bytes: true,
        takes_tls: true,
        available: always,
        open: recv::open,
    },
    ModeEntry {
        mode: Mode::Trunc,
        name: "trunc",
        sees_bytes: false,
        takes_tls: false,
        available: always,
        open: trunc::open,
    },
    ModeEntry {
        mode: Mode::Splice,
        name: "splice",
        sees_bytes: true,
        takes_tls: true,
        available: always,
        open: splice::open,
    },
    ModeEntry {
        mode: Mode::RecvZerocopy,
        name: "recv_zerocopy",
        sees_bytes: true,
        takes_tls: false,
        available: recv_zerocopy::available,
        open: recv_zerocopy::open,
    },
    ModeEntry {
        mode: Mode::UringRecv,
        name: "uring_recv",
        sees_bytes: true,
        takes_tls: true,
        available: uring_recv::available,
        open: uring_recv::open,
    },
    ModeEntry {
        mode: Mode::UringZcrx,
        name: "uring_zcrx",
        sees_bytes: false,
        takes_tls: false,
        available: uring_zcrx::available,
        open: unavailable,
    },
    ModeEntry {
        mode: Mode::Devmem,
        name: "devmem",
        sees_bytes: false,
        takes_tls: false,
        available: devmem::available,
        open: unavailable,
    },
];

fn unavailable(_socket: &Socket, _want: Want) -> io::Result<Box<dyn Receive>> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Mode {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Mode> {
        MODES.iter().map(|entry| entry.mode)
    }

    fn entry(self) -> &'static ModeEntry {
        MODES.iter().find(|entry| entry.mode == self).unwrap_or(&MODES[0])
    }

    /// Name on the command line and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// The mode with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Mode> {
        MODES.iter().find(|entry| entry.name == name).map(|entry| entry.mode)
    }

    /// Whether this kernel and sink can receive this way, with a check or TLS if wanted.
    ///
    /// # Errors
    /// Why not, in one sentence.
    pub fn possible(self, verify: bool, tls: bool) -> Result<(), String> {
        let entry = self.entry();
        let able = |can: fn(&ModeEntry) -> bool| {
            let names: Vec<_> = MODES.iter().filter(|e| can(e)).map(|e| e.name).collect();
            names.join(", ")
        };
        (entry.available)().map_err(|why| format!("mode {} is not available: {why}", entry.name))?;
        if verify && !entry.sees_bytes {
            return Err(format!(
                "mode {} cannot verify: it never sees the bytes; use one of {}",
                entry.name,
                able(|e| e.sees_bytes)
            ));
        }
        if tls && !entry.takes_tls {
            return Err(format!(
                "mode {} cannot receive TLS records; use one of {}",
                entry.name,
                able(|e| e.takes_tls)
            ));
        }
        if tls { tls::available() } else { Ok(()) }
    }

    /// Sets it up for one connection.
    pub(super) fn open(self, socket: &Socket, want: Want) -> io::Result<Box<dyn Receive>> {
        (self.entry().open)(socket, want)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn the_table_holds_every_mode_under_the_name_of_the_command_line() {
        assert_eq!(Mode::all().collect::<Vec<_>>(), Mode::value_variants());
        for mode in Mode::all() {
            assert_eq!(mode.to_possible_value().unwrap().get_name(), mode.name());
            assert_eq!(Mode::from_name(mode.name()), Some(mode));
        }
        assert_eq!(Mode::from_name("teleport"), None);
    }

    #[test]
    fn what_a_mode_cannot_do_is_refused_with_those_that_can() {
        assert_eq!(Mode::Recv.possible(true, false), Ok(()));
        assert_eq!(Mode::Recv.possible(true, true), tls::available());
        let why = Mode::Trunc.possible(true, false).unwrap_err();
        assert!(why.contains("never sees the bytes; use one of recv, splice"), "{why}");
        let why = Mode::Trunc.possible(false, true).unwrap_err();
        assert!(why.contains("cannot receive TLS records; use one of recv, splice, uring_recv"), "{why}");
        for mode in [Mode::UringZcrx, Mode::Devmem] {
            let why = mode.possible(false, false).unwrap_err();
            assert!(why.starts_with(&format!("mode {} is not available: ", mode.name())), "{why}");
        }
    }
}
