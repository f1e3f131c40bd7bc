//! The few system calls that have no safe wrapper: socket options, the unacknowledged bytes, binding a packet socket,
//! receiving without a copy, and io_uring's queue.
#![allow(unsafe_code, reason = "setsockopt, ioctl, bind and mmap with structures no crate wraps")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// From `linux/if_packet.h`: do not hand me what this host sends.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// Allows `MSG_ZEROCOPY` on this socket.
pub(crate) fn allow_zerocopy(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_ZEROCOPY, 1)
}

/// Fixes the send buffer, past `net.core.wmem_max` where allowed.
pub(crate) fn set_send_buffer(socket: BorrowedFd<'_>, bytes: i32) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, bytes)
        .or_else(|_| set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, bytes))
}

/// Gives the connection up after this many milliseconds without an acknowledgement.
pub(crate) fn set_user_timeout(socket: BorrowedFd<'_>, milliseconds: i32) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, milliseconds)
}

/// Makes a packet socket deaf to outgoing packets.
pub(crate) fn ignore_outgoing(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_option(socket, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
}

fn set_option(socket: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the option value is a live c_int and its size is passed with it.
    let ret = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), size) };
    if ret == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Bytes sent and not acknowledged yet (`SIOCOUTQ`).
pub(crate) fn unacknowledged(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (the socket meaning of TIOCOUTQ) writes one c_int, which is live.
    let ret = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if ret == 0 { Ok(u64::try_from(bytes).unwrap_or(0)) } else { Err(io::Error::last_os_error()) }
}

/// Binds a packet socket to one device, all protocols.
pub(crate) fn bind_packet(socket: BorrowedFd<'_>, ifindex: i32) -> io::Result<()> {
    // SAFETY: sockaddr_ll is plain data; all zeroes is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = ifindex;
    let size = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the address is a live sockaddr_ll and its size is passed with it.
    let ret = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size) };
    if ret == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads and throws away (`MSG_TRUNC`): the kernel copies nothing.
pub(crate) fn discard(socket: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    // SAFETY: with MSG_TRUNC a TCP socket writes nothing, so no buffer is needed.
    let ret = unsafe { libc::recv(socket.as_raw_fd(), std::ptr::null_mut(), most, libc::MSG_TRUNC) };
    usize::try_from(ret).map_err(|_| io::Error::last_os_error())
}

/// A socket is readable from this many bytes on.
pub(crate) fn set_low_water(socket: BorrowedFd<'_>, bytes: i32) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVLOWAT, bytes)
}

/// A range of addresses that received pages are mapped into.
#[derive(Debug)]
pub(crate) struct Mapping {
    address: *mut libc::c_void,
    length: usize,
}

impl Mapping {
    /// Maps a socket.
    pub(crate) fn of_socket(socket: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        let (protection, flags) = (libc::PROT_READ, libc::MAP_SHARED);
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of this program.
        let address =
            unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, socket.as_raw_fd(), 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Mapping { address, length })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this object's own, and nothing refers into it.
        unsafe { libc::munmap(self.address, self.length) };
    }
}

/// `struct tcp_zerocopy_receive` of `linux/tcp.h`.
#[repr(C)]
#[derive(Default)]
struct ZerocopyReceive {
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

/// What one `TCP_ZEROCOPY_RECEIVE` moved, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    pub(crate) mapped: u64,
    pub(crate) copied: u64,
    /// Left to a plain read.
    pub(crate) hint: u64,
}

/// Maps what is queued into `range`; what cannot be mapped goes into `copies` as far as it fits.
pub(crate) fn zerocopy_receive(
    socket: BorrowedFd<'_>,
    range: &Mapping,
    copies: &mut [u8],
) -> Result<Moved, nix::errno::Errno> {
    const TCP_ZEROCOPY_RECEIVE: libc::c_int = 35;
    let mut request = ZerocopyReceive {
        address: range.address as u64,
        length: u32::try_from(range.length).unwrap_or(u32::MAX),
        copybuf_address: if copies.is_empty() { 0 } else { copies.as_mut_ptr() as u64 },
        copybuf_len: i32::try_from(copies.len()).unwrap_or(0),
        ..ZerocopyReceive::default()
    };
    let mut size = size_of::<ZerocopyReceive>() as libc::socklen_t;
    // SAFETY: the request is a live structure whose size is passed with it; the kernel writes into `copies`, whose
    // length it is told, and replaces pages of `range`, which nothing refers into.
    let ret = unsafe {
        let option = (&raw mut request).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, option, &raw mut size)
    };
    nix::errno::Errno::result(ret)?;
    Ok(Moved {
        mapped: u64::from(request.length),
        copied: u64::try_from(request.copybuf_len).unwrap_or(0),
        hint: u64::from(request.recv_skip_hint),
    })
}

/// Puts an entry into the submission queue; whoever does must keep its buffer alive until the completion.
pub(crate) fn push(ring: &mut io_uring::IoUring, entry: &io_uring::squeue::Entry) -> io::Result<()> {
    // SAFETY: callers wait for the completion before they touch the buffer again.
    unsafe { ring.submission().push(entry) }.map_err(io::Error::other)
}
