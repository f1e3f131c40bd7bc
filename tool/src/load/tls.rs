//! Kernel TLS with keys that everybody knows: the sending path and the sink agree without a handshake.
//!
//! What is measured is the kernel's encryption, so there is nothing to keep secret. **Not a way to protect anything.**
#![allow(unsafe_code, reason = "setsockopt with a structure no safe wrapper has")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `struct tls12_crypto_info_aes_gcm_128` of linux/tls.h.
#[repr(C)]
struct CryptoInfo {
    version: u16,
    cipher: u16,
    iv: [u8; 8],
    key: [u8; 16],
    salt: [u8; 4],
    sequence: [u8; 8],
}

/// TLS 1.2, AES-GCM-128; keys and first sequence number are the same on both sides.
const KEYS: CryptoInfo = CryptoInfo {
    version: libc::TLS_1_2_VERSION,
    cipher: libc::TLS_CIPHER_AES_GCM_128,
    iv: *b"zcscope1",
    key: *b"zcscope test key",
    salt: *b"salt",
    sequence: [0; 8],
};

/// Makes the kernel encrypt what is sent from now on.
///
/// # Errors
/// The kernel has no TLS (`ENOENT`: the module tls is not there), or the socket is not connected.
pub fn send(socket: BorrowedFd<'_>) -> io::Result<()> {
    layer(socket)?;
    set(socket, libc::SOL_TLS, libc::TLS_TX, &KEYS)
}

/// Makes the kernel decrypt what is received from now on.
///
/// # Errors
/// As [`send`].
pub fn receive(socket: BorrowedFd<'_>) -> io::Result<()> {
    layer(socket)?;
    set(socket, libc::SOL_TLS, libc::TLS_RX, &KEYS)
}

fn layer(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::IPPROTO_TCP, libc::TCP_ULP, b"tls")
}

fn set<T>(socket: BorrowedFd<'_>, level: i32, name: i32, value: &T) -> io::Result<()> {
    let size = size_of::<T>() as libc::socklen_t;
    // SAFETY: the option value is plain data without padding, it outlives the call, and its size is given.
    let ret =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), size) };
    if ret == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
