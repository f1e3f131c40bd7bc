//! Sizes, durations and figures as people write and read them.

use std::time::Duration;

const SIZES: &[(&str, u64)] = &[("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)];
const DURATIONS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Splits leading digits from the unit after them.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// Bytes: `4096`, `64K`, `1M`, `2G`; suffixes are powers of two, `KiB` and `k` mean the same as `K`.
///
/// # Errors
/// Not of this form, zero, or more than 64 bits.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a size above 0; write for example 4096, 64K or 1M");
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let unit = unit.strip_suffix("iB").unwrap_or(unit).to_ascii_uppercase();
    let factor = match SIZES.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => *factor,
        None if unit.is_empty() => 1,
        None => return Err(wrong()),
    };
    number.checked_mul(factor).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

/// A duration: `10s`, `500ms`, `2m`, `1h`; a bare number is seconds.
///
/// # Errors
/// Not of this form, zero, or more than 64 bits of nanoseconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration above 0; write for example 10s, 500ms or 2m");
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let unit = if unit.is_empty() { "s" } else { unit };
    let (_, factor) = DURATIONS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    number.checked_mul(*factor).filter(|ns| *ns > 0).map(Duration::from_nanos).ok_or_else(wrong)
}

/// Bytes for people, decimal: `12.3 GB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    scaled(n, &[("B", 1), ("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000)])
}

/// A rate for people: `12.3 Gbit/s`.
#[must_use]
pub fn rate(gbit_s: f64) -> String {
    scaled(
        (gbit_s * 1e9) as u64,
        &[("bit/s", 1), ("kbit/s", 1_000), ("Mbit/s", 1_000_000), ("Gbit/s", 1_000_000_000)],
    )
}

/// Nanoseconds for people: `128 us`.
#[must_use]
pub fn ns(n: u64) -> String {
    scaled(n, &[("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)])
}

/// A send size as it was asked for: `64K`, or the number where no suffix fits.
#[must_use]
pub fn size(n: u64) -> String {
    let fits = SIZES.iter().rev().find(|(_, factor)| n >= *factor && n.is_multiple_of(*factor));
    fits.map_or_else(|| n.to_string(), |(name, factor)| format!("{}{name}", n / factor))
}

/// A count for people: `1,234,567`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Three figures and the largest unit that leaves at least 1.
fn scaled(n: u64, units: &[(&str, u64)]) -> String {
    let fits = units.iter().rev().find(|(_, factor)| n >= *factor).or(units.first());
    let Some((unit, factor)) = fits else { return n.to_string() };
    let value = n as f64 / *factor as f64;
    let decimals = match value {
        _ if *factor == 1 => 0,
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let good =
            [("1", 1), ("4096", 4096), ("64K", 65_536), ("64k", 65_536), ("1M", 1 << 20), ("2GiB", 2 << 30)];
        for (text, bytes) in good {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "K", "0", "0K", "-1", "1.5K", "64KB", "64X", "99999999999G", "18446744073709551616"]
        {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        let good = [("10s", 10_000), ("10", 10_000), ("500ms", 500), ("2m", 120_000), ("1h", 3_600_000)];
        for (text, ms) in good {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "0s", "-1s", "1.5s", "10 s", "10S", "9999999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn figures_for_people() {
        assert_eq!([bytes(0), bytes(999), bytes(12_345_678_901)], ["0 B", "999 B", "12.3 GB"]);
        assert_eq!([rate(0.0), rate(0.000_96), rate(41.44)], ["0 bit/s", "960 kbit/s", "41.4 Gbit/s"]);
        assert_eq!([ns(950), ns(128_400), ns(3_300_000)], ["950 ns", "128 us", "3.30 ms"]);
        assert_eq!([size(65_536), size(1000), size(1 << 30)], ["64K", "1000", "1G"]);
        assert_eq!([count(7), count(1234), count(1_234_567)], ["7", "1,234", "1,234,567"]);
    }
}
