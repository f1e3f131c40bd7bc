//! Paths of `io_uring` that have one request in flight at a time, because a second one could overtake it. It has its
//! last answer when all of its bytes are taken (`MSG_WAITALL`); the ring waits for room in the socket buffer itself.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::PollFlags;
use socket2::Socket;

use super::{SendPath, Setup, Stall, Step, Tally};
use crate::load::uring::{Completion, Ring};

/// Longest wait inside one send; then the caller may look whether it should stop.
const WAIT: Duration = Duration::from_millis(100);

/// What such a path puts into the ring.
pub(super) trait Request {
    /// Puts the request for the next `len` bytes into the ring. What it points to must live as long as `self` does.
    fn begin(&mut self, ring: &mut Ring, len: usize) -> io::Result<()>;

    /// The request for `len` bytes has had its last answer: `taken` bytes of it were taken.
    fn ended(&mut self, ring: &mut Ring, len: usize, taken: usize) -> io::Result<()>;
}

/// One request at a time of one connection.
pub(super) struct OneAtATime<R> {
    /// Before the request and its memory, so that it is gone before they are.
    ring: Ring,
    request: R,
    /// Bytes of the request in flight.
    begun: Option<usize>,
    answers: Answers,
    /// Other connections of the thread must not wait for this one.
    shared_thread: bool,
}

/// What came of the request in flight.
#[derive(Default)]
struct Answers {
    /// Bytes taken so far.
    taken: usize,
    /// The answer no other follows.
    last: Option<i32>,
}

impl Answers {
    /// Adds up the answers that are there; true when the last one is among them.
    fn take(&mut self, ring: &mut Ring) -> bool {
        ring.drain(|completion| {
            if let Completion::Answer { result, more, .. } = completion {
                self.taken += usize::try_from(result).unwrap_or(0);
                if !more {
                    self.last = Some(result);
                }
            }
        });
        self.last.is_some()
    }
}

impl<R: Request> OneAtATime<R> {
    /// With nothing in flight.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(super) fn new(mut ring: Ring, request: R, setup: &Setup) -> io::Result<Self> {
        let shared_thread = setup.shared_thread;
        if shared_thread {
            ring.tell()?;
        }
        Ok(Self { ring, request, begun: None, answers: Answers::default(), shared_thread })
    }

    /// Hands the request over. The answer is there at once when the socket buffer has room.
    fn hand_over(&mut self, tally: &mut Tally) -> io::Result<()> {
        if !self.shared_thread {
            return self.look_and_wait(WAIT, tally);
        }
        tally.syscalls += 1;
        self.ring.submit()?;
        self.answers.take(&mut self.ring);
        Ok(())
    }

    fn look_and_wait(&mut self, timeout: Duration, tally: &mut Tally) -> io::Result<()> {
        tally.syscalls += 1;
        self.ring.wait(timeout)?;
        self.answers.take(&mut self.ring);
        Ok(())
    }

    /// Books the request in flight, if it has its last answer.
    fn settle(&mut self) -> io::Result<Step> {
        let (Some(len), Some(result)) = (self.begun, self.answers.last) else { return Ok(Step::Blocked) };
        let taken = std::mem::take(&mut self.answers).taken;
        self.begun = None;
        self.request.ended(&mut self.ring, len, taken)?;
        match taken {
            0 if result < 0 => Err(io::Error::from_raw_os_error(-result)),
            0 => Err(io::Error::other("the kernel took nothing of a send and gave no reason")),
            _ => Ok(Step::Accepted(taken)),
        }
    }
}

impl<R: Request> SendPath for OneAtATime<R> {
    fn send(&mut self, _socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step> {
        if self.begun.is_none() {
            self.request.begin(&mut self.ring, len)?;
            self.begun = Some(len);
            self.hand_over(tally)?;
        }
        self.settle()
    }

    fn wait(&mut self, _socket: &Socket, timeout: Duration, tally: &mut Tally) -> io::Result<()> {
        if self.answers.last.is_none() { self.look_and_wait(timeout, tally) } else { Ok(()) }
    }

    fn source<'a>(&'a self, _socket: &'a Socket) -> (BorrowedFd<'a>, PollFlags) {
        (self.ring.source(), PollFlags::POLLIN)
    }

    fn stalled(&mut self, socket: &Socket, tally: &mut Tally) -> io::Result<Stall> {
        let over = self.woken(socket, PollFlags::empty(), tally)?;
        Ok(if over { Stall::Over } else { Stall::Event(PollFlags::POLLIN) })
    }

    fn woken(&mut self, _socket: &Socket, _events: PollFlags, tally: &mut Tally) -> io::Result<bool> {
        tally.syscalls += 1;
        self.ring.look()?;
        Ok(self.answers.take(&mut self.ring))
    }

    fn finish(&mut self, _socket: &Socket, tally: &mut Tally) -> io::Result<usize> {
        let Some(len) = self.begun else { return Ok(0) };
        if self.answers.last.is_none() {
            let answers = &mut self.answers;
            tally.syscalls += self.ring.cancel(0, |ring| answers.take(ring))?;
        }
        super::finished(self.settle(), len, tally)
    }
}
