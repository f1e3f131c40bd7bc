//! The path `uring_send_bundle`: one `IORING_OP_SEND` request takes several buffers from a ring of provided buffers
//! (`IORING_RECVSEND_BUNDLE`). The kernel copies; what is saved is requests.
//!
//! A send is cut into as many buffers as it has parts, at least two: with one buffer there is nothing to bundle.
#![allow(unsafe_code, reason = "a ring of buffers shared with the kernel")]

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::opcode;
use io_uring::types::{BufRingEntry, Fd};
use memmap2::MmapMut;
use socket2::Socket;

use super::payload::Rotation;
use super::{SendPath, Setup, Step, Tally};
use crate::load::memory::Buffers;
use crate::load::uring::{self, Completion, Ring};

/// Longest wait inside one send; then the caller may look whether it should stop.
const WAIT: Duration = Duration::from_millis(100);
/// Fewest and most buffers of one send; more the kernel does not take at once.
const FEWEST: usize = 2;
const MOST: usize = 256;

/// A ring of provided buffers, in memory the kernel reads.
struct Provided {
    map: MmapMut,
    entries: u16,
    tail: u16,
}

impl Provided {
    fn new(parts: usize) -> io::Result<Self> {
        let entries = u16::try_from(parts.next_power_of_two()).map_err(io::Error::other)?;
        let map = MmapMut::map_anon(usize::from(entries) * size_of::<BufRingEntry>())?;
        Ok(Self { map, entries, tail: 0 })
    }

    /// Makes the kernel forget what it has, and start with an empty ring.
    fn register(&mut self, ring: &mut Ring) -> io::Result<()> {
        self.map.fill(0);
        self.tail = 0;
        // SAFETY: the mapping is in the same path as the ring, and dropped after it.
        unsafe { ring.register_provided(self.map.as_ptr() as u64, self.entries) }
    }

    /// Gives the first `len` bytes of a buffer to the kernel.
    fn provide(&mut self, buffers: &Buffers, slot: usize, len: usize) {
        let base: *mut BufRingEntry = self.map.as_mut_ptr().cast();
        for (_, place) in buffers.places(slot, len) {
            let bytes = &buffers.bytes()[place];
            // SAFETY: the mapping has `entries` (a power of two) entries, zero at first; the index stays below. The
            // kernel reads entries only up to the tail, which is behind this one.
            let entry = unsafe { &mut *base.add(usize::from(self.tail & (self.entries - 1))) };
            entry.set_addr(bytes.as_ptr() as u64);
            entry.set_len(bytes.len() as u32);
            entry.set_bid(self.tail & (self.entries - 1));
            self.tail = self.tail.wrapping_add(1);
        }
        // SAFETY: `base` is the first entry, page-aligned; its last field is the tail the kernel reads. Released after
        // the entries, so that it sees them whole.
        unsafe {
            let tail = BufRingEntry::tail(base).cast::<AtomicU16>();
            (*tail).store(self.tail, Ordering::Release);
        }
    }
}

struct UringBundle {
    /// Before the memory it uses, so that it is gone before.
    ring: Ring,
    provided: Provided,
    payload: Rotation,
    fd: Fd,
    flags: libc::c_int,
    /// Bytes of the request in flight.
    begun: Option<usize>,
    /// Bytes of it that were taken.
    taken: usize,
    /// Its last answer.
    last: Option<i32>,
}

/// Sets the path up.
pub(super) fn open(setup: &Setup, socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    uring::has_bundle().map_err(io::Error::other)?;
    let mut payload = Rotation::new(setup, setup.iovecs.clamp(FEWEST, MOST))?;
    let mut ring = Ring::new(setup.iovecs.clamp(FEWEST, MOST))?;
    let mut provided = Provided::new(payload.prepare(0).1.parts())?;
    provided.register(&mut ring)?;
    let flags = setup.flags() | libc::MSG_WAITALL;
    let fd = uring::fd(socket.as_fd());
    Ok(Box::new(UringBundle { ring, provided, payload, fd, flags, begun: None, taken: 0, last: None }))
}

impl UringBundle {
    fn begin(&mut self, len: usize) -> io::Result<()> {
        let (slot, buffers) = self.payload.prepare(len);
        self.provided.provide(buffers, slot, len);
        // No length: all there is. With one, the kernel would look for more when it is reached, and end with ENOBUFS.
        let entry = opcode::SendBundle::new(self.fd, 0).flags(self.flags).build();
        // SAFETY: buffers and the ring of them live in `self` and are dropped after the ring; they are not written
        // before the request is answered.
        unsafe { self.ring.push(&entry) }?;
        (self.begun, self.taken, self.last) = (Some(len), 0, None);
        Ok(())
    }

    fn look_and_wait(&mut self, timeout: Duration, tally: &mut Tally) -> io::Result<()> {
        tally.syscalls += 1;
        self.ring.wait(timeout)?;
        take(&mut self.ring, &mut self.taken, &mut self.last);
        Ok(())
    }

    /// Books the request in flight, if it has its last answer.
    fn settle(&mut self) -> io::Result<Step> {
        let (Some(len), Some(result)) = (self.begun, self.last.take()) else { return Ok(Step::Blocked) };
        self.begun = None;
        if self.taken < len {
            // Some buffers are used up, some are not: start afresh, and send the rest again from its place.
            self.provided.register(&mut self.ring)?;
        }
        if self.taken == 0 {
            return Err(io::Error::from_raw_os_error(-result.min(-1)));
        }
        self.payload.taken(self.taken);
        Ok(Step::Accepted(self.taken))
    }
}

/// Adds up the answers to the only request in flight; the one that no other follows is the last.
fn take(ring: &mut Ring, taken: &mut usize, last: &mut Option<i32>) {
    ring.drain(|completion| {
        if let Completion::Answer { result, more, .. } = completion {
            *taken += usize::try_from(result).unwrap_or(0);
            if !more {
                *last = Some(result);
            }
        }
    });
}

impl SendPath for UringBundle {
    fn send(&mut self, _socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step> {
        if self.begun.is_none() {
            self.begin(len)?;
            self.look_and_wait(WAIT, tally)?;
        }
        self.settle()
    }

    fn wait(&mut self, _socket: &Socket, timeout: Duration, tally: &mut Tally) -> io::Result<()> {
        if self.last.is_none() { self.look_and_wait(timeout, tally) } else { Ok(()) }
    }

    fn finish(&mut self, _socket: &Socket, tally: &mut Tally) -> io::Result<usize> {
        let Some(len) = self.begun else { return Ok(0) };
        if self.last.is_none() {
            let (taken, last) = (&mut self.taken, &mut self.last);
            tally.syscalls += self.ring.cancel(0, |ring| {
                take(ring, taken, last);
                last.is_some()
            })?;
        }
        super::finished(self.settle(), len, tally)
    }
}
