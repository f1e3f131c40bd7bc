//! Receiving without a copy: mapping a socket, `TCP_ZEROCOPY_RECEIVE`, and what tells whether a socket knows devmem.
#![allow(
    unsafe_code,
    reason = "mmap, getsockopt and setsockopt with arguments the safe wrappers cannot express"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

/// Address range of a socket that pages are mapped into, readable; unmapped when dropped.
pub(super) struct Range {
    start: NonNull<u8>,
    len: usize,
    /// Bytes mapped by the last receive, from the start on.
    mapped: usize,
}

// SAFETY: the range is plain address space owned by this value; it is no more bound to a thread than memory is.
unsafe impl Send for Range {}

impl Range {
    /// Maps `len` bytes of this TCP socket; there is nothing in them until pages are received into them.
    pub(super) fn of_socket(socket: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_SHARED, socket.as_raw_fd(), 0)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { start, len, mapped: 0 })
    }

    /// Bytes the last receive mapped.
    pub(super) fn mapped(&self) -> usize {
        self.mapped
    }

    /// Copies mapped bytes from `from` on into `to`; returns how many there were.
    pub(super) fn read(&self, from: usize, to: &mut [u8]) -> usize {
        let from = from.min(self.mapped);
        let len = to.len().min(self.mapped - from);
        // SAFETY: the kernel mapped `self.mapped` readable bytes at the start of the range, and they stay until the
        // next receive, which takes this value mutably and sets the length anew; `to` is other memory of at least
        // `len` bytes. The bytes are copied through raw pointers because whoever still holds the pages may change them.
        unsafe { std::ptr::copy_nonoverlapping(self.start.as_ptr().add(from), to.as_mut_ptr(), len) };
        len
    }
}

impl Drop for Range {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by us, and nothing refers into it: `read` copies.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// What one receive did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    /// Mapped at the start of the range; first in the stream.
    pub(super) mapped: usize,
    /// Copied into the copy buffer; next in the stream.
    pub(super) copied: usize,
    /// Left in the queue, to be read plainly before the next receive.
    pub(super) hint: usize,
}

/// `struct tcp_zerocopy_receive` of linux/tcp.h.
#[repr(C)]
#[derive(Default)]
struct Request {
    address: u64,
    length: u32,
    recv_skip_hint: u32,
    inq: u32,
    err: i32,
    copybuf_address: u64,
    copybuf_len: i32,
    flags: u32,
    msg_control: u64,
    msg_controllen: u64,
    msg_flags: u32,
    reserved: u32,
}

/// Receives what is queued: pages that can be are mapped over the range (what was mapped there goes), a small rest is
/// copied into `copies`.
pub(super) fn zerocopy_receive(
    socket: BorrowedFd<'_>,
    range: &mut Range,
    copies: &mut [u8],
) -> io::Result<Received> {
    let mut request = Request {
        address: range.start.as_ptr() as u64,
        length: u32::try_from(range.len).unwrap_or(0),
        copybuf_address: copies.as_mut_ptr() as u64,
        copybuf_len: i32::try_from(copies.len()).unwrap_or(0),
        ..Request::default()
    };
    let mut size = size_of::<Request>() as libc::socklen_t;
    range.mapped = 0;
    // SAFETY: the kernel reads and writes `size` bytes of the request, replaces pages of a range that is ours alone
    // (borrowed mutably) and writes at most `copybuf_len` bytes to `copies` (borrowed mutably).
    let ret = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_ZEROCOPY_RECEIVE,
            (&raw mut request).cast(),
            &raw mut size,
        )
    };
    if ret != 0 {
        return Err(io::Error::last_os_error());
    }
    if request.err != 0 {
        return Err(io::Error::from_raw_os_error(request.err.saturating_neg()));
    }
    let copied = usize::try_from(request.copybuf_len).unwrap_or(0).min(copies.len());
    range.mapped = (request.length as usize).min(range.len);
    Ok(Received { mapped: range.mapped, copied, hint: request.recv_skip_hint as usize })
}

/// Wakes a waiting receiver only when this many bytes are queued, or at the end.
pub(super) fn set_low_water(socket: BorrowedFd<'_>, bytes: i32) -> io::Result<()> {
    set_int(socket, libc::SO_RCVLOWAT, bytes)
}

/// What the kernel says to a devmem option that is known to be wrong: `EINVAL` where it knows the option.
pub(super) fn try_devmem(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_int(socket, libc::SO_DEVMEM_DONTNEED, 0)
}

fn set_int(socket: BorrowedFd<'_>, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is one int that outlives the call, and its length is given.
    let ret = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, name, (&raw const value).cast(), size)
    };
    if ret == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
