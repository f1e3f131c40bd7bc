//! A log-linear histogram of durations in nanoseconds, cheap enough to update inside a kernel program.
//!
//! 16 buckets an octave from 1024 ns to 2^36 ns (68.7 s): the middle of a bucket is at most 3.2 % away from any
//! value in it. Bucket 0 holds what is shorter, the last bucket what is longer.

use crate::ids::Path;

const SUB_BITS: u32 = 4;
const SUBS: usize = 1 << SUB_BITS;
const LOW_BIT: u32 = 10;
const HIGH_BIT: u32 = 36;

/// Number of buckets, the two outer ones included.
pub const HIST_BUCKETS: usize = (HIGH_BIT - LOW_BIT) as usize * SUBS + 2;

/// Which interval of a send's life a histogram measures.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LatencyKind {
    /// Accepted -> released by the kernel: how long the buffer is held.
    Release = 0,
    /// Released -> notification queued (error queue, or CQE posted).
    Queue = 1,
    /// Queued -> read by the application.
    Read = 2,
    /// Accepted -> read by the application.
    AppRead = 3,
    /// Entry to exit of `tcp_sendmsg_locked`.
    SendCall = 4,
}

impl LatencyKind {
    /// Every kind, in index order.
    pub const ALL: [LatencyKind; 5] = [
        LatencyKind::Release,
        LatencyKind::Queue,
        LatencyKind::Read,
        LatencyKind::AppRead,
        LatencyKind::SendCall,
    ];
}

/// Paths whose sends have an end, in the order of their histograms.
const ENDING: [Path; 5] =
    [Path::MsgZerocopy, Path::UringSendZc, Path::UringSendZcFixed, Path::UringSendmsgZc, Path::Devmem];
/// Send paths come first in [`Path`].
const SEND_PATHS: usize = Path::Kernel as usize + 1;
/// Number of histograms in the map.
pub const LATENCY_SLOTS: usize = LatencyKind::SendCall as usize * ENDING.len() + SEND_PATHS;

/// Where the histogram of a kind and a path (as a number) stands in the map; `LATENCY_SLOTS` (nowhere) when the
/// path has no such interval.
#[inline(always)]
#[must_use]
pub const fn latency_slot(kind: LatencyKind, path: u32) -> usize {
    latency_slot_of(kind as u32, path)
}

/// The same for a kind by its number, which must be one.
#[inline(always)]
#[must_use]
pub const fn latency_slot_of(kind: u32, path: u32) -> usize {
    let first = kind as usize * ENDING.len();
    if kind == LatencyKind::SendCall as u32 {
        return if path < SEND_PATHS as u32 { first + path as usize } else { LATENCY_SLOTS };
    }
    let mut at = 0;
    while at < ENDING.len() {
        if ENDING[at] as u32 == path {
            return first + at;
        }
        at += 1;
    }
    LATENCY_SLOTS
}

/// Durations in nanoseconds, as the kernel side keeps them (one per CPU, added up by the reader).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hist {
    /// Values recorded.
    pub count: u64,
    /// Sum of all values, ns.
    pub sum: u64,
    /// Largest value, ns.
    pub max: u64,
    /// Smallest value, ns, stored inverted (`!min`) so that a zeroed map means "none yet".
    pub min_inverted: u64,
    /// Values per bucket, see [`bucket_of`].
    pub buckets: [u64; HIST_BUCKETS],
}

const _: () = assert!(size_of::<Hist>() == 32 + 8 * HIST_BUCKETS);

/// The bucket of a duration of `ns` nanoseconds; always below [`HIST_BUCKETS`].
#[inline(always)]
#[must_use]
pub const fn bucket_of(ns: u64) -> usize {
    if ns < 1 << LOW_BIT {
        return 0;
    }
    if ns >= 1 << HIGH_BIT {
        return HIST_BUCKETS - 1;
    }
    let octave = 63 - ns.leading_zeros();
    let sub = (ns >> (octave - SUB_BITS)) as usize & (SUBS - 1);
    1 + (octave - LOW_BIT) as usize * SUBS + sub
}

