//! What a send path is to the engine, and the table of all of them; one file per path.

mod copy;
mod msg_zerocopy;
mod sendfile;

use std::io;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::Socket;
use std::os::fd::AsFd;
use zcscope_common::{Hist, Path};

use crate::load::memory::PageKind;
use crate::load::pattern::Poison;

/// What one path needs to know to set itself up for one connection. The same for every connection of a load.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Largest send, bytes.
    pub size: usize,
    /// Most sends outstanding on paths with completions.
    pub depth: usize,
    /// Bytes of send buffers (or of file) to rotate through; at least `depth` times `size`. One hot buffer would stay
    /// in the cache and flatter the copy.
    pub working_set: usize,
    /// Whether to set `SO_ZEROCOPY` where the path has it.
    pub so_zerocopy: bool,
    /// Parts (iovecs) of one send, on paths that send several.
    pub iovecs: usize,
    /// What kind of pages the buffers live on.
    pub pages: PageKind,
    /// Where file paths read from.
    pub source: Source,
    /// Tell the kernel that more follows (`MSG_MORE`, `SPLICE_F_MORE`).
    pub more: bool,
    /// Sends between two looks at the ends of sends; the path's own choice when `None`.
    pub reap_every: Option<usize>,
    /// Make every byte carry its place in the stream ([`super::pattern`]), so that the sink can check it.
    pub verify: Option<Poison>,
}

/// Where file paths read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// A memory file (`memfd_create`).
    #[default]
    Memfd,
    /// A file made for the run in this directory, in the page cache, removed at the end.
    Directory(std::path::PathBuf),
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            size: 64 << 10,
            depth: 16,
            working_set: 0,
            so_zerocopy: true,
            iovecs: 1,
            pages: PageKind::default(),
            source: Source::default(),
            more: false,
            reap_every: None,
            verify: None,
        }
    }
}

impl Setup {
    /// How many buffers of [`Setup::size`] the working set has, at least `depth`.
    #[must_use]
    pub fn buffers(&self) -> usize {
        (self.working_set / self.size.max(1)).max(self.depth).max(1)
    }

    /// Sends between two looks at the ends of sends.
    #[must_use]
    pub fn reap_every(&self) -> usize {
        let own = if self.depth < 8 { 1 } else { self.depth / 4 };
        self.reap_every.unwrap_or(own).clamp(1, self.depth.max(1))
    }
}

/// How one attempt to send went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The kernel took this many bytes (more than zero).
    Accepted(usize),
    /// Nothing can be sent now: call [`SendPath::wait`], then try again.
    Blocked,
}

/// One way to hand bytes to a connected TCP socket. Each connection has its own, used by one thread.
///
/// Sends are synchronous (how many bytes were taken is known when `send` returns), their ends need not be: a path
/// with completions keeps up to `depth` sends outstanding and reports their ends into the [`Tally`].
pub trait SendPath {
    /// Offers up to `len` bytes (at most [`Setup::size`]) to the kernel.
    ///
    /// # Errors
    /// The connection is gone, or the kernel refuses for good.
    fn send(&mut self, socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step>;

    /// Sleeps until `send` may get further, at most `timeout`.
    ///
    /// # Errors
    /// The connection is gone, or the kernel refuses for good.
    fn wait(&mut self, socket: &Socket, timeout: Duration, _tally: &mut Tally) -> io::Result<()> {
        poll_socket(socket, PollFlags::POLLOUT, timeout).map(drop)
    }

    /// Ends a send that `send` began and did not finish; returns how many of its bytes were taken, not yet counted as
    /// bytes and call in `tally`. To be called whenever sending stops, before bytes are compared; it may go on after.
    ///
    /// # Errors
    /// The connection is gone.
    fn finish(&mut self, _socket: &Socket, _tally: &mut Tally) -> io::Result<usize> {
        Ok(0)
    }

    /// Reads the ends of sends that have come in, without waiting; returns how many sends are still outstanding.
    ///
    /// # Errors
    /// The ends cannot be read.
    fn reap(&mut self, _socket: &Socket, _tally: &mut Tally) -> io::Result<u64> {
        Ok(0)
    }

    /// Sleeps until the end of a send may have come, at most `timeout`.
    ///
    /// # Errors
    /// The ends cannot be waited for.
    fn wait_end(&mut self, socket: &Socket, timeout: Duration, tally: &mut Tally) -> io::Result<()> {
        tally.syscalls += 1;
        // A closed connection hangs up for good, so poll alone would spin.
        if poll_socket(socket, PollFlags::empty(), timeout)?.contains(PollFlags::POLLHUP) {
            std::thread::sleep(HANGUP_PAUSE);
        }
        Ok(())
    }
}

/// Pause between two looks at a connection that is closed.
const HANGUP_PAUSE: Duration = Duration::from_micros(100);

/// What one connection counted, as the application sees it.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Send calls that took at least one byte.
    pub calls: u64,
    /// Bytes taken.
    pub bytes: u64,
    /// Calls that took fewer bytes than offered.
    pub partial: u64,
    /// Calls refused with `EAGAIN`: the socket buffer was full.
    pub eagain: u64,
    /// Calls refused with `ENOBUFS`: no room to track another zero-copy send.
    pub enobufs: u64,
    /// System calls the path made: sends, waits, looks at ends.
    pub syscalls: u64,
    /// The ends of sends.
    pub ends: Ends,
}

