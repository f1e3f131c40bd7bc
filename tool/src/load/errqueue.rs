//! Reads zero-copy notifications from a socket's error queue.
//!
//! One `recvmmsg(2)` takes up to [`BATCH`] messages: as a rule the whole queue, and the proof that it is empty.
#![allow(
    unsafe_code,
    reason = "recvmmsg(2) with MSG_ERRQUEUE; parsing is safe code over the bytes it filled"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Messages per system call.
const BATCH: usize = 8;
/// Room for one sock_extended_err with an IPv6 address, and as much again.
const CONTROL: usize = 128;

const ORIGIN_ZEROCOPY: u8 = 5; // SO_EE_ORIGIN_ZEROCOPY
const CODE_COPIED: u8 = 1; // SO_EE_CODE_ZEROCOPY_COPIED

/// One message of the error queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// The sends `lo..=hi` have ended; `copied` as the kernel tells it for the whole range.
    Ended { lo: u32, hi: u32, copied: bool },
    /// Something that is not about zero-copy sends.
    Foreign,
}

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL]);

/// Calls `each` for every message on the error queue of `socket`, until it is empty. Never waits. Returns how many
/// system calls that took.
pub(super) fn read(socket: BorrowedFd<'_>, mut each: impl FnMut(Notice)) -> io::Result<u64> {
    let mut control = [Control([0; CONTROL]); BATCH];
    let mut calls = 0;
    loop {
        calls += 1;
        // SAFETY: mmsghdr is plain integers and pointers; all zero is a valid empty header.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        for (message, room) in messages.iter_mut().zip(&mut control) {
            message.msg_hdr.msg_control = room.0.as_mut_ptr().cast();
            message.msg_hdr.msg_controllen = CONTROL;
        }
        let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
        // SAFETY: `messages` holds BATCH headers whose only buffers are the CONTROL bytes of `control` each; both
        // outlive the call. A null timeout means none.
        let n = unsafe {
            let list = messages.as_mut_ptr();
            libc::recvmmsg(socket.as_raw_fd(), list, BATCH as u32, flags as _, std::ptr::null_mut())
        };
        if n < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock => Ok(calls),
                io::ErrorKind::Interrupted => continue,
                _ => Err(error),
            };
        }
        let n = n as usize;
        for (message, room) in messages.iter().zip(&control).take(n) {
            each(parse(&room.0[..message.msg_hdr.msg_controllen.min(CONTROL)]));
        }
        if n < BATCH {
            return Ok(calls);
        }
    }
}

/// Finds the zero-copy notification in the control data of one message.
fn parse(mut control: &[u8]) -> Notice {
    const HEADER: usize = size_of::<libc::cmsghdr>();
    while let Some(header) = control.get(..HEADER) {
        let len = word(header, 0) as usize | (word(header, 4) as usize) << 32;
        let (level, kind) = (word(header, 8) as i32, word(header, 12) as i32);
        let Some(data) = control.get(HEADER..len) else { break };
        let about_errors = (level == libc::SOL_IP && kind == libc::IP_RECVERR)
            || (level == libc::SOL_IPV6 && kind == libc::IPV6_RECVERR);
        if about_errors && let Some(notice) = parse_extended_err(data) {
            return notice;
        }
        control = control.get(len.next_multiple_of(align_of::<libc::cmsghdr>())..).unwrap_or(&[]);
    }
    Notice::Foreign
}

/// Reads `struct sock_extended_err`: errno u32, origin, type, code, pad (a byte each), info u32, data u32.
fn parse_extended_err(data: &[u8]) -> Option<Notice> {
    if data.len() < 16 || word(data, 0) != 0 || data[4] != ORIGIN_ZEROCOPY {
        return None;
    }
    Some(Notice::Ended { lo: word(data, 8), hi: word(data, 12), copied: data[6] & CODE_COPIED != 0 })
}

/// The four bytes at `at` as an integer in the byte order of this machine.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

// `parse` reads the length of a cmsghdr as two little-endian halves of a 64-bit number.
const _: () = assert!(size_of::<libc::cmsghdr>() == 16 && cfg!(target_endian = "little"));

#[cfg(test)]
mod tests {
    use super::*;

    fn message(level: i32, kind: i32, errno: u32, origin: u8, code: u8, lo: u32, hi: u32) -> Vec<u8> {
        let mut data = errno.to_ne_bytes().to_vec();
        data.extend([origin, 0, code, 0]);
        data.extend(lo.to_ne_bytes());
        data.extend(hi.to_ne_bytes());
        data.extend([0; 28]); // the offender's address, sockaddr_in6
        let mut bytes = ((16 + data.len()) as u64).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    #[test]
    fn both_families_and_both_verdicts() {
        let v4 = message(libc::SOL_IP, libc::IP_RECVERR, 0, 5, 1, 7, 9);
        assert_eq!(parse(&v4), Notice::Ended { lo: 7, hi: 9, copied: true });
        let v6 = message(libc::SOL_IPV6, libc::IPV6_RECVERR, 0, 5, 0, u32::MAX, 0);
        assert_eq!(parse(&v6), Notice::Ended { lo: u32::MAX, hi: 0, copied: false });
    }

    #[test]
    fn other_messages_are_foreign_and_may_stand_before() {
        let icmp = message(libc::SOL_IP, libc::IP_RECVERR, 113, 2, 1, 0, 0);
        assert_eq!(parse(&icmp), Notice::Foreign);
        let timestamp = message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPING, 0, 5, 1, 0, 0);
        assert_eq!(parse(&timestamp), Notice::Foreign);
        let mut both = timestamp;
        both.extend(message(libc::SOL_IP, libc::IP_RECVERR, 0, 5, 0, 3, 3));
        assert_eq!(parse(&both), Notice::Ended { lo: 3, hi: 3, copied: false });
    }

    #[test]
    fn cut_or_senseless_control_data_does_not_panic() {
        let whole = message(libc::SOL_IP, libc::IP_RECVERR, 0, 5, 1, 7, 9);
        for end in 0..32 {
            assert_eq!(parse(&whole[..end]), Notice::Foreign, "cut at {end}");
        }
        assert_eq!(parse(&[0; 64]), Notice::Foreign, "length 0");
        assert_eq!(parse(&[0xff; 64]), Notice::Foreign, "length -1");
    }
}
