//! The path `uring_send`: `IORING_OP_SEND`. The kernel copies.

use std::io;
use std::os::fd::AsFd;

use io_uring::opcode;
use io_uring::types::Fd;
use socket2::Socket;

use super::payload::Rotation;
use super::uring_one::{OneAtATime, Request};
use super::{SendPath, Setup};
use crate::load::uring::{self, Ring};

struct UringSend {
    payload: Rotation,
    fd: Fd,
    flags: libc::c_int,
}

/// Sets the path up.
pub(super) fn open(setup: &Setup, socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    let (payload, fd) = (Rotation::new(setup, 1)?, uring::fd(socket.as_fd()));
    let send = UringSend { payload, fd, flags: setup.flags() | libc::MSG_WAITALL };
    Ok(Box::new(OneAtATime::new(Ring::new(1)?, send, setup)?))
}

impl Request for UringSend {
    #[allow(unsafe_code, reason = "a request points to its bytes")]
    fn begin(&mut self, ring: &mut Ring, len: usize) -> io::Result<()> {
        let bytes = self.payload.bytes(len);
        let entry = opcode::Send::new(self.fd, bytes.as_ptr(), bytes.len() as u32).flags(self.flags).build();
        // SAFETY: the buffer lives in `self.payload`, which is dropped after the ring, and is not written before the
        // request is answered.
        unsafe { ring.push(&entry) }
    }

    fn ended(&mut self, _ring: &mut Ring, _len: usize, taken: usize) -> io::Result<()> {
        if taken > 0 {
            self.payload.taken(taken);
        }
        Ok(())
    }
}
