//! Mode `trunc`: `recv(2)` with `MSG_TRUNC`, the kernel drops the bytes.

use std::io;
use std::os::fd::AsFd;

use socket2::Socket;

use super::{Receive, Tally, WAIT, Want};
use crate::load::sys;

/// Most bytes one call takes.
const DISCARD: usize = 2 << 20;

struct Trunc;

pub(super) fn open(socket: &Socket, _want: Want) -> io::Result<Box<dyn Receive>> {
    socket.set_read_timeout(Some(WAIT))?;
    Ok(Box::new(Trunc))
}

impl Receive for Trunc {
    fn receive(&mut self, socket: &Socket, tally: &mut Tally) -> io::Result<usize> {
        let n = sys::recv_discard(socket.as_fd(), DISCARD)?;
        tally.calls += u64::from(n > 0);
        Ok(n)
    }
}
