//! The path `msg_zerocopy`: `send(2)` with `MSG_ZEROCOPY`, the ends of sends read from the error queue.
//!
//! Every outstanding send owns a buffer of its own; [`Window`] gives a buffer out again only after the kernel said
//! it is done with it. The error queue is read every [`Setup::reap_every`] sends and whenever there is nothing to send.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use socket2::Socket;

use super::{Ends, SendPath, Setup, Step, Tally, poll_socket};
use crate::load::errqueue::{self, Notice};
use crate::load::memory::Buffers;
use crate::load::sys;
use crate::load::window::Window;

/// How long the kernel may refuse every send while none is outstanding: nothing we hold could make room.
const REFUSED_LIMIT: Duration = Duration::from_secs(1);
const REFUSED_PAUSE: Duration = Duration::from_millis(10);

/// What stopped the last attempt to send.
#[derive(Clone, Copy)]
enum Blocked {
    /// Every buffer is held by the kernel.
    Buffers,
    /// The socket buffer is full.
    Space,
    /// `ENOBUFS`.
    Refused,
}

struct MsgZerocopy {
    buffers: Buffers,
    window: Window,
    reap_every: usize,
    since_reap: usize,
    blocked: Blocked,
    /// When the kernel began to refuse with nothing outstanding.
    refused_since: Option<Instant>,
}

/// The same flag without `SO_ZEROCOPY`: the kernel copies and never tells.
struct Untold {
    buffers: Buffers,
    next: usize,
}

/// Sets the path up.
pub(super) fn open(setup: &Setup, socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    let buffers = Buffers::new(setup.depth, setup.size)?;
    if !setup.so_zerocopy {
        return Ok(Box::new(Untold { buffers, next: 0 }));
    }
    sys::set_so_zerocopy(socket.as_fd())?;
    Ok(Box::new(MsgZerocopy {
        buffers,
        window: Window::new(setup.depth),
        reap_every: setup.reap_every(),
        since_reap: 0,
        blocked: Blocked::Space,
        refused_since: None,
    }))
}

fn send_zerocopy(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    socket.send_with_flags(bytes, libc::MSG_ZEROCOPY | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
}

impl SendPath for MsgZerocopy {
    fn send(&mut self, socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step> {
        if self.since_reap >= self.reap_every || self.window.free_slot().is_none() {
            self.reap(socket, tally)?;
        }
        let Some(slot) = self.window.free_slot() else {
            self.blocked = Blocked::Buffers;
            return Ok(Step::Blocked);
        };
        let at = Instant::now();
        match send_zerocopy(socket, &self.buffers.slot(slot)[..len]) {
            Ok(n) => {
                self.window.accept(at, n as u64);
                self.since_reap += 1;
                self.refused_since = None;
                return Ok(Step::Accepted(n));
            }
            // A failed send takes no id and holds no buffer.
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN) => (tally.eagain, self.blocked) = (tally.eagain + 1, Blocked::Space),
                Some(libc::ENOBUFS) => (tally.enobufs, self.blocked) = (tally.enobufs + 1, Blocked::Refused),
                _ => return Err(error),
            },
        }
        Ok(Step::Blocked)
    }

    fn wait(&mut self, socket: &Socket, timeout: Duration, tally: &mut Tally) -> io::Result<()> {
        let before = self.window.outstanding();
        // Room may have been made already; only an empty queue is worth sleeping on.
        if self.reap(socket, tally)? < before && !matches!(self.blocked, Blocked::Space) {
            return Ok(());
        }
        if matches!(self.blocked, Blocked::Refused) && self.window.outstanding() == 0 {
            return self.wait_refused();
        }
        // An error-queue message wakes poll by itself (POLLERR), whatever is asked for.
        let wanted = match self.blocked {
            Blocked::Space => PollFlags::POLLOUT,
            Blocked::Buffers | Blocked::Refused => PollFlags::empty(),
        };
        let events = poll_socket(socket, wanted, timeout)?;
        if events.intersects(PollFlags::POLLERR | PollFlags::POLLHUP) {
            let before = self.window.outstanding();
            if self.reap(socket, tally)? == before {
                return dead(socket, events);
            }
        }
        Ok(())
    }

    fn reap(&mut self, socket: &Socket, tally: &mut Tally) -> io::Result<u64> {
        self.since_reap = 0;
        let (window, ends) = (&mut self.window, &mut tally.ends);
        errqueue::read(socket.as_fd(), |notice| note(window, ends, notice))?;
        Ok(self.window.outstanding())
    }
}

impl MsgZerocopy {
    /// No end of ours can make room: somebody else may, for a while.
    fn wait_refused(&mut self) -> io::Result<()> {
        let since = *self.refused_since.get_or_insert_with(Instant::now);
        if since.elapsed() < REFUSED_LIMIT {
            std::thread::sleep(REFUSED_PAUSE);
            return Ok(());
        }
        Err(io::Error::other(
            "the kernel refuses every MSG_ZEROCOPY send with ENOBUFS though none is outstanding; a send must fit \
             into RLIMIT_MEMLOCK (ulimit -l) and net.core.optmem_max: raise them or use a smaller --size",
        ))
    }
}

/// Takes one message of the error queue into the books.
fn note(window: &mut Window, ends: &mut Ends, notice: Notice) {
    let Notice::Ended { lo, hi, copied } = notice else {
        ends.foreign += 1;
        return;
    };
    let now = Instant::now();
    ends.notifications += 1;
    ends.unexpected += window.complete(lo, hi, |sent| {
        ends.sends += 1;
        ends.bytes += sent.bytes;
        if copied {
            ends.copied += 1;
            ends.copied_bytes += sent.bytes;
        }
        let ns = now.saturating_duration_since(sent.at).as_nanos();
        ends.latency.record(u64::try_from(ns).unwrap_or(u64::MAX));
    });
}

/// An error or a hang-up without a notification: the connection's own error, if it has one.
fn dead(socket: &Socket, events: PollFlags) -> io::Result<()> {
    match socket.take_error()? {
        Some(error) => Err(error),
        None if events.contains(PollFlags::POLLHUP) => Err(io::ErrorKind::ConnectionReset.into()),
        None => Ok(()),
    }
}

impl SendPath for Untold {
    fn send(&mut self, socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step> {
        match send_zerocopy(socket, &self.buffers.slot(self.next)[..len]) {
            Ok(n) => {
                self.next = (self.next + 1) % self.buffers.count();
                Ok(Step::Accepted(n))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tally.eagain += 1;
                Ok(Step::Blocked)
            }
            Err(error) => Err(error),
        }
    }
}
