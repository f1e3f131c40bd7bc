//! CPU time of the whole machine, from `/proc/stat`: what a run cost includes soft interrupts and kernel threads. And
//! that of one thread.

use std::io;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use procfs::CurrentSI as _;

/// CPU time the calling thread has used, ns (0 where the clock cannot be read).
#[must_use]
pub fn thread_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map_or(0, |t| t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64)
}

/// CPU time since boot, summed over all CPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// Programs (user and nice).
    pub user: Duration,
    /// The kernel on behalf of programs.
    pub system: Duration,
    /// Interrupts and soft interrupts.
    pub interrupt: Duration,
    /// Taken by the hypervisor for other guests.
    pub steal: Duration,
    /// Nothing to do (idle and waiting for a disk).
    pub idle: Duration,
}

impl CpuTime {
    /// Reads it. The resolution is one clock tick (usually 10 ms) per CPU.
    ///
    /// # Errors
    /// `/proc/stat` cannot be read or has another form.
    pub fn read() -> io::Result<CpuTime> {
        let stat = procfs::KernelStats::current().map_err(io::Error::other)?;
        Ok(of(&stat.total, procfs::ticks_per_second()))
    }

    /// Time spent on work of this machine: everything but idle and steal.
    #[must_use]
    pub fn busy(&self) -> Duration {
        self.user + self.system + self.interrupt
    }

    /// [`Self::busy`] in ns.
    #[must_use]
    pub fn busy_ns(&self) -> u64 {
        u64::try_from(self.busy().as_nanos()).unwrap_or(u64::MAX)
    }

    /// What passed between `earlier` and this reading; idle may step back on some kernels and then counts as 0.
    #[must_use]
    pub fn since(&self, earlier: &CpuTime) -> CpuTime {
        CpuTime {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
            interrupt: self.interrupt.saturating_sub(earlier.interrupt),
            steal: self.steal.saturating_sub(earlier.steal),
            idle: self.idle.saturating_sub(earlier.idle),
        }
    }
}

/// The guest columns are already in user and nice. A column an old kernel lacks counts as 0.
fn of(total: &procfs::CpuTime, ticks_per_s: u64) -> CpuTime {
    let time = |ticks: u64| Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / ticks_per_s.max(1)));
    let maybe = |ticks: Option<u64>| time(ticks.unwrap_or(0));
    CpuTime {
        user: time(total.user + total.nice),
        system: time(total.system),
        interrupt: maybe(total.irq) + maybe(total.softirq),
        steal: maybe(total.steal),
        idle: time(total.idle) + maybe(total.iowait),
    }
}

#[cfg(test)]
mod tests {
    use procfs::FromReadSI as _;

    use super::*;

    const STAT: &str = "cpu  100 20 300 4000 50 6 7 8 90 10\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 1\nctxt 1\nbtime 1\n\
                        processes 1\nprocs_running 1\nprocs_blocked 0\n";

    /// What the file tells, in clock ticks of 10 ms.
    fn parse(text: &str) -> Option<CpuTime> {
        let stat = procfs::KernelStats::from_read(text.as_bytes(), &procfs::LocalSystemInfo).ok()?;
        Some(of(&stat.total, 100))
    }

    #[test]
    fn sums_the_columns_of_the_machine_line() {
        let time = parse(STAT).unwrap();
        assert_eq!(time.user, Duration::from_millis(1200));
        assert_eq!(time.system, Duration::from_millis(3000));
        assert_eq!(time.interrupt, Duration::from_millis(130));
        assert_eq!(time.steal, Duration::from_millis(80));
        assert_eq!(time.idle, Duration::from_millis(40_500));
        assert_eq!(time.busy(), Duration::from_millis(4330));
    }

    #[test]
    fn refuses_another_form() {
        assert_eq!(parse("cpu0 1 2 3 4 5 6 7 8\n"), None);
        assert_eq!(parse("cpu  1 2 3\n"), None);
    }

    #[test]
    fn a_difference_never_goes_below_zero() {
        let earlier = parse(STAT).unwrap();
        let later =
            CpuTime { idle: earlier.idle - Duration::from_secs(1), user: earlier.user * 2, ..earlier };
        let spent = later.since(&earlier);
        assert_eq!((spent.user, spent.idle), (earlier.user, Duration::ZERO));
    }

    #[test]
    fn this_machine_has_been_busy() {
        let now = CpuTime::read().unwrap();
        assert!(now.busy() > Duration::ZERO && now.idle > Duration::ZERO);
    }
}