/// What the kernel told about the ends of sends.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    /// Notifications read; each names a range of sends.
    pub notifications: u64,
    /// Sends that ended.
    pub sends: u64,
    /// Bytes of those sends.
    pub bytes: u64,
    /// Sends the kernel told were copied.
    pub copied: u64,
    /// Bytes of those sends.
    pub copied_bytes: u64,
    /// Ends told of sends that were not outstanding; not zero means a kernel or accounting fault.
    pub unexpected: u64,
    /// Messages on the error queue that were not about zero-copy sends.
    pub foreign: u64,
    /// From just before the send call to reading its notification.
    pub latency: Box<Hist>,
}

impl Tally {
    /// Adds what another connection counted.
    pub fn add(&mut self, other: &Tally) {
        self.calls += other.calls;
        self.bytes += other.bytes;
        self.partial += other.partial;
        self.eagain += other.eagain;
        self.enobufs += other.enobufs;
        self.syscalls += other.syscalls;
        let (mine, theirs) = (&mut self.ends, &other.ends);
        mine.notifications += theirs.notifications;
        mine.sends += theirs.sends;
        mine.bytes += theirs.bytes;
        mine.copied += theirs.copied;
        mine.copied_bytes += theirs.copied_bytes;
        mine.unexpected += theirs.unexpected;
        mine.foreign += theirs.foreign;
        mine.latency.merge(&theirs.latency);
    }
}

/// A send path as the command line knows it.
#[derive(Clone, Copy)]
pub struct PathEntry {
    /// Name on the command line and in JSON.
    pub name: &'static str,
    /// What the kernel side calls it.
    pub path: Path,
    /// What the path is measured as.
    pub class: Class,
    /// One line of help.
    pub about: &'static str,
    /// Whether this kernel and process can use it, found out by trying; the text is why not.
    pub available: fn() -> Result<(), String>,
    /// Sets it up on a connected socket.
    pub open: fn(&Setup, &Socket) -> io::Result<Box<dyn SendPath>>,
}

/// What a path is measured as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The kernel copies by design: a baseline.
    Copies,
    /// The program asks for no copy and the kernel tells of the end of every send.
    Told,
    /// The program asks for no copy; the kernel tells nothing.
    Untold,
}

/// A path every kernel this program runs on has.
#[allow(clippy::unnecessary_wraps, reason = "a row of the table of paths")]
fn always() -> Result<(), String> {
    Ok(())
}

/// Every path there is, in the order help lists them.
pub static PATHS: &[PathEntry] = &[
    PathEntry {
        name: "copy",
        path: Path::Copy,
        class: Class::Copies,
        about: "send(2): the kernel copies every byte (the baseline)",
        available: always,
        open: copy::open,
    },
    PathEntry {
        name: "msg_zerocopy",
        path: Path::MsgZerocopy,
        class: Class::Told,
        about: "send(2) with MSG_ZEROCOPY, ends read from the error queue",
        available: always,
        open: msg_zerocopy::open,
    },
    PathEntry {
        name: "sendfile",
        path: Path::Sendfile,
        class: Class::Untold,
        about: "sendfile(2) from a memory file; the kernel tells nothing about the end",
        available: always,
        open: sendfile::open,
    },
];

impl PathEntry {
    /// The path with this name.
    ///
    /// # Errors
    /// No such path; the text lists all of them.
    pub fn from_name(name: &str) -> Result<&'static PathEntry, String> {
        PATHS.iter().find(|entry| entry.name == name).ok_or_else(|| {
            let known: Vec<_> = PATHS.iter().map(|entry| entry.name).collect();
            format!("no such send path; one of {}", known.join(", "))
        })
    }
}

impl std::fmt::Debug for PathEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Sleeps until `socket` has one of `events`, an error or a hang-up, at most `timeout` (rounded up to ms).
pub(in crate::load) fn poll_socket(
    socket: &Socket,
    events: PollFlags,
    timeout: Duration,
) -> io::Result<PollFlags> {
    let ms = u16::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(u16::MAX);
    let mut fds = [PollFd::new(socket.as_fd(), events)];
    match poll(&mut fds, PollTimeout::from(ms)) {
        Ok(_) => Ok(fds[0].revents().unwrap_or(PollFlags::empty())),
        Err(nix::errno::Errno::EINTR) => Ok(PollFlags::empty()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_unknown_ones_get_the_list() {
        for entry in PATHS {
            assert_eq!(PathEntry::from_name(entry.name).unwrap().name, entry.name);
        }
        let error = PathEntry::from_name("teleport").unwrap_err();
        assert!(error.contains("copy, msg_zerocopy, sendfile"), "{error}");
    }
}
