//! All maps, and the small operations on them that every module uses.

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, BPF_NOEXIST},
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use zcscope_common::{
    BounceEntry, CallState, CopyKey, CopyTotals, DevInfo, FileEntry, FileKey, FlowCounters, FlowKey,
    ForwardKey, HIST_BUCKETS, Hist, LATENCY_SLOTS, LatencyKind, Lost, OwnerKey, Path, ReadEntry,
    SPREAD_BUCKETS, SendEntry, SendKey, SockEntry, SocketHist, SpillEntry, Spread, SpreadKind, Unit,
    UringSend, bucket_of, latency_slot_of, spread_bucket, spread_slot,
};

use crate::{
    forward::Arrived,
    mem::{add, add32, checked_by_verifier, fetch_add},
    tally::{zcscope_tally_free, zcscope_tally_take},
};

/// Sockets by address of `struct sock`. Each has its tally, see `tally`.
#[map]
pub static SOCKS: HashMap<u64, SockEntry> = HashMap::with_max_entries(10_240, BPF_F_NO_PREALLOC);
/// Second and later paths of sockets.
#[map]
pub static SPILL: HashMap<FlowKey, SpillEntry> = HashMap::with_max_entries(2_048, 0);
/// Zero-copy sends from their id until their notification is read.
#[map]
pub static SENDS: HashMap<SendKey, SendEntry> = HashMap::with_max_entries(16_384, 0);
/// Release latency of single sockets; few sockets send zero-copy, so entries are made when needed.
#[map]
pub static SOCKET_LATENCY: HashMap<FlowKey, SocketHist> = HashMap::with_max_entries(256, BPF_F_NO_PREALLOC);
/// The notification each CPU is about to queue.
#[map]
pub static RELEASING: PerCpuArray<Releasing> = PerCpuArray::with_max_entries(1, 0);
/// Completion units that were copied (and every io_uring notification): `ubuf_info` address.
#[map]
pub static UNITS: HashMap<u64, Unit> = HashMap::with_max_entries(6_144, 0);
/// io_uring's zero-copy requests by their notification (`struct io_kiocb`).
#[map]
pub static URING: HashMap<u64, UringSend> = HashMap::with_max_entries(4_096, BPF_F_NO_PREALLOC);
/// Their notification by the request itself, until it is answered.
#[map]
pub static URING_REQS: HashMap<u64, u64> = HashMap::with_max_entries(4_096, BPF_F_NO_PREALLOC);
/// Copy events.
#[map]
pub static COPIES: HashMap<CopyKey, CopyTotals> = HashMap::with_max_entries(6_144, 0);
/// Sockets whose packets are forwarded, not delivered, where they arrive.
#[map]
pub static FORWARDS: LruHashMap<ForwardKey, u64> = LruHashMap::with_max_entries(1_024, 0);
/// Socket of the file pages being segmented, per CPU: the segments do not have it yet.
#[map]
pub static SEGMENTED: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);
/// The last packet copied on arrival, per CPU.
#[map]
pub static ARRIVED: PerCpuArray<Arrived> = PerCpuArray::with_max_entries(1, 0);
/// Devices by address of `struct net_device`.
#[map]
pub static DEVS: HashMap<u64, DevInfo> = HashMap::with_max_entries(1_024, 0);
/// The current send call of each thread; taken out when the thread ends.
#[map]
pub static CALLS: HashMap<u64, CallState> = HashMap::with_max_entries(4_096, 0);
/// Traced processes, when the filter is by process.
#[map]
pub static PROCS: HashMap<u32, u8> = HashMap::with_max_entries(4_096, 0);
/// Owners of shared sockets that are not the ones sending at the moment.
#[map]
pub static PARKED: HashMap<OwnerKey, SockEntry> = HashMap::with_max_entries(256, BPF_F_NO_PREALLOC);
/// Files sent.
#[map]
pub static FILES: HashMap<FileKey, FileEntry> = HashMap::with_max_entries(2_048, BPF_F_NO_PREALLOC);
/// Processes that send plainly, and what they read from files.
#[map]
pub static READERS: HashMap<u32, ReadEntry> = HashMap::with_max_entries(2_048, BPF_F_NO_PREALLOC);
/// Devices whose DMA went through bounce buffers, by address of `struct device`.
#[map]
pub static BOUNCES: HashMap<u64, BounceEntry> = HashMap::with_max_entries(256, BPF_F_NO_PREALLOC);
/// Durations by `latency_slot`.
#[map]
pub static LATENCY: PerCpuArray<Hist> = PerCpuArray::with_max_entries(LATENCY_SLOTS as u32, 0);
/// Distributions by `spread_slot`.
#[map]
pub static SPREADS: PerCpuArray<Spread> =
    PerCpuArray::with_max_entries((SpreadKind::ALL.len() * Path::COUNT) as u32, 0);
