//! Which kernel programs are loaded: to prove that none is left behind.
#![allow(unsafe_code, reason = "the bpf(2) system call has no safe wrapper")]

use std::collections::BTreeSet;

/// `BPF_PROG_GET_NEXT_ID` of `linux/bpf.h`.
const PROG_GET_NEXT_ID: libc::c_int = 11;

/// The part of `union bpf_attr` that the command reads and writes.
#[repr(C)]
#[derive(Default)]
struct NextId {
    start_id: u32,
    next_id: u32,
    open_flags: u32,
}

/// Ids of all programs loaded in this kernel.
pub(crate) fn loaded_programs() -> BTreeSet<u32> {
    let mut ids = BTreeSet::new();
    let mut attr = NextId::default();
    loop {
        // SAFETY: the attribute is a live, correctly sized prefix of bpf_attr for this command; the kernel writes
        // only `next_id`.
        let ret =
            unsafe { libc::syscall(libc::SYS_bpf, PROG_GET_NEXT_ID, &raw mut attr, size_of::<NextId>()) };
        if ret != 0 {
            return ids;
        }
        ids.insert(attr.next_id);
        attr.start_id = attr.next_id;
    }
}

/// Ids of the programs this process holds open, from `/proc/PID/fdinfo`.
pub(crate) fn programs_of(pid: u32) -> BTreeSet<u32> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return BTreeSet::new() };
    entries
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
        .filter_map(|info| prog_id(&info))
        .collect()
}

fn prog_id(fdinfo: &str) -> Option<u32> {
    fdinfo.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_ids_are_read_from_fdinfo() {
        assert_eq!(prog_id("pos:\t0\nprog_type:\t26\nprog_id:\t93\n"), Some(93));
        assert_eq!(prog_id("pos:\t0\nflags:\t02\n"), None);
    }
}
