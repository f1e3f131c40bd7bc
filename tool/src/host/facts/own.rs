//! What zcscope itself takes from the host: CPU time and memory of this process.

use std::fs;

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::host::limits::page_bytes;

/// Cost of this process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OwnCost {
    /// CPU time used since it started, ns.
    pub cpu_ns: u64,
    /// When this was read, ns of the monotonic clock.
    pub read_at_ns: u64,
    /// CPU time since the reading before, in thousandths of one CPU; `None` at the first.
    pub cpu_permille: Option<u64>,
    /// Memory it occupies, bytes; `None` not known.
    pub rss_bytes: Option<u64>,
}

/// Reads it; `None` where the clocks cannot be read.
pub(super) fn read(before: Option<&OwnCost>) -> Option<OwnCost> {
    let ns = |clock| {
        let time = clock_gettime(clock).ok()?;
        let (seconds, rest) = (u64::try_from(time.tv_sec()).ok()?, u64::try_from(time.tv_nsec()).ok()?);
        seconds.checked_mul(1_000_000_000)?.checked_add(rest)
    };
    let (cpu_ns, read_at_ns) = (ns(ClockId::CLOCK_PROCESS_CPUTIME_ID)?, ns(ClockId::CLOCK_MONOTONIC)?);
    let cpu_permille = before.and_then(|before| {
        let passed = read_at_ns.checked_sub(before.read_at_ns)?;
        (cpu_ns.checked_sub(before.cpu_ns)?.checked_mul(1_000)?).checked_div(passed)
    });
    Some(OwnCost { cpu_ns, read_at_ns, cpu_permille, rss_bytes: rss() })
}

/// The second number of `/proc/self/statm` is resident pages.
fn rss() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * page_bytes()).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_a_share_from_the_second_reading_on() {
        let first = read(None).unwrap();
        assert!(first.cpu_permille.is_none() && first.rss_bytes.is_some_and(|bytes| bytes > 1 << 20));
        let until = first.cpu_ns + 20_000_000;
        let mut last = read(Some(&first)).unwrap();
        while last.cpu_ns < until {
            last = read(Some(&first)).unwrap();
        }
        assert!(last.cpu_permille.is_some_and(|share| share > 0), "{last:?}");
        let later = OwnCost { read_at_ns: u64::MAX, ..first };
        assert_eq!(read(Some(&later)).unwrap().cpu_permille, None, "another process's reading");
    }
}
