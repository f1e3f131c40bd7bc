//! Medians with bootstrap intervals, and when two of them differ.

use serde::{Deserialize, Serialize};

use super::random::Random;

/// Runs below which there is no interval: the median of fewer has no interval of 95 % at all.
pub const MIN_REPETITIONS: usize = 5;
/// Resamples of one interval.
const RESAMPLES: usize = 2000;
/// An interval wider than this part of the median, each way, is "not confident".
pub const WIDE: f64 = 0.10;

/// A median of several runs, with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Median.
    pub median: f64,
    /// Lower end of the 95 % interval; absent with fewer than [`MIN_REPETITIONS`] runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end of the interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Runs it is made of.
    pub n: u64,
}

impl Estimate {
    /// Of `samples`; `None` without any. The same seed gives the same interval.
    #[must_use]
    pub fn of(samples: &[f64], seed: u64) -> Option<Self> {
        let median = median(samples)?;
        let n = samples.len() as u64;
        if samples.len() < MIN_REPETITIONS {
            return Some(Self { median, low: None, high: None, n });
        }
        let mut random = Random::seeded(seed);
        let medians = (0..RESAMPLES).filter_map(|_| self::median(&resample(samples, &mut random)));
        let (low, high) = central(medians.collect())?;
        Some(Self { median, low: Some(low), high: Some(high), n })
    }

    /// The same with an interval that reaches at least `step` to each side, which is what it was measured in. For
    /// figures that are never negative.
    #[must_use]
    pub fn no_narrower_than(self, step: f64) -> Self {
        let (low, high) = ((self.median - step).max(0.0), self.median + step);
        Self { low: self.low.map(|end| end.min(low)), high: self.high.map(|end| end.max(high)), ..self }
    }

    /// Both ends of the interval.
    #[must_use]
    pub fn interval(&self) -> Option<(f64, f64)> {
        self.low.zip(self.high)
    }

    /// Whether the interval is too wide (or missing) to read much from the median.
    #[must_use]
    pub fn is_wide(&self) -> bool {
        let half = self.interval().map(|(low, high)| (high - low) / 2.0);
        half.is_none_or(|half| half > WIDE * self.median.abs())
    }
}

/// How one estimate stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// All of its interval lies below.
    Below,
    /// All of its interval lies above.
    Above,
    /// The intervals overlap, or one is missing.
    NotSeparable,
}

/// How `a` stands to `b`: different only when the intervals do not overlap.
#[must_use]
pub fn compare(a: &Estimate, b: &Estimate) -> Order {
    match (a.interval(), b.interval()) {
        (Some((_, high)), Some((low, _))) if high < low => Order::Below,
        (Some((low, _)), Some((_, high))) if low > high => Order::Above,
        _ => Order::NotSeparable,
    }
}

/// The relative change from `before` to `after` (0.1 is 10 % more), both resampled on their own; `None` without
/// samples or when the median before is 0.
#[must_use]
pub fn change(before: &[f64], after: &[f64], seed: u64) -> Option<Estimate> {
    let relative = |b: f64, a: f64| (b != 0.0).then(|| a / b - 1.0);
    let median = relative(self::median(before)?, self::median(after)?)?;
    let n = before.len().min(after.len());
    if n < MIN_REPETITIONS {
        return Some(Estimate { median, low: None, high: None, n: n as u64 });
    }
    let mut random = Random::seeded(seed);
    let once = |random: &mut Random| {
        let (b, a) = (resample(before, random), resample(after, random));
        relative(self::median(&b)?, self::median(&a)?)
    };
    let changes = (0..RESAMPLES).filter_map(|_| once(&mut random)).collect();
    let (low, high) = central(changes)?;
    Some(Estimate { median, low: Some(low), high: Some(high), n: n as u64 })
}

/// The middle value, or the mean of the two middle ones; `None` without values.
#[must_use]
pub fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2)?;
    let even = sorted.len().is_multiple_of(2);
    Some(if even { f64::midpoint(sorted[sorted.len() / 2 - 1], *upper) } else { *upper })
}

/// As many values, drawn with putting back.
fn resample(samples: &[f64], random: &mut Random) -> Vec<f64> {
    samples.iter().map(|_| samples[random.below(samples.len())]).collect()
}

