//! The path `copy`: plain `send(2)`, the baseline every other path is measured against.
//!
//! Sends rotate through `depth` buffers: one hot buffer would stay in the cache and flatter the copy.

use std::io;

use socket2::Socket;

use super::{SendPath, Setup, Step, Tally};
use crate::load::memory::Buffers;

struct Copy {
    buffers: Buffers,
    next: usize,
}

/// Sets the path up.
pub(super) fn open(setup: &Setup, _socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    Ok(Box::new(Copy { buffers: Buffers::new(setup.depth, setup.size)?, next: 0 }))
}

impl SendPath for Copy {
    fn send(&mut self, socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step> {
        match socket.send(&self.buffers.slot(self.next)[..len]) {
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
