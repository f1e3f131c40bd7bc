//! Whether this kernel takes fentry programs at all, tried with the smallest there is: preparing all of ours only to
//! have the first one refused would double the time of a start.
#![allow(unsafe_code, reason = "the bpf(2) system call")]

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use super::btf::Btf;

/// What it is attached to for a moment.
const TARGET: &str = "tcp_sendmsg";
/// `BPF_PROG_LOAD` and `BPF_RAW_TRACEPOINT_OPEN` of bpf(2).
const PROG_LOAD: libc::c_long = 5;
const RAW_TRACEPOINT_OPEN: libc::c_long = 17;
/// `BPF_PROG_TYPE_TRACING`, `BPF_TRACE_FENTRY`.
const TRACING: u32 = 26;
const FENTRY: u32 = 24;
/// `r0 = 0; exit`.
const NOTHING: [u64; 2] = [0xb7, 0x95];

/// The part of `union bpf_attr` that `BPF_PROG_LOAD` uses, up to the function attached to.
#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log: [u64; 2],
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
    prog_btf_fd: u32,
    func_info: [u32; 4],
    line_info: [u32; 4],
    attach_btf_id: u32,
    attach_prog_fd: u32,
}

const _: () = assert!(std::mem::offset_of!(LoadAttr, expected_attach_type) == 68);
const _: () = assert!(std::mem::offset_of!(LoadAttr, attach_btf_id) == 108);

/// The part of it that `BPF_RAW_TRACEPOINT_OPEN` uses.
#[repr(C)]
struct OpenAttr {
    name: u64,
    prog_fd: u32,
    pad: u32,
}

/// Why fentry programs are refused; `None` when they are taken, or it could not be tried.
pub(super) fn fentry_refused(btf: &Btf) -> Option<String> {
    let id = btf.function(TARGET)?;
    let why = attach(id).err()?;
    Some(format!("fentry on {TARGET} was refused ({why})"))
}

fn attach(function: u32) -> io::Result<()> {
    let attr = LoadAttr {
        prog_type: TRACING,
        insn_cnt: NOTHING.len() as u32,
        insns: NOTHING.as_ptr() as u64,
        license: c"Dual MIT/GPL".as_ptr() as u64,
        expected_attach_type: FENTRY,
        attach_btf_id: function,
        ..LoadAttr::default()
    };
    let program = bpf(PROG_LOAD, &attr)?;
    let attr = OpenAttr { name: 0, prog_fd: program.as_raw_fd().cast_unsigned(), pad: 0 };
    // Both go with their descriptors.
    bpf(RAW_TRACEPOINT_OPEN, &attr).map(drop)
}

/// Makes a call that returns a descriptor.
fn bpf<T>(command: libc::c_long, attr: &T) -> io::Result<OwnedFd> {
    // SAFETY: `attr` is a valid bpf_attr for this command, and what it points to outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) };
    match i32::try_from(fd) {
        // SAFETY: a new descriptor nobody else owns.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}
