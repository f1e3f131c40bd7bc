//! The paths `ktls` and `ktls_sendfile`: the kernel encrypts what is sent (`TLS_TX` in software), from a buffer or from a
//! file. It copies by design: the encrypted bytes are new ones.

use std::io;
use std::os::fd::AsFd;

use socket2::Socket;

use super::{SendPath, Setup, copy, sendfile};
use crate::load::tls;

/// Sets up `ktls`.
pub(super) fn open(setup: &Setup, socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    tls::encrypt(socket.as_fd())?;
    // With MSG_MORE the last record would stay open, and be lost when the stream ends.
    copy::open(&Setup { more: false, ..setup.clone() }, socket)
}

/// Sets up `ktls_sendfile`.
pub(super) fn open_sendfile(setup: &Setup, socket: &Socket) -> io::Result<Box<dyn SendPath>> {
    tls::encrypt(socket.as_fd())?;
    sendfile::open(setup, socket)
}
