//! Kernel functions by address and by name, from `/proc/kallsyms`, modules included. About 5 MiB for 120,000
//! functions; reading is mostly the kernel's own time.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

/// No kernel function is longer: an address farther than this behind a symbol lies in a gap (between the kernel and
/// its modules, behind the last one), not in the function.
const LONGEST_FUNCTION: u64 = 256 << 10;

/// A function and a place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Name as the kernel lists it, with a compiler's suffix where there is one (`skb_segment.cold`).
    pub name: &'a str,
    /// Module it belongs to (`bpf` for BPF programs); `None` for the kernel itself.
    pub module: Option<&'a str>,
    /// Bytes from the start of the function.
    pub offset: u64,
}

impl<'a> Symbol<'a> {
    /// The name without the compiler's suffixes (`.cold`, `.isra.0`, `.constprop.0`, `.part.0`).
    #[must_use]
    pub fn base_name(&self) -> &'a str {
        base_name(self.name)
    }
}

/// One function. 16 bytes, because there are more than a hundred thousand.
struct Entry {
    address: u64,
    /// Where its name starts in `Symbols::names`.
    name: u32,
    length: u16,
    /// Position in `Symbols::modules` + 1; 0 is the kernel itself.
    module: u16,
}

/// All kernel functions, sorted by address; names of one address stand in the kernel's order, the best one first.
pub struct Symbols {
    entries: Vec<Entry>,
    names: String,
    modules: Vec<String>,
}

