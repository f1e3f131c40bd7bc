//! Arithmetic of repeated measurements: median, range, ratio.

use serde::{Deserialize, Serialize};

/// Median and range of one side.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// Of these values, in any order; of none, no numbers.
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        // Of an even number of values, the middle two count half each.
        Self { median: f64::midpoint(at(last / 2), at(last.div_ceil(2))), min: at(0), max: at(last) }
    }

    /// `12.3 (11.0-13.1)`; negative ends are written with `to`. A single value has no range.
    pub(super) fn text(&self, digits: usize) -> String {
        let Self { median, min, max } = self;
        if min.total_cmp(max).is_eq() {
            return format!("{median:.digits$}");
        }
        let dash = if *min < 0.0 || *max < 0.0 { " to " } else { "-" };
        format!("{median:.digits$} ({min:.digits$}{dash}{max:.digits$})")
    }
}

/// One figure of every sample.
pub(super) fn spread<T>(samples: &[T], figure: impl Fn(&T) -> f64) -> Spread {
    Spread::of(samples.iter().map(figure).collect())
}

/// What one side took more than the other, round by round: neighbours in time, so that a machine that gets slower in
/// between touches both.
pub(super) fn differences<T>(plain: &[T], with: &[T], figure: impl Fn(&T) -> f64) -> Spread {
    Spread::of(plain.iter().zip(with).map(|(plain, with)| figure(with) - figure(plain)).collect())
}

/// The same as a ratio.
pub(super) fn ratios<T>(plain: &[T], with: &[T], figure: impl Fn(&T) -> f64) -> Spread {
    Spread::of(plain.iter().zip(with).map(|(plain, with)| figure(with) / figure(plain)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((Spread::of(vec![9.0, 1.0, 2.0]).median - 2.0).abs() < 1e-9);
        let even = Spread::of(vec![4.0, 1.0, 3.0, 2.0]);
        assert!((even.median - 2.5).abs() < 1e-9 && even.min < 1.1 && even.max > 3.9);
    }

    #[test]
    fn figures_carry_their_range() {
        assert_eq!(Spread::of(vec![1.0, 3.0, 2.0]).text(1), "2.0 (1.0-3.0)");
        assert_eq!(Spread::of(vec![-1.0, 3.0]).text(0), "1 (-1 to 3)");
        assert_eq!(Spread::of(vec![2.5]).text(1), "2.5");
    }

    #[test]
    fn rounds_are_compared_one_by_one() {
        let (plain, with) = ([10.0, 100.0], [11.0, 110.0]);
        assert_eq!(ratios(&plain, &with, |x| *x).text(2), "1.10");
        assert_eq!(differences(&plain, &with, |x| *x).text(1), "5.5 (1.0-10.0)");
    }
}
