//! Kernel programs: which ones are loaded, to prove that none is left behind; and two of our own that make the kernel
//! copy, one for XDP and one for tc.
#![allow(unsafe_code, reason = "the bpf(2) system call has no safe wrapper")]

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

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

/// Commands, program types and attach types of `linux/bpf.h`.
const PROG_LOAD: libc::c_int = 5;
const OBJ_PIN: libc::c_int = 6;
const LINK_CREATE: libc::c_int = 28;
const TYPE_SCHED_CLS: u32 = 3;
const TYPE_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;

/// Where an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Xdp {
    /// In the network stack: `XDP_FLAGS_SKB_MODE`.
    Generic = 2,
    /// In the driver: `XDP_FLAGS_DRV_MODE`.
    Native = 4,
}

#[repr(C)]
#[derive(Default)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    name: [u8; 16],
    ifindex: u32,
    expected_attach_type: u32,
}

#[repr(C)]
struct Pin {
    path: u64,
    fd: u32,
    flags: u32,
}

#[repr(C)]
struct Link {
    prog_fd: u32,
    ifindex: u32,
    attach_type: u32,
    flags: u32,
}

/// One call of bpf(2) with a live attribute.
fn bpf<T>(command: libc::c_int, attr: &T) -> io::Result<i32> {
    // SAFETY: the attribute is a live, correctly sized prefix of bpf_attr for this command, and what it points to
    // lives until the call returns.
    let ret = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) };
    match i32::try_from(ret) {
        Ok(ret) if ret >= 0 => Ok(ret),
        _ => Err(io::Error::last_os_error()),
    }
}

fn load(prog_type: u32, instructions: &[u64]) -> io::Result<OwnedFd> {
    let attr = Load {
        prog_type,
        insn_cnt: instructions.len() as u32,
        insns: instructions.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        ..Load::default()
    };
    let fd = bpf(PROG_LOAD, &attr)?;
    // SAFETY: a descriptor the kernel has just made for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Runs an XDP program that lets every packet pass, on a device of the current network namespace, until dropped.
pub(crate) fn xdp_pass(ifindex: u32, mode: Xdp) -> io::Result<OwnedFd> {
    const R0_IS_PASS: u64 = 0x2_0000_00b7;
    const EXIT: u64 = 0x95;
    let program = load(TYPE_XDP, &[R0_IS_PASS, EXIT])?;
    let prog_fd = program.as_raw_fd() as u32;
    let link = Link { prog_fd, ifindex, attach_type: ATTACH_XDP, flags: mode as u32 };
    let fd = bpf(LINK_CREATE, &link)?;
    // SAFETY: a descriptor the kernel has just made for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Pins a tc program that pulls whole packets into their linear part (`bpf_skb_pull_data`), or `bytes` of them.
pub(crate) fn pin_pull(path: &Path, bytes: Option<u32>) -> anyhow::Result<()> {
    // r2 = skb->len, or a number; r0 = bpf_skb_pull_data(skb, r2); r0 = TC_ACT_OK.
    let how_many = bytes.map_or(0x1261, |n| u64::from(n) << 32 | 0x2b7);
    let program = load(TYPE_SCHED_CLS, &[how_many, 0x27_0000_0085, 0xb7, 0x95])?;
    let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes())?;
    bpf(OBJ_PIN, &Pin { path: name.as_ptr() as u64, fd: program.as_raw_fd() as u32, flags: 0 })?;
    Ok(())
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
