//! CPU time and context switches: of the calling thread, and of the whole machine.

use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};
use procfs::CurrentSI;

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

/// What the whole machine has spent since boot, ns, in steps of one clock tick, as a rule 10 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Everything that ran, interrupts included; idle and stolen time not.
    pub busy_ns: u64,
    /// Time the hypervisor gave to others while this machine wanted to run.
    pub steal_ns: u64,
}

impl Machine {
    /// Reads it; `None` when /proc/stat cannot be read.
    #[must_use]
    pub fn read() -> Option<Machine> {
        let total = procfs::KernelStats::current().ok()?.total;
        // `guest` and `guest_nice` are already part of `user` and `nice`.
        let busy =
            total.user + total.nice + total.system + total.irq.unwrap_or(0) + total.softirq.unwrap_or(0);
        let ns = |ticks| ticks * 1_000_000_000 / procfs::ticks_per_second();
        Some(Machine { busy_ns: ns(busy), steal_ns: ns(total.steal.unwrap_or(0)) })
    }

    /// What was spent since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Machine) -> Machine {
        Machine {
            busy_ns: self.busy_ns.saturating_sub(earlier.busy_ns),
            steal_ns: self.steal_ns.saturating_sub(earlier.steal_ns),
        }
    }
}
