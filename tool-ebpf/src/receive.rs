//! Receiving: who reads from a socket, how many bytes, by which path. A plain read costs one look-up and two adds.
//!
//! Counted are bytes taken out of the receive queue: a peek takes none and is no call here; `MSG_TRUNC` takes bytes
//! without copying them and counts like any other read.

use aya_ebpf::bindings::{BPF_F_NO_PREALLOC, BPF_NOEXIST};
use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap},
};
use zcscope_common::{Err, FlowCounters, FlowKey, Lost, Path, RecvCall, RecvEntry, SockEntry, sock_flags};

use crate::{
    classify::class_of_recv,
    config::conf,
    lifecycle,
    maps::{SOCKS, active, lost, spill_slot, zero_sock},
    mem::{Mem, Probe, add},
    socket::{self, current_tgid, current_tid, process_wanted},
    tally::{
        self, Counted, zcscope_tally_fold_receives, zcscope_tally_free, zcscope_tally_receives,
        zcscope_tally_take,
    },
};

/// Receiving sockets by address of `struct sock`.
#[map]
pub static RECVS: HashMap<u64, RecvEntry> = HashMap::with_max_entries(10_240, BPF_F_NO_PREALLOC);
/// The current receive call of each thread, where its exit does not tell all.
#[map]
static RECV_CALLS: HashMap<u64, RecvCall> = HashMap::with_max_entries(4_096, BPF_F_NO_PREALLOC);
/// Zeroes to insert from.
#[map]
static ZERO_RECV: Array<RecvEntry> = Array::with_max_entries(1, 0);
/// Where a thread finds out whose socket it has, by thread.
#[map]
static WHOSE: HashMap<u64, SockEntry> = HashMap::with_max_entries(64, BPF_F_NO_PREALLOC);

const MSG_PEEK: u32 = 0x2;
const MSG_ERRQUEUE: u32 = 0x2000;