/// What found no room in `SOCKS`, per path.
#[map]
pub static UNATTRIBUTED: PerCpuArray<FlowCounters> = PerCpuArray::with_max_entries(Path::COUNT as u32, 0);
/// What was lost, per cause.
#[map]
pub static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(Lost::COUNT as u32, 0);
/// Room of the ring, bytes.
pub const ENDED_BYTES: u32 = 1 << 20;
/// Ended sockets.
#[map]
pub static ENDED: RingBuf = RingBuf::with_byte_size(ENDED_BYTES, 0);
/// Two switches. 0: everything is attached; until then nothing is counted, so that no call is seen by half the
/// programs. 1: a zero-copy send was seen; until then no skb can be one, and nobody looks.
#[map]
static ACTIVE: Array<u32> = Array::with_max_entries(2, 0);
/// Source of socket numbers.
#[map]
pub static NEXT_ID: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);
/// How a pipe's user pages are told; see `pipe`.
#[map]
pub static PIPE: Array<u64> = Array::with_max_entries(2, 0);
/// Zeroes to insert from: the values are too big for a program's stack.
#[map]
static ZERO_SOCK: Array<SockEntry> = Array::with_max_entries(1, 0);
/// See `ZERO_SOCK`.
#[map]
static ZERO_CALL: Array<CallState> = Array::with_max_entries(1, 0);
/// See `ZERO_SOCK`.
#[map]
static ZERO_SPILL: Array<SpillEntry> = Array::with_max_entries(1, 0);
/// See `ZERO_SOCK`.
#[map]
pub static ZERO_FILE: Array<FileEntry> = Array::with_max_entries(1, 0);
/// See `ZERO_SOCK`.
#[map]
static ZERO_SOCKET_HIST: Array<SocketHist> = Array::with_max_entries(1, 0);

/// A range of sends between their release and the report of their notification, which follows on the same CPU.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Releasing {
    /// The socket; 0 when nothing is under way.
    pub sk: u64,
    /// Time of release, ns.
    pub done_ns: u64,
    /// First id.
    pub lo: u32,
    /// Number of sends.
    pub len: u32,
}

/// Whether everything is attached.
#[inline(always)]
pub fn active() -> bool {
    ACTIVE.get(0).is_some_and(|active| *active != 0)
}

/// Whether a zero-copy send was ever seen.
#[inline(always)]
pub fn zerocopy_seen() -> bool {
    ACTIVE.get(1).is_some_and(|seen| *seen != 0)
}

/// A zero-copy send is seen.
#[inline(always)]
pub fn see_zerocopy() {
    if let Some(seen) = ACTIVE.get_ptr_mut(1) {
        // SAFETY: a map value; whoever writes writes 1.
        unsafe { core::ptr::write_volatile(seen, 1) };
    }
}

/// Counts a loss.
#[inline(always)]
pub fn lost(cause: Lost, n: u64) {
    if let Some(counter) = LOST.get_ptr_mut(cause as u32) {
        // SAFETY: a valid map value.
        add(unsafe { &mut *counter }, n);
    }
}

/// Records one duration.
#[inline(always)]
pub fn record_duration(kind: LatencyKind, path: u32, ns: u64) {
    zcscope_duration(kind as u32, path, ns);
}

/// Records one duration. Exported, because that makes it a global function, which the verifier checks once and not on
/// every way that leads to it.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_duration(kind: u32, path: u32, ns: u64) -> u64 {
    let Some(hist) = LATENCY.get_ptr_mut(latency_slot_of(kind, path) as u32) else { return 0 };
    // SAFETY: a map value of this CPU, valid while the program runs.
    let hist = unsafe { &mut *hist };
    add(&mut hist.count, 1);
    add(&mut hist.sum, ns);
    hist.max = hist.max.max(ns);
    hist.min_inverted = hist.min_inverted.max(!ns);
    let bucket = checked_by_verifier(bucket_of(ns));
    if bucket < HIST_BUCKETS {
        // SAFETY: just checked.
        add(unsafe { hist.buckets.get_unchecked_mut(bucket) }, 1);
    }
    0
}

/// The histogram of one path of a socket, inserted as zeroes when new.
#[inline(always)]
fn socket_hist(key: FlowKey) -> Option<*mut SocketHist> {
    if let Some(hist) = SOCKET_LATENCY.get_ptr_mut(key) {
        return Some(hist);
    }
    let _ = SOCKET_LATENCY.insert(key, ZERO_SOCKET_HIST.get(0)?, u64::from(BPF_NOEXIST));
    SOCKET_LATENCY.get_ptr_mut(key)
}

