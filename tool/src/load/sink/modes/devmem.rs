//! Mode `devmem`: whether the kernel can receive into device memory.

use std::io;
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};

use super::sys;

/// Never `Ok`: where the kernel knows it, the sentence says what else it takes.
pub(super) fn available() -> Result<(), String> {
    let asked = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))
        .and_then(|socket| sys::try_devmem(socket.as_fd()));
    Err(sentence(&asked))
}

fn sentence(asked: &io::Result<()>) -> String {
    match asked {
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => {
            "this kernel does not know TCP devmem".into()
        }
        // A wrong argument was given on purpose.
        Ok(()) => not_yet(),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => not_yet(),
        Err(error) => format!("this kernel refuses TCP devmem ({error})"),
    }
}

fn not_yet() -> String {
    "this kernel knows TCP devmem, but it takes device memory (a dmabuf) bound to a receive queue of a card with \
     header split, and this sink does not set that up"
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_option_is_a_kernel_without_it() {
        let asked = |errno| sentence(&Err(io::Error::from_raw_os_error(errno)));
        assert!(asked(libc::ENOPROTOOPT).contains("does not know"));
        assert!(asked(libc::EINVAL).contains("knows TCP devmem"));
    }
}
