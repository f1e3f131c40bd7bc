//! From histograms and distributions to percentiles.

use std::ops::Range;

use zcscope_common::{HIST_BUCKETS, Hist, Spread, bucket_bounds};

use super::snapshot::{
    AFTER_DELAYED_ACK_NS, BEFORE_DELAYED_ACK_NS, DELAYED_ACK_NS, DelayedAcks, Percentiles, SpreadFigures,
};

/// `None` while nothing was recorded.
pub(crate) fn percentiles(hist: &Hist) -> Option<Percentiles> {
    Some(Percentiles {
        count: hist.count,
        min: hist.min()?,
        p50: hist.percentile(500)?,
        p90: hist.percentile(900)?,
        p99: hist.percentile(990)?,
        p999: hist.percentile(999)?,
        max: hist.max,
    })
}

/// What was recorded after an earlier state of the same histogram. Smallest and largest value are exact when they came
/// after it, else the bounds of their buckets.
pub(super) fn difference(now: &Hist, before: &Hist) -> Hist {
    let mut since = Hist {
        count: now.count.saturating_sub(before.count),
        sum: now.sum.saturating_sub(before.sum),
        ..Hist::default()
    };
    for (i, mine) in since.buckets.iter_mut().enumerate() {
        *mine = now.buckets[i].saturating_sub(before.buckets[i]);
    }
    let lowest = since.buckets.iter().position(|n| *n > 0);
    let highest = since.buckets.iter().rposition(|n| *n > 0);
    if let (Some(lowest), Some(highest), Some(min)) = (lowest, highest, now.min()) {
        let smaller = before.min().is_none_or(|before| min < before);
        since.min_inverted = !if smaller { min } else { bucket_bounds(lowest).0.max(min) };
        let larger = now.max > before.max;
        since.max = if larger { now.max } else { (bucket_bounds(highest).1 - 1).min(now.max) };
    }
    since
}

/// `None` while nothing was recorded.
pub(super) fn spread_figures(spread: &Spread) -> Option<SpreadFigures> {
    Some(SpreadFigures {
        count: spread.count,
        p50: spread.percentile(500)?,
        p90: spread.percentile(900)?,
        p99: spread.percentile(990)?,
        max: spread.max,
    })
}

/// Durations as a delayed ACK makes them.
pub(crate) fn delayed_acks(hist: &Hist) -> DelayedAcks {
    DelayedAcks {
        sends: within(hist, &DELAYED_ACK_NS),
        before: within(hist, &BEFORE_DELAYED_ACK_NS),
        after: within(hist, &AFTER_DELAYED_ACK_NS),
    }
}

/// Durations in buckets whose middle lies in the range.
fn within(hist: &Hist, range: &Range<u64>) -> u64 {
    let middle = |index| {
        let (low, high) = bucket_bounds(index);
        low + (high - low) / 2
    };
    (0..HIST_BUCKETS).filter(|index| range.contains(&middle(*index))).map(|i| hist.buckets[i]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_milliseconds_are_a_delayed_ack() {
        let mut hist = Hist::default();
        [20_000_000, 34_000_000, 52_000_000, 60_000_000].iter().for_each(|ns| hist.record(*ns));
        assert_eq!(delayed_acks(&hist), DelayedAcks { sends: 0, before: 1, after: 2 });
        [38_000_000, 40_000_000, 41_500_000, 47_000_000].iter().for_each(|ns| hist.record(*ns));
        assert_eq!(delayed_acks(&hist), DelayedAcks { sends: 4, before: 1, after: 2 });
        assert_eq!(percentiles(&hist).unwrap().count, 8);
        assert_eq!(percentiles(&Hist::default()), None);
    }

    #[test]
    fn a_difference_is_what_came_after() {
        let mut before = Hist::default();
        [9_000, 700_000].iter().for_each(|ns| before.record(*ns));
        let mut now = before;
        [4_000, 50_000, 60_000].iter().for_each(|ns| now.record(*ns));
        let since = difference(&now, &before);
        assert_eq!((since.count, since.sum, since.min()), (3, 114_000, Some(4_000)));
        assert!((60_000..70_000).contains(&since.max), "{}", since.max);
        assert_eq!(difference(&now, &Hist::default()), now);
        assert_eq!(difference(&now, &now), Hist::default());
    }

    #[test]
    fn nothing_recorded_has_no_distribution() {
        assert_eq!(spread_figures(&Spread::default()), None);
        let mut spread = Spread::default();
        (0..90).for_each(|_| spread.record(17));
        (0..10).for_each(|_| spread.record(4_096));
        let figures = spread_figures(&spread).unwrap();
        assert_eq!((figures.p50, figures.p90, figures.p99, figures.max), (17, 17, 4_096, 4_096));
    }
}
