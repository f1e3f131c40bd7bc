//! Mode `recv`: `recv(2)` into a buffer, like an application.

use std::io::{self, Read};

use socket2::Socket;

use super::{Receive, Tally, WAIT, Want};

struct Recv {
    buffer: Vec<u8>,
}

pub(super) fn open(socket: &Socket, want: Want) -> io::Result<Box<dyn Receive>> {
    socket.set_read_timeout(Some(WAIT))?;
    Ok(Box::new(Recv { buffer: vec![0; want.buffer] }))
}

impl Receive for Recv {
    fn receive(&mut self, mut socket: &Socket, tally: &mut Tally) -> io::Result<usize> {
        let n = socket.read(&mut self.buffer)?;
        tally.calls += u64::from(n > 0);
        tally.see(&self.buffer[..n]);
        Ok(n)
    }
}
