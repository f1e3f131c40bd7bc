//! Ends of sockets, and forks of traced processes.

use aya_ebpf::{bindings::BPF_RB_NO_WAKEUP, helpers::bpf_ktime_get_ns};
use zcscope_common::{FlowKey, Lost, Path, SockEntry, SpillEntry, sock_flags};

use crate::{
    complete,
    config::conf,
    maps::{ENDED, PROCS, SOCKS, SPILL, lost},
    mem::{Direct, Mem},
    pipe,
};

/// Hands the final counters of a socket, or of one owner's share of it, to user space. Exported like
/// [`crate::socket::zcscope_identify`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_publish(entry: *const SockEntry) -> u64 {
    // SAFETY: null or a map value.
    let Some(entry) = (unsafe { entry.as_ref() }) else { return 0 };
    if ENDED.output::<SockEntry>(entry, u64::from(BPF_RB_NO_WAKEUP)).is_err() {
        lost(Lost::Ring, 1);
    }
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
        if ENDED.output::<SpillEntry>(unsafe { &*spill }, u64::from(BPF_RB_NO_WAKEUP)).is_err() {
            lost(Lost::Ring, 1);
        }
        let _ = SPILL.remove(key);
    }
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
    if entry.flags & sock_flags::IGNORED == 0 {
        complete::forget_unread(entry);
        if entry.in_flight != 0 {
            // SAFETY: helper without preconditions.
            entry.closing_ns = unsafe { bpf_ktime_get_ns() };
            entry.flags |= sock_flags::CLOSING;
            return;
        }
        zcscope_publish(entry);
    }
    let _ = SOCKS.remove(sk);
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
