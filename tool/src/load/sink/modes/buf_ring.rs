//! A ring of buffers provided to `io_uring`: the kernel takes one for every receive, we give it back when done.
#![allow(unsafe_code, reason = "memory shared with the kernel, and queue entries that refer to descriptors")]

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU16, Ordering::Release};

use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, opcode};
use memmap2::MmapMut;

/// The only group of buffers of a ring.
const GROUP: u16 = 0;

/// `count` buffers, known to one `io_uring`, with that `io_uring`.
pub(super) struct BufRing {
    // Dropped first: after that the kernel refers to none of the memory below.
    uring: IoUring,
    entries: MmapMut,
    memory: MmapMut,
    size: usize,
    mask: u16,
    tail: u16,
}

impl BufRing {
    /// Registers `count` (a power of two) buffers of `size` bytes with `uring`, all of them free.
    pub(super) fn new(uring: IoUring, count: u16, size: usize) -> io::Result<Self> {
        let entries = MmapMut::map_anon(usize::from(count) * size_of::<BufRingEntry>())?;
        let memory = MmapMut::map_anon(usize::from(count) * size)?;
        // SAFETY: the entries are page-aligned memory of `count` entries that lives as long as the io_uring: both are
        // fields of one value, and the io_uring is dropped first.
        unsafe {
            uring.submitter().register_buf_ring_with_flags(entries.as_ptr() as u64, count, GROUP, 0)?;
        }
        let mut ring = Self { uring, entries, memory, size, mask: count - 1, tail: 0 };
        (0..count).for_each(|id| ring.give_back(id));
        Ok(ring)
    }

    /// Queues one multishot receive from `socket`, which must stay open until the ring is dropped.
    pub(super) fn receive(&mut self, socket: RawFd, user_data: u64) -> io::Result<()> {
        let entry = opcode::RecvMulti::new(Fd(socket), GROUP).build().user_data(user_data);
        // SAFETY: the entry refers to no memory but the registered buffers, which live as long as the io_uring.
        unsafe { self.uring.submission().push(&entry) }.map_err(|_| io::ErrorKind::QuotaExceeded.into())
    }

    /// The `io_uring` itself.
    pub(super) fn uring(&mut self) -> &mut IoUring {
        &mut self.uring
    }

    /// The first `len` bytes of buffer `id`, which the kernel has handed over and not got back.
    pub(super) fn buffer(&self, id: u16, len: usize) -> &[u8] {
        let start = usize::from(id) * self.size;
        self.memory.get(start..start + len.min(self.size)).unwrap_or_default()
    }

    /// Gives buffer `id` to the kernel (again).
    pub(super) fn give_back(&mut self, id: u16) {
        let index = usize::from(self.tail & self.mask);
        let address = self.memory.as_ptr() as u64 + u64::from(id) * self.size as u64;
        let base = self.entries.as_mut_ptr().cast::<BufRingEntry>();
        // SAFETY: `index` is within the mapped entries. The kernel reads an entry only after the tail has passed it,
        // and the tail passes it below.
        let entry = unsafe { &mut *base.add(index) };
        entry.set_addr(address);
        entry.set_len(u32::try_from(self.size).unwrap_or(u32::MAX));
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail is an aligned u16 in the first entry (no setter above writes it); it is shared with the
        // kernel, so it is stored atomically, after the entry.
        unsafe { AtomicU16::from_ptr(BufRingEntry::tail(base).cast_mut()) }.store(self.tail, Release);
    }
}
