//! The path `splice`: `splice(2)` from a file into a pipe, and on to the socket. No byte passes through user space.
//!
//! The kernel never tells when it is done with the file's pages, so the file never changes.

use std::io;

use nix::fcntl::SpliceFFlags;
use socket2::Socket;

use super::pipe::Pipe;
use super::source::SourceFile;
use super::{SendPath, Setup, Step, Tally};

struct Splice {
    source: SourceFile,
    pipe: Pipe,
}

/// Sets the path up.
pub(super) fn open(setup: &Setup, _socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    Ok(Box::new(Splice { source: SourceFile::open(setup)?, pipe: Pipe::new(setup)? }))
}

impl Splice {
    fn fill(&mut self, len: usize, tally: &mut Tally) -> io::Result<()> {
        let mut offset = i64::try_from(self.source.offset()).map_err(io::Error::other)?;
        let (file, len) = (self.source.file(), self.source.cut(len));
        tally.syscalls += 1;
        let flags = SpliceFFlags::SPLICE_F_MOVE;
        let n = nix::fcntl::splice(file, Some(&mut offset), &self.pipe.writer, None, len, flags)?;
        if n == 0 {
            return Err(io::Error::other("the file to send became shorter during the run"));
        }
        self.pipe.put(n);
        self.source.advance(n);
        Ok(())
    }
}

impl SendPath for Splice {
    fn send(&mut self, socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step> {
        if self.pipe.is_empty() {
            self.fill(len, tally)?;
        }
        self.pipe.send(socket, len, tally)
    }
}
