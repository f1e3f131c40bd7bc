//! Ends of zero-copy sends: which sends a notification covers, how long the kernel held them, how much of them
//! was copied, and what the application was told.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_ktime_get_ns, bpf_loop};
use zcscope_common::{LatencyKind, Path, SendEntry, SendKey, SockEntry, Source, sock_flags};

use crate::{
    config::conf,
    infer, lifecycle,
    maps::{SENDS, SOCKS, UNITS, record_duration},
    mem::{Direct, Mem, Probe, add, fetch_add, read, swap},
    skb,
    socket::{self, known},
};

const PATH: u32 = Path::MsgZerocopy as u32;

/// What the loop over the sends of one notification needs and finds.
#[repr(C)]
#[derive(Default)]
struct Range {
    sk: u64,
    now: u64,
    lo: u32,
    pad: u32,
    /// Process that owns the socket now.
    owner: u64,
    /// Its sends.
    own: Share,
    /// Another process whose sends are among them, 0 none.
    other: u64,
    /// Its sends.
    others: Share,
}

/// One owner's sends of a notification.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Share {
    /// Sends that were in flight, and their bytes.
    sends: u64,
    bytes: u64,
    /// Those of them whose call has returned.
    finished: u64,
    finished_bytes: u64,
}

/// `__msg_zerocopy_callback(uarg)`, all kernels: the last reference to a unit is gone.
#[inline(always)]
pub unsafe fn callback(uarg: *const u8) {
    unsafe {
        let ubuf = skb::ubuf(uarg);
        let sk = skb::sock_of_uarg(uarg as u64);
        if ubuf.len != 0 {
            range(sk, uarg as u64, ubuf.lo, ubuf.len, ubuf.copied);
        }
        let _ = UNITS.remove(uarg as u64);
    }
}

/// Releases the sends `lo .. lo + len` of a socket; `copied` is the kernel's own flag of the unit.
#[inline(never)]
pub unsafe fn range(sk: u64, uarg: u64, lo: u32, len: u32, copied: bool) {
    let Some(entry) = known(sk) else { return };
    // SAFETY: helper without preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    let mut sum = Range { sk, now, lo, owner: u64::from(entry.tgid), ..Range::default() };
    // SAFETY: the callback matches the helper's contract and `sum` outlives the loop.
    unsafe { bpf_loop(len, release as *mut c_void, (&raw mut sum).cast(), 0) };
    let (sends, bytes) = (sum.own.sends + sum.others.sends, sum.own.bytes + sum.others.bytes);
    // Two units can end at once, and the report of one then covers the other, which was merged into it: its sends
    // are taken already, but what happened to it is known only here.
    if sends == 0 && UNITS.get_ptr(uarg).is_none() {
        return;
    }
    let limit = if sends == 0 { u64::MAX } else { bytes };
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
        wire = infer::unexplained(entry, bytes);
    }
    let mut end = End { wire, clone, copied, units: 1 };
    // Sends of two processes in one unit: each has its part of what was copied.
    if sum.others.sends != 0
        && let Some(parked) = lifecycle::parked(entry, sum.other)
    {
        let mut theirs = end;
        if sum.own.sends != 0 && bytes != 0 {
            theirs.wire = wire * sum.others.bytes / bytes;
            theirs.clone = clone * sum.others.bytes / bytes;
            end = End { wire: wire - theirs.wire, clone: clone - theirs.clone, ..end };
            theirs.units = 0;
        }
        book(parked, &sum.others, theirs);
    }
    if sum.own.sends != 0 || sum.others.sends == 0 {
        book(entry, &sum.own, end);
    }
    let finished = sum.own.finished + sum.others.finished;
    if finished != 0 {
        landed(entry, finished);
    }
}

/// What became of one owner's sends of a unit.
#[derive(Clone, Copy)]
struct End {
    wire: u64,
    clone: u64,
    copied: bool,
    units: u64,
}

#[inline(always)]
fn book(entry: &mut SockEntry, share: &Share, end: End) {
    let Some(flow) = socket::flow(entry, PATH) else { return };
    if end.units != 0 {
        add(&mut flow.units, 1);
    }
    if end.copied {
        add(&mut flow.kernel_copied_sends, share.sends);
    }
    if end.wire != 0 {
        add(&mut flow.unit_copied_bytes, end.wire);
        if !end.copied {
            add(&mut flow.unit_silent_bytes, end.wire);
        }
    }
    if end.clone != 0 {
        add(&mut flow.unit_clone_bytes, end.clone);
    }
    if share.finished != 0 {
        add(&mut flow.completed_sends, share.finished);
        add(&mut flow.completed_bytes, share.finished_bytes);
    }
}

/// Callback of `bpf_loop`: marks the send `lo + index` as released. A loop of the program's own would be walked
/// by the verifier iteration by iteration.
#[inline(never)]
extern "C" fn release(index: u32, range: *mut Range) -> i64 {
    // SAFETY: the context given to `bpf_loop`.
    let range = unsafe { &mut *range };
    let key = SendKey { sk: range.sk, id: u64::from(range.lo.wrapping_add(index)) };
    let Some(send) = SENDS.get_ptr_mut(key) else { return 0 };
    // SAFETY: a map value, valid while the program runs; both flags are exchanged atomically because the call
    // may return on another CPU right now.
    unsafe {
        if swap(&raw mut (*send).done_ns, range.now) != 0 {
            return 0;
        }
        let (start, path, bytes) = ((*send).start_ns, (*send).path, (*send).bytes);
        let owner = (*send).owner;
        let own = owner == range.owner;
        if !own && range.other == 0 {
            range.other = owner;
        }
        // A third process in one notification has its sends booked with the second one's.
        let share = if own { &mut range.own } else { &mut range.others };
        share.sends += 1;
        share.bytes += bytes;
        // When the call's end saw the release first, it has removed and booked the send.
        if core::ptr::read_volatile(&raw const (*send).accepted) != 0 && SENDS.remove(key).is_ok() {
            share.finished += 1;
            share.finished_bytes += bytes;
            record_duration(LatencyKind::Release, path as u32, range.now.saturating_sub(start));
        }
    }
    0
}

