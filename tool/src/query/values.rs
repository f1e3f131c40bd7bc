//! Values as people write them: patterns of names, ranges of numbers, addresses with prefixes, amounts with units.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use crate::units::NOT_APPLICABLE;

/// Text to be found inside other text; ASCII case does not count.
#[derive(Clone, Debug)]
pub(super) struct Needle {
    text: String,
    /// Whether an address can contain it: only then addresses are written out to look.
    like_address: bool,
}

impl Needle {
    pub(super) fn new(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let like_address =
            text.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '[' | ']' | '%'));
        Self { text, like_address }
    }

    pub(super) fn is_in(&self, hay: &str) -> bool {
        let (needle, hay) = (self.text.as_bytes(), hay.as_bytes());
        needle.is_empty() || hay.windows(needle.len()).any(|part| part.eq_ignore_ascii_case(needle))
    }

    /// As it stands on screen: IPv4 carried in IPv6 is IPv4.
    pub(super) fn is_in_address(&self, address: SocketAddr) -> bool {
        if !self.like_address {
            return false;
        }
        let mut text = Line { bytes: [0; 64], used: 0 };
        // An address is never longer than the line.
        let _ = write!(text, "{}", SocketAddr::new(address.ip().to_canonical(), address.port()));
        self.is_in(text.as_str())
    }
}

/// Room for one address, so that looking at ten thousand allocates nothing.
struct Line {
    bytes: [u8; 64],
    used: usize,
}

impl Line {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.used]).unwrap_or_default()
    }
}

impl std::fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.used + text.len();
        self.bytes.get_mut(self.used..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.used = end;
        Ok(())
    }
}

/// What a name must be like; ASCII case does not count.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// Exactly this.
    Is(String),
    /// Anything that contains this.
    Contains(Needle),
    /// Parts in this order, anything between them: `web*.service`.
    Glob(Vec<String>),
}

impl Pattern {
    /// A whole name, or one with `*`.
    pub(super) fn whole(text: &str) -> Self {
        if text.contains('*') {
            return Pattern::Glob(text.to_ascii_lowercase().split('*').map(str::to_owned).collect());
        }
        Pattern::Is(text.to_owned())
    }

    pub(super) fn fits(&self, name: &str) -> bool {
        match self {
            Pattern::Is(text) => name.eq_ignore_ascii_case(text),
            Pattern::Contains(needle) => needle.is_in(name),
            Pattern::Glob(parts) => glob(parts, &name.to_ascii_lowercase()),
        }
    }
}

/// Whether `name` is these parts with anything between them; there are at least two.
fn glob(parts: &[String], name: &str) -> bool {
    let [first, middle @ .., last] = parts else { return false };
    let Some(mut rest) = name.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        let Some(at) = rest.find(part.as_str()) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last.as_str())
}

/// Numbers from here to there, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range(u64, u64);

impl Range {
    /// `80` or `8000-8999`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let (from, to) = (from.parse().ok()?, to.parse().ok()?);
        (from <= to).then_some(Self(from, to))
    }

    pub(super) const fn holds(self, n: u64) -> bool {
        self.0 <= n && n <= self.1
    }
}

/// What an address must be like.
#[derive(Clone, Debug)]
pub(super) enum Address {
    /// In this network: address and length of the prefix.
    Net(IpAddr, u8),
    /// Exactly this address and port.
    Exact(SocketAddr),
    /// Written like this in part.
    Contains(Needle),
}

