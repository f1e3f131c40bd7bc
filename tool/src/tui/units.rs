//! Figures as text of bounded width. Rates are bits per second (decimal prefixes), amounts are bytes (binary
//! prefixes), and the two are never mixed. Every figure keeps three significant digits.

use std::net::{IpAddr, SocketAddr};

/// Shown where a figure cannot be known here.
pub(super) const UNKNOWN: &str = "n/a";
/// Shown where a figure has no meaning (copied share of a path that never asked for zero-copy).
pub(super) const NOT_APPLICABLE: &str = "-";

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
pub(super) fn rate(bytes_per_s: u64) -> String {
    if bytes_per_s == 0 {
        return "0 bit/s".into();
    }
    scaled(bytes_per_s as f64 * 8.0, 1000.0, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s", "Pbit/s"])
}

/// An amount of bytes: at most 8 columns (`12.3 GiB`).
pub(super) fn bytes(n: u64) -> String {
    scaled(n as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

/// An amount of bytes that may be unknown.
pub(super) fn bytes_or_unknown(n: Option<u64>) -> String {
    n.map_or_else(|| UNKNOWN.into(), bytes)
}

/// A number of things: exact with separators up to seven digits, then `12.3 M`; at most 9 columns.
pub(super) fn count(n: u64) -> String {
    if n >= 10_000_000 {
        return scaled(n as f64, 1000.0, &["", "k", "M", "G", "T", "P", "E"]);
    }
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + 2);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A number of things in at most 6 columns (`12.3 k`).
pub(super) fn count_short(n: u64) -> String {
    if n < 10_000 {
        return n.to_string();
    }
    scaled(n as f64, 1000.0, &["", "k", "M", "G", "T", "P", "E"])
}

/// The share `part` of `whole`, at most 6 columns. 0 and 100 stand only for exactly nothing and exactly all.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return NOT_APPLICABLE.into();
    }
    let share = part as f64 * 100.0 / whole as f64;
    match (part, part.cmp(&whole)) {
        (0, _) => "0%".into(),
        (_, std::cmp::Ordering::Equal) => "100%".into(),
        (_, std::cmp::Ordering::Less) if share > 99.9 => ">99.9%".into(),
        _ if share < 0.1 => "<0.1%".into(),
        _ if share >= 999.5 => ">999%".into(),
        _ if share >= 100.0 => format!("{share:.0}%"),
        _ => format!("{share:.1}%"),
    }
}

/// The share of `whole` when either may be unknown.
pub(super) fn percent_or_unknown(part: Option<u64>, whole: Option<u64>) -> String {
    match (part, whole) {
        (Some(part), Some(whole)) => percent(part, whole),
        _ => UNKNOWN.into(),
    }
}

/// A duration in ns: at most 7 columns (`12.3 ms`, `123 µs`).
pub(super) fn duration(ns: u64) -> String {
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
pub(super) fn clock(ns: u64) -> String {
    let s = ns / 1_000_000_000;
    match s / 3600 {
        0 => format!("{:02}:{:02}", s / 60, s % 60),
        h => format!("{h}:{:02}:{:02}", s / 60 % 60, s % 60),
    }
}

/// An address of exactly what the application would write: IPv4 carried in IPv6 is shown as IPv4. When it is
/// longer than `width`, the end of the host part goes first: the port is what tells sockets apart.
pub(super) fn address(addr: SocketAddr, width: usize) -> String {
    let ip = addr.ip().to_canonical();
    let full = SocketAddr::new(ip, addr.port()).to_string();
    if full.len() <= width {
        return full;
    }
    let port = format!(":{}", addr.port());
    let close = if matches!(ip, IpAddr::V6(_)) { "…]" } else { "…" };
    let keep = width.saturating_sub(port.len() + close.chars().count());
    let host: String = full.chars().take(keep).collect();
    format!("{host}{close}{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn shares_never_round_to_nothing_or_all() {
        assert_eq!(percent(0, 10), "0%");
        assert_eq!(percent(10, 10), "100%");
        assert_eq!(percent(1, 1_000_000), "<0.1%");
        assert_eq!(percent(999_999, 1_000_000), ">99.9%");
        assert_eq!(percent(1, 3), "33.3%");
        assert_eq!(percent(3, 2), "150%");
        assert_eq!(percent(1, 0), "-");
        assert_eq!(percent_or_unknown(None, Some(1)), "n/a");
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
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234), "1,234");
        assert_eq!(count(9_999_999), "9,999,999");
        assert_eq!(count(12_345_678), "12.3 M");
        assert_eq!(count_short(9_999), "9999");
        assert_eq!(count_short(12_345), "12.3 k");
    }

    #[test]
    fn addresses_keep_the_port() {
        let v4: SocketAddr = "192.168.100.123:44444".parse().expect("address");
        assert_eq!(address(v4, 40), "192.168.100.123:44444");
        assert_eq!(address(v4, 15), "192.168.…:44444");
        let v6: SocketAddr = "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535".parse().expect("address");
        assert_eq!(address(v6, 20), "[2001:db8:12…]:65535");
        let mapped: SocketAddr = "[::ffff:10.0.0.1]:80".parse().expect("address");
        assert_eq!(address(mapped, 40), "10.0.0.1:80");
    }
}
