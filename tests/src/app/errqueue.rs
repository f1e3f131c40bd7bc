//! Reading zero-copy notifications from a socket's error queue.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};

/// `SO_EE_ORIGIN_ZEROCOPY` of `linux/errqueue.h`.
const ORIGIN_ZEROCOPY: u8 = 5;
/// `SO_EE_CODE_ZEROCOPY_COPIED` of `linux/errqueue.h`.
const CODE_COPIED: u8 = 1;

/// One notification: an inclusive range of send ids that wraps at 2^32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    first: u32,
    last: u32,
    /// The kernel says that (at least the first of) these sends were copied.
    pub(crate) copied: bool,
}

impl Notification {
    /// The ids covered.
    pub(crate) fn ids(self) -> impl Iterator<Item = u32> {
        (0..self.sends()).map(move |n| self.first.wrapping_add(n as u32))
    }

    /// Sends covered.
    pub(crate) fn sends(self) -> u64 {
        u64::from(self.last.wrapping_sub(self.first)) + 1
    }

    fn from_error(error: &libc::sock_extended_err) -> Option<Self> {
        let copied = error.ee_code & CODE_COPIED != 0;
        (error.ee_errno == 0 && error.ee_origin == ORIGIN_ZEROCOPY).then_some(Notification {
            first: error.ee_info,
            last: error.ee_data,
            copied,
        })
    }
}

/// Takes one notification off the error queue; `None` when the queue is empty. Other errors in the queue are passed over.
pub(crate) fn read(socket: BorrowedFd<'_>) -> io::Result<Option<Notification>> {
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let mut space = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
    loop {
        let mut data = [io::IoSliceMut::new(&mut [])];
        let message = match recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut data, Some(&mut space), flags)
        {
            Ok(message) => message,
            Err(Errno::EAGAIN) => return Ok(None),
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
        };
        let found = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
                Notification::from_error(&error)
            }
            _ => None,
        });
        if found.is_some() {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(origin: u8, code: u8, info: u32, data: u32) -> libc::sock_extended_err {
        libc::sock_extended_err {
            ee_errno: 0,
            ee_origin: origin,
            ee_type: 0,
            ee_code: code,
            ee_pad: 0,
            ee_info: info,
            ee_data: data,
        }
    }

    #[test]
    fn ranges_are_inclusive_and_wrap() {
        let one = Notification::from_error(&error(5, 0, 7, 7)).unwrap();
        assert_eq!((one.sends(), one.copied), (1, false));
        let wrapped = Notification::from_error(&error(5, 1, u32::MAX, 1)).unwrap();
        assert_eq!((wrapped.sends(), wrapped.copied), (3, true));
    }

    #[test]
    fn other_errors_are_not_notifications() {
        assert_eq!(Notification::from_error(&error(2, 1, 0, 0)), None);
    }
}
