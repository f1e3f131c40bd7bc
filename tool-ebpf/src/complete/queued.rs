//! A notification is queued: how long after the release, for each send it covers.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_ktime_get_ns, bpf_loop};
use zcscope_common::{LatencyKind, SendKey, SockEntry, Source};

use crate::{
    config::conf,
    maps::{RELEASING, Releasing, SENDS, record_duration},
    mem::swap,
};

/// Keeps the range for the report of its notification, which the kernel makes next on this CPU.
#[inline(always)]
pub(super) fn announce(entry: &SockEntry, done_ns: u64, lo: u32, len: u32) {
    if conf!(mode.queue) == Source::None as u32 {
        return;
    }
    if let Some(releasing) = RELEASING.get_ptr_mut(0) {
        // SAFETY: a map value of this CPU.
        unsafe { *releasing = Releasing { sk: entry.sk, done_ns, lo, len } };
    }
}

/// A notification was queued and reported on this CPU: see [`announce`].
#[inline(always)]
pub(super) unsafe fn queued(entry: &mut SockEntry) {
    let Some(releasing) = RELEASING.get_ptr_mut(0) else { return };
    // SAFETY: a map value of this CPU; helpers without preconditions, and the context outlives the loop.
    unsafe {
        let Releasing { sk, done_ns, lo, len } = *releasing;
        if sk != entry.sk {
            return;
        }
        (*releasing).sk = 0;
        let mut queuing = Queuing { sk, done_ns, now: bpf_ktime_get_ns(), lo: u64::from(lo) };
        bpf_loop(len, queue as *mut c_void, (&raw mut queuing).cast(), 0);
    }
}

/// A range of sends whose notification is queued now.
#[repr(C)]
struct Queuing {
    sk: u64,
    done_ns: u64,
    now: u64,
    lo: u64,
}

/// Callback of `bpf_loop`: the notification of the send `lo + index` is queued.
#[inline(never)]
extern "C" fn queue(index: u32, queuing: *mut Queuing) -> i64 {
    // SAFETY: the context given to `bpf_loop`.
    let queuing = unsafe { &*queuing };
    let key = SendKey { sk: queuing.sk, id: u64::from((queuing.lo as u32).wrapping_add(index)) };
    if let Some(send) = SENDS.get_ptr_mut(key) {
        // SAFETY: a map value, valid while the program runs; a reader on another CPU may be faster.
        unsafe {
            if (*send).done_ns == queuing.done_ns && swap(&raw mut (*send).queued_ns, queuing.now) == 0 {
                let waited = queuing.now.saturating_sub(queuing.done_ns);
                record_duration(LatencyKind::Queue, (*send).path as u32, waited);
            }
        }
    }
    0
}
