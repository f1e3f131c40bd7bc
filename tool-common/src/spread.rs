//! A distribution of small numbers (frags per skb, bytes per frag, sends per notification): exact up to 32, then by
//! powers of two.

use crate::ids::Path;

/// Numbers up to this have a bucket of their own.
const EXACT: u64 = 32;
const EXACT_BITS: u32 = 5;

/// Number of buckets.
pub const SPREAD_BUCKETS: usize = 60;

/// What a distribution is of.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpreadKind {
    /// Frags of an skb when a send call left it.
    FragsPerSkb = 0,
    /// Bytes per frag.
    BytesPerFrag = 1,
    /// Sends per notification the application read.
    RangeLength = 2,
}

impl SpreadKind {
    /// Every kind, in index order.
    pub const ALL: [SpreadKind; 3] =
        [SpreadKind::FragsPerSkb, SpreadKind::BytesPerFrag, SpreadKind::RangeLength];
}

/// Where the distribution of a kind and a path (as a number) stands in the map.
#[inline(always)]
#[must_use]
pub const fn spread_slot(kind: SpreadKind, path: u32) -> u32 {
    kind as u32 * Path::COUNT as u32 + path
}

/// Numbers as the kernel side keeps them (one per CPU, added up by the reader).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Numbers recorded.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// The largest.
    pub max: u64,
    /// Numbers per bucket, see [`spread_bucket`].
    pub buckets: [u64; SPREAD_BUCKETS],
}

const _: () = assert!(size_of::<Spread>() == (3 + SPREAD_BUCKETS) * 8);

/// The bucket of a number; always below [`SPREAD_BUCKETS`].
#[inline(always)]
#[must_use]
pub const fn spread_bucket(n: u64) -> usize {
    if n <= EXACT {
        return n as usize;
    }
    let octave = 63 - (n - 1).leading_zeros() as usize;
    let bucket = EXACT as usize + 1 + octave - EXACT_BITS as usize;
    if bucket < SPREAD_BUCKETS { bucket } else { SPREAD_BUCKETS - 1 }
}

/// The largest number of a bucket.
#[must_use]
pub const fn spread_top(bucket: usize) -> u64 {
    if bucket <= EXACT as usize {
        return bucket as u64;
    }
    1 << (bucket as u32 - EXACT as u32 + EXACT_BITS)
}

impl Default for Spread {
    fn default() -> Self {
        Self { count: 0, sum: 0, max: 0, buckets: [0; SPREAD_BUCKETS] }
    }
}

impl Spread {
    /// Records one number. For user space; the kernel programs update their map value in place.
    pub fn record(&mut self, n: u64) {
        self.count += 1;
        self.sum = self.sum.saturating_add(n);
        self.max = self.max.max(n);
        self.buckets[spread_bucket(n)] += 1;
    }

    /// Adds another distribution to this one.
    pub fn merge(&mut self, other: &Spread) {
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
    }

    /// The number that `per_mille` thousandths of all do not exceed, `None` while empty: exact up to 32, else the
    /// top of its bucket, never above the largest seen.
    #[must_use]
    pub fn percentile(&self, per_mille: u32) -> Option<u64> {
        let rank = (self.count * u64::from(per_mille)).div_ceil(1000).max(1);
        let mut seen = 0;
        let found = self.buckets.iter().position(|n| {
            seen += n;
            seen >= rank
        });
        found.map(|bucket| spread_top(bucket).min(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_ends_at_its_top() {
        for bucket in 0..SPREAD_BUCKETS - 1 {
            let top = spread_top(bucket);
            assert_eq!(spread_bucket(top), bucket, "top of {bucket}");
            assert_eq!(spread_bucket(top + 1), bucket + 1, "above {bucket}");
        }
        assert_eq!(spread_bucket(u64::MAX), SPREAD_BUCKETS - 1);
    }

    #[test]
    fn small_numbers_are_exact_and_large_ones_rounded_up() {
        let mut spread = Spread::default();
        assert_eq!(spread.percentile(500), None);
        [17, 17, 3, 4096].iter().for_each(|n| spread.record(*n));
        assert_eq!(spread.percentile(500), Some(17));
        assert_eq!(spread.percentile(1000), Some(4096));
        let mut other = Spread::default();
        other.record(5000);
        spread.merge(&other);
        assert_eq!((spread.count, spread.max, spread.percentile(1000)), (5, 5000, Some(5000)));
    }
}
