//! The path `vmsplice`: `vmsplice(2)` puts the program's own pages into a pipe, `splice(2)` sends them on.
//!
//! The kernel never tells when it is done with them, so these buffers are never written again; and they are not given
//! away (`SPLICE_F_GIFT`), they stay ours. When verifying, the memory sent is a whole period of the pattern.

use std::io::{self, IoSlice};

use nix::fcntl::SpliceFFlags;
use socket2::Socket;

use super::payload::Payload;
use super::pipe::Pipe;
use super::source::{Mapped, SourceFile};
use super::{SendPath, Setup, Step, Tally};

/// Memory that never changes.
enum Memory {
    /// Buffers, used in turn.
    Buffers { payload: Payload, next: usize },
    /// The stream itself.
    Period { source: SourceFile, map: Mapped },
}

struct Vmsplice {
    memory: Memory,
    pipe: Pipe,
}

/// Sets the path up.
pub(super) fn open(setup: &Setup, _socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    let memory = if setup.verify.is_some() {
        let source = SourceFile::open(setup)?;
        Memory::Period { map: source.map()?, source }
    } else {
        Memory::Buffers { payload: Payload::new(setup, 1)?, next: 0 }
    };
    Ok(Box::new(Vmsplice { memory, pipe: Pipe::new(setup)? }))
}

impl Memory {
    fn bytes(&mut self, len: usize) -> &[u8] {
        match self {
            Memory::Buffers { payload, next } => payload.bytes(*next, len),
            Memory::Period { source, map } => map.bytes(source.offset(), source.cut(len)),
        }
    }

    fn used(&mut self, n: usize) {
        match self {
            Memory::Buffers { payload, next } => *next = (*next + 1) % payload.buffers().count(),
            Memory::Period { source, .. } => source.advance(n),
        }
    }
}

impl SendPath for Vmsplice {
    fn send(&mut self, socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step> {
        if self.pipe.is_empty() {
            tally.syscalls += 1;
            let bytes = [IoSlice::new(self.memory.bytes(len))];
            let n = nix::fcntl::vmsplice(&self.pipe.writer, &bytes, SpliceFFlags::empty())?;
            self.memory.used(n);
            self.pipe.put(n);
        }
        self.pipe.send(socket, len, tally)
    }
}
