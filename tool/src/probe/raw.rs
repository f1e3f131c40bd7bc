//! What aya has no call for: batch look-up and deletion in maps, drops of kprobes, map types out of byte buffers.
#![allow(unsafe_code, reason = "the bpf(2) system call and plain-data reads")]

use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::AtomicU64;

use aya::Pod;
use foldhash::quality::FixedState;
use memmap2::{MmapOptions, MmapRaw};

/// `BPF_MAP_LOOKUP_BATCH` of bpf(2), Linux >= 5.6.
const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;
/// Elements asked for at once, at least: more than any bucket holds, or the kernel could not hand it over.
const MIN_BATCH: usize = 128;
/// And at most.
const MAX_BATCH: usize = 2048;

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
            // As many as last time in one call, and twice as much whenever it is not enough.
            let batch = self.keys.capacity().saturating_sub(have).max(have).clamp(MIN_BATCH, MAX_BATCH);
            self.keys.reserve(batch);
            self.values.reserve(batch);
            let mut attr = BatchAttr {
                in_batch: if first { 0 } else { cursor.as_ptr() as u64 },
                out_batch: cursor.as_mut_ptr() as u64,
                keys: self.keys.spare_capacity_mut().as_mut_ptr() as u64,
                values: self.values.spare_capacity_mut().as_mut_ptr() as u64,
                count: batch as u32,
                map_fd: map.as_raw_fd().cast_unsigned(),
                ..BatchAttr::default()
            };
            let done = batch_syscall(&mut attr)?;
            let got = (attr.count as usize).min(batch);
            // SAFETY: the kernel has written `count` keys and values (at most those reserved above), both
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
    /// Or its value.
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

/// `BPF_MAP_LOOKUP_ELEM` of bpf(2).
const BPF_MAP_LOOKUP_ELEM: libc::c_long = 1;

/// Reads the element at this key; `None` when there is none.
///
/// # Errors
/// The system call failed.
pub(super) fn lookup<K: Pod, V: Pod>(map: BorrowedFd<'_>, key: &K) -> io::Result<Option<V>> {
    let mut value = MaybeUninit::<V>::uninit();
    let attr = ElementAttr {
        map_fd: map.as_raw_fd().cast_unsigned(),
        pad: 0,
        key: std::ptr::from_ref(key) as u64,
        next_key: value.as_mut_ptr() as u64,
        flags: 0,
    };
    // SAFETY: `attr` is a valid bpf_attr for this command; the caller's types are the map's.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_MAP_LOOKUP_ELEM,
            &raw const attr,
            size_of::<ElementAttr>() as libc::c_long,
        )
    };
    if result == 0 {
        // SAFETY: the kernel has written all of it; plain data, valid for every bit pattern.
        return Ok(Some(unsafe { value.assume_init() }));
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        error => Err(error),
    }
}

/// An array map in memory, as the words it consists of: what programs write is there at once, without a call.
pub(super) struct Words {
    memory: MmapRaw,
    len: usize,
}

impl Words {
    /// Maps the first `len` words of an array map that may be (`BPF_F_MMAPABLE`).
    ///
    /// # Errors
    /// The kernel refuses.
    pub(super) fn map(array: BorrowedFd<'_>, len: usize) -> io::Result<Words> {
        let memory = MmapOptions::new().len(len * size_of::<u64>()).map_raw(array.as_raw_fd())?;
        Ok(Words { memory, len })
    }

    /// A word, when there is one of this number.
    pub(super) fn get(&self, n: usize) -> Option<&AtomicU64> {
        // SAFETY: inside the memory, which is mapped as long as this is borrowed, aligned to pages, and shared with
        // programs that treat its words as atomic, too.
        (n < self.len).then(|| unsafe { &*self.memory.as_mut_ptr().cast::<AtomicU64>().add(n) })
    }
}

/// `BPF_MAP_DELETE_ELEM` of bpf(2).
const BPF_MAP_DELETE_ELEM: libc::c_long = 3;

/// Removes an element of a map; one that is gone already is as good.
///
/// # Errors
/// The system call failed.
pub(super) fn delete<K: Pod>(map: BorrowedFd<'_>, key: &K) -> io::Result<()> {
    let key = std::ptr::from_ref(key) as u64;
    let attr = ElementAttr { map_fd: map.as_raw_fd().cast_unsigned(), pad: 0, key, next_key: 0, flags: 0 };
    // SAFETY: `attr` is a valid bpf_attr for this command; the caller's key type is the map's.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_MAP_DELETE_ELEM,
            &raw const attr,
            size_of::<ElementAttr>() as libc::c_long,
        )
    };
    match io::Error::last_os_error() {
        error if result < 0 && error.raw_os_error() != Some(libc::ENOENT) => Err(error),
        _ => Ok(()),
    }
}

/// `BPF_OBJ_GET_INFO_BY_FD` of bpf(2).
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
/// `BPF_LINK_TYPE_PERF_EVENT`.
const PERF_EVENT: u32 = 7;
/// `BPF_PERF_EVENT_KPROBE` and `BPF_PERF_EVENT_KRETPROBE`.
const KPROBES: [u32; 2] = [3, 4];

/// The part of `union bpf_attr` that the command uses.
#[repr(C)]
struct InfoAttr {
    fd: u32,
    info_len: u32,
    info: u64,
}

/// `struct bpf_link_info` of a kprobe, up to what is read of it.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    link_type: u32,
    id: u32,
    prog_id: u32,
    pad: u32,
    event_type: u32,
    pad2: u32,
    name: u64,
    name_len: u32,
    offset: u32,
    address: u64,
    missed: u64,
}

/// How many hits of a kprobe the kernel has dropped; `None` when `fd` is no link of one, or the kernel (before 6.7)
/// does not tell.
pub(super) fn kprobe_missed(fd: RawFd) -> Option<u64> {
    let mut info = LinkInfo::default();
    let mut attr = InfoAttr {
        fd: fd.cast_unsigned(),
        info_len: size_of::<LinkInfo>() as u32,
        info: std::ptr::from_mut(&mut info) as u64,
    };
    // SAFETY: `attr` is a valid bpf_attr for this command; the kernel writes at most `info_len` bytes of `info`.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_OBJ_GET_INFO_BY_FD,
            std::ptr::from_mut(&mut attr),
            size_of::<InfoAttr>() as libc::c_long,
        )
    };
    // An older kernel knows a shorter structure.
    let told = result == 0 && attr.info_len as usize >= size_of::<LinkInfo>();
    (told && info.link_type == PERF_EVENT && KPROBES.contains(&info.event_type)).then_some(info.missed)
}

/// 64 bits that differ when any byte does, but for one chance in 2^64.
pub(super) fn fingerprint<T: Pod>(value: &T) -> u64 {
    // SAFETY: the bytes of a plain value the kernel has written as a whole, for as long as it is borrowed.
    let bytes = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast::<u8>(), size_of::<T>()) };
    let mut hasher = FixedState::default().build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

/// Reads a plain value out of a ring record of exactly its size.
pub(super) fn value<T: Pod>(bytes: &[u8]) -> Option<T> {
    if bytes.len() != size_of::<T>() {
        return None;
    }
    // SAFETY: as many bytes as `T` has, read unaligned; `Pod` is valid for every bit pattern.
    Some(unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast::<T>()) })
}
