//! Ends of sockets, and forks of traced processes.

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::bpf_ktime_get_ns,
};
use zcscope_common::{FlowKey, Lost, OwnerKey, Path, SockEntry, SpillEntry, sock_flags};

use crate::{
    complete,
    config::conf,
    maps::{CALLS, ENDED, ENDED_BYTES, PARKED, PROCS, SOCKS, SPILL, forget_sock, lost},
    mem::{Direct, Mem, copy_words},
    pipe,
    socket::{current_tgid, current_tid},
    tally::zcscope_tally_fold,
};

/// Bytes in the ring from which on its reader is woken: an eighth of it. Below, it comes by itself with the next
/// reading, and sockets that end now and then cost nobody a wake-up.
const WAKE_BYTES: u64 = ENDED_BYTES as u64 / 8;

/// Puts a record of an ended socket into the ring.
#[inline(always)]
pub fn hand_over<T>(record: &T) {
    let full = ENDED.query(u64::from(BPF_RB_AVAIL_DATA)) >= WAKE_BYTES;
    let wake = if full { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP };
    if ENDED.output::<T>(record, u64::from(wake)).is_err() {
        lost(Lost::Ring, 1);
    }
}

/// Hands the final counters of a socket, or of one owner's share of it, to user space. Exported like
/// [`crate::socket::zcscope_identify`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_publish(entry: *const SockEntry) -> u64 {
    // SAFETY: null or a map value.
    let Some(entry) = (unsafe { entry.as_ref() }) else { return 0 };
    hand_over(entry);
    let mut path = 0;
    while path < Path::COUNT as u32 {
        if entry.spill_mask & (1 << path) != 0 {
            publish_spill(FlowKey { id: entry.id, path: u64::from(path) });
        }
        path += 1;
    }
    0
}

#[inline(always)]
pub fn publish_spill(key: FlowKey) {
    if let Some(spill) = SPILL.get_ptr(key) {
        // SAFETY: a map value, valid while the program runs.
        hand_over::<SpillEntry>(unsafe { &*spill });
        let _ = SPILL.remove(key);
    }
}

/// Another process than the one before sends on the socket: the entry becomes its own. What the one before counted
/// is parked, because sends of it may be in flight, and it may come back. `in_flight` stays: it is the socket's.
/// Returns 1 when the new owner has to be identified: not done here, because stacks of nested calls add up. Exported
/// like [`crate::socket::zcscope_identify`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_hand_over(entry: *mut SockEntry) -> u64 {
    // SAFETY: null or a map value.
    let Some(entry) = (unsafe { entry.as_mut() }) else { return 0 };
    let (sk, root, tgid) = (entry.sk, entry.root, current_tgid());
    zcscope_tally_fold(entry);
    if entry.flags & sock_flags::IGNORED == 0 {
        let key = OwnerKey { sk, tgid: u64::from(entry.tgid) };
        // Looked up again: before Linux 6.2 the verifier takes no map value from memory a function was given.
        // SAFETY: a map value, valid while the program runs.
        let kept = SOCKS.get_ptr(sk).is_some_and(|value| PARKED.insert(key, unsafe { &*value }, 0).is_ok());
        if !kept {
            lost(Lost::OwnerTable, 1);
            zcscope_publish(entry);
        }
    }
    let key = OwnerKey { sk, tgid: u64::from(tgid) };
    if let Some(parked) = PARKED.get_ptr(key)
        // SAFETY: a map value, valid while the program runs.
        && unsafe { (*parked).root } == root
    {
        // SAFETY: as above.
        unsafe { take_back(entry, &*parked) };
        let _ = PARKED.remove(key);
        return 0;
    }
    entry.tgid = tgid;
    1
}

/// Puts an owner's own share back into the socket's entry.
#[inline(always)]
fn take_back(entry: &mut SockEntry, parked: &SockEntry) {
    entry.id = parked.id;
    entry.first_ns = parked.first_ns;
    entry.cgroup = parked.cgroup;
    entry.tgid = parked.tgid;
    entry.uid = parked.uid;
    entry.flags = parked.flags;
    entry.home_path = parked.home_path;
    entry.spill_mask = parked.spill_mask;
    entry.comm = parked.comm;
    copy_words(&mut entry.home, &parked.home);
}

/// The entry of an owner of the socket `entry` that is not sending at the moment.
#[inline(always)]
pub fn parked(entry: &SockEntry, tgid: u64) -> Option<&'static mut SockEntry> {
    let parked = PARKED.get_ptr_mut(OwnerKey { sk: entry.sk, tgid })?;
    // SAFETY: a map value, valid while the program runs.
    let parked = unsafe { &mut *parked };
    (parked.root == entry.root).then_some(parked)
}

/// Tracepoint `sched:sched_process_exit`: the thread makes no more calls.
#[inline(always)]
pub fn exited() {
    let _ = CALLS.remove(current_tid());
}

/// Tracepoint `tcp:tcp_destroy_sock(sk)`, all kernels. Sends may still be in flight: then the last completion
/// ends the entry, and until then the address cannot be used again, because every unit holds the socket.
#[inline(always)]
pub fn destroyed(sk: u64) {
    // SAFETY: reads through the fault-safe helper.
    unsafe { pipe::learn() };
    let Some(entry) = SOCKS.get_ptr_mut(sk) else { return };
    // SAFETY: a map value, valid while the program runs.
    let entry = unsafe { &mut *entry };
    zcscope_tally_fold(entry);
    if entry.flags & sock_flags::IGNORED == 0 {
        if entry.read_ns != 0 {
            complete::overdue(entry, true);
        }
        complete::forget_unread(entry);
        if entry.in_flight != 0 {
            // SAFETY: helper without preconditions.
            entry.closing_ns = unsafe { bpf_ktime_get_ns() };
            entry.flags |= sock_flags::CLOSING;
            return;
        }
        zcscope_publish(entry);
    }
    forget_sock(sk);
}

/// Tracepoint `sched:sched_process_fork(parent, child)`: children of traced processes are traced.
#[inline(always)]
pub unsafe fn forked(parent: *const u8, child: *const u8) {
    let (parent, child): (u32, u32) =
        unsafe { (Direct::read(parent, conf!(off.task_tgid)), Direct::read(child, conf!(off.task_tgid))) };
    if parent != child && PROCS.get_ptr(parent).is_some() && PROCS.insert(child, 1, 0).is_err() {
        lost(Lost::ProcessTable, 1);
    }
}
