//! The path `uring_send_bundle`: one `IORING_OP_SEND` request takes several buffers from a ring of provided buffers
//! (`IORING_RECVSEND_BUNDLE`). The kernel copies; what is saved is requests.
//!
//! A send is cut into as many buffers as it has parts, at least two: with one buffer there is nothing to bundle.
#![allow(unsafe_code, reason = "a ring of buffers shared with the kernel")]

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::opcode;
use io_uring::types::{BufRingEntry, Fd};
use memmap2::MmapMut;
use socket2::Socket;

use super::payload::Rotation;
use super::uring_one::{OneAtATime, Request};
use super::{SendPath, Setup};
use crate::load::memory::Buffers;
use crate::load::uring::{self, Ring};

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
    provided: Provided,
    payload: Rotation,
    fd: Fd,
    flags: libc::c_int,
}

/// Sets the path up.
pub(super) fn open(setup: &Setup, socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    uring::has_bundle().map_err(io::Error::other)?;
    let mut payload = Rotation::new(setup, setup.iovecs.clamp(FEWEST, MOST))?;
    let mut ring = Ring::new(setup.iovecs.clamp(FEWEST, MOST))?;
    let mut provided = Provided::new(payload.prepare(0).1.parts())?;
    provided.register(&mut ring)?;
    let flags = setup.flags() | libc::MSG_WAITALL;
    let bundle = UringBundle { provided, payload, fd: uring::fd(socket.as_fd()), flags };
    Ok(Box::new(OneAtATime::new(ring, bundle, setup)?))
}

impl Request for UringBundle {
    fn begin(&mut self, ring: &mut Ring, len: usize) -> io::Result<()> {
        let (slot, buffers) = self.payload.prepare(len);
        self.provided.provide(buffers, slot, len);
        // No length: all there is. With one, the kernel would look for more when it is reached, and end with ENOBUFS.
        let entry = opcode::SendBundle::new(self.fd, 0).flags(self.flags).build();
        // SAFETY: buffers and the ring of them live in `self` and are dropped after the ring; they are not written
        // before the request is answered.
        unsafe { ring.push(&entry) }
    }

    fn ended(&mut self, ring: &mut Ring, len: usize, taken: usize) -> io::Result<()> {
        if taken < len {
            // Some buffers are used up, some are not: start afresh, and send the rest again from its place.
            self.provided.register(ring)?;
        }
        if taken > 0 {
            self.payload.taken(taken);
        }
        Ok(())
    }
}
