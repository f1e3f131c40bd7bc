//! io_uring: a zero-copy request from its submission over its tries, its end and its notification; and the errors
//! of every send, which only the completion queue tells.
//!
//! A request has two `struct io_kiocb`: its own, and that of its notification, whose `ubuf_info` the packets carry.
//! The notification is the key, because TCP, the copies and the end know only that one.
//!
//! [`request`] follows a request into TCP and out of it, [`posted`] sorts what the completion queue tells, [`failure`]
//! counts failed requests, [`notification`] books what a notification ends.

mod failure;
mod notification;
mod posted;
mod request;

use zcscope_common::{FlowCounters, Offsets, Path, SockEntry, UringSend};

pub use self::{
    failure::refused,
    notification::put,
    posted::{completed, completed_cqe, overflowed},
    request::{enter, leave, submitted},
};
use crate::{
    config::conf,
    maps::URING,
    mem::{Mem, Probe},
    socket::{self, known},
};

// Of the user interface (linux/io_uring.h).
const OP_SENDMSG: u8 = 9;
const OP_SEND: u8 = 26;
const OP_SEND_ZC: u8 = 47;
const OP_SENDMSG_ZC: u8 = 48;
const FIXED_BUF: u16 = 1 << 2;

/// The notification a `ubuf_info` is part of.
#[inline(always)]
fn notif_of(ubuf: u64) -> u64 {
    ubuf.wrapping_sub(u64::from(conf!(off.io_notif_uarg)))
}

/// Whether errors of this path are counted by the completion queue: inside TCP a request that is merely tried again
/// looks like a failed one.
#[inline(always)]
pub fn tells_errors(path: u32) -> bool {
    conf!(mode.uring) != 0 && path.wrapping_sub(Path::UringSend as u32) <= 3
}

/// Whether this is a path of io_uring's zero-copy sends.
#[inline(always)]
pub fn is_zerocopy(path: u32) -> bool {
    path.wrapping_sub(Path::UringSendZc as u32) <= 2
}

/// The path of the request with this `ubuf_info`, if its submission was seen.
#[inline(always)]
pub fn path_of(ubuf: u64) -> Option<Path> {
    if conf!(mode.uring) == 0 {
        return None;
    }
    // SAFETY: a map value, valid while the program runs.
    let path = unsafe { (*URING.get_ptr(notif_of(ubuf))?).path };
    Some(if path == Path::UringSendZcFixed as u32 {
        Path::UringSendZcFixed
    } else if path == Path::UringSendmsgZc as u32 {
        Path::UringSendmsgZc
    } else {
        Path::UringSendZc
    })
}

#[inline(always)]
unsafe fn path_of_request(req: *const u8, opcode: u8) -> u32 {
    let flags: u16 = unsafe { Probe::read(req, conf!(off.io_sr_msg_flags)) };
    match opcode {
        OP_SENDMSG_ZC => Path::UringSendmsgZc as u32,
        _ if flags & FIXED_BUF != 0 => Path::UringSendZcFixed as u32,
        _ => Path::UringSendZc as u32,
    }
}

/// Whether the notification will tell of copies (IORING_SEND_ZC_REPORT_USAGE). Without it the kernel does not even
/// keep book of them.
#[inline(always)]
unsafe fn reports_usage(notif: u64) -> bool {
    let off = conf!(off.io_notif_zc_report);
    off != Offsets::ABSENT && unsafe { Probe::read::<u8>(notif as *const u8, off) } != 0
}

/// The socket of a request, unless it has ended and its address belongs to another one.
#[inline(always)]
fn owner(send: &UringSend) -> Option<&'static mut SockEntry> {
    let entry = known(send.sk)?;
    if send.id == 0 || entry.id == send.id { Some(entry) } else { None }
}

#[inline(always)]
fn flow_of(entry: Option<&'static mut SockEntry>, path: u32) -> Option<&'static mut FlowCounters> {
    match entry {
        Some(entry) => socket::flow(entry, path),
        None => socket::unattributed(path),
    }
}
