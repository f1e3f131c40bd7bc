//! The socket calls no safe wrapper has.
#![allow(unsafe_code, reason = "setsockopt, ioctl and recv with arguments the safe wrappers cannot express")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Sets `SO_ZEROCOPY`: without it the kernel silently ignores `MSG_ZEROCOPY`.
pub(super) fn set_so_zerocopy(socket: BorrowedFd<'_>) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option value is one int that outlives the call, and its length is given.
    let ret = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ZEROCOPY,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if ret == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Bytes sent or queued that the peer has not acknowledged (`SIOCOUTQ`).
pub(super) fn unacknowledged(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (TIOCOUTQ) writes one int, which outlives the call.
    let ret = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if ret == 0 { Ok(u64::try_from(bytes).unwrap_or(0)) } else { Err(io::Error::last_os_error()) }
}

/// Discards up to `len` received bytes without copying them (`MSG_TRUNC`); 0 at the end of the stream.
pub(super) fn recv_discard(socket: BorrowedFd<'_>, len: usize) -> io::Result<usize> {
    // SAFETY: with MSG_TRUNC on TCP the kernel writes nothing, so the null buffer is never touched.
    let n = unsafe { libc::recv(socket.as_raw_fd(), std::ptr::null_mut(), len, libc::MSG_TRUNC) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// Limits what the kernel lets out of a socket, bytes per second (`SO_MAX_PACING_RATE`); TCP then paces by itself.
pub(super) fn set_max_pacing_rate(socket: BorrowedFd<'_>, bytes_per_s: u64) -> io::Result<()> {
    // SAFETY: the option value is one 64-bit integer that outlives the call, and its length is given.
    let ret = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MAX_PACING_RATE,
            (&raw const bytes_per_s).cast(),
            size_of::<u64>() as libc::socklen_t,
        )
    };
    if ret == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
