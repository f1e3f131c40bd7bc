//! CPU time: of the calling thread, and of the whole machine.

use nix::time::{ClockId, clock_gettime};
use procfs::CurrentSI;

/// CPU time the calling thread has used, ns (0 where the clock cannot be read).
#[must_use]
pub fn thread_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map_or(0, |t| t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64)
}

/// CPU time everything on this machine has used since boot, interrupts included, idle and stolen time not, ns.
/// In steps of one clock tick, as a rule 10 ms. `None` when /proc/stat cannot be read.
#[must_use]
pub fn machine_ns() -> Option<u64> {
    let total = procfs::KernelStats::current().ok()?.total;
    // `guest` and `guest_nice` are already part of `user` and `nice`.
    let ticks = total.user + total.nice + total.system + total.irq.unwrap_or(0) + total.softirq.unwrap_or(0);
    Some(ticks * 1_000_000_000 / procfs::ticks_per_second())
}
