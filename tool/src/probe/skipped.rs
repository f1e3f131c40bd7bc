//! Events a program did not see because it was just running on the same CPU: the kernel skips it then and counts
//! that in the program (`recursion_misses`). Kprobes that the kernel drops before any program are not in it.
//!
//! Left out is the program on `skb:consume_skb`, which runs for every packet of the host and skips many when it
//! interrupts itself. It watches notifications. The application reads them in a system call, which interrupts nothing,
//! so no reading is ever skipped; a completion that is skipped in an interrupt is made up for when it is read.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use aya::Ebpf;

/// Programs whose skipped events lose nothing.
const HARMLESS: [&str; 1] = ["tp_consume_skb"];

/// The programs that are loaded.
pub(super) struct Programs(Vec<RawFd>);

impl Programs {
    /// Notes every loaded program of the object; valid as long as the object is.
    pub(super) fn of(ebpf: &Ebpf) -> Programs {
        let counted = ebpf.programs().filter(|(name, _)| !HARMLESS.contains(name));
        let loaded = counted.filter_map(|(_, program)| program.fd().ok());
        Programs(loaded.map(|fd| fd.as_fd().as_raw_fd()).collect())
    }

    /// Events skipped so far, all programs together.
    pub(super) fn skipped(&self) -> u64 {
        self.0
            .iter()
            .filter_map(|fd| misses(&fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?))
            .sum()
    }
}

fn misses(fdinfo: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misses_are_read_where_they_are_told() {
        let info = "pos:\t0\nprog_type:\t26\nrun_cnt:\t0\nrecursion_misses:\t42\nverified_insns:\t9\n";
        assert_eq!(misses(info), Some(42));
        assert_eq!(misses("pos:\t0\n"), None);
    }
}