impl Symbols {
    /// Reads the kernel's list.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] when the kernel hides its addresses from this process; else the list
    /// cannot be read.
    pub fn load() -> io::Result<Symbols> {
        let file = File::open("/proc/kallsyms").map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot read kernel function names from /proc/kallsyms: {error}"),
            )
        })?;
        let symbols = Symbols::parse(BufReader::with_capacity(64 << 10, file))?;
        symbols.check_visible()?;
        Ok(symbols)
    }

    fn parse(mut reader: impl BufRead) -> io::Result<Symbols> {
        let mut symbols = Symbols { entries: Vec::new(), names: String::new(), modules: Vec::new() };
        let mut line = Vec::with_capacity(256);
        while reader.read_until(b'\n', &mut line)? > 0 {
            symbols.add(line.trim_ascii_end());
            line.clear();
        }
        // Stable: aliases keep the kernel's order. The list comes nearly sorted, so this is cheap.
        symbols.entries.sort_by_key(|entry| entry.address);
        symbols.entries.shrink_to_fit();
        symbols.names.shrink_to_fit();
        Ok(symbols)
    }

    /// Takes one line, `ADDRESS TYPE NAME` or `ADDRESS TYPE NAME\t[MODULE]`, if it is a function (types t, T, w, W).
    fn add(&mut self, line: &[u8]) {
        let Some(space) = line.iter().position(|&byte| byte == b' ') else { return };
        let (digits, rest) = line.split_at(space);
        let [b' ', b't' | b'T' | b'w' | b'W', b' ', symbol @ ..] = rest else { return };
        let (Some(address), Ok(symbol)) = (parse_hex(digits), std::str::from_utf8(symbol)) else { return };
        let (name, module) = match symbol.split_once('\t') {
            Some((name, module)) => (name, self.module_number(module.trim_matches(['[', ']']))),
            None => (symbol, Some(0)),
        };
        // Beyond these sizes (4 GiB of names, 65,535 modules) there is no kernel; such a line is left out.
        let (Ok(start), Ok(length), Some(module)) =
            (u32::try_from(self.names.len()), u16::try_from(name.len()), module)
        else {
            return;
        };
        self.names.push_str(name);
        self.entries.push(Entry { address, name: start, length, module });
    }

    /// Modules come one after the other, so the last one is nearly always the right one.
    fn module_number(&mut self, name: &str) -> Option<u16> {
        let known = self.modules.iter().rposition(|module| module == name);
        let position = known.unwrap_or_else(|| {
            self.modules.push(name.to_owned());
            self.modules.len() - 1
        });
        u16::try_from(position + 1).ok()
    }

    fn check_visible(&self) -> io::Result<()> {
        if self.entries.iter().any(|entry| entry.address != 0) {
            return Ok(());
        }
        let restrict = std::fs::read_to_string("/proc/sys/kernel/kptr_restrict").unwrap_or_default();
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "the kernel hides its addresses from this process (kernel.kptr_restrict={}); run as root with \
                 CAP_SYSLOG, or `sysctl kernel.kptr_restrict=1` if it is 2",
                restrict.trim()
            ),
        ))
    }

    /// Number of functions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The function that holds an address; of several names of one address the one the kernel prefers.
    #[must_use]
    pub fn lookup(&self, address: u64) -> Option<Symbol<'_>> {
        let after = self.entries.partition_point(|entry| entry.address <= address);
        let start = self.entries.get(after.checked_sub(1)?)?.address;
        let first = self.entries.partition_point(|entry| entry.address < start);
        let entry = self.entries.get(first)?;
        let offset = address - start;
        (offset < LONGEST_FUNCTION).then(|| Symbol {
            name: self.name(entry),
            module: self.module(entry),
            offset,
        })
    }

    /// Where a function starts; `None` when the name is unknown, or when several functions bear it and guessing
    /// would be wrong.
    #[must_use]
    pub fn address_of(&self, name: &str) -> Option<u64> {
        self.range_of(name).map(|(start, _)| start)
    }

    /// First address of a function and first address behind it. A function of the kernel goes before one of the
    /// same name in a module; `None` when the name is unknown or ambiguous.
    #[must_use]
    pub fn range_of(&self, name: &str) -> Option<(u64, u64)> {
        let named = |entry: &&Entry| usize::from(entry.length) == name.len() && self.name(entry) == name;
        let mut found: Vec<&Entry> = self.entries.iter().filter(named).collect();
        if found.iter().any(|entry| entry.module == 0) {
            found.retain(|entry| entry.module == 0);
        }
        match found[..] {
            [entry] => Some((entry.address, self.end_of(entry.address))),
            _ => None,
        }
    }

    /// The ranges of every piece of a function: the compiler may split it (`.cold`, `.part.0`) or rename it
    /// (`.isra.0`, `.constprop.0`). Sorted; also those of other functions with the same name.
    #[must_use]
    pub fn ranges_of(&self, name: &str) -> Vec<(u64, u64)> {
        let named =
            |entry: &&Entry| usize::from(entry.length) >= name.len() && base_name(self.name(entry)) == name;
        let found = self.entries.iter().filter(named);
        found.map(|entry| (entry.address, self.end_of(entry.address))).collect()
    }

    fn end_of(&self, start: u64) -> u64 {
        let next = self.entries.partition_point(|entry| entry.address <= start);
        let longest = start.saturating_add(LONGEST_FUNCTION);
        self.entries.get(next).map_or(longest, |entry| entry.address.min(longest))
    }

    fn name(&self, entry: &Entry) -> &str {
        let start = entry.name as usize;
        &self.names[start..start + usize::from(entry.length)]
    }

    fn module(&self, entry: &Entry) -> Option<&str> {
        let position = usize::from(entry.module).checked_sub(1)?;
        self.modules.get(position).map(String::as_str)
    }
}

fn base_name(name: &str) -> &str {
    // A leading dot would be part of the name; the kernel has none today.
    name.split_once('.').map_or(name, |(base, _)| if base.is_empty() { name } else { base })
}

