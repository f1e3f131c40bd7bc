//! What the release of a unit adds to the counters of its socket, and of a second process that sent in it.

use zcscope_common::{SockEntry, Source};

use super::{
    PATH,
    release::{Range, Share},
};
use crate::{
    config::conf,
    infer, lifecycle,
    maps::UNITS,
    mem::{add, fetch_add},
    socket,
};

/// Adds what the loop over a unit found to its socket's counters; returns how many sends ended. Exported like
/// `zcscope_release`.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn zcscope_settle(
    entry: *mut SockEntry,
    uarg: u64,
    sum: *const Range,
    copied: u32,
) -> u64 {
    // SAFETY: null, or a map value and the caller's stack.
    let (Some(entry), Some(sum)) = (unsafe { entry.as_mut() }, unsafe { sum.as_ref() }) else { return 0 };
    let copied = copied != 0;
    if sum.sends != 0 {
        entry.last_released = u64::from(sum.lo) + sum.sends;
    }
    // Two units can end at once, and the report of one then covers the other, which was merged into it: its sends
    // are taken already, but what happened to it is known only here.
    if sum.sends == 0 && sum.before == 0 && UNITS.get_ptr(uarg).is_none() {
        return 0;
    }
    let Some(flow) = socket::flow(entry, PATH) else { return 0 };
    if sum.before != 0 {
        add(&mut flow.before_attach_sends, new_of_earlier(&mut entry.earlier_end, sum));
        if sum.sends == 0 {
            return 0;
        }
    }
    if sum.unsent != 0 {
        add(&mut flow.unsent_bytes, sum.unsent);
    }
    sum.wrong.book(flow);
    if sum.kept != 0 {
        fetch_add(&mut entry.unread_sends, sum.kept);
    }
    // What was never sent was copied nowhere, however often the rest of its unit was.
    let limit = if sum.sends == 0 { u64::MAX } else { sum.bytes.saturating_sub(sum.unsent) };
    let mut wire = 0;
    let mut clone = 0;
    if let Some(unit) = UNITS.get_ptr_mut(uarg) {
        // SAFETY: a map value, valid while the program runs.
        let unit = unsafe { &mut *unit };
        if conf!(mode.copy) == Source::Tracepoint as u32 && copied {
            infer::settle(entry, unit, limit);
        }
        wire = unit.wire_bytes.min(limit);
        clone = unit.clone_bytes.min(limit);
    } else if conf!(mode.copy) == Source::Tracepoint as u32 && copied {
        wire = infer::unexplained(entry, PATH, sum.bytes.saturating_sub(sum.unsent));
    }
    let mut own = Share {
        sends: sum.sends,
        bytes: sum.bytes,
        finished: sum.finished,
        finished_bytes: sum.finished_bytes,
    };
    // Sends of two processes in one unit: each has its part of what was copied.
    if sum.others.sends != 0
        && let Some(parked) = lifecycle::parked(entry, sum.other)
    {
        let theirs = sum.others;
        let part = |bytes: u64| if own.bytes == 0 { 0 } else { bytes * theirs.bytes / own.bytes };
        let (their_wire, their_clone) = (part(wire), part(clone));
        book(parked, &theirs, their_wire, their_clone, copied);
        wire -= their_wire;
        clone -= their_clone;
        own.sends -= theirs.sends;
        own.finished -= theirs.finished;
        own.finished_bytes -= theirs.finished_bytes;
        if own.sends == 0 {
            return sum.finished;
        }
    }
    book(entry, &own, wire, clone, copied);
    sum.finished
}

/// How many of the range's sends from before tracing are new: a report of a merged notification (tracepoints) covers
/// sends that were reported before.
#[inline(always)]
fn new_of_earlier(ended: &mut u64, sum: &Range) -> u64 {
    let end = sum.lo.wrapping_add(sum.before as u32);
    let fresh = match *ended {
        0 => sum.before,
        ended => u64::from((end.wrapping_sub(ended as u32) as i32).max(0) as u32).min(sum.before),
    };
    if fresh != 0 {
        *ended = u64::from(end) | 1 << 32;
    }
    fresh
}

/// Adds one owner's share of a unit to its counters.
#[inline(always)]
fn book(entry: &mut SockEntry, share: &Share, wire: u64, clone: u64, copied: bool) {
    let Some(flow) = socket::flow(entry, PATH) else { return };
    add(&mut flow.units, 1);
    if copied {
        add(&mut flow.kernel_copied_sends, share.sends);
    }
    if wire != 0 {
        add(&mut flow.unit_copied_bytes, wire);
        if !copied {
            add(&mut flow.unit_silent_bytes, wire);
        }
    }
    if clone != 0 {
        add(&mut flow.unit_clone_bytes, clone);
    }
    if share.finished != 0 {
        add(&mut flow.completed_sends, share.finished);
        add(&mut flow.completed_bytes, share.finished_bytes);
    }
}