/// Called when a send's call has returned: ends the send if its completion came first.
#[inline(always)]
pub fn finish_if_done(key: SendKey, send: *mut SendEntry) {
    // SAFETY: a map value, valid while the program runs.
    let (done, start, bytes, path) = unsafe {
        (core::ptr::read_volatile(&raw const (*send).done_ns), (*send).start_ns, (*send).bytes, (*send).path)
    };
    if done == 0 || SENDS.remove(key).is_err() {
        return;
    }
    record_duration(LatencyKind::Release, path as u32, done.saturating_sub(start));
    let Some(entry) = known(key.sk) else { return };
    if let Some(flow) = socket::flow(entry, PATH) {
        add(&mut flow.completed_sends, 1);
        add(&mut flow.completed_bytes, bytes);
    }
    landed(entry, 1);
}

/// Sends are no longer in flight; the last one of a closing socket ends its entry.
#[inline(always)]
fn landed(entry: &mut SockEntry, sends: u64) {
    let before = fetch_add(&mut entry.in_flight, sends.wrapping_neg());
    if before == sends && entry.flags & sock_flags::CLOSING != 0 {
        lifecycle::zcscope_publish(entry);
        let _ = SOCKS.remove(entry.sk);
    }
}

/// `sock_dequeue_err_skb(sk)` gave the application this skb (null: the queue was empty).
#[inline(always)]
pub unsafe fn dequeued(skb: *const u8) {
    if skb.is_null() {
        return;
    }
    unsafe {
        if let Some(notice) = skb::notice(skb) {
            told(Probe::read(skb, conf!(off.skb_sk)), &notice);
        }
    }
}

/// The application read a notification.
#[inline(always)]
pub fn told(sk: u64, notice: &skb::Notice) {
    let Some(entry) = known(sk) else { return };
    let Some(flow) = socket::flow(entry, PATH) else { return };
    let sends = u64::from(notice.hi.wrapping_sub(notice.lo)) + 1;
    add(&mut flow.told_reads, 1);
    add(&mut flow.told_sends, sends);
    if notice.copied {
        add(&mut flow.told_copied_sends, sends);
    }
}

/// Tracepoint `sock:inet_sk_error_report(sk)`: a notification may have been queued. The tail of the queue is
/// ours when it is not the one of the report before; a merged completion comes by `skb:consume_skb`.
#[inline(always)]
pub unsafe fn error_report(sk: *const u8) {
    let Some(entry) = known(sk as u64) else { return };
    unsafe {
        let queue = sk.wrapping_add(conf!(off.sock_error_queue) as usize);
        // struct sk_buff_head { next, prev, ... }
        let tail: u64 = read(queue.wrapping_add(8));
        if tail == queue as u64 || tail == 0 {
            return;
        }
        let Some(notice) = skb::notice(tail as *const u8) else { return };
        if entry.tail_skb == tail && entry.tail_lo == u64::from(notice.lo) {
            return;
        }
        entry.tail_skb = tail;
        entry.tail_lo = u64::from(notice.lo);
        ended(sk as u64, tail, &notice);
    }
}

/// A completion seen through its notification skb.
#[inline(always)]
unsafe fn ended(sk: u64, skb: u64, notice: &skb::Notice) {
    let uarg = skb.wrapping_add(u64::from(conf!(off.skb_cb)));
    let len = notice.hi.wrapping_sub(notice.lo).wrapping_add(1);
    unsafe { range(sk, uarg, notice.lo, len, notice.copied) };
    let _ = UNITS.remove(uarg);
}

/// Tracepoint `skb:consume_skb(skb, location)`: a notification was freed; by the completion itself when it was
/// merged into the one before or the socket is dead, else because the application has read it.
#[inline(always)]
pub unsafe fn consumed(skb: *const u8, location: u64) {
    unsafe {
        // The busiest hook: notifications carry no data.
        let len: u32 = Direct::read(skb, conf!(off.skb_len));
        if len != 0 {
            return;
        }
        let sk: u64 = read(skb.wrapping_add(conf!(off.skb_sk) as usize));
        let Some(entry) = known(sk) else { return };
        let by_completion =
            location >= conf!(zerocopy_callback.start) && location < conf!(zerocopy_callback.end);
        let notice = match skb::notice(skb) {
            Some(notice) => notice,
            // A dead socket gets no notification: the control block still holds the unit itself.
            None if by_completion => {
                let ubuf = skb::ubuf(skb.wrapping_add(conf!(off.skb_cb) as usize));
                skb::Notice {
                    lo: ubuf.lo,
                    hi: ubuf.lo.wrapping_add(ubuf.len).wrapping_sub(1),
                    copied: ubuf.copied,
                }
            }
            None => return,
        };
        if !by_completion && conf!(mode.told) == Source::Tracepoint as u32 {
            told(sk, &notice);
        }
        // A notification that is read has ended before, by its report; only when it was read so fast that the
        // report found the queue empty this is the first we hear of it. What was merged into it has its own skb.
        let reported = entry.tail_skb == skb as u64 && entry.tail_lo == u64::from(notice.lo);
        if conf!(mode.completion) == Source::Tracepoint as u32 && (by_completion || !reported) {
            ended(sk, skb as u64, &notice);
        }
    }
}
