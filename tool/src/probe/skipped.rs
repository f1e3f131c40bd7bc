//! Events a program did not see because it, or for kprobes any other kprobe program, was just running on the same
//! CPU: the kernel skips it then and counts that in the program (`recursion_misses`).

use std::fs;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use aya::Ebpf;

/// The programs that are loaded.
pub(super) struct Programs(Vec<RawFd>);

impl Programs {
    /// Notes every loaded program of the object; valid as long as the object is.
    pub(super) fn of(ebpf: &Ebpf) -> Programs {
        let loaded = ebpf.programs().filter_map(|(_, program)| program.fd().ok());
        Programs(loaded.map(|fd| fd.as_fd().as_raw_fd()).collect())
    }

    /// Events skipped so far, all programs together. A kernel that does not tell counts as none; see
    /// [`kprobes_count`].
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

/// Whether a kernel of this release counts what kprobe programs skip (since Linux 6.7; nothing else tells).
pub(super) fn kprobes_count(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 7)
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

    #[test]
    fn releases_compare_by_number() {
        assert!(kprobes_count("6.12.117+deb12-cloud-amd64"));
        assert!(!kprobes_count("6.1.0-56-cloud-amd64"));
        assert!(kprobes_count("7.0.0"));
    }
}
