//! CPU time of the whole machine, from `/proc/stat`: what a run cost includes soft interrupts and kernel threads.

use std::io;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

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
        let ticks_per_s = sysconf(SysconfVar::CLK_TCK)?.unwrap_or(100).unsigned_abs();
        parse(&std::fs::read_to_string("/proc/stat")?, ticks_per_s).ok_or_else(|| {
            io::Error::other("/proc/stat has no line of the form `cpu USER NICE SYSTEM IDLE ...`")
        })
    }

    /// Time spent on work of this machine: everything but idle and steal.
    #[must_use]
    pub fn busy(&self) -> Duration {
        self.user + self.system + self.interrupt
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

/// Columns: user nice system idle iowait irq softirq steal guest guest_nice; the guest columns are already in user
/// and nice.
fn parse(text: &str, ticks_per_s: u64) -> Option<CpuTime> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
    let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = ticks[..] else { return None };
    let time = |ticks: u64| Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / ticks_per_s.max(1)));
    Some(CpuTime {
        user: time(user + nice),
        system: time(system),
        interrupt: time(irq + softirq),
        steal: time(steal),
        idle: time(idle + iowait),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  100 20 300 4000 50 6 7 8 90 10\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 1\n";

    #[test]
    fn sums_the_columns_of_the_machine_line() {
        let time = parse(STAT, 100).unwrap();
        assert_eq!(time.user, Duration::from_millis(1200));
        assert_eq!(time.system, Duration::from_millis(3000));
        assert_eq!(time.interrupt, Duration::from_millis(130));
        assert_eq!(time.steal, Duration::from_millis(80));
        assert_eq!(time.idle, Duration::from_millis(40_500));
        assert_eq!(time.busy(), Duration::from_millis(4330));
    }

    #[test]
    fn refuses_another_form() {
        assert_eq!(parse("cpu0 1 2 3 4 5 6 7 8\n", 100), None);
        assert_eq!(parse("cpu  1 2 3\n", 100), None);
    }

    #[test]
    fn a_difference_never_goes_below_zero() {
        let earlier = parse(STAT, 100).unwrap();
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