/// The half-open range of nanoseconds that bucket `index` holds.
#[must_use]
pub const fn bucket_bounds(index: usize) -> (u64, u64) {
    if index == 0 {
        return (0, 1 << LOW_BIT);
    }
    if index >= HIST_BUCKETS - 1 {
        return (1 << HIGH_BIT, u64::MAX);
    }
    let octave = LOW_BIT + ((index - 1) / SUBS) as u32;
    let sub = ((index - 1) % SUBS) as u64;
    let width = 1u64 << (octave - SUB_BITS);
    let low = (1u64 << octave) + sub * width;
    (low, low + width)
}

impl Default for Hist {
    fn default() -> Self {
        Self { count: 0, sum: 0, max: 0, min_inverted: 0, buckets: [0; HIST_BUCKETS] }
    }
}

impl Hist {
    /// Records one duration. For user space; the kernel programs update their map value in place.
    pub fn record(&mut self, ns: u64) {
        self.count += 1;
        self.sum = self.sum.saturating_add(ns);
        self.max = self.max.max(ns);
        self.min_inverted = self.min_inverted.max(!ns);
        self.buckets[bucket_of(ns)] += 1;
    }

    /// Adds another histogram to this one.
    pub fn merge(&mut self, other: &Hist) {
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
        self.min_inverted = self.min_inverted.max(other.min_inverted);
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
    }

    /// Smallest value in ns, `None` while empty.
    #[must_use]
    pub const fn min(&self) -> Option<u64> {
        if self.count == 0 { None } else { Some(!self.min_inverted) }
    }

    /// The value in ns that `per_mille` thousandths of all values do not exceed (500 = median), `None` while
    /// empty. Within 3.2 % of the true value, and never outside the smallest and largest value seen.
    #[must_use]
    pub fn percentile(&self, per_mille: u32) -> Option<u64> {
        let (min, total) = (self.min()?, self.buckets.iter().sum::<u64>());
        let rank = (total * u64::from(per_mille)).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, n) in self.buckets.iter().enumerate() {
            seen += n;
            if seen >= rank {
                let (low, high) = bucket_bounds(index);
                let middle = if index == HIST_BUCKETS - 1 { self.max } else { low + (high - low) / 2 };
                return Some(middle.clamp(min, self.max));
            }
        }
        Some(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_holds_its_own_bounds() {
        for index in 0..HIST_BUCKETS {
            let (low, high) = bucket_bounds(index);
            assert_eq!(bucket_of(low), index, "lower bound of {index}");
            assert_eq!(bucket_of(high - 1), index, "upper bound of {index}");
        }
    }

    #[test]
    fn every_kind_and_path_has_a_slot_of_its_own() {
        let mut seen = [false; LATENCY_SLOTS];
        for kind in LatencyKind::ALL {
            for path in Path::ALL {
                let slot = latency_slot(kind, *path as u32);
                if slot < LATENCY_SLOTS {
                    assert!(!core::mem::replace(&mut seen[slot], true), "{kind:?} {path:?}");
                }
                let ends = kind != LatencyKind::SendCall && path.has_completion();
                let sends = kind == LatencyKind::SendCall && (*path as usize) < SEND_PATHS;
                assert_eq!(slot < LATENCY_SLOTS, ends || sends, "{kind:?} {path:?}");
            }
        }
        assert!(seen.iter().all(|used| *used));
    }

    #[test]
    fn percentiles_stay_within_six_percent() {
        for exact in [1_500u64, 44_000, 1_000_000, 40_123_456, 59_000_000_000] {
            let mut h = Hist::default();
            (0..100).for_each(|_| h.record(exact));
            h.record(exact / 2);
            let p50 = h.percentile(500).unwrap();
            assert!(p50.abs_diff(exact) * 100 <= exact * 6, "{exact} came back as {p50}");
        }
    }

    #[test]
    fn empty_has_no_percentile_and_merge_adds() {
        let mut a = Hist::default();
        assert_eq!(a.percentile(500), None);
        assert_eq!(a.min(), None);
        let mut b = Hist::default();
        a.record(5_000);
        b.record(700);
        b.record(9_000_000);
        a.merge(&b);
        assert_eq!((a.count, a.min(), a.max), (3, Some(700), 9_000_000));
        assert_eq!(a.percentile(1000), Some(9_000_000));
    }
}