/// What became of the question "who receives on this socket?".
pub enum Receiver {
    /// Counted here.
    Known(&'static mut RecvEntry),
    /// The filter does not want it.
    Unwanted,
    /// The table is full: count per path only.
    NoRoom,
}

/// A read by any system call or ring returned `ret`: `tcp_recvmsg(sk, msg, len, flags)` or `sock:sock_recv_length`.
#[inline(always)]
pub unsafe fn received(sk: *const u8, flags: u32, ret: i64) {
    if flags & (MSG_ERRQUEUE | MSG_PEEK) != 0 {
        return;
    }
    let devmem = conf!(off.msg_sock_devmem);
    let plain = ret >= 0 && (devmem == 0 || flags & devmem == 0);
    if plain && !matches!(tally::count(tally::receives(sk as u64), ret as u64, |_| true), Counted::No) {
        return;
    }
    let path = if devmem != 0 && flags & devmem != 0 { Path::RecvDevmem } else { class_of_recv() };
    unsafe { book(sk, path, ret) };
}

/// Books one finished call of a path without a ledger.
#[inline(always)]
pub unsafe fn book(sk: *const u8, path: Path, ret: i64) {
    if !wanted(path) {
        return;
    }
    match unsafe { receiver(sk, path) } {
        Receiver::Unwanted => {}
        Receiver::Known(entry) if entry.home_path == path as u32 => {
            add(&mut entry.home.calls, 1);
            if ret < 0 {
                fail(&mut entry.home.errors, ret);
            } else {
                add(&mut entry.home.bytes, ret as u64);
            }
        }
        Receiver::Known(entry) => count(flow(entry, path), ret),
        Receiver::NoRoom => count(socket::unattributed(path as u32), ret),
    }
}

/// Counts one call; its result when that is an amount or an error.
#[inline(always)]
pub fn count(flow: Option<&'static mut FlowCounters>, ret: i64) {
    let Some(flow) = flow else { return };
    add(&mut flow.calls, 1);
    if ret < 0 {
        fail(&mut flow.errors, ret);
    } else {
        add(&mut flow.bytes, ret as u64);
    }
}

/// Whether the filter wants this path.
#[inline(always)]
pub fn wanted(path: Path) -> bool {
    let mask = conf!(filter.path_mask);
    mask == 0 || mask & (1 << (path as u32 & 31)) != 0
}

/// Counts a failed call by its errno.
#[inline(always)]
fn fail(errors: &mut [u64; Err::COUNT], ret: i64) {
    // Constants, not an index: nothing for the verifier to bound.
    macro_rules! count {
        ($($class:ident)+) => {
            match Err::of(ret) {
                $(Err::$class => add(&mut errors[Err::$class as usize], 1)),+
            }
        };
    }
    count!(Enobufs Eagain Epipe Econnreset Eopnotsupp Einval Efault Enomem Other);
}

/// The entry of a socket the current process receives on; made when new, and begun anew when another traced process
/// takes over. Processes that are not traced leave no entry.
#[inline(always)]
pub unsafe fn receiver(sk: *const u8, path: Path) -> Receiver {
    let tgid = current_tgid();
    if let Some(entry) = RECVS.get_ptr_mut(sk as u64) {
        // SAFETY: a map value, valid while the program runs.
        let entry = unsafe { &mut *entry };
        if entry.tgid == tgid {
            zcscope_tally_receives(entry, path as u32);
            return if entry.flags & sock_flags::IGNORED != 0 {
                Receiver::Unwanted
            } else {
                Receiver::Known(entry)
            };
        }
    }
    unsafe { make(sk, path, tgid) }
}

#[inline(always)]
unsafe fn make(sk: *const u8, path: Path, tgid: u32) -> Receiver {
    if !active() || !process_wanted(tgid) {
        return Receiver::Unwanted;
    }
    let Some(zero) = ZERO_RECV.get(0) else { return Receiver::Unwanted };
    let new = RECVS.insert(sk as u64, zero, u64::from(BPF_NOEXIST)).is_ok();
    let Some(entry) = RECVS.get_ptr_mut(sk as u64) else {
        lost(Lost::RecvTable, 1);
        return Receiver::NoRoom;
    };
    // SAFETY: a map value, valid while the program runs.
    let entry = unsafe { &mut *entry };
    if new {
        let key = tally::receives(sk as u64);
        zcscope_tally_take(&raw const key);
    } else {
        zcscope_tally_fold_receives(entry);
        zcscope_recv_publish(entry);
    }
    // Until it is known, nothing is counted.
    (entry.sk, entry.tgid, entry.id, entry.flags) = (sk as u64, tgid, 0, sock_flags::IGNORED);
    // A sender is asked in the same way, so that both agree on what the filter wants. Step by step from here: nested
    // functions would need more stack than there is.
    let Some(who) = stranger(entry) else {
        // Asked again at the next call.
        entry.tgid = 0;
        lost(Lost::RecvTable, 1);
        return Receiver::NoRoom;
    };
    socket::zcscope_identify(who, path as u32);
    who.dst = unsafe { Probe::read(entry.sk as *const u8, conf!(off.sock_dst_cache)) };
    socket::zcscope_route(who);
    zcscope_recv_adopt(entry, who, path as u32);
    // From the first call on: a socket that receives once and is silent then would be looked at by every reading.
    zcscope_tally_receives(entry, path as u32);
    let _ = WHOSE.remove(current_tid());
    if entry.flags & sock_flags::IGNORED != 0 { Receiver::Unwanted } else { Receiver::Known(entry) }
}

/// A sender's entry of this thread's own, to be filled in.
#[inline(always)]
fn stranger(entry: &RecvEntry) -> Option<&'static mut SockEntry> {
    let tid = current_tid();
    WHOSE.insert(tid, zero_sock()?, 0).ok()?;
    // SAFETY: a map value of this thread, valid while the program runs.
    let who = unsafe { &mut *WHOSE.get_ptr_mut(tid)? };
    (who.sk, who.tgid) = (entry.sk, entry.tgid);
    Some(who)
}

/// Takes over what was found out about a socket. Exported like [`socket::zcscope_identify`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_recv_adopt(entry: *mut RecvEntry, who: *const SockEntry, path: u32) -> u64 {
    // SAFETY: null or map values.
    let (Some(entry), Some(who)) = (unsafe { (entry.as_mut(), who.as_ref()) }) else { return 0 };
    entry.home = zcscope_common::RecvFlow { calls: 0, bytes: 0, errors: [0; Err::COUNT] };
    entry.home_path = home_path(path);
    entry.spill_mask = 0;
    (entry.cookie, entry.cgroup, entry.dev) = (who.cookie, who.cgroup, who.dev);
    (entry.netns, entry.uid) = (who.netns, who.uid);
    (entry.comm, entry.addr) = (who.comm, who.addr);
    entry.id = id_of_sender(entry.sk, entry.tgid).unwrap_or(who.id);
    entry.flags = who.flags & sock_flags::IGNORED;
    0
}

