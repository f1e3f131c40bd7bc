//! What a send call costs: the time inside TCP's send function. Zero-copy calls carry their time of entry; of plain
//! ones a sample is timed, so that the others pay one load and one comparison.
//!
//! One plain call at a time is timed on the whole host. A socket that has made a multiple of 64 calls (and one) takes
//! the free clock, and its next call is timed. That call is chosen before it begins, so slow calls are neither
//! preferred nor left out.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use zcscope_common::{FlowCounters, LatencyKind, Path};

use crate::{
    maps::record_duration,
    mem::{add, swap},
    socket::{current_tid, known},
    tally,
};

/// A socket times the call after every so many.
const EVERY: u64 = 64;
/// A clock taken by a socket that makes no more calls is free again after this, ns.
const PATIENCE_NS: u64 = 100_000_000;
/// A call that has not ended after this never will: its end was missed.
const STUCK_NS: u64 = 60_000_000_000;

/// The clock: whose next call is timed, since when, and the call that is being timed.
#[repr(C, align(64))]
struct Clock {
    sk: u64,
    taken_ns: u64,
    start_ns: u64,
    tid: u64,
}

#[unsafe(no_mangle)]
static mut CLOCK: Clock = Clock { sk: 0, taken_ns: 0, start_ns: 0, tid: 0 };

/// A field of the clock. CPUs share it without a lock: a lost race loses one sample.
macro_rules! clock {
    ($field:ident) => {
        // SAFETY: a valid, aligned global.
        unsafe { core::ptr::read_volatile(&raw const CLOCK.$field) }
    };
    ($field:ident = $value:expr) => {
        // SAFETY: as above.
        unsafe { core::ptr::write_volatile(&raw mut CLOCK.$field, $value) }
    };
}

/// A plain call enters.
#[inline(always)]
pub fn entered(sk: *const u8) {
    if clock!(sk) != sk as u64 || clock!(start_ns) != 0 {
        return;
    }
    clock!(tid = current_tid());
    // SAFETY: helper without preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    clock!(start_ns = now);
}

/// A plain call of `bytes` (negative: it failed) ends, its socket's call number `calls`.
#[inline(always)]
pub fn left(sk: *const u8, flow: &mut FlowCounters, path: u32, calls: u64, bytes: i64) {
    if clock!(sk) == sk as u64 {
        zcscope_timed(flow, path, bytes);
        return;
    }
    if calls & (EVERY - 1) == 1 {
        take(sk);
    }
}

/// The same of a call that its socket's tally has counted.
#[inline(always)]
pub fn left_plain(sk: *const u8, calls: u64, bytes: i64) {
    if clock!(sk) == sk as u64 {
        timed_plain(sk, bytes);
    } else if calls & (EVERY - 1) == 1 {
        take(sk);
    }
}

/// Few calls are timed: only they look at the entry.
#[inline(never)]
fn timed_plain(sk: *const u8, bytes: i64) {
    if let Some(entry) = known(sk as u64) {
        if let Some(tally) = tally::find(sk as u64) {
            tally::touch(tally);
        }
        zcscope_timed(&mut entry.home, Path::Copy as u32, bytes);
    }
}

/// Ends the timed call, if this thread's is the one, and frees the clock. Exported like
/// [`crate::socket::zcscope_identify`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zcscope_timed(flow: *mut FlowCounters, path: u32, bytes: i64) -> u64 {
    let start = clock!(start_ns);
    // SAFETY: null or a map value.
    let Some(flow) = (unsafe { flow.as_mut() }) else { return 0 };
    if start == 0 || clock!(tid) != current_tid() {
        return 0;
    }
    // SAFETY: a valid global. Whoever takes the start books.
    if unsafe { swap(&raw mut CLOCK.start_ns, 0) } == start {
        clock!(sk = 0);
        book(flow, path, start, bytes);
    }
    0
}

/// Takes the clock for this socket's next call, unless another socket's is running or about to.
#[inline(never)]
fn take(sk: *const u8) {
    // SAFETY: helper without preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    let patience = if clock!(start_ns) == 0 { PATIENCE_NS } else { STUCK_NS };
    if clock!(sk) == 0 || now.saturating_sub(clock!(taken_ns)) > patience {
        clock!(start_ns = 0);
        clock!(taken_ns = now);
        clock!(sk = sk as u64);
    }
}

/// Books a call that began at `start`; failed ones are not measured.
#[inline(always)]
pub fn book(flow: &mut FlowCounters, path: u32, start: u64, bytes: i64) {
    if bytes < 0 || start == 0 {
        return;
    }
    // SAFETY: helper without preconditions.
    let ns = unsafe { bpf_ktime_get_ns() }.saturating_sub(start);
    add(&mut flow.timed_calls, 1);
    add(&mut flow.timed_bytes, bytes as u64);
    add(&mut flow.timed_ns, ns);
    record_duration(LatencyKind::SendCall, path, ns);
}
