//! Figures as people write and read them; used by every room, knows none. Rates are bits per second with decimal
//! prefixes, amounts are bytes with binary prefixes, and the two are never mixed. Figures are rounded to three
//! significant digits and have a bounded width, so that columns never jump.

use std::time::Duration;

/// Shown where a figure cannot be known here.
pub const UNKNOWN: &str = "n/a";
/// Shown where a figure has no meaning (copied share of a path that never asked for zero-copy).
pub const NOT_APPLICABLE: &str = "-";

const SIZES: &[(&str, u64)] = &[("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)];
const TIMES: &[(&str, f64)] =
    &[("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3_600.0)];

/// Bytes: `4096`, `64K`, `1M`, `2G`; suffixes are powers of two, `KiB` and `k` mean the same as `K`.
///
/// # Errors
/// Not of this form, zero, or more than 64 bits.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a size above 0; write for example 4096, 64K or 1M");
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..end].parse().map_err(|_| wrong())?;
    let unit = text[end..].strip_suffix("iB").unwrap_or(&text[end..]).to_ascii_uppercase();
    let factor = match SIZES.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => *factor,
        None if unit.is_empty() => 1,
        None => return Err(wrong()),
    };
    number.checked_mul(factor).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

/// A duration: `10s`, `500ms`, `1.5m`, `1h`; a bare number is seconds.
///
/// # Errors
/// Not of this form, not above zero, or too long to count in 64 bits of nanoseconds (584 years).
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = if unit.is_empty() { "s" } else { unit };
    let factor = TIMES.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    number
        .parse::<f64>()
        .ok()
        .zip(factor)
        .and_then(|(number, factor)| Duration::try_from_secs_f64(number * factor).ok())
        .filter(|time| !time.is_zero() && u64::try_from(time.as_nanos()).is_ok())
        .ok_or_else(|| format!("{text:?} is not a time above 0; write for example 10s, 500ms or 2m"))
}

/// Three significant digits of `value` scaled by `base`, with the matching prefix.
fn scaled(value: f64, base: f64, prefixes: &[&str]) -> String {
    let mut value = value;
    let mut step = 0;
    // 999.5 would be rounded up to four digits: it belongs to the next prefix already. With base 1024 the
    // figures from 1000 to 1023 stay, so that 1023 KiB does not become 1.00 MiB.
    while value >= base - 0.5 && step + 1 < prefixes.len() {
        value /= base;
        step += 1;
    }
    let prefix = prefixes[step];
    if step == 0 || value >= 99.95 {
        format!("{value:.0} {prefix}")
    } else if value >= 9.995 {
        format!("{value:.1} {prefix}")
    } else {
        format!("{value:.2} {prefix}")
    }
}

/// A rate given in bytes per second, as bits per second: at most 11 columns (`12.3 Gbit/s`).
#[must_use]
pub fn rate(bytes_per_s: u64) -> String {
    bit_rate(bytes_per_s as f64 * 8.0)
}

/// A rate given in bytes per second, as bytes with binary prefixes, for comparison with amounts: at most 10 columns
/// (`1.43 GiB/s`).
#[must_use]
pub fn byte_rate(bytes_per_s: u64) -> String {
    format!("{}/s", bytes(bytes_per_s))
}

/// A rate given in bits per second: at most 11 columns (`12.3 Gbit/s`).
#[must_use]
pub fn bit_rate(bits_per_s: f64) -> String {
    scaled(bits_per_s, 1000.0, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s", "Pbit/s"])
}

/// An amount of bytes: at most 8 columns (`12.3 GiB`).
#[must_use]
pub fn bytes(n: u64) -> String {
    scaled(n as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

/// An amount of bytes that may be unknown.
#[must_use]
pub fn bytes_or_unknown(n: Option<u64>) -> String {
    n.map_or_else(|| UNKNOWN.into(), bytes)
}

/// A send size as it was asked for: `64K`, or the number where no suffix fits.
#[must_use]
pub fn size(n: u64) -> String {
    let fits = SIZES.iter().rev().find(|(_, factor)| n >= *factor && n.is_multiple_of(*factor));
    fits.map_or_else(|| n.to_string(), |(name, factor)| format!("{}{name}", n / factor))
}

/// So many things, by the name of one: `1 cell`, `1,234 cells`.
#[must_use]
pub fn counted(n: u64, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {what}{plural}", exact(n))
}

/// A number of things, exact, with separators: `1,234,567`.
#[must_use]
pub fn exact(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of things in at most 9 columns: [`exact`] up to seven digits, then `12.3 M`.
#[must_use]
pub fn count(n: u64) -> String {
    if n < 10_000_000 { exact(n) } else { thousands(n) }
}

/// A number of things in at most 6 columns (`12.3 k`).
#[must_use]
pub fn count_short(n: u64) -> String {
    if n < 10_000 { n.to_string() } else { thousands(n) }
}

fn thousands(n: u64) -> String {
    scaled(n as f64, 1000.0, &["", "k", "M", "G", "T", "P", "E"])
}

/// The share `part` of `whole`: at most 6 columns (`62.5 %`). `0 %` and `100 %` stand only for exactly nothing and
/// exactly all.
#[must_use]
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return NOT_APPLICABLE.into();
    }
    let share = part as f64 * 100.0 / whole as f64;
    match part {
        0 => "0 %".into(),
        _ if part == whole => "100 %".into(),
        _ if part < whole && share >= 99.95 => "99.9 %".into(),
        _ if share < 0.1 => "<0.1 %".into(),
        _ if share >= 999.5 => ">999 %".into(),
        _ if share >= 99.95 => format!("{share:.0} %"),
        _ => format!("{share:.1} %"),
    }
}

/// The share of `whole` when either may be unknown.
#[must_use]
pub fn percent_or_unknown(part: Option<u64>, whole: Option<u64>) -> String {
    part.zip(whole).map_or_else(|| UNKNOWN.into(), |(part, whole)| percent(part, whole))
}

/// A duration in ns: at most 7 columns (`12.3 ms`, `123 µs`, `2m05s`).
#[must_use]
pub fn duration(ns: u64) -> String {
    if ns < 100_000_000_000 {
        return scaled(ns as f64, 1000.0, &["ns", "µs", "ms", "s"]);
    }
    match ns / 1_000_000_000 {
        s @ 0..6_000 => format!("{}m{:02}s", s / 60, s % 60),
        s @ 6_000..360_000 => format!("{}h{:02}m", s / 3600, s / 60 % 60),
        s => format!("{}d{:02}h", s / 86_400, s / 3600 % 24),
    }
}

/// Time since the start as a clock: `12:34`, `1:12:34`.
#[must_use]
pub fn clock(ns: u64) -> String {
    let s = ns / 1_000_000_000;
    match s / 3600 {
        0 => format!("{:02}:{:02}", s / 60, s % 60),
        h => format!("{h}:{:02}:{:02}", s / 60 % 60, s % 60),
    }
}

/// The text with a capital first letter.
#[must_use]
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
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
        assert_eq!([size(65_536), size(1000), size(1 << 30)], ["64K", "1000", "1G"]);
    }

    #[test]
    fn times_are_read() {
        let good = [("10s", 10_000), ("90", 90_000), ("500ms", 500), ("1.5m", 90_000), ("1h", 3_600_000)];
        for (text, ms) in good {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        let wrong =
            ["", "s", "0", "0s", "-1s", "ten", "inf", "nan", "1e3", "10 s", "10S", "1..5s", "9999999999h"];
        for text in wrong {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn rates_are_bits_and_fit() {
        assert_eq!(rate(0), "0 bit/s");
        assert_eq!(rate(1), "8 bit/s");
        assert_eq!(rate(125), "1.00 kbit/s");
        assert_eq!(rate(124_990_000), "1.00 Gbit/s");
        assert_eq!(rate(1_540_000_000), "12.3 Gbit/s");
        assert_eq!(rate(12_499_000_000), "100 Gbit/s");
        for shift in 0..57 {
            for n in [1u64 << shift, (1 << shift) + 1, (1 << shift) * 5 / 3] {
                assert!(rate(n).len() <= 11, "{}", rate(n));
            }
        }
    }

    #[test]
    fn bytes_are_binary_and_fit() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1024), "1.00 KiB");
        assert_eq!(bytes(94_961_664), "90.6 MiB");
        assert_eq!(bytes(1_048_000), "1023 KiB");
        assert_eq!(bytes(1_048_575), "1.00 MiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
        for shift in 0..64 {
            assert!(bytes(1 << shift).len() <= 8, "{}", bytes(1 << shift));
            assert!(bytes((1 << shift) - 1).len() <= 8);
        }
    }

    #[test]
    fn shares_never_round_to_nothing_or_all_and_fit() {
        assert_eq!(percent(0, 10), "0 %");
        assert_eq!(percent(10, 10), "100 %");
        assert_eq!(percent(1, 1_000_000), "<0.1 %");
        assert_eq!(percent(999_999, 1_000_000), "99.9 %");
        assert_eq!(percent(u64::MAX - 1, u64::MAX), "99.9 %");
        assert_eq!(percent(1_000_001, 1_000_000), "100 %");
        assert_eq!(percent(5, 8), "62.5 %");
        assert_eq!(percent(3, 2), "150 %");
        assert_eq!(percent(1, 0), "-");
        assert_eq!(percent_or_unknown(None, Some(1)), "n/a");
        for part in 1..12_000 {
            assert!(percent(part, 1_000).len() <= 6, "{}", percent(part, 1_000));
        }
    }

    #[test]
    fn durations_and_clock() {
        assert_eq!(duration(0), "0 ns");
        assert_eq!(duration(812), "812 ns");
        assert_eq!(duration(12_340), "12.3 µs");
        assert_eq!(duration(40_100_000), "40.1 ms");
        assert_eq!(duration(90_000_000_000), "90.0 s");
        assert_eq!(duration(600_000_000_000), "10m00s");
        assert_eq!(clock(754_000_000_000), "12:34");
        assert_eq!(clock(4_354_000_000_000), "1:12:34");
    }

    #[test]
    fn counts() {
        assert_eq!([exact(7), exact(1234), exact(12_345_678)], ["7", "1,234", "12,345,678"]);
        assert_eq!([0, 1, 2_000].map(|n| counted(n, "run")), ["0 runs", "1 run", "2,000 runs"]);
        assert_eq!([count(999), count(1_234), count(9_999_999)], ["999", "1,234", "9,999,999"]);
        assert_eq!(count(12_345_678), "12.3 M");
        assert_eq!(count_short(9_999), "9999");
        assert_eq!(count_short(12_345), "12.3 k");
    }
}
