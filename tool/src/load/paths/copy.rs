//! The path `copy`: plain `send(2)`, the baseline every other path is measured against.
//!
//! Sends rotate through the working set: one hot buffer would stay in the cache and flatter the copy.

use std::io;

use socket2::Socket;

use super::payload::Rotation;
use super::{SendPath, Setup, Step, Tally, step};

struct Copy {
    payload: Rotation,
    flags: libc::c_int,
}

/// Sets the path up.
pub(super) fn open(setup: &Setup, _socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    Ok(Box::new(Copy { payload: Rotation::new(setup, 1)?, flags: setup.flags() }))
}

/// The same with a flag more, for `MSG_ZEROCOPY` on a socket without `SO_ZEROCOPY`: the kernel copies and never tells.
pub(super) fn open_with(setup: &Setup, flag: libc::c_int) -> io::Result<Box<dyn SendPath>> {
    Ok(Box::new(Copy { payload: Rotation::new(setup, 1)?, flags: setup.flags() | flag }))
}

impl SendPath for Copy {
    fn send(&mut self, socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step> {
        let step = step(socket.send_with_flags(self.payload.bytes(len), self.flags), tally)?;
        if let Step::Accepted(n) = step {
            self.payload.taken(n);
        }
        Ok(step)
    }
}
