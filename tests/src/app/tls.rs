//! Kernel TLS with a fixed key on both sides: the handshake is no part of what is tested.

use std::io;
use std::os::fd::BorrowedFd;

use super::sys;

const SOL_TLS: i32 = 282;
const TLS_TX: i32 = 1;
const TLS_RX: i32 = 2;
const TLS_1_2: u16 = 0x0303;
const AES_GCM_128: u16 = 51;

/// `struct tls12_crypto_info_aes_gcm_128` of `linux/tls.h`.
#[repr(C)]
struct CryptoInfo {
    version: u16,
    cipher: u16,
    iv: [u8; 8],
    key: [u8; 16],
    salt: [u8; 4],
    record: [u8; 8],
}

const KEYS: CryptoInfo = CryptoInfo {
    version: TLS_1_2,
    cipher: AES_GCM_128,
    iv: [7; 8],
    key: [9; 16],
    salt: [5; 4],
    record: [0; 8],
};

/// What is sent from now on is encrypted by the kernel.
pub(crate) fn encrypt(socket: BorrowedFd<'_>) -> io::Result<()> {
    layer(socket)?;
    sys::set_option_value(socket, SOL_TLS, TLS_TX, &KEYS)
}

/// What is read from now on is decrypted by the kernel.
pub(crate) fn decrypt(socket: BorrowedFd<'_>) -> io::Result<()> {
    layer(socket)?;
    sys::set_option_value(socket, SOL_TLS, TLS_RX, &KEYS)
}

fn layer(socket: BorrowedFd<'_>) -> io::Result<()> {
    sys::set_option_value(socket, libc::IPPROTO_TCP, libc::TCP_ULP, b"tls")
}
