//! Events that were not seen: a program that was just running on the same CPU is skipped, which the kernel counts in
//! the program (`recursion_misses`); a kprobe that hits while another one is being handled is dropped before any
//! program, which it counts in the probe and tells since Linux 6.7.
//!
//! Left out is the program on `skb:consume_skb`, which runs for every packet of the host and skips many when it
//! interrupts itself. It watches notifications. The application reads them in a system call, which interrupts nothing,
//! so no reading is ever skipped; a completion that is skipped in an interrupt is made up for when it is read. And left
//! out are programs with a twin, which runs when they are skipped.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use aya::Ebpf;

use super::plan::TWIN;
use super::raw;

/// Programs whose skipped events lose nothing, besides those with a twin.
const HARMLESS: [&str; 1] = ["tp_consume_skb"];

/// The programs that are loaded, and the links of kprobes.
pub(super) struct Programs {
    programs: Vec<RawFd>,
    kprobes: Vec<RawFd>,
}

impl Programs {
    /// Notes every loaded program of the object; valid as long as the object is.
    pub(super) fn of(ebpf: &Ebpf) -> Programs {
        let alone = |name: &str| ebpf.program(&twin(name)).is_none();
        let counted = ebpf.programs().filter(|(name, _)| !HARMLESS.contains(name) && alone(name));
        let loaded = counted.filter_map(|(_, program)| program.fd().ok());
        Programs { programs: loaded.map(|fd| fd.as_fd().as_raw_fd()).collect(), kprobes: kprobe_links() }
    }

    /// Events skipped so far, all programs together.
    pub(super) fn skipped(&self) -> u64 {
        self.programs
            .iter()
            .filter_map(|fd| misses(&fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?))
            .sum()
    }

    /// Hits of kprobes that were dropped so far; 0 where there are none or the kernel does not tell.
    pub(super) fn missed(&self) -> u64 {
        self.kprobes.iter().filter_map(|fd| raw::kprobe_missed(*fd)).sum()
    }
}

/// Whether this process has kprobes attached whose drops the kernel tells.
pub(super) fn tells_missed() -> bool {
    !kprobe_links().is_empty()
}

/// The links of this process that are kprobes whose drops the kernel tells.
fn kprobe_links() -> Vec<RawFd> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let target = fs::read_link(&path).ok()?;
            let is_link = target.to_string_lossy().contains("bpf_link")
                || target.to_string_lossy().contains("bpf-link");
            let fd: RawFd = path.file_name()?.to_str()?.parse().ok()?;
            (is_link && raw::kprobe_missed(fd).is_some()).then_some(fd)
        })
        .collect()
}

/// The name a program's twin has, for either of them.
fn twin(name: &str) -> String {
    format!("{}{TWIN}", name.trim_end_matches(TWIN))
}

fn misses(fdinfo: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_twin_knows_the_name_of_the_second() {
        let second = "fentry_io_tx_ubuf_complete_twin";
        assert_eq!(twin("fentry_io_tx_ubuf_complete"), second);
        assert_eq!(twin(second), second);
    }

    #[test]
    fn misses_are_read_where_they_are_told() {
        let info = "pos:\t0\nprog_type:\t26\nrun_cnt:\t0\nrecursion_misses:\t42\nverified_insns:\t9\n";
        assert_eq!(misses(info), Some(42));
        assert_eq!(misses("pos:\t0\n"), None);
    }
}
