//! Kernel TLS with fixed keys on both sides. The handshake is no part of what is measured, and the data is no secret:
//! these keys protect nothing.

use std::io;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::sys::socket::sockopt::{TcpTlsRx, TcpTlsTx, TcpUlp, TlsCryptoInfo};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket};

/// TLS 1.2 with AES-GCM-128: what every kernel with TLS has.
fn keys() -> TlsCryptoInfo {
    TlsCryptoInfo::Aes128Gcm(libc::tls12_crypto_info_aes_gcm_128 {
        info: libc::tls_crypto_info {
            version: libc::TLS_1_2_VERSION,
            cipher_type: libc::TLS_CIPHER_AES_GCM_128,
        },
        iv: [1; 8],
        key: *b"zcscope load/1  ",
        salt: [2; 4],
        rec_seq: [0; 8],
    })
}

/// From now on the kernel encrypts what is sent on this connected TCP socket.
///
/// # Errors
/// The kernel has no TLS, or not this cipher.
pub(super) fn encrypt(socket: BorrowedFd<'_>) -> io::Result<()> {
    layer(socket).and_then(|()| setsockopt(&socket, TcpTlsTx, &keys())).map_err(refusal)
}

/// From now on the kernel decrypts what is received on this connected TCP socket.
///
/// # Errors
/// The kernel has no TLS, or not this cipher.
pub(super) fn decrypt(socket: BorrowedFd<'_>) -> io::Result<()> {
    layer(socket).and_then(|()| setsockopt(&socket, TcpTlsRx, &keys())).map_err(refusal)
}

/// Whether the kernel has TLS sockets, found out by asking for one.
///
/// # Errors
/// Why not, as one sentence.
pub(super) fn available() -> Result<(), String> {
    let unconnected = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
        .or_else(|_| socket(AddressFamily::Inet6, SockType::Stream, SockFlag::SOCK_CLOEXEC, None));
    let unconnected = unconnected.map_err(|error| format!("cannot open a TCP socket: {error}"))?;
    match setsockopt(&unconnected, TcpUlp::default(), b"tls") {
        // TLS is there, and wants a connected socket.
        Ok(()) | Err(Errno::ENOTCONN) => Ok(()),
        Err(errno) => Err(refusal(errno).to_string()),
    }
}

fn layer(socket: BorrowedFd<'_>) -> nix::Result<()> {
    setsockopt(&socket, TcpUlp::default(), b"tls")
}

fn refusal(errno: Errno) -> io::Error {
    match errno {
        Errno::ENOENT | Errno::ENOPROTOOPT => io::Error::other(
            "this kernel has no TLS sockets (TCP_ULP \"tls\" is refused); load the module with `modprobe tls`, or use \
             a kernel with CONFIG_TLS",
        ),
        _ => io::Error::new(
            io::Error::from(errno).kind(),
            format!("the kernel refuses TLS on this socket: {errno}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_is_available_can_be_set_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (peer, _) = listener.accept().unwrap();
        match available() {
            Ok(()) => {
                encrypt(stream.as_fd()).unwrap();
                decrypt(peer.as_fd()).unwrap();
            }
            Err(why) => {
                assert!(why.contains("modprobe tls") || why.contains("refuses TLS"), "{why}");
                assert_eq!(encrypt(stream.as_fd()).unwrap_err().to_string(), why);
            }
        }
    }
}
