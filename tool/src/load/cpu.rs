//! How long the calling thread waited for a CPU, and its context switches.

use nix::sys::resource::{UsageWho, getrusage};

/// How long the calling thread could have run and did not, because others had its CPU, ns. `None` where the kernel does
/// not account for it.
#[must_use]
pub fn run_delay_ns() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok().and_then(|text| run_delay_of(&text))
}

/// The second number of a `schedstat`, after the time on a CPU and before how often it got one. A thread that reads its own
/// has been on a CPU: zeros only mean that nobody counts.
fn run_delay_of(schedstat: &str) -> Option<u64> {
    let numbers: Vec<u64> = schedstat.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    numbers.get(1).copied().filter(|_| numbers.iter().any(|number| *number > 0))
}

/// How often the calling thread gave the CPU up (it waited), and how often it was taken away. 0 where unknown.
#[must_use]
pub fn switches() -> (u64, u64) {
    getrusage(UsageWho::RUSAGE_THREAD).map_or((0, 0), |usage| {
        let count = |n| u64::try_from(n).unwrap_or(0);
        (count(usage.voluntary_context_switches()), count(usage.involuntary_context_switches()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_a_cpu_is_known_only_where_it_is_counted() {
        assert_eq!(run_delay_of("148487 2300 7\n"), Some(2300));
        assert_eq!(run_delay_of("148487 0 1\n"), Some(0), "it never had to wait");
        for nothing in ["0 0 0\n", "", "7\n", "1 two 3\n"] {
            assert_eq!(run_delay_of(nothing), None, "{nothing:?}");
        }
    }
}
