//! Rates as people write them: bits per second, messages per second, a share of a measured maximum. Pure.

use std::fmt;
use std::str::FromStr;

/// How fast to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rate {
    /// Bits of payload per second over all connections (`5Gbit`).
    Bits(u64),
    /// Messages per second over all connections (`10K/s`).
    Messages(u64),
    /// Percent of the rate measured just before, sending as fast as the path goes (`50%`).
    OfMaximum(u32),
}

const PREFIXES: &[(&str, f64)] = &[("", 1.0), ("K", 1e3), ("k", 1e3), ("M", 1e6), ("G", 1e9)];
const BIT_UNITS: &[&str] = &["bit/s", "bits/s", "bps", "bit"];

impl Rate {
    /// Messages of `size` bytes per second, when the maximum is `max` of them; at least one.
    #[must_use]
    pub fn messages(self, size: u64, max: Option<f64>) -> Option<f64> {
        let rate = match self {
            Rate::Bits(bits) => bits as f64 / 8.0 / size.max(1) as f64,
            Rate::Messages(n) => n as f64,
            Rate::OfMaximum(percent) => max? * f64::from(percent) / 100.0,
        };
        Some(rate.max(f64::MIN_POSITIVE))
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not a rate above 0; write for example 5Gbit (per second), 10K/s (messages per second) \
                 or 50% (of the measured maximum)"
            )
        };
        if let Some(percent) = text.strip_suffix('%') {
            let percent = percent.trim().parse().ok().filter(|p| (1..=100).contains(p));
            return percent.map(Rate::OfMaximum).ok_or_else(wrong);
        }
        if let Some(unit) = BIT_UNITS.iter().find(|unit| text.ends_with(**unit)) {
            return number(&text[..text.len() - unit.len()]).map(Rate::Bits).ok_or_else(wrong);
        }
        text.strip_suffix("/s").and_then(number).map(Rate::Messages).ok_or_else(wrong)
    }
}

/// `10K`, `2.5M`: a number above 0 with a decimal prefix.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (_, factor) = PREFIXES.iter().find(|(name, _)| *name == &text[end..])?;
    let value = text[..end].parse::<f64>().ok()? * factor;
    (1.0..=1e15).contains(&value).then_some(value as u64)
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rate::Bits(bits) => f.write_str(&crate::units::bit_rate(*bits as f64)),
            Rate::Messages(n) => write!(f, "{}/s", crate::units::exact(*n)),
            Rate::OfMaximum(percent) => write!(f, "{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_are_read() {
        let good = [
            ("5Gbit", Rate::Bits(5_000_000_000)),
            ("2.5Gbit/s", Rate::Bits(2_500_000_000)),
            ("800kbit", Rate::Bits(800_000)),
            ("10K/s", Rate::Messages(10_000)),
            ("1500/s", Rate::Messages(1_500)),
            ("1.5M/s", Rate::Messages(1_500_000)),
            ("50%", Rate::OfMaximum(50)),
            ("100%", Rate::OfMaximum(100)),
        ];
        for (text, rate) in good {
            assert_eq!(text.parse(), Ok(rate), "{text}");
        }
        for text in ["", "5", "5G", "0/s", "0%", "101%", "-1/s", "x/s", "5T/s", "bit", "%", "1e9/s", "nan/s"]
        {
            let error = text.parse::<Rate>().unwrap_err();
            assert!(error.contains("is not a rate"), "{text}: {error}");
        }
    }

    #[test]
    fn every_form_becomes_messages() {
        assert_eq!(Rate::Messages(10).messages(1000, None), Some(10.0));
        assert_eq!(Rate::Bits(8_000_000).messages(1000, None), Some(1000.0));
        assert_eq!(Rate::OfMaximum(50).messages(1000, Some(300.0)), Some(150.0));
        assert_eq!(Rate::OfMaximum(50).messages(1000, None), None, "nothing was measured");
    }
}