fn parse_hex(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits
        .iter()
        .try_fold(0, |value: u64, &digit| Some(value << 4 | u64::from((digit as char).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Aliases, a data symbol, split and duplicate functions, a gap, a module and a BPF program out of order.
    const KALLSYMS: &str = "\
0000000000000000 D per_cpu_start
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000100 T skb_segment
ffffffff81000900 t validate_xmit_skb.isra.0
ffffffff81000a00 d some_data
ffffffff81000b00 t helper
ffffffff81000c00 W weak_one
ffffffff81000d00 t helper
ffffffff81000e00 t skb_segment.cold
ffffffff81000f00 T _etext
ffffffffa0000000 t start_xmit\t[virtio_net]
ffffffffa0000200 t weak_one\t[virtio_net]
ffffffffa0001000 t veth_xmit\t[veth]
ffffffffa0000800 t bpf_prog_0123_zc\t[bpf]
";

    fn symbols() -> Symbols {
        Symbols::parse(KALLSYMS.as_bytes()).unwrap()
    }

    #[test]
    fn keeps_functions_only() {
        assert_eq!(symbols().len(), 13);
        assert_eq!(symbols().address_of("some_data"), None);
        assert_eq!(symbols().address_of("per_cpu_start"), None);
    }

    #[test]
    fn finds_the_function_of_an_address() {
        let symbols = symbols();
        let at = |address| symbols.lookup(address).map(|s| (s.name, s.module, s.offset));
        assert_eq!(at(0xffff_ffff_8100_0150), Some(("skb_segment", None, 0x50)));
        assert_eq!(at(0xffff_ffff_8100_08ff), Some(("skb_segment", None, 0x7ff)));
        assert_eq!(at(0xffff_ffff_8100_0000), Some(("_stext", None, 0)));
        assert_eq!(at(0xffff_ffff_a000_0010), Some(("start_xmit", Some("virtio_net"), 0x10)));
        assert_eq!(at(0xffff_ffff_a000_0810), Some(("bpf_prog_0123_zc", Some("bpf"), 0x10)));
        assert_eq!(at(0xffff_ffff_a000_1001), Some(("veth_xmit", Some("veth"), 1)));
    }

    #[test]
    fn an_address_in_a_gap_belongs_to_nobody() {
        let symbols = symbols();
        assert_eq!(symbols.lookup(0x1000), None);
        assert_eq!(symbols.lookup(0xffff_ffff_9000_0000), None);
        assert_eq!(symbols.lookup(u64::MAX), None);
    }

    #[test]
    fn a_range_ends_at_the_next_function() {
        let symbols = symbols();
        assert_eq!(symbols.range_of("skb_segment"), Some((0xffff_ffff_8100_0100, 0xffff_ffff_8100_0900)));
        assert_eq!(symbols.range_of("_text"), Some((0xffff_ffff_8100_0000, 0xffff_ffff_8100_0100)));
        let (start, end) = symbols.range_of("veth_xmit").unwrap();
        assert_eq!((start, end - start), (0xffff_ffff_a000_1000, LONGEST_FUNCTION));
    }

    #[test]
    fn an_ambiguous_name_is_not_guessed() {
        let symbols = symbols();
        assert_eq!(symbols.range_of("helper"), None);
        assert_eq!(symbols.address_of("weak_one"), Some(0xffff_ffff_8100_0c00));
        assert_eq!(symbols.ranges_of("helper").len(), 2);
    }

    #[test]
    fn finds_every_piece_of_a_function() {
        let symbols = symbols();
        let starts: Vec<u64> = symbols.ranges_of("skb_segment").iter().map(|range| range.0).collect();
        assert_eq!(starts, [0xffff_ffff_8100_0100, 0xffff_ffff_8100_0e00]);
        assert_eq!(symbols.range_of("validate_xmit_skb"), None);
        assert_eq!(symbols.ranges_of("validate_xmit_skb").len(), 1);
        assert_eq!(symbols.lookup(0xffff_ffff_8100_0e01).unwrap().base_name(), "skb_segment");
    }

    #[test]
    fn hidden_addresses_are_an_error_with_the_setting() {
        let hidden = "0000000000000000 T _text\n0000000000000000 t helper\n";
        let error = Symbols::parse(hidden.as_bytes()).unwrap().check_visible().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("kptr_restrict"), "{error}");
    }

    #[test]
    fn skips_lines_of_another_form() {
        let odd = "\nzz T name\n1 T\n12 TT name\nffffffffffffffff0 T long\n10 T good";
        let symbols = Symbols::parse(odd.as_bytes()).unwrap();
        assert_eq!(symbols.len(), 1);
        assert_eq!(symbols.address_of("good"), Some(0x10));
    }

    #[test]
    fn this_kernel_knows_tcp() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: kernel addresses are visible to root only");
            return;
        }
        let symbols = Symbols::load().unwrap();
        let (start, end) = symbols.range_of("tcp_sendmsg").unwrap();
        assert!(start < end);
        assert_eq!(symbols.lookup(end - 1).unwrap().name, "tcp_sendmsg");
        assert!(symbols.entries.is_sorted_by_key(|entry| entry.address));
    }
}