impl Address {
    /// `10.0.0.1`, `10.0.0.0/8`, `10.0.0.1:443`, `2001:db8::/32`, `[::1]:443`.
    pub(super) fn read(text: &str) -> Option<Self> {
        if let Some((ip, bits)) = text.split_once('/') {
            let (ip, bits): (IpAddr, u8) = (ip.parse().ok()?, bits.parse().ok()?);
            return (bits <= width(ip)).then_some(Address::Net(ip, bits));
        }
        if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Some(Address::Net(ip.to_canonical(), width(ip.to_canonical())));
        }
        let exact: SocketAddr = text.parse().ok()?;
        Some(Address::Exact(SocketAddr::new(exact.ip().to_canonical(), exact.port())))
    }

    pub(super) fn fits(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        match self {
            Address::Net(net, bits) => {
                net.is_ipv4() == ip.is_ipv4() && {
                    let shift = u32::from(width(ip) - bits);
                    number(ip).checked_shr(shift) == number(*net).checked_shr(shift)
                }
            }
            Address::Exact(exact) => exact.ip() == ip && exact.port() == address.port(),
            Address::Contains(needle) => needle.is_in_address(address),
        }
    }
}

const fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => ip.into(),
    }
}

/// What the figures of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Things; `k`, `M`, `G` are thousands.
    Count,
    /// Bytes; `K`, `M`, `G` are powers of two, `kB`, `MB`, `GB` of ten.
    Bytes,
    /// Per second: in bits as on screen, or in bytes with `B/s`; powers of ten.
    Rate,
    /// Time.
    Time,
}

/// A unit: its name and what it is worth.
type Worth = (&'static str, f64);

const COUNTS: &[Worth] = &[("", 1.0), ("k", 1e3), ("m", 1e6), ("g", 1e9)];
const BYTES: &[Worth] = &[
    ("", 1.0),
    ("b", 1.0),
    ("k", 1_024.0),
    ("m", 1_048_576.0),
    ("g", 1_073_741_824.0),
    ("t", 1_099_511_627_776.0),
    ("kib", 1_024.0),
    ("mib", 1_048_576.0),
    ("gib", 1_073_741_824.0),
    ("tib", 1_099_511_627_776.0),
    ("kb", 1e3),
    ("mb", 1e6),
    ("gb", 1e9),
    ("tb", 1e12),
];
/// In bytes per second: what the figures are.
const RATES: &[Worth] = &[
    ("", 0.125),
    ("k", 125.0),
    ("m", 125e3),
    ("g", 125e6),
    ("t", 125e9),
    ("bit/s", 0.125),
    ("kbit/s", 125.0),
    ("mbit/s", 125e3),
    ("gbit/s", 125e6),
    ("tbit/s", 125e9),
    ("b/s", 1.0),
    ("kb/s", 1e3),
    ("mb/s", 1e6),
    ("gb/s", 1e9),
];
const TIMES: &[Worth] = &[
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("min", 60e9),
    ("h", 3_600e9),
];

impl Unit {
    const fn table(self) -> &'static [Worth] {
        match self {
            Unit::Count => COUNTS,
            Unit::Bytes => BYTES,
            Unit::Rate => RATES,
            Unit::Time => TIMES,
        }
    }

    /// What a value looks like.
    pub(super) const fn example(self) -> &'static str {
        match self {
            Unit::Count => "100 or 10k",
            Unit::Bytes => "10M, 1.5GiB or 100MB",
            Unit::Rate => "1G (bits per second) or 100MB/s",
            Unit::Time => "500us, 5ms or 2s",
        }
    }

    /// The value in the unit of the figures: things, bytes, bytes per second, ns.
    pub(super) fn read(self, text: &str) -> Option<f64> {
        let (number, unit) = split(text);
        let unit = unit.to_lowercase();
        let worth = self.table().iter().find(|(name, _)| *name == unit)?.1;
        Some(number? * worth)
    }
}

/// A number and what stands behind it.
pub(super) fn split(text: &str) -> (Option<f64>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number = text[..end].parse::<f64>().ok().filter(|n| n.is_finite());
    (number, text[end..].trim_start())
}

/// What stands for a figure that is not known or means nothing.
pub(super) fn is_not_known(text: &str) -> bool {
    text.eq_ignore_ascii_case(crate::units::UNKNOWN) || text == NOT_APPLICABLE
}
