//! The paths `uring_send_zc`, `uring_send_zc_fixed` (registered buffers) and `uring_sendmsg_zc` (several parts): the
//! answer to a request says how many bytes were taken, a notification later that the kernel is done with the buffer, and
//! whether it copied.
//!
//! One request at a time is unanswered, since a second one could overtake it; up to `depth` answered ones wait for their
//! notification. Nothing ever waits for a notification while there is a free buffer.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use nix::poll::PollFlags;
use socket2::Socket;

use super::told::{Blocked, Told, end};
use super::vectors::Vectors;
use super::{SendPath, Setup, Stall, Step, Tally};
use crate::load::uring::{self, Completion, REPORT_USAGE, Ring};

/// Longest wait inside one send; then the caller may look whether it should stop.
const WAIT: Duration = Duration::from_millis(100);
const PAGE: usize = 4096;
const REFUSED: &str = "the kernel refuses every zero-copy request of io_uring with ENOMEM though none is outstanding; its \
                       pages must fit into RLIMIT_MEMLOCK (ulimit -l): raise it or use a smaller --size";

/// What the requests are.
enum Kind {
    Send,
    /// Buffers are registered in pieces of so many bytes.
    Fixed(usize),
    Message(Vectors),
}

/// The request that is not answered yet.
#[derive(Clone, Copy)]
struct Begun {
    slot: usize,
    len: usize,
    at: Instant,
}

/// The answer to it.
#[derive(Clone, Copy)]
struct Answer {
    result: i32,
    /// A notification will come.
    notified: bool,
}

struct UringZc {
    /// Before the buffers, so that it is gone before they are.
    ring: Ring,
    kind: Kind,
    told: Told,
    fd: Fd,
    flags: libc::c_int,
    begun: Option<Begun>,
    answer: Option<Answer>,
    /// Other connections of the thread must not wait for this one.
    shared_thread: bool,
}

/// Sets up `uring_send_zc`.
pub(super) fn open(setup: &Setup, socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    open_kind(setup, socket, 1, uring::has_send_zc, |_, _| Ok(Kind::Send))
}

/// Sets up `uring_send_zc_fixed`.
pub(super) fn open_fixed(setup: &Setup, socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    #[allow(unsafe_code, reason = "the kernel keeps the buffers' addresses")]
    open_kind(setup, socket, 1, uring::has_send_zc, |ring, told| {
        let buffers = told.payload.buffers();
        let stride = buffers.size().next_multiple_of(PAGE);
        // SAFETY: the buffers are in the same path as the ring, and dropped after it.
        unsafe { ring.register(buffers.bytes(), stride) }.map(Kind::Fixed)
    })
}

/// Sets up `uring_sendmsg_zc`.
pub(super) fn open_message(setup: &Setup, socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    open_kind(setup, socket, setup.iovecs, uring::has_sendmsg_zc, |_, told| {
        Ok(Kind::Message(Vectors::new(told.payload.buffers().parts())))
    })
}

fn open_kind(
    setup: &Setup,
    socket: &Socket,
    parts: usize,
    available: fn() -> Result<(), String>,
    kind: impl FnOnce(&mut Ring, &Told) -> io::Result<Kind>,
) -> io::Result<Box<dyn SendPath>> {
    // Without it the first request would just be invalid.
    available().map_err(io::Error::other)?;
    let mut ring = Ring::new(setup.depth)?;
    if setup.shared_thread {
        ring.tell()?;
    }
    let told = Told::new(setup, parts)?;
    Ok(Box::new(UringZc {
        kind: kind(&mut ring, &told)?,
        ring,
        told,
        fd: uring::fd(socket.as_fd()),
        flags: setup.flags() | libc::MSG_WAITALL,
        begun: None,
        answer: None,
        shared_thread: setup.shared_thread,
    }))
}

