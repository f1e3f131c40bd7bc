//! Puts a socket into a sockmap whose program sees every message sent and lets it pass.
#![allow(unsafe_code, reason = "the bpf(2) system call has no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

// Commands and types of `linux/bpf.h`.
const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE: libc::c_int = 2;
const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const MAP_TYPE_SOCKMAP: u32 = 15;
const PROG_TYPE_SK_MSG: u32 = 16;
const SK_MSG_VERDICT: u32 = 7;
/// `r0 = 1 (SK_PASS); exit`.
const PASS: [u64; 2] = [0x0000_0001_0000_00b7, 0x95];

/// The map and its program; the socket is in it while this lives.
pub(crate) struct Sockmap {
    _map: OwnedFd,
    _program: OwnedFd,
}

#[repr(C)]
#[derive(Default)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

#[repr(C)]
#[derive(Default)]
struct MapUpdate {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct ProgLoad {
    prog_type: u32,
    instructions: u32,
    code: u64,
    license: u64,
    log: [u64; 2],
    rest: [u64; 2],
    name: [u8; 16],
    ifindex: u32,
    expected_attach_type: u32,
}

#[repr(C)]
#[derive(Default)]
struct ProgAttach {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
}

/// Puts the socket into a map of its own.
pub(crate) fn enter(socket: BorrowedFd<'_>) -> io::Result<Sockmap> {
    let create = MapCreate { map_type: MAP_TYPE_SOCKMAP, key_size: 4, value_size: 4, max_entries: 1 };
    let map = owned(bpf(MAP_CREATE, &create)?);
    let load = ProgLoad {
        prog_type: PROG_TYPE_SK_MSG,
        instructions: PASS.len() as u32,
        code: PASS.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        expected_attach_type: SK_MSG_VERDICT,
        ..ProgLoad::default()
    };
    let program = owned(bpf(PROG_LOAD, &load)?);
    let attach = ProgAttach {
        target: map.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        attach_type: SK_MSG_VERDICT,
        flags: 0,
    };
    bpf(PROG_ATTACH, &attach)?;
    let (key, value) = (0u32, socket.as_raw_fd());
    let update = MapUpdate {
        map: map.as_raw_fd() as u32,
        key: (&raw const key) as u64,
        value: (&raw const value) as u64,
        ..MapUpdate::default()
    };
    bpf(MAP_UPDATE, &update)?;
    Ok(Sockmap { _map: map, _program: program })
}

fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: a descriptor the kernel has just made, owned by nobody else.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<RawFd> {
    // SAFETY: a live, correctly sized prefix of bpf_attr for the command; what it points to outlives the call.
    let ret =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret as RawFd) }
}
