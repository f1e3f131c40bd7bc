//! Mode `uring_recv`: one multishot receive; every completion is a provided buffer with bytes in it.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue};
use socket2::Socket;

use super::buf_ring::BufRing;
use super::{Receive, Tally, WAIT, Want};

/// Provided buffers of one connection: twice as many as the kernel fills before it lets others run.
const BUFFERS: u16 = 64;
/// Their part of what one receive may take in other modes: there are many of them.
const PART: usize = 8;
/// Most bytes of one: all of them together should stay in the cache.
const LARGEST: usize = 32 << 10;

struct UringRecv {
    ring: BufRing,
    armed: bool,
    ended: bool,
}

/// Receives a byte through a pair of local sockets, multishot.
pub(super) fn available() -> Result<(), String> {
    try_it()
        .map_err(|error| format!("this kernel refuses a multishot receive with provided buffers ({error})"))
}

fn try_it() -> io::Result<()> {
    let (near, mut far) = UnixStream::pair()?;
    far.write_all(b"x")?;
    let mut receiver = UringRecv::new(64)?;
    match receiver.take(near.as_raw_fd(), WAIT, &mut Tally::default()) {
        Ok(1) => Ok(()),
        Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(error) => Err(error),
    }
}

pub(super) fn open(_socket: &Socket, want: Want) -> io::Result<Box<dyn Receive>> {
    Ok(Box::new(UringRecv::new((want.buffer / PART).min(LARGEST))?))
}

impl Receive for UringRecv {
    fn receive(&mut self, socket: &Socket, tally: &mut Tally) -> io::Result<usize> {
        self.take(socket.as_raw_fd(), WAIT, tally)
    }
}

/// A ring whose completions are made when its one thread asks for them, or a plain one where that is unknown.
fn new_uring() -> io::Result<IoUring> {
    let entries = u32::from(BUFFERS);
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(entries)
        .or_else(|_| IoUring::builder().build(entries))
}

impl UringRecv {
    fn new(buffer: usize) -> io::Result<Self> {
        Ok(Self { ring: BufRing::new(new_uring()?, BUFFERS, buffer)?, armed: false, ended: false })
    }

    /// Everything that has completed, after waiting for something to.
    fn take(&mut self, socket: RawFd, wait: Duration, tally: &mut Tally) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        if !self.armed {
            self.ring.receive(socket, 0)?;
            self.armed = true;
        }
        let until = Timespec::new().sec(wait.as_secs()).nsec(wait.subsec_nanos());
        match self.ring.uring().submitter().submit_with_args(1, &SubmitArgs::new().timespec(&until)) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::ETIME) => {}
            // The completion queue has no room: what is in it is taken now.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            Err(error) => return Err(error),
        }
        let mut sum = 0;
        loop {
            let Some(done) = self.ring.uring().completion().next() else { break };
            self.armed = cqueue::more(done.flags());
            let Ok(n) = usize::try_from(done.result()) else {
                if done.result() == -libc::ENOBUFS {
                    *tally.figures.out_of_buffers.get_or_insert(0) += 1;
                    continue;
                }
                return Err(io::Error::from_raw_os_error(-done.result()));
            };
            if let Some(id) = cqueue::buffer_select(done.flags()) {
                tally.see(self.ring.buffer(id, n));
                self.ring.give_back(id);
            }
            tally.calls += u64::from(n > 0);
            self.ended |= n == 0;
            sum += n;
        }
        tally.figures.out_of_buffers.get_or_insert(0);
        if sum == 0 && !self.ended { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(sum) }
    }
}
