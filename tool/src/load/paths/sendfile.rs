//! The path `sendfile`: `sendfile(2)` from a file as large as the working set.
//!
//! The kernel attaches the file's pages and never tells when it is done with them, so the file never changes.

use std::io;
use std::num::NonZeroUsize;

use socket2::Socket;

use super::source::SourceFile;
use super::{SendPath, Setup, Step, Tally, step};

struct Sendfile {
    source: SourceFile,
}

/// Sets the path up.
pub(super) fn open(setup: &Setup, _socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    Ok(Box::new(Sendfile { source: SourceFile::open(setup)? }))
}

impl SendPath for Sendfile {
    fn send(&mut self, socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step> {
        // A send that would pass the end of the file stops there; the next one starts over.
        let len = NonZeroUsize::new(self.source.cut(len));
        let offset = usize::try_from(self.source.offset()).map_err(io::Error::other)?;
        let step = step(socket.sendfile(self.source.file(), offset, len), tally)?;
        if let Step::Accepted(n) = step {
            self.source.advance(n);
        }
        Ok(step)
    }
}
