//! The few system calls that have no safe wrapper: socket options, sockets of rare protocols, the unacknowledged
//! bytes, special memory, binding a packet socket, receiving without a copy, and io_uring's queue.
#![allow(unsafe_code, reason = "setsockopt, socket, mmap, ioctl and bind with values no crate wraps")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

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

/// Lets out so many bytes a second at most.
pub(crate) fn set_max_pace(socket: BorrowedFd<'_>, rate: i32) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE, rate)
}

/// Gives the connection up after this many milliseconds without an acknowledgement.
pub(crate) fn set_user_timeout(socket: BorrowedFd<'_>, milliseconds: i32) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, milliseconds)
}

/// Makes a packet socket deaf to outgoing packets.
pub(crate) fn ignore_outgoing(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_option(socket, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
}

/// Sets an option to a structure without pointers.
pub(crate) fn set_option_value<T>(
    socket: BorrowedFd<'_>,
    level: i32,
    name: i32,
    value: &T,
) -> io::Result<()> {
    let size = size_of::<T>() as libc::socklen_t;
    // SAFETY: the option value is live and its size is passed with it.
    let ret =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), size) };
    if ret == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A stream socket of this protocol for this family of addresses.
pub(crate) fn stream_socket(ipv6: bool, protocol: i32) -> io::Result<OwnedFd> {
    let family = if ipv6 { libc::AF_INET6 } else { libc::AF_INET };
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, protocol) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor just made, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A page of address space that nothing can be read from.
pub(crate) fn unreadable_page() -> io::Result<&'static [u8]> {
    const PAGE: usize = 4096;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh mapping at an address of the kernel's choice.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, libc::PROT_NONE, kind, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: mapped for the rest of the program; nobody but the kernel, which checks, is handed it.
    Ok(unsafe { std::slice::from_raw_parts(page.cast(), PAGE) })
}

/// Memory in huge pages, as far as the kernel gives them.
pub(crate) fn huge_memory(bytes: usize) -> io::Result<&'static mut [u8]> {
    const HUGE: usize = 2 << 20;
    let size = bytes.next_multiple_of(HUGE) + HUGE;
    let (rights, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a fresh mapping at an address of the kernel's choice.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), size, rights, kind, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let aligned = start.wrapping_byte_add((start as usize).next_multiple_of(HUGE) - start as usize);
    // SAFETY: inside the mapping, which is one huge page longer than needed.
    if unsafe { libc::madvise(aligned, size - HUGE, libc::MADV_HUGEPAGE) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: mapped for the rest of the program, and this is the only reference.
    Ok(unsafe { std::slice::from_raw_parts_mut(aligned.cast(), bytes) })
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

/// `SIOCOUTQNSD` of `linux/sockios.h`.
const SIOCOUTQNSD: libc::c_ulong = 0x894b;

/// Bytes TCP has not sent even once.
pub(crate) fn unsent(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQNSD writes one c_int, which is live.
    let ret = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCOUTQNSD, &raw mut bytes) };
    if ret == 0 { Ok(u64::try_from(bytes).unwrap_or(0)) } else { Err(io::Error::last_os_error()) }
}

/// Closing this socket resets its connection.
pub(crate) fn reset_on_close(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_option_value(socket, libc::SOL_SOCKET, libc::SO_LINGER, &libc::linger { l_onoff: 1, l_linger: 0 })
}

/// Acknowledges late from now on (`TCP_QUICKACK` off), until the kernel changes its mind.
pub(crate) fn delay_acks(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_TCP, libc::TCP_QUICKACK, 0)
}

/// `TUNSETIFF` and `TUNSETOFFLOAD` of `linux/if_tun.h`.
const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const TUNSETOFFLOAD: libc::c_ulong = 0x4004_54d0;
const IFF_TUN: libc::c_short = 1;
const IFF_TAP: libc::c_short = 2;
const IFF_NO_PI: libc::c_short = 0x1000;
const IFF_VNET_HDR: libc::c_short = 0x4000;
/// Checksums, and segmentation of TCP over IPv4 and IPv6, are the reader's.
const TUN_F_CSUM_TSO: libc::c_ulong = 1 | 2 | 4;

/// Makes a tun or tap device of this open `/dev/net/tun`.
pub(crate) fn make_tun(file: BorrowedFd<'_>, name: &str, tap: bool, offloads: bool) -> io::Result<()> {
    // SAFETY: ifreq is plain data; all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().take(15).zip(name.bytes()) {
        *to = from.cast_signed();
    }
    let header = if offloads { IFF_VNET_HDR } else { 0 };
    request.ifr_ifru.ifru_flags = if tap { IFF_TAP } else { IFF_TUN } | IFF_NO_PI | header;
    // SAFETY: TUNSETIFF reads and writes one ifreq, which is live.
    if unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, &raw mut request) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: TUNSETOFFLOAD takes a number.
    if offloads && unsafe { libc::ioctl(file.as_raw_fd(), TUNSETOFFLOAD, TUN_F_CSUM_TSO) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
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

/// Puts the TLS layer on top of a TCP socket, without keys.
pub(crate) fn become_tls(socket: BorrowedFd<'_>) -> io::Result<()> {
    let name = b"tls";
    // SAFETY: the option value is a live string and its length is passed with it.
    let ret = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_TCP,
            libc::TCP_ULP,
            name.as_ptr().cast(),
            name.len() as libc::socklen_t,
        )
    };
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