impl UringZc {
    fn entry(&mut self, slot: usize, len: usize) -> squeue::Entry {
        self.told.payload.prepare(slot, len);
        let buffers = self.told.payload.buffers();
        let send = || {
            let bytes = buffers.slot(slot, len);
            opcode::SendZc::new(self.fd, bytes.as_ptr(), len as u32).flags(self.flags).zc_flags(REPORT_USAGE)
        };
        match &mut self.kind {
            Kind::Send => send().build(),
            Kind::Fixed(piece) => {
                let place = buffers.slot(slot, len).as_ptr() as usize - buffers.bytes().as_ptr() as usize;
                send().buf_index(Some((place / *piece) as u16)).build()
            }
            Kind::Message(vectors) => {
                let message = vectors.point(buffers, slot, len);
                opcode::SendMsgZc::new(self.fd, message).flags(self.flags as u32).ioprio(REPORT_USAGE).build()
            }
        }
    }

    /// Hands over a request; looks for ends at the same time when that is due.
    #[allow(unsafe_code, reason = "a request points to its bytes")]
    fn begin(&mut self, slot: usize, len: usize, tally: &mut Tally) -> io::Result<()> {
        let at = self.told.now(len);
        let entry = self.entry(slot, len).user_data(self.told.window.next());
        // SAFETY: buffers, header and parts live in `self`; they are dropped after the ring, and a buffer is only
        // written again after its end (or on purpose, to test the check of the bytes).
        unsafe { self.ring.push(&entry) }?;
        self.begun = Some(Begun { slot, len, at });
        if !self.told.reap_is_due() {
            tally.syscalls += 1;
            self.ring.submit()?;
            self.take(tally);
        } else if self.shared_thread {
            tally.syscalls += 1;
            self.ring.submit_and_look()?;
            self.told.reaped();
            self.take(tally);
        }
        if self.shared_thread {
            return Ok(());
        }
        // Not answered at once: the socket buffer is full, and the ring waits for room.
        if self.answer.is_none() { self.wait_ring(WAIT, tally) } else { Ok(()) }
    }

    fn wait_ring(&mut self, timeout: Duration, tally: &mut Tally) -> io::Result<()> {
        tally.syscalls += 1;
        self.ring.wait(timeout)?;
        self.told.reaped();
        self.take(tally);
        Ok(())
    }

    /// Takes all completions that are there.
    fn take(&mut self, tally: &mut Tally) {
        take(&mut self.ring, &mut self.told, self.begun, &mut self.answer, tally);
    }

    /// Looks for what has come, without waiting. Whether what stopped the last send is over.
    fn look(&mut self, tally: &mut Tally) -> io::Result<bool> {
        let held = self.told.window.held();
        tally.syscalls += 1;
        self.ring.look()?;
        self.told.reaped();
        self.take(tally);
        Ok(match self.told.blocked {
            _ if self.begun.is_some() => self.answer.is_some(),
            Blocked::Buffers => self.told.window.free_slot().is_some(),
            Blocked::Refused => self.told.window.held() < held,
            Blocked::Space => true,
        })
    }

    /// What came of the request in flight, if it is answered.
    fn settle(&mut self, tally: &mut Tally) -> io::Result<Step> {
        let Some(answer) = self.answer.take() else { return Ok(Step::Blocked) };
        self.begun = None;
        let taken = usize::try_from(answer.result);
        if taken.is_ok() && !answer.notified {
            return Err(io::Error::other(
                "the kernel took a zero-copy request of io_uring without promising a notification, so nothing can tell \
                 whether it was copied",
            ));
        }
        match taken {
            Ok(n) => Ok(Step::Accepted(n)),
            Err(_) => {
                match -answer.result {
                    libc::ENOMEM => tally.enomem += 1,
                    libc::ENOBUFS => tally.enobufs += 1,
                    errno => return Err(io::Error::from_raw_os_error(errno)),
                }
                self.told.blocked = Blocked::Refused;
                Ok(Step::Blocked)
            }
        }
    }
}

