//! The path `copy_iov`: `sendmsg(2)` of several parts, each from another place of the working set. The kernel copies.

use std::io;
use std::os::fd::AsFd;

use socket2::Socket;

use super::payload::Rotation;
use super::vectors::Vectors;
use super::{SendPath, Setup, Step, Tally, step};

struct CopyIov {
    payload: Rotation,
    vectors: Vectors,
    flags: libc::c_int,
}

/// Sets the path up.
pub(super) fn open(setup: &Setup, _socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    let mut payload = Rotation::new(setup, setup.iovecs)?;
    let parts = payload.prepare(0).1.parts();
    Ok(Box::new(CopyIov { payload, vectors: Vectors::new(parts), flags: setup.flags() }))
}

impl SendPath for CopyIov {
    fn send(&mut self, socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step> {
        let (slot, buffers) = self.payload.prepare(len);
        let step = step(self.vectors.send(socket.as_fd(), buffers, slot, len, self.flags), tally)?;
        if let Step::Accepted(n) = step {
            self.payload.taken(n);
        }
        Ok(step)
    }
}
