//! Figures in words: bytes, rates, shares, durations.

/// Bytes with three to four digits and a binary unit: `90.5 MiB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if n < 1_024 {
        return format!("{n} B");
    }
    let unit = ((63 - n.leading_zeros()) / 10) as usize;
    let value = n as f64 / 1_024f64.powi(i32::try_from(unit).unwrap_or(0));
    let decimals = if value < 9.995 { 2 } else { 1 };
    format!("{value:.decimals$} {}", UNITS[unit - 1])
}

/// Bytes per second as a network rate: `1.23 Gbit/s`.
#[must_use]
pub fn bit_rate(bytes_per_s: u64) -> String {
    let bits = bytes_per_s as f64 * 8.0;
    let (value, unit) = match bits {
        b if b >= 1e9 => (b / 1e9, "Gbit/s"),
        b if b >= 1e6 => (b / 1e6, "Mbit/s"),
        b if b >= 1e3 => (b / 1e3, "kbit/s"),
        b => return format!("{b:.0} bit/s"),
    };
    let decimals = if value < 9.995 { 2 } else { 1 };
    format!("{value:.decimals$} {unit}")
}

/// A share in per cent. Never shows 0.0 % for something, nor 100.0 % for less than all.
#[must_use]
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".into();
    }
    let share = part as f64 * 100.0 / whole as f64;
    match share {
        _ if part == 0 => "0.0 %".into(),
        s if s < 0.05 => "<0.1 %".into(),
        s if part < whole && s >= 99.95 => ">99.9 %".into(),
        s => format!("{s:.1} %"),
    }
}

/// A duration in ns with a fitting unit: `44.1 us`.
#[must_use]
pub fn duration(ns: u64) -> String {
    let value = ns as f64;
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} us", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", value / 1e6),
        _ => format!("{:.1} s", value / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(bytes(1_023), "1023 B");
        assert_eq!(bytes(1_024), "1.00 KiB");
        assert_eq!(bytes(94_961_664), "90.6 MiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
        assert_eq!(bit_rate(125_000_000), "1.00 Gbit/s");
        assert_eq!(bit_rate(0), "0 bit/s");
        assert_eq!(duration(999), "999 ns");
        assert_eq!(duration(44_100), "44.1 us");
        assert_eq!(duration(2_500_000_000), "2.5 s");
    }

    #[test]
    fn a_share_never_hides_a_byte() {
        assert_eq!(percent(0, 10), "0.0 %");
        assert_eq!(percent(1, 1_000_000), "<0.1 %");
        assert_eq!(percent(999_999, 1_000_000), ">99.9 %");
        assert_eq!(percent(10, 10), "100.0 %");
        assert_eq!(percent(1, 0), "-");
    }
}
