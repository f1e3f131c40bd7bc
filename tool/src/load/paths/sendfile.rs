//! The path `sendfile`: `sendfile(2)` from a memory file as large as the working set (`depth` times `size`).
//!
//! The kernel attaches the file's pages and never tells when it is done with them.

use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroUsize;

use nix::sys::memfd::{MFdFlags, memfd_create};
use socket2::Socket;

use super::{SendPath, Setup, Step, Tally};
use crate::load::memory::fill_pattern;

struct Sendfile {
    file: File,
    len: usize,
    offset: usize,
}

/// Sets the path up.
pub(super) fn open(setup: &Setup, _socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    let mut file = File::from(memfd_create("zcscope-load", MFdFlags::MFD_CLOEXEC)?);
    let mut part = vec![0; setup.size];
    for index in 0..setup.depth {
        fill_pattern(&mut part, index);
        file.write_all(&part)?;
    }
    Ok(Box::new(Sendfile { file, len: setup.size * setup.depth, offset: 0 }))
}

impl SendPath for Sendfile {
    fn send(&mut self, socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step> {
        // A send that would pass the end of the file stops there; the next one starts over.
        let len = NonZeroUsize::new(len.min(self.len - self.offset));
        match socket.sendfile(&self.file, self.offset, len) {
            Ok(0) => Err(io::Error::other("sendfile read nothing from the memory file")),
            Ok(n) => {
                self.offset = (self.offset + n) % self.len;
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
