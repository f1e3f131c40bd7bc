//! The warm-up before anything counts: how long, and when a rate is flat. Pure.
//!
//! Slow start, auto-tuned buffers, cold caches and bbr's start-up phase make the first moments of a connection faster
//! or slower than all that follows; they belong in no result.

use std::str::FromStr;
use std::time::Duration;

use crate::units::parse_duration;

/// Time between two looks at the rate.
pub const INTERVAL: Duration = Duration::from_millis(100);
/// Intervals the rate must be flat over.
const SPAN: usize = 8;
/// Largest drift over these intervals, as a share of their mean, that still counts as flat.
const FLAT: f64 = 0.10;
/// Longest automatic warm-up.
pub const LIMIT: Duration = Duration::from_secs(5);

/// How long to warm up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WarmUp {
    /// Not at all: every byte counts.
    #[default]
    None,
    /// Until the rate is flat, at most [`LIMIT`].
    Auto,
    /// So long.
    For(Duration),
}

impl FromStr for WarmUp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(WarmUp::Auto),
            "none" | "0" | "0s" => Ok(WarmUp::None),
            _ => parse_duration(text)
                .map(WarmUp::For)
                .map_err(|error| format!("{error}; or auto, or none for no warm-up")),
        }
    }
}

impl WarmUp {
    /// When to stop, at the latest.
    #[must_use]
    pub fn limit(self) -> Option<Duration> {
        match self {
            WarmUp::None => None,
            WarmUp::Auto => Some(LIMIT),
            WarmUp::For(time) => Some(time),
        }
    }
}

/// Whether a rate that drifts so far counts as flat.
#[must_use]
pub fn is_flat(drift: f64) -> bool {
    drift.abs() <= FLAT
}

/// Finds the moment from which on a rate no longer drifts.
#[derive(Clone, Debug, Default)]
pub struct Detector {
    last: [f64; SPAN],
    seen: usize,
}

impl Detector {
    /// Takes what one more interval moved; true when the last intervals are flat.
    pub fn push(&mut self, amount: u64) -> bool {
        self.last[self.seen % SPAN] = amount as f64;
        self.seen += 1;
        self.drift().is_some_and(is_flat)
    }

    /// How far the rate drifted over the last intervals (slope of the line of least squares times their number), as
    /// a share of the mean; `None` before there are enough of them, or when nothing moved.
    #[must_use]
    pub fn drift(&self) -> Option<f64> {
        if self.seen < SPAN {
            return None;
        }
        let mean = self.last.iter().sum::<f64>() / SPAN as f64;
        if mean <= 0.0 {
            return None;
        }
        let middle = (SPAN as f64 - 1.0) / 2.0;
        let (mut product, mut square) = (0.0, 0.0);
        for index in 0..SPAN {
            let value = self.last[(self.seen + index) % SPAN];
            let x = index as f64 - middle;
            product += x * (value - mean);
            square += x * x;
        }
        Some(product / square * (SPAN as f64 - 1.0) / mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_flat(rates: impl IntoIterator<Item = u64>) -> Option<usize> {
        let mut detector = Detector::default();
        rates.into_iter().position(|rate| detector.push(rate))
    }

    #[test]
    fn a_constant_rate_is_flat_as_soon_as_it_can_be_told() {
        assert_eq!(first_flat([1000; 20]), Some(SPAN - 1));
    }

    #[test]
    fn a_ramp_is_not_flat_until_it_ends() {
        assert_eq!(first_flat((1..30).map(|i| i * 100)), None, "still rising by 3 % an interval at its end");
        let ramp = (1..=10).map(|i| i * 100).chain([1000; 20]);
        let at = first_flat(ramp).unwrap();
        assert!((12..18).contains(&at), "{at}");
    }

    #[test]
    fn a_fall_from_a_fast_start_is_waited_for() {
        let rates =
            [3700, 3700, 3700, 3700, 2500, 1500, 1400, 1400, 1400, 1400, 1400, 1400, 1400, 1400, 1400];
        let at = first_flat(rates).unwrap();
        assert!(at >= 10, "{at}");
    }

    #[test]
    fn noise_without_drift_is_flat_and_silence_is_not() {
        assert_eq!(first_flat([900, 1100, 1100, 900, 900, 1100, 1100, 900]), Some(7));
        assert_eq!(first_flat([0; 50]), None);
    }

    #[test]
    fn forms() {
        assert_eq!("auto".parse(), Ok(WarmUp::Auto));
        assert_eq!("none".parse(), Ok(WarmUp::None));
        assert_eq!("2s".parse(), Ok(WarmUp::For(Duration::from_secs(2))));
        assert!("soon".parse::<WarmUp>().unwrap_err().contains("auto"));
    }
}