/// Books completions in their order: the end of a request may stand right behind its answer.
fn take(
    ring: &mut Ring,
    told: &mut Told,
    begun: Option<Begun>,
    answer: &mut Option<Answer>,
    tally: &mut Tally,
) {
    let (ends, mut now) = (&mut tally.ends, None);
    ring.drain(|completion| match completion {
        Completion::Answer { result, more, .. } => {
            *answer = Some(Answer { result, notified: more });
            if let Some(begun) = begun.filter(|_| more) {
                told.accept(begun.slot, begun.at, usize::try_from(result).unwrap_or(0));
            }
        }
        Completion::Ended { number, copied } => {
            ends.notifications += 1;
            let now = *now.get_or_insert_with(Instant::now);
            match told.window.complete_one(number) {
                Some(sent) => end(&mut told.payload, ends, &sent, copied, now),
                None => ends.unexpected += 1,
            }
        }
    });
}

impl SendPath for UringZc {
    fn send(&mut self, _socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step> {
        if self.begun.is_none() {
            let Some(slot) = self.told.window.free_slot() else {
                self.told.blocked = Blocked::Buffers;
                return Ok(Step::Blocked);
            };
            self.told.blocked = Blocked::Space;
            self.begin(slot, len, tally)?;
        }
        self.settle(tally)
    }

    fn wait(&mut self, _socket: &Socket, timeout: Duration, tally: &mut Tally) -> io::Result<()> {
        if self.answer.is_some() {
            return Ok(());
        }
        if self.told.refused_for_nothing() {
            if let Stall::Pause(time) = self.told.pause_refused(REFUSED)? {
                std::thread::sleep(time);
            }
            return Ok(());
        }
        let held = self.told.window.held();
        self.wait_ring(timeout, tally)?;
        // A refused request has an end, too, which makes no room.
        if self.told.blocked == Blocked::Refused && self.told.window.held() == held && held > 0 {
            self.wait_ring(timeout, tally)?;
        }
        Ok(())
    }

    fn source<'a>(&'a self, _socket: &'a Socket) -> (BorrowedFd<'a>, PollFlags) {
        (self.ring.source(), PollFlags::POLLIN)
    }

    fn stalled(&mut self, _socket: &Socket, tally: &mut Tally) -> io::Result<Stall> {
        if self.told.refused_for_nothing() {
            return self.told.pause_refused(REFUSED);
        }
        // The kernel completes a part of what is there with each look; only what comes after the last part is told of.
        loop {
            let before = tally.ends.notifications;
            if self.look(tally)? {
                return Ok(Stall::Over);
            }
            if tally.ends.notifications == before {
                return Ok(Stall::Event(PollFlags::POLLIN));
            }
        }
    }

    fn woken(&mut self, socket: &Socket, _events: PollFlags, tally: &mut Tally) -> io::Result<bool> {
        Ok(!matches!(self.stalled(socket, tally)?, Stall::Event(_)))
    }

    fn finish(&mut self, _socket: &Socket, tally: &mut Tally) -> io::Result<usize> {
        let Some(begun) = self.begun else { return Ok(0) };
        if self.answer.is_none() {
            let (told, answer) = (&mut self.told, &mut self.answer);
            let calls = self.ring.cancel(told.window.next(), |ring| {
                take(ring, told, Some(begun), answer, tally);
                answer.is_some()
            })?;
            tally.syscalls += calls;
        }
        let step = self.settle(tally);
        super::finished(step, begun.len, tally)
    }

    fn reap(&mut self, _socket: &Socket, tally: &mut Tally) -> io::Result<u64> {
        tally.syscalls += 1;
        self.ring.look()?;
        self.told.reaped();
        self.take(tally);
        Ok(self.told.window.outstanding())
    }

    fn wait_end(&mut self, _socket: &Socket, timeout: Duration, tally: &mut Tally) -> io::Result<()> {
        self.wait_ring(timeout, tally)
    }
}
