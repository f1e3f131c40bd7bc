//! The path `read_write`: `read(2)` from a file into a buffer, `write(2)` to the socket: what a simple file server does.
//! The kernel copies twice.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use socket2::Socket;

use super::source::SourceFile;
use super::{SendPath, Setup, Step, Tally, step};
use crate::load::memory::Buffers;

struct ReadWrite {
    source: SourceFile,
    /// The file, and the socket as one to write to, with a read position and a descriptor of its own.
    file: File,
    socket: File,
    buffer: Buffers,
    /// What of the buffer is read and not yet written.
    from: usize,
    to: usize,
}

/// Sets the path up.
pub(super) fn open(setup: &Setup, socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    let source = SourceFile::open(setup)?;
    let file = File::open(format!("/proc/self/fd/{}", source.file().as_raw_fd()))?;
    let socket: OwnedFd = socket.as_fd().try_clone_to_owned()?;
    let buffer = Buffers::new(1, setup.size, 1, setup.pages)?;
    Ok(Box::new(ReadWrite { source, file, socket: socket.into(), buffer, from: 0, to: 0 }))
}

impl ReadWrite {
    /// Reads the next piece of the file; at its end from the beginning again.
    fn fill(&mut self, len: usize, tally: &mut Tally) -> io::Result<()> {
        if self.source.offset() == 0 {
            self.file.rewind()?;
            tally.syscalls += 1;
        }
        let len = self.source.cut(len);
        let n = self.file.read(&mut self.buffer.bytes_mut()[..len])?;
        tally.syscalls += 1;
        if n == 0 {
            return Err(io::Error::other("the file to send became shorter during the run"));
        }
        self.source.advance(n);
        (self.from, self.to) = (0, n);
        Ok(())
    }
}

impl SendPath for ReadWrite {
    fn send(&mut self, _socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step> {
        if self.from == self.to {
            self.fill(len, tally)?;
        }
        let len = len.min(self.to - self.from);
        let step = step(self.socket.write(&self.buffer.bytes()[self.from..][..len]), tally)?;
        if let Step::Accepted(n) = step {
            self.from += n;
        }
        Ok(step)
    }
}
