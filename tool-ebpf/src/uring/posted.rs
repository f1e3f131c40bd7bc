//! What io_uring posts to completion queues: answers, notifications, and what finds no room there.

use zcscope_common::Lost;

use super::{failure::answered, notification::zcscope_notified};
use crate::{
    maps::{active, lost},
    mem::{Direct, Mem},
    socket,
};

// Of the user interface (linux/io_uring.h).
const CQE_F_MORE: u32 = 1 << 1;
const CQE_F_NOTIF: u32 = 1 << 3;
const CQE_RES: u32 = 8;
const CQE_FLAGS: u32 = 12;

/// Tracepoint `io_uring:io_uring_complete`, its CQE handed over (>= 6.16 or so).
#[inline(always)]
pub unsafe fn completed_cqe(req: u64, cqe: *const u8) {
    unsafe { completed(req, Direct::read(cqe, CQE_RES), Direct::read(cqe, CQE_FLAGS)) };
}

/// A completion is posted: of a request, or of its notification.
#[inline(always)]
pub unsafe fn completed(req: u64, res: i32, flags: u32) {
    if req == 0 {
        return;
    }
    if flags & CQE_F_NOTIF != 0 {
        zcscope_notified(req, res);
        return;
    }
    // A zero-copy request that did anything announces its notification.
    if res < 0 || flags & CQE_F_MORE != 0 {
        unsafe { answered(req, res) };
    }
}

/// Tracepoint `io_uring:io_uring_cqe_overflow(ctx, user_data, res, flags)`: a completion has to wait outside the
/// queue. It names no request.
#[inline(always)]
pub fn overflowed(flags: u32) {
    if flags & CQE_F_NOTIF != 0 && active() && socket::process_wanted(socket::current_tgid()) {
        lost(Lost::UringOverflow, 1);
    }
}
