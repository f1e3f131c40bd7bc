//! The path `mmap_write`: `send(2)` from a mapped file, the other way simple file servers have. The kernel copies from
//! the page cache.

use std::io;

use socket2::Socket;

use super::source::{Mapped, SourceFile};
use super::{SendPath, Setup, Step, Tally, step};

struct MmapWrite {
    source: SourceFile,
    map: Mapped,
    flags: libc::c_int,
}

/// Sets the path up.
pub(super) fn open(setup: &Setup, _socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    let source = SourceFile::open(setup)?;
    let map = source.map()?;
    Ok(Box::new(MmapWrite { source, map, flags: setup.flags() }))
}

impl SendPath for MmapWrite {
    fn send(&mut self, socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step> {
        let bytes = self.map.bytes(self.source.offset(), self.source.cut(len));
        let step = step(socket.send_with_flags(bytes, self.flags), tally)?;
        if let Step::Accepted(n) = step {
            self.source.advance(n);
        }
        Ok(step)
    }
}