/// The ends of the middle 95 %; `None` without values.
fn central(mut values: Vec<f64>) -> Option<(f64, f64)> {
    values.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| values.get(((values.len() as f64 - 1.0) * share).round() as usize).copied();
    Some((at(0.025)?, at(0.975)?))
}

/// The ends of the middle 95 % of ranked things; `None` without any.
#[must_use]
pub fn central_ranks<T: Ord + Copy>(mut values: Vec<T>) -> Option<(T, T)> {
    values.sort_unstable();
    let last = values.len().checked_sub(1)?;
    Some((values[last * 25 / 1000], values[(last * 975).div_ceil(1000)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(samples: &[f64]) -> Estimate {
        Estimate::of(samples, 1).unwrap()
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn equal_samples_have_an_interval_of_no_width() {
        let e = estimate(&[7.0; 5]);
        assert_eq!((e.median, e.low, e.high, e.n), (7.0, Some(7.0), Some(7.0), 5));
        assert!(!e.is_wide());
    }

    #[test]
    fn five_samples_reach_from_the_least_to_the_most() {
        // The exact bootstrap gives the least as the median with 5.8 %, which is more than 2.5 %.
        let e = estimate(&[10.0, 11.0, 12.0, 13.0, 20.0]);
        assert_eq!((e.median, e.low, e.high), (12.0, Some(10.0), Some(20.0)));
        assert!(e.is_wide());
    }

    #[test]
    fn an_outlier_among_many_is_left_out() {
        let mut samples: Vec<f64> = (0..20).map(|n| 100.0 + f64::from(n) / 10.0).collect();
        samples.push(1000.0);
        let e = estimate(&samples);
        assert!(e.high.unwrap() < 102.0 && e.low.unwrap() > 100.0, "{e:?}");
        assert!(!e.is_wide());
    }

    #[test]
    fn few_samples_have_no_interval_and_no_verdict() {
        let few = estimate(&[1.0, 1.0, 1.0, 1.0]);
        assert_eq!((few.low, few.high), (None, None));
        assert!(few.is_wide());
        assert_eq!(compare(&few, &estimate(&[9.0; 5])), Order::NotSeparable);
        assert_eq!(Estimate::of(&[], 1), None);
    }

    #[test]
    fn the_interval_covers_the_true_median_about_as_often_as_it_says() {
        let mut random = Random::seeded(42);
        let mut uniform = || random.next() as f64 / u64::MAX as f64;
        let covered = (0..400)
            .filter(|seed| {
                let samples: Vec<f64> = (0..9).map(|_| uniform()).collect();
                let e = Estimate::of(&samples, *seed).unwrap();
                e.low.unwrap() <= 0.5 && 0.5 <= e.high.unwrap()
            })
            .count();
        assert!((365..=400).contains(&covered), "{covered} of 400");
    }

    #[test]
    fn equal_cells_are_rarely_called_different() {
        let mut random = Random::seeded(43);
        let mut cell = || (0..5).map(|_| random.next() as f64).collect::<Vec<_>>();
        let wrong = (0..1000)
            .filter(|seed| {
                let (a, b) =
                    (Estimate::of(&cell(), *seed).unwrap(), Estimate::of(&cell(), seed + 1).unwrap());
                compare(&a, &b) != Order::NotSeparable
            })
            .count();
        assert!(wrong <= 20, "{wrong} of 1000; all of one above all of the other is 2 in 252");
    }

    #[test]
    fn order_needs_intervals_that_do_not_overlap() {
        let (low, high) = (estimate(&[1.0, 1.1, 1.2, 1.3, 1.4]), estimate(&[1.5, 1.6, 1.7, 1.8, 1.9]));
        assert_eq!(compare(&low, &high), Order::Below);
        assert_eq!(compare(&high, &low), Order::Above);
        let between = estimate(&[1.3, 1.4, 1.5, 1.6, 1.7]);
        assert_eq!(compare(&low, &between), Order::NotSeparable);
    }

    #[test]
    fn changes_are_relative() {
        let c = change(&[2.0; 5], &[3.0; 5], 1).unwrap();
        assert_eq!((c.median, c.low, c.high), (0.5, Some(0.5), Some(0.5)));
        assert_eq!(change(&[0.0; 5], &[3.0; 5], 1), None);
        assert_eq!(change(&[2.0; 2], &[3.0; 5], 1).unwrap().low, None);
        assert_eq!(central_ranks((0..1000).collect()), Some((24, 975)));
    }
}
