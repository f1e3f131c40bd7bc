//! Bytes of maps: batch look-up (aya has none) and reading map types out of byte buffers.
#![allow(unsafe_code, reason = "the bpf(2) system call and plain-data reads")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use aya::Pod;

/// `BPF_MAP_LOOKUP_BATCH` of bpf(2), Linux >= 5.6.
const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;
/// Elements asked for at once.
const BATCH: usize = 2048;

/// The part of `union bpf_attr` that batch commands use.
#[repr(C)]
#[derive(Default)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// Buffers for reading a whole hash map, kept between reads.
pub(super) struct Batch<K, V> {
    keys: Vec<K>,
    values: Vec<V>,
}

impl<K: Pod, V: Pod> Batch<K, V> {
    pub(super) fn new() -> Self {
        Self { keys: Vec::new(), values: Vec::new() }
    }

    /// Reads every element of a hash map; entries that come or go meanwhile may or may not be included.
    ///
    /// # Errors
    /// The system call failed.
    pub(super) fn fill(&mut self, map: BorrowedFd<'_>) -> io::Result<()> {
        self.keys.clear();
        self.values.clear();
        // The kernel's cursor: an opaque u32 for hash maps, with room to spare.
        let mut cursor = [0u8; 16];
        let mut first = true;
        loop {
            let have = self.keys.len();
            self.keys.reserve(BATCH);
            self.values.reserve(BATCH);
            let mut attr = BatchAttr {
                in_batch: if first { 0 } else { cursor.as_ptr() as u64 },
                out_batch: cursor.as_mut_ptr() as u64,
                keys: self.keys.spare_capacity_mut().as_mut_ptr() as u64,
                values: self.values.spare_capacity_mut().as_mut_ptr() as u64,
                count: BATCH as u32,
                map_fd: map.as_raw_fd().cast_unsigned(),
                ..BatchAttr::default()
            };
            let done = batch_syscall(&mut attr)?;
            let got = (attr.count as usize).min(BATCH);
            // SAFETY: the kernel has written `count` keys and values (at most the BATCH reserved above), both
            // plain data valid for every bit pattern.
            unsafe {
                self.keys.set_len(have + got);
                self.values.set_len(have + got);
            }
            first = false;
            if done {
                break;
            }
        }
        Ok(())
    }

    /// What was read last.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.keys.iter().zip(&self.values)
    }
}

/// `BPF_MAP_GET_NEXT_KEY` of bpf(2).
const BPF_MAP_GET_NEXT_KEY: libc::c_long = 4;

/// The part of `union bpf_attr` that element commands use.
#[repr(C)]
struct ElementAttr {
    map_fd: u32,
    pad: u32,
    key: u64,
    next_key: u64,
    flags: u64,
}

/// Number of elements of a hash map, by walking its keys; `None` when it cannot be walked.
pub(super) fn count(map: std::os::fd::RawFd, key_size: u64) -> Option<u64> {
    let mut key = vec![0u8; usize::try_from(key_size).ok()?];
    let mut next = key.clone();
    let mut elements = 0;
    loop {
        let attr = ElementAttr {
            map_fd: map.cast_unsigned(),
            pad: 0,
            key: if elements == 0 { 0 } else { key.as_mut_ptr() as u64 },
            next_key: next.as_mut_ptr() as u64,
            flags: 0,
        };
        // SAFETY: `attr` is a valid bpf_attr for this command; both keys have the map's key size and outlive it.
        let result = unsafe {
            libc::syscall(libc::SYS_bpf, BPF_MAP_GET_NEXT_KEY, &raw const attr, size_of::<ElementAttr>())
        };
        if result < 0 {
            let end = io::Error::last_os_error().raw_os_error() == Some(libc::ENOENT);
            return end.then_some(elements);
        }
        elements += 1;
        std::mem::swap(&mut key, &mut next);
    }
}

/// Makes the call; true when the map has been walked to its end.
fn batch_syscall(attr: &mut BatchAttr) -> io::Result<bool> {
    // SAFETY: `attr` is a valid bpf_attr for this command; its buffers hold at least `count` elements of the
    // map's key and value size (the caller's types are the map's).
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_MAP_LOOKUP_BATCH,
            std::ptr::from_mut(attr),
            size_of::<BatchAttr>() as libc::c_long,
        )
    };
    if result >= 0 {
        return Ok(false);
    }
    match io::Error::last_os_error() {
        // ENOENT: no more elements; what is in `count` is still valid.
        error if error.raw_os_error() == Some(libc::ENOENT) => Ok(true),
        error => Err(error),
    }
}

/// Reads a plain value out of a ring record of exactly its size.
pub(super) fn value<T: Pod>(bytes: &[u8]) -> Option<T> {
    if bytes.len() != size_of::<T>() {
        return None;
    }
    // SAFETY: as many bytes as `T` has, read unaligned; `Pod` is valid for every bit pattern.
    Some(unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast::<T>()) })
}
