//! CPU time and context switches of the calling thread.

use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};

/// CPU time the calling thread has used, ns (0 where the clock cannot be read).
#[must_use]
pub fn thread_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map_or(0, |t| t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64)
}

/// How often the calling thread gave the CPU up (it waited), and how often it was taken away. 0 where unknown.
#[must_use]
pub fn switches() -> (u64, u64) {
    getrusage(UsageWho::RUSAGE_THREAD).map_or((0, 0), |usage| {
        let count = |n| u64::try_from(n).unwrap_or(0);
        (count(usage.voluntary_context_switches()), count(usage.involuntary_context_switches()))
    })
}
