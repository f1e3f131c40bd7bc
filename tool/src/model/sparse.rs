//! A histogram of which most buckets are empty, kept in little memory: one socket's durations fill some thirty of 418.

use serde::{Deserialize, Serialize};
use zcscope_common::{HIST_BUCKETS, Hist};

/// Durations in ns, in the buckets of [`Hist`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SparseHist {
    /// Values recorded.
    pub count: u64,
    /// Their sum, ns.
    pub sum: u64,
    /// The smallest, ns; 0 while there is none.
    pub min: u64,
    /// The largest, ns.
    pub max: u64,
    /// Bucket and values in it, ascending, only those above 0.
    pub buckets: Box<[(u16, u64)]>,
}

impl SparseHist {
    /// The same values in less memory.
    #[must_use]
    pub fn of(hist: &Hist) -> Self {
        let filled = hist.buckets.iter().enumerate().filter(|(_, count)| **count > 0);
        Self {
            count: hist.count,
            sum: hist.sum,
            min: hist.min().unwrap_or(0),
            max: hist.max,
            buckets: filled.map(|(bucket, count)| (bucket as u16, *count)).collect(),
        }
    }

    /// Adds these values to a histogram. Buckets a histogram does not have are left out.
    pub fn add_to(&self, hist: &mut Hist) {
        if self.count == 0 {
            return;
        }
        hist.count += self.count;
        hist.sum = hist.sum.saturating_add(self.sum);
        hist.max = hist.max.max(self.max);
        hist.min_inverted = hist.min_inverted.max(!self.min);
        for (bucket, count) in self.buckets.iter().filter(|(bucket, _)| usize::from(*bucket) < HIST_BUCKETS) {
            hist.buckets[usize::from(*bucket)] += count;
        }
    }

    /// The same values as a histogram with all its buckets.
    #[must_use]
    pub fn widen(&self) -> Hist {
        let mut hist = Hist::default();
        self.add_to(&mut hist);
        hist
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_on_the_way_there_and_back() {
        let mut hist = Hist::default();
        assert_eq!(SparseHist::of(&hist).widen(), hist);
        [0, 700, 5_000, 5_001, 40_000_000, u64::MAX].iter().for_each(|ns| hist.record(*ns));
        let sparse = SparseHist::of(&hist);
        assert_eq!(sparse.widen(), hist);
        assert_eq!((sparse.min, sparse.buckets.len()), (0, 4));
        let mut twice = hist;
        twice.merge(&hist);
        sparse.add_to(&mut hist);
        assert_eq!(hist, twice);
    }

    #[test]
    fn a_bucket_that_does_not_exist_is_left_out() {
        let broken = SparseHist { count: 1, buckets: [(u16::MAX, 1)].into(), ..SparseHist::default() };
        assert_eq!(broken.widen().buckets.iter().sum::<u64>(), 0);
    }
}