/// The first path that always copies stands in the entry itself.
#[inline(always)]
fn home_path(path: u32) -> u32 {
    let plain = path == Path::UringRecv as u32 || path == Path::RecvSplice as u32;
    if plain { path } else { Path::Recv as u32 }
}

/// The number under which this process already sends on the socket.
#[inline(always)]
fn id_of_sender(sk: u64, tgid: u32) -> Option<u64> {
    // SAFETY: a map value, valid while the program runs.
    let entry = unsafe { &*SOCKS.get_ptr(sk)? };
    (entry.tgid == tgid && entry.id != 0).then_some(entry.id)
}

/// The number under which this process already receives on the socket.
#[inline(always)]
pub fn id_of_receiver(sk: u64, tgid: u32) -> Option<u64> {
    // SAFETY: a map value, valid while the program runs.
    let entry = unsafe { &*RECVS.get_ptr(sk)? };
    (entry.tgid == tgid && entry.id != 0).then_some(entry.id)
}

/// The counters of a path that does not stand in the entry.
#[inline(always)]
pub fn flow(entry: &mut RecvEntry, path: Path) -> Option<&'static mut FlowCounters> {
    entry.spill_mask |= 1 << (path as u32 & 31);
    match spill_slot(entry.id, path as u32) {
        // SAFETY: a map value, valid while the program runs.
        Some(spill) => Some(unsafe { &mut (*spill).flow }),
        None => socket::unattributed(path as u32),
    }
}

/// Hands the final counters of a socket, or of one owner's share of it, to user space. Exported like
/// [`socket::zcscope_identify`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_recv_publish(entry: *const RecvEntry) -> u64 {
    // SAFETY: null or a map value.
    let Some(entry) = (unsafe { entry.as_ref() }) else { return 0 };
    if entry.id == 0 || entry.flags & sock_flags::IGNORED != 0 {
        return 0;
    }
    lifecycle::hand_over(entry);
    let mut path = Path::Recv as u32;
    while path < Path::COUNT as u32 {
        if entry.spill_mask & (1 << path) != 0 {
            lifecycle::publish_spill(FlowKey { id: entry.id, path: u64::from(path) });
        }
        path += 1;
    }
    0
}

/// Tracepoint `tcp:tcp_destroy_sock(sk)`, all kernels.
#[inline(always)]
pub fn destroyed(sk: u64) {
    if let Some(entry) = RECVS.get_ptr_mut(sk) {
        // SAFETY: a map value, valid while the program runs.
        let entry = unsafe { &mut *entry };
        zcscope_tally_fold_receives(entry);
        zcscope_recv_publish(entry);
        zcscope_tally_free(tally::receives(entry.sk));
        let _ = RECVS.remove(sk);
    }
}

/// Begins a call whose exit does not tell all. An older one of this thread was not seen to return.
#[inline(always)]
pub fn begin(call: &RecvCall) {
    if !active() {
        return;
    }
    let tid = current_tid();
    let missed = RECV_CALLS.get_ptr(tid).is_some();
    if RECV_CALLS.insert(tid, call, 0).is_err() || missed {
        lost(Lost::CallState, 1);
    }
}

/// The current call of this thread.
#[inline(always)]
pub fn current() -> Option<&'static mut RecvCall> {
    // SAFETY: a map value of this thread, valid while the program runs.
    RECV_CALLS.get_ptr_mut(current_tid()).map(|call| unsafe { &mut *call })
}

/// Ends the current call of this thread and returns what it gathered.
#[inline(always)]
pub fn end() -> Option<RecvCall> {
    let call = *current()?;
    let _ = RECV_CALLS.remove(current_tid());
    Some(call)
}

/// kretprobe `tcp_recvmsg`.
#[inline(always)]
pub unsafe fn received_kept(ret: i64) {
    if let Some(call) = end() {
        unsafe { received(call.sk as *const u8, call.flags, ret) };
    }
}

/// kretprobe `tcp_splice_read`.
#[inline(always)]
pub unsafe fn spliced_kept(ret: i64) {
    if let Some(call) = end() {
        unsafe { book(call.sk as *const u8, Path::RecvSplice, ret) };
    }
}

/// The `struct sock` of a `struct socket`.
#[inline(always)]
pub unsafe fn sock_of<M: Mem>(socket: *const u8) -> *const u8 {
    unsafe { M::read(socket, conf!(off.socket_sk)) }
}
