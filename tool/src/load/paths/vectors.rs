//! One message of several parts for `sendmsg(2)` and its relatives, built without allocating.
#![allow(
    unsafe_code,
    reason = "sendmsg(2) and io_uring take a list of raw pointers that is kept from send to send"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::load::memory::Buffers;

/// A message header and its list of parts, at addresses that do not change.
pub(super) struct Vectors {
    header: Box<libc::msghdr>,
    parts: Box<[libc::iovec]>,
}

impl Vectors {
    /// Room for so many parts.
    pub(super) fn new(parts: usize) -> Self {
        let empty = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        // SAFETY: all zero is a valid msghdr without address, parts and control data.
        let header = Box::new(unsafe { std::mem::zeroed::<libc::msghdr>() });
        Self { header, parts: vec![empty; parts].into() }
    }

    /// Points the message to the first `len` bytes of a buffer.
    pub(super) fn point(&mut self, buffers: &Buffers, slot: usize, len: usize) -> &libc::msghdr {
        let mut count = 0;
        for (part, (_, place)) in self.parts.iter_mut().zip(buffers.places(slot, len)) {
            let bytes = &buffers.bytes()[place];
            *part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
            count += 1;
        }
        self.header.msg_iov = self.parts.as_mut_ptr();
        self.header.msg_iovlen = count;
        &self.header
    }

    /// Sends the first `len` bytes of a buffer.
    pub(super) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        buffers: &Buffers,
        slot: usize,
        len: usize,
        flags: libc::c_int,
    ) -> io::Result<usize> {
        let header: *const libc::msghdr = self.point(buffers, slot, len);
        // SAFETY: the header and its parts live in `self`, the bytes they point to in `buffers`; the kernel only reads.
        let n = unsafe { libc::sendmsg(socket.as_raw_fd(), header, flags) };
        usize::try_from(n).map_err(|_| io::Error::last_os_error())
    }
}
