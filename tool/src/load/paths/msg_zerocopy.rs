//! The path `msg_zerocopy`: `send(2)`, or `sendmsg(2)` of several parts, with `MSG_ZEROCOPY`; the ends of sends are read
//! from the error queue.
//!
//! A buffer is used again only after the kernel said that it is done with it. The error queue is read every
//! [`Setup::reap_every`] sends and whenever there is nothing to send.

use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use nix::poll::PollFlags;
use socket2::Socket;

use super::told::{Blocked, Told, end};
use super::vectors::Vectors;
use super::{SendPath, Setup, Stall, Step, Tally, copy};
use crate::load::errqueue::{self, Notice};
use crate::load::sys;

const REFUSED: &str = "the kernel refuses every MSG_ZEROCOPY send with ENOBUFS though none is outstanding; a send must \
                       fit into RLIMIT_MEMLOCK (ulimit -l) and net.core.optmem_max: raise them or use a smaller --size";

struct MsgZerocopy {
    told: Told,
    /// The message, when it has several parts.
    vectors: Option<Vectors>,
    flags: libc::c_int,
}

/// Sets the path up.
pub(super) fn open(setup: &Setup, socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    if !setup.so_zerocopy {
        return copy::open_with(setup, libc::MSG_ZEROCOPY);
    }
    sys::set_so_zerocopy(socket.as_fd())?;
    let told = Told::new(setup, setup.iovecs)?;
    let parts = told.payload.buffers().parts();
    Ok(Box::new(MsgZerocopy {
        told,
        vectors: (parts > 1).then(|| Vectors::new(parts)),
        flags: libc::MSG_ZEROCOPY | libc::MSG_DONTWAIT | setup.flags(),
    }))
}

impl MsgZerocopy {
    fn offer(&mut self, socket: &Socket, slot: usize, len: usize) -> io::Result<usize> {
        self.told.payload.prepare(slot, len);
        let buffers = self.told.payload.buffers();
        match &mut self.vectors {
            Some(vectors) => vectors.send(socket.as_fd(), buffers, slot, len, self.flags),
            None => socket.send_with_flags(buffers.slot(slot, len), self.flags),
        }
    }
}

impl SendPath for MsgZerocopy {
    fn send(&mut self, socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step> {
        if self.told.reap_is_due() || self.told.window.free_slot().is_none() {
            self.reap(socket, tally)?;
        }
        let Some(slot) = self.told.window.free_slot() else {
            self.told.blocked = Blocked::Buffers;
            return Ok(Step::Blocked);
        };
        let at = self.told.now(len);
        tally.syscalls += 1;
        let error = match self.offer(socket, slot, len) {
            Ok(n) => {
                self.told.accept(slot, at, n);
                return Ok(Step::Accepted(n));
            }
            Err(error) => error,
        };
        // A failed send takes no id and holds no buffer.
        let (count, blocked) = match error.raw_os_error() {
            Some(libc::EAGAIN) => (&mut tally.eagain, Blocked::Space),
            Some(libc::ENOBUFS) => (&mut tally.enobufs, Blocked::Refused),
            _ => return Err(error),
        };
        *count += 1;
        self.told.blocked = blocked;
        Ok(Step::Blocked)
    }

    fn stalled(&mut self, socket: &Socket, tally: &mut Tally) -> io::Result<Stall> {
        let before = self.told.window.outstanding();
        // Room may have been made already; only an empty queue is worth sleeping on.
        if self.reap(socket, tally)? < before && self.told.blocked != Blocked::Space {
            return Ok(Stall::Over);
        }
        if self.told.refused_for_nothing() {
            return self.told.pause_refused(REFUSED);
        }
        // A message on the error queue is told of (POLLERR) whatever is asked for.
        Ok(Stall::Event(match self.told.blocked {
            Blocked::Space => PollFlags::POLLOUT,
            Blocked::Buffers | Blocked::Refused => PollFlags::empty(),
        }))
    }

    fn woken(&mut self, socket: &Socket, events: PollFlags, tally: &mut Tally) -> io::Result<bool> {
        if events.intersects(PollFlags::POLLERR | PollFlags::POLLHUP) {
            let before = self.told.window.outstanding();
            if self.reap(socket, tally)? == before {
                dead(socket, events)?;
            }
        }
        // An end alone makes no room in the socket buffer.
        Ok(self.told.blocked != Blocked::Space || events.contains(PollFlags::POLLOUT))
    }

    fn reap(&mut self, socket: &Socket, tally: &mut Tally) -> io::Result<u64> {
        self.told.reaped();
        let (told, ends, mut now) = (&mut self.told, &mut tally.ends, None);
        tally.syscalls += errqueue::read(socket.as_fd(), |notice| {
            let Notice::Ended { lo, hi, copied } = notice else {
                ends.foreign += 1;
                return;
            };
            let now = *now.get_or_insert_with(Instant::now);
            ends.notifications += 1;
            let Told { window, payload, .. } = &mut *told;
            let unexpected = window.complete(lo, hi, |sent| end(payload, ends, sent, copied, now));
            ends.unexpected += unexpected;
        })?;
        Ok(self.told.window.outstanding())
    }
}

/// An error or a hang-up without a notification: the connection's own error, if it has one.
fn dead(socket: &Socket, events: PollFlags) -> io::Result<()> {
    match socket.take_error()? {
        Some(error) => Err(error),
        None if events.contains(PollFlags::POLLHUP) => Err(io::ErrorKind::ConnectionReset.into()),
        None => Ok(()),
    }
}
