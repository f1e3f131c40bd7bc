//! A pipe that holds pages on their way to a socket.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use socket2::Socket;

use super::{Setup, Step, Tally, step};

/// Largest pipe asked for, bytes: what an unprivileged process may have.
const MOST: usize = 1 << 20;
const PAGE: usize = 4096;

/// Both ends, and how much is in it.
pub(super) struct Pipe {
    reader: PipeReader,
    pub(super) writer: PipeWriter,
    flags: SpliceFFlags,
    /// Bytes put in and not yet taken by the socket.
    held: usize,
}

impl Pipe {
    /// A pipe with room for one send, up to 1 MiB.
    pub(super) fn new(setup: &Setup) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        // Each page takes one place, and a send that begins within a page one more.
        let aligned = setup.verify.is_none() && setup.size.is_multiple_of(PAGE);
        let wanted = if aligned { setup.size } else { setup.size + PAGE };
        let size = i32::try_from(wanted.clamp(PAGE, MOST)).unwrap_or(MOST as i32);
        // Refused when this user has too much memory in pipes; a send then goes in several steps.
        let _ = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(size));
        let flags = if setup.more { SpliceFFlags::SPLICE_F_MORE } else { SpliceFFlags::empty() };
        Ok(Self { reader, writer, flags, held: 0 })
    }

    /// Whether everything put in has reached the socket.
    pub(super) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// So much was put in.
    pub(super) fn put(&mut self, n: usize) {
        self.held += n;
    }

    /// Moves up to `len` bytes to the socket.
    pub(super) fn send(&mut self, socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step> {
        let len = len.min(self.held);
        let moved = splice(&self.reader, None, socket.as_fd(), None, len, self.flags);
        let step = step(moved.map_err(Into::into), tally)?;
        if let Step::Accepted(n) = step {
            self.held -= n;
        }
        Ok(step)
    }
}
