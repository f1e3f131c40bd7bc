//! The path `uring_send`: `IORING_OP_SEND`. The kernel copies.
//!
//! One request is in flight at a time: a second one could overtake it. It is answered when all of its bytes are taken
//! (`MSG_WAITALL`); the ring waits for room in the socket buffer itself.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use io_uring::opcode;
use io_uring::types::Fd;
use socket2::Socket;

use super::payload::Rotation;
use super::{SendPath, Setup, Step, Tally};
use crate::load::uring::{self, Completion, Ring};

/// Longest wait inside one send; then the caller may look whether it should stop.
const WAIT: Duration = Duration::from_millis(100);

struct UringSend {
    /// Before the buffers, so that it is gone before they are.
    ring: Ring,
    payload: Rotation,
    fd: Fd,
    flags: libc::c_int,
    /// Bytes of the request in flight.
    begun: Option<usize>,
    answer: Option<i32>,
}

/// Sets the path up.
pub(super) fn open(setup: &Setup, socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    Ok(Box::new(UringSend {
        ring: Ring::new(1)?,
        payload: Rotation::new(setup, 1)?,
        fd: uring::fd(socket.as_fd()),
        flags: setup.flags() | libc::MSG_WAITALL,
        begun: None,
        answer: None,
    }))
}

impl UringSend {
    #[allow(unsafe_code, reason = "a request points to its bytes")]
    fn begin(&mut self, len: usize) -> io::Result<()> {
        let bytes = self.payload.bytes(len);
        let entry = opcode::Send::new(self.fd, bytes.as_ptr(), bytes.len() as u32).flags(self.flags).build();
        // SAFETY: the buffer lives in `self.payload`, which is dropped after the ring, and is not written before the
        // request is answered.
        unsafe { self.ring.push(&entry) }?;
        self.begun = Some(len);
        Ok(())
    }

    fn look_and_wait(&mut self, timeout: Duration, tally: &mut Tally) -> io::Result<()> {
        tally.syscalls += 1;
        self.ring.wait(timeout)?;
        take_answer(&mut self.ring, &mut self.answer);
        Ok(())
    }

    /// Books the request in flight, if it is answered.
    fn settle(&mut self) -> io::Result<Step> {
        let Some(result) = self.answer.take() else { return Ok(Step::Blocked) };
        self.begun = None;
        match usize::try_from(result) {
            Ok(n) => {
                self.payload.taken(n);
                Ok(Step::Accepted(n))
            }
            Err(_) => Err(io::Error::from_raw_os_error(-result)),
        }
    }
}

/// The answer to the only request in flight.
fn take_answer(ring: &mut Ring, answer: &mut Option<i32>) {
    ring.drain(|completion| {
        if let Completion::Answer { result, .. } = completion {
            *answer = Some(result);
        }
    });
}

impl SendPath for UringSend {
    fn send(&mut self, _socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step> {
        if self.begun.is_none() {
            self.begin(len)?;
            self.look_and_wait(WAIT, tally)?;
        }
        self.settle()
    }

    fn wait(&mut self, _socket: &Socket, timeout: Duration, tally: &mut Tally) -> io::Result<()> {
        if self.answer.is_none() { self.look_and_wait(timeout, tally) } else { Ok(()) }
    }

    fn finish(&mut self, _socket: &Socket, tally: &mut Tally) -> io::Result<usize> {
        let Some(len) = self.begun else { return Ok(0) };
        if self.answer.is_none() {
            let answer = &mut self.answer;
            tally.syscalls += self.ring.cancel(0, |ring| {
                take_answer(ring, answer);
                answer.is_some()
            })?;
        }
        super::finished(self.settle(), len, tally)
    }
}