/// Records the release latency of one socket.
#[inline(always)]
pub fn record_socket(id: u64, path: u64, ns: u64) {
    let Some(hist) = socket_hist(FlowKey { id, path }) else { return lost(Lost::SocketLatency, 1) };
    // SAFETY: a map value, valid while the program runs.
    let hist = unsafe { &mut *hist };
    add(&mut hist.sum, ns);
    hist.max = hist.max.max(ns);
    hist.min_inverted = hist.min_inverted.max(!ns);
    let bucket = checked_by_verifier(bucket_of(ns));
    if bucket < HIST_BUCKETS {
        // SAFETY: just checked.
        add32(unsafe { hist.buckets.get_unchecked_mut(bucket) }, 1);
    }
}

/// Records one number of a distribution.
#[inline(always)]
pub fn record_number(kind: SpreadKind, path: u32, n: u64) {
    record_equal(kind, path, n, 1);
}

/// Records the same number so many times.
#[inline(always)]
pub fn record_equal(kind: SpreadKind, path: u32, n: u64, times: u64) {
    zcscope_number(spread_slot(kind, path), n, times);
}

/// See [`record_equal`]. Exported like [`zcscope_duration`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zcscope_number(slot: u32, n: u64, times: u64) -> u64 {
    if times == 0 {
        return 0;
    }
    let Some(spread) = SPREADS.get_ptr_mut(slot) else { return 0 };
    // SAFETY: a map value of this CPU, valid while the program runs.
    let spread = unsafe { &mut *spread };
    add(&mut spread.count, times);
    add(&mut spread.sum, n * times);
    spread.max = spread.max.max(n);
    let bucket = checked_by_verifier(spread_bucket(n));
    if bucket < SPREAD_BUCKETS {
        // SAFETY: just checked.
        add(unsafe { spread.buckets.get_unchecked_mut(bucket) }, times);
    }
    0
}

/// Zeroes of a socket's entry.
#[inline(always)]
pub fn zero_sock() -> Option<&'static SockEntry> {
    ZERO_SOCK.get(0)
}

/// The value at `key` of the socket table, inserted as zeroes when it is new (second field true). Nothing is
/// inserted before everything is attached.
#[inline(always)]
pub fn sock_slot(sk: u64) -> Option<(*mut SockEntry, bool)> {
    if let Some(entry) = SOCKS.get_ptr_mut(sk) {
        return Some((entry, false));
    }
    if !active() {
        return None;
    }
    let zero = ZERO_SOCK.get(0)?;
    if SOCKS.insert(sk, zero, u64::from(BPF_NOEXIST)).is_err() && SOCKS.get_ptr(sk).is_none() {
        lost(Lost::SocketTable, 1);
        return None;
    }
    let kept = sk;
    zcscope_tally_take(&raw const kept);
    Some((SOCKS.get_ptr_mut(sk)?, true))
}

/// Removes a socket and its tally.
#[inline(always)]
pub fn forget_sock(sk: u64) {
    let kept = sk;
    zcscope_forget_sock(&raw const kept);
}

/// See [`forget_sock`]. Exported like [`crate::socket::zcscope_identify`]; global functions take no typed pointers, so
/// the address comes in memory.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zcscope_forget_sock(sk: *const u64) -> u64 {
    // SAFETY: null or a number in the caller's memory.
    let Some(sk) = (unsafe { sk.as_ref() }) else { return 0 };
    let _ = SOCKS.remove(*sk);
    zcscope_tally_free(*sk)
}

/// The state of a thread's current call, inserted as zeroes when new.
#[inline(always)]
pub fn call_slot(tid: u64) -> Option<*mut CallState> {
    if let Some(call) = CALLS.get_ptr_mut(tid) {
        return Some(call);
    }
    let _ = CALLS.insert(tid, ZERO_CALL.get(0)?, 0);
    CALLS.get_ptr_mut(tid)
}

/// The counters of a socket's spilled path, inserted as zeroes when new.
#[inline(always)]
pub fn spill_slot(id: u64, path: u32) -> Option<*mut SpillEntry> {
    let key = FlowKey { id, path: u64::from(path) };
    if let Some(entry) = SPILL.get_ptr_mut(key) {
        return Some(entry);
    }
    let zero = ZERO_SPILL.get(0)?;
    if SPILL.insert(key, zero, u64::from(BPF_NOEXIST)).is_err() && SPILL.get_ptr(key).is_none() {
        lost(Lost::FlowTable, 1);
        return None;
    }
    let entry = SPILL.get_ptr_mut(key)?;
    // SAFETY: a valid map value.
    unsafe {
        (*entry).id = id;
        (*entry).path = u64::from(path);
    }
    Some(entry)
}

/// A fresh socket number.
#[inline(always)]
pub fn next_id() -> u64 {
    // SAFETY: helper without arguments.
    let cpu = u64::from(unsafe { aya_ebpf::helpers::bpf_get_smp_processor_id() });
    match NEXT_ID.get_ptr_mut(0) {
        Some(n) => {
            // SAFETY: a valid map value of this CPU.
            let n = fetch_add(unsafe { &mut *n }, 1);
            ((cpu + 1) << 40) | n
        }
        None => 0,
    }
}
