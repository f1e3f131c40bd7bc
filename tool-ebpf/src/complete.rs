//! Ends of zero-copy sends: which sends a notification covers, how long the kernel held them, how much of them
//! was copied, and what the application was told.
//!
//! The record of a send lives from its id until its notification is read: accepted, released, queued, read. Each
//! step comes on whatever CPU it likes; `send_state` says which ones have been, and the later one books.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_ktime_get_ns, bpf_loop};
use zcscope_common::{
    Disagreement, FlowCounters, LatencyKind, Lost, Path, SendEntry, SendKey, SockEntry, Source, SpreadKind,
    send_outcome, send_state, sock_flags,
};

use crate::{
    config::conf,
    gauge, infer, lifecycle,
    maps::{RELEASING, Releasing, SENDS, SOCKS, UNITS, lost, record_duration, record_number, record_socket},
    mem::{Direct, Mem, Probe, add, address, fetch_add, read, swap, unknown},
    skb,
    socket::{self, known},
};

const PATH: u32 = Path::MsgZerocopy as u32;
/// A socket that reads no notifications keeps so many records; its later sends end with their release.
const MOST_UNREAD: u64 = 4_096;
/// No notification covers more sends whose records are kept.
const MOST_SENDS: u32 = 1 << 16;
/// Two CPUs tell of a merge and of its reading within this.
const A_MOMENT_NS: u64 = 1_000_000;
/// How far back ids are looked up when a socket ends.
const FARTHEST: u32 = 1 << 16;
/// `TCP_CLOSE` of `net/tcp_states.h`.
const TCP_CLOSE: u8 = 7;

/// What the loops over the sends of one unit need and find.
#[repr(C)]
struct Range {
    sk: u64,
    now: u64,
    /// `SockEntry::id`.
    socket: u64,
    /// `SockEntry::first_send`.
    first: u64,
    /// `send_outcome` of every send.
    outcome: u64,
    /// `snd_nxt` and `SendEntry::HAS_SEQ` when the connection has ended; 0 otherwise.
    snd_nxt: u64,
    lo: u32,
    pad: u32,
    /// Sends that were in flight, and their bytes.
    sends: u64,
    bytes: u64,
    /// Those of them whose call has returned.
    finished: u64,
    finished_bytes: u64,
    finished_pages: u64,
    unsent: u64,
    /// Sends whose record waits for the reader.
    kept: u64,
    /// Sends without a record, taken before tracing began.
    before: u64,
    /// Process that has the socket now; what follows is part of the figures above.
    owner: u64,
    /// Another process whose sends are among them, 0 none.
    other: u64,
    others: Share,
    wrong: Wrong,
}

/// One owner's sends of a unit: those that were in flight, and those of them whose call has returned.
#[repr(C)]
#[derive(Clone, Copy)]
struct Share {
    sends: u64,
    bytes: u64,
    finished: u64,
    finished_bytes: u64,
}

/// Sends whose notification was wrong, by the kinds of [`Disagreement`] the error queue knows.
#[repr(C)]
struct Wrong {
    merged: u64,
    told_zerocopy: u64,
    told_copied: u64,
}

impl Wrong {
    #[inline(always)]
    fn new() -> Self {
        let zero = unknown(0);
        Wrong { merged: zero, told_zerocopy: zero, told_copied: zero }
    }

    #[inline(always)]
    fn count(&mut self, wrong: Option<Disagreement>) {
        match wrong {
            Some(Disagreement::MergedRange) => self.merged += 1,
            Some(Disagreement::ToldZerocopyButCopied) => self.told_zerocopy += 1,
            Some(Disagreement::ToldCopiedButNot) => self.told_copied += 1,
            _ => {}
        }
    }

    #[inline(always)]
    fn book(&self, flow: &mut FlowCounters) {
        // Constants, not an index: nothing for the verifier to bound.
        if self.merged != 0 {
            add(&mut flow.disagreements[Disagreement::MergedRange as usize], self.merged);
        }
        if self.told_zerocopy != 0 {
            add(&mut flow.disagreements[Disagreement::ToldZerocopyButCopied as usize], self.told_zerocopy);
        }
        if self.told_copied != 0 {
            add(&mut flow.disagreements[Disagreement::ToldCopiedButNot as usize], self.told_copied);
        }
    }
}

impl Range {
    /// Nothing found yet, though the verifier must not know it.
    #[inline(always)]
    fn new(sk: u64, now: u64, lo: u32) -> Self {
        let zero = unknown(0);
        Range {
            sk,
            now,
            socket: zero,
            first: zero,
            outcome: zero,
            snd_nxt: zero,
            lo,
            pad: 0,
            sends: zero,
            bytes: zero,
            finished: zero,
            finished_bytes: zero,
            finished_pages: zero,
            unsent: zero,
            kept: zero,
            before: zero,
            owner: zero,
            other: zero,
            others: Share { sends: zero, bytes: zero, finished: zero, finished_bytes: zero },
            wrong: Wrong::new(),
        }
    }
}

/// `__msg_zerocopy_callback(uarg)`, all kernels: the last reference to a unit is gone.
#[inline(always)]
pub unsafe fn callback(uarg: *const u8) {
    unsafe {
        let ubuf = skb::ubuf(uarg);
        let uarg = address(uarg);
        let sk = skb::sock_of_uarg(uarg);
        if ubuf.len != 0 {
            zcscope_release(sk, uarg, ubuf.lo, ubuf.len, u32::from(ubuf.copied));
        }
        let _ = UNITS.remove(uarg);
    }
}

/// True when the filter wants sends of `MSG_ZEROCOPY`.
#[inline(always)]
fn path_wanted() -> bool {
    let mask = conf!(filter.path_mask);
    mask == 0 || mask & (1 << PATH) != 0
}

/// True when `id` was taken before the first send seen (`SockEntry::first_send`).
#[inline(always)]
fn before_tracing(id: u32, first: u64) -> bool {
    first == 0 || (id.wrapping_sub(first.wrapping_sub(1) as u32) as i32) < 0
}

/// Releases the sends `lo .. lo + len` of a socket; `copied` is the kernel's own flag of the unit. Exported like
/// [`socket::zcscope_identify`], and for the same reason.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_release(sk: u64, uarg: u64, lo: u32, len: u32, copied: u32) -> u64 {
    let Some(entry) = known(sk) else { return 0 };
    if !path_wanted() {
        return 0;
    }
    let copied = copied != 0;
    // SAFETY: helper without preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    let len = if len < MOST_SENDS { len } else { MOST_SENDS };
    let mut sum = Range::new(sk, now, lo);
    (sum.socket, sum.first, sum.owner) = (entry.id, entry.first_send, u64::from(entry.tgid));
    unsafe {
        if needs_sum(uarg, copied) {
            bpf_loop(len, weigh as *mut c_void, (&raw mut sum).cast(), 0);
        }
        zcscope_judge(entry, uarg, &mut sum, len, u32::from(copied));
        (sum.sends, sum.bytes) = (unknown(0), unknown(0));
        // Before the loop: a reader on another CPU may be done with the sends when it ends.
        announce(entry, now, lo, len);
        // SAFETY: the callback matches the helper's contract and `sum` outlives the loop.
        bpf_loop(len, release as *mut c_void, (&raw mut sum).cast(), 0);
    }
    if zcscope_settle(entry, uarg, &sum, u32::from(copied)) == 0 {
        return 0;
    }
    // Not in the function above: the stacks of all callers together have 512 bytes.
    zcscope_landed(entry, sum.finished, sum.finished_pages)
}

/// [`landed`] for a caller that has no stack to spare. Exported like the function above.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zcscope_landed(entry: *mut SockEntry, sends: u64, pages: u64) -> u64 {
    // SAFETY: null or a map value.
    if let Some(entry) = unsafe { entry.as_mut() } {
        landed(entry, sends, pages);
    }
    0
}

/// Finds what became of all sends of a unit: `Range::outcome` and `Range::snd_nxt`. Exported like the function above,
/// and not in it: the stacks of nested calls together have 512 bytes.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zcscope_judge(
    entry: *const SockEntry,
    uarg: u64,
    sum: *mut Range,
    len: u32,
    copied: u32,
) -> u64 {
    // SAFETY: null, or a map value and the caller's stack.
    let (Some(entry), Some(sum)) = (unsafe { entry.as_ref() }, unsafe { sum.as_mut() }) else { return 0 };
    // SAFETY: untyped reads of the socket.
    unsafe {
        sum.outcome = unknown(outcome(entry, uarg, copied != 0, sum.bytes) | readable(entry, u64::from(len)));
        sum.snd_nxt = unknown(end_of_connection(entry.sk));
    }
    0
}

/// Adds what the loop over a unit found to its socket's counters; returns how many sends ended. Exported like the
/// function above.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zcscope_settle(entry: *mut SockEntry, uarg: u64, sum: *const Range, copied: u32) -> u64 {
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
        add(&mut flow.before_attach_sends, sum.before);
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
    let limit = if sum.sends == 0 { u64::MAX } else { sum.bytes };
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
        wire = infer::unexplained(entry, PATH, sum.bytes);
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

/// Whether the bytes of a unit must be known to say if they were copied: only when some were.
#[inline(always)]
fn needs_sum(uarg: u64, copied: bool) -> bool {
    let concluded = conf!(mode.copy) == Source::Tracepoint as u32 && copied;
    concluded || UNITS.get_ptr(uarg).is_some()
}

/// What became of the sends of a unit: its flag, and whether its bytes went out as a copy. A copy of less than half
/// of them (a driver that pulled headers) leaves a send what the program asked for.
#[inline(always)]
fn outcome(entry: &SockEntry, uarg: u64, copied: bool, bytes: u64) -> u64 {
    let concluded = conf!(mode.copy) == Source::Tracepoint as u32 && copied;
    let wire = match UNITS.get_ptr(uarg) {
        // SAFETY: a map value, valid while the program runs.
        Some(unit) => unsafe {
            let seen = (*unit).wire_bytes;
            match concluded {
                // As `infer::settle` will book it.
                true if (*unit).rx_bytes != 0 => seen + infer::arrived(entry, &*unit, bytes),
                true if seen == 0 && (*unit).clone_bytes == 0 && (*unit).tap_bytes == 0 => bytes,
                _ => seen,
            }
        },
        None if concluded => bytes,
        None => 0,
    };
    let mut outcome = 0;
    if copied {
        outcome |= send_outcome::FLAGGED;
    }
    if wire != 0 && wire.saturating_mul(2) >= bytes {
        outcome |= send_outcome::COPIED;
    }
    outcome
}

/// `UNREADABLE` when nobody will read of `sends` more sends, or too many wait for it already.
#[inline(always)]
unsafe fn readable(entry: &SockEntry, sends: u64) -> u64 {
    let flags: u64 = unsafe { Probe::read(entry.sk as *const u8, conf!(off.sock_common_flags)) };
    let dead = flags & (1 << (conf!(sock_dead_bit) & 63)) != 0;
    let unseen = conf!(mode.told) == Source::None as u32;
    if dead || unseen || entry.unread_sends + sends > MOST_UNREAD { send_outcome::UNREADABLE } else { 0 }
}

/// `snd_nxt` with `HAS_SEQ` when the connection is over, so that what TCP never sent is released now; else 0.
#[inline(always)]
unsafe fn end_of_connection(sk: u64) -> u64 {
    let sk = sk as *const u8;
    unsafe {
        let state: u8 = Probe::read(sk, conf!(off.sock_state));
        let error: i32 = Probe::read(sk, conf!(off.sock_err));
        if state != TCP_CLOSE && error == 0 {
            return 0;
        }
        u64::from(Probe::read::<u32>(sk, conf!(off.tcp_snd_nxt))) | SendEntry::HAS_SEQ
    }
}

/// Bytes of a send that lie behind `snd_nxt`: TCP never sent them.
#[inline(always)]
fn unsent(bytes: u64, end_seq: u64, snd_nxt: u64) -> u64 {
    if end_seq == 0 || snd_nxt == 0 {
        return 0;
    }
    let behind = (end_seq as u32).wrapping_sub(snd_nxt as u32);
    if (behind as i32) <= 0 { 0 } else { bytes.min(u64::from(behind)) }
}

/// Keeps the range for the report of its notification, which the kernel makes next on this CPU.
#[inline(always)]
fn announce(entry: &SockEntry, done_ns: u64, lo: u32, len: u32) {
    if conf!(mode.queue) == Source::None as u32 {
        return;
    }
    if let Some(releasing) = RELEASING.get_ptr_mut(0) {
        // SAFETY: a map value of this CPU.
        unsafe { *releasing = Releasing { sk: entry.sk, done_ns, lo, len } };
    }
}

/// Callback of `bpf_loop`: adds the bytes of the send `lo + index`, if it is in flight.
#[inline(never)]
extern "C" fn weigh(index: u32, range: *mut Range) -> i64 {
    // SAFETY: the context given to `bpf_loop`.
    let range = unsafe { &mut *range };
    let key = SendKey { sk: range.sk, id: u64::from(range.lo.wrapping_add(index)) };
    if let Some(send) = SENDS.get_ptr(key) {
        // SAFETY: a map value, valid while the program runs.
        unsafe {
            if (*send).done_ns == 0 {
                range.sends += 1;
                range.bytes += (*send).bytes;
            }
        }
    }
    0
}

/// Callback of `bpf_loop`: marks the send `lo + index` as released. A loop of the program's own would be walked
/// by the verifier iteration by iteration.
#[inline(never)]
extern "C" fn release(index: u32, range: *mut Range) -> i64 {
    // SAFETY: the context given to `bpf_loop`.
    let range = unsafe { &mut *range };
    let id = range.lo.wrapping_add(index);
    let key = SendKey { sk: range.sk, id: u64::from(id) };
    let Some(send) = SENDS.get_ptr_mut(key) else {
        if before_tracing(id, range.first) {
            range.before += 1;
        }
        return 0;
    };
    // SAFETY: a map value, valid while the program runs; what other CPUs may change now is exchanged atomically.
    unsafe {
        if swap(&raw mut (*send).done_ns, range.now) != 0 {
            return 0;
        }
        let (start, path, bytes) = ((*send).start_ns, (*send).path, (*send).bytes);
        let foreign = (*send).owner != range.owner;
        range.sends += 1;
        range.bytes += bytes;
        if foreign {
            range.other = (*send).owner;
            range.others.sends += 1;
            range.others.bytes += bytes;
        }
        range.unsent += unsent(bytes, (*send).end_seq, range.snd_nxt);
        fetch_add(&mut (*send).outcome, range.outcome);
        // When the call has not returned, its end will book the send.
        let before = fetch_add(&mut (*send).state, send_state::RELEASED);
        if before & send_state::ACCEPTED == 0 {
            return 0;
        }
        range.finished += 1;
        range.finished_bytes += bytes;
        range.finished_pages += (*send).pages;
        if foreign {
            range.others.finished += 1;
            range.others.finished_bytes += bytes;
        }
        let held = range.now.saturating_sub(start);
        record_duration(LatencyKind::Release, path as u32, held);
        record_socket(range.socket, path, held);
        if before & send_state::READ != 0 {
            range.wrong.count(compared(&*send));
            let _ = SENDS.remove(key);
        } else if range.outcome & send_outcome::UNREADABLE != 0 {
            let _ = SENDS.remove(key);
        } else {
            range.kept += 1;
        }
    }
    0
}

/// The call of a send has returned and its record is complete: ends what has ended before it.
#[inline(always)]
pub fn accepted(key: SendKey, send: *mut SendEntry) {
    // SAFETY: a map value, valid while the program runs.
    let (before, send) = unsafe { (fetch_add(&mut (*send).state, send_state::ACCEPTED), &*send) };
    if before & send_state::RELEASED != 0 {
        zcscope_returned(key.sk, key.id, send, u32::from(before & send_state::READ != 0));
    }
}

/// The call of a send returned after the send's release, and after it was read of (`was_read`). Exported like
/// [`zcscope_release`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zcscope_returned(sk: u64, id: u64, send: *const SendEntry, was_read: u32) -> u64 {
    // SAFETY: null or a map value.
    let (Some(send), Some(entry)) = (unsafe { send.as_ref() }, known(sk)) else { return 0 };
    let socket = entry.id;
    let Some(flow) = socket::flow(entry, PATH) else { return 0 };
    let held = send.done_ns.saturating_sub(send.start_ns);
    record_duration(LatencyKind::Release, send.path as u32, held);
    record_socket(socket, send.path, held);
    let (bytes, pages) = (send.bytes, send.pages);
    add(&mut flow.completed_sends, 1);
    add(&mut flow.completed_bytes, bytes);
    if was_read != 0 {
        let mut wrong = Wrong::new();
        wrong.count(compared(send));
        wrong.book(flow);
    }
    if was_read != 0 || send.outcome & send_outcome::UNREADABLE != 0 {
        let _ = SENDS.remove(SendKey { sk, id });
    } else {
        fetch_add(&mut entry.unread_sends, 1);
    }
    landed(entry, 1, pages);
    0
}

/// Records how long the application took to read of a send that is over; what was wrong with what it read.
#[inline(always)]
fn compared(send: &SendEntry) -> Option<Disagreement> {
    let path = send.path as u32;
    record_duration(LatencyKind::AppRead, path, send.read_ns.saturating_sub(send.start_ns));
    // To tracepoints a release and its notification are one event.
    let at_once = conf!(mode.completion) == Source::Tracepoint as u32;
    let queued = if at_once { send.done_ns } else { send.queued_ns };
    if queued != 0 {
        record_duration(LatencyKind::Read, path, send.read_ns.saturating_sub(queued));
    }
    if conf!(mode.copy) == Source::None as u32 { None } else { SendEntry::disagreement(send.outcome) }
}

/// Sends are no longer in flight; the last one of a closing socket ends its entry.
#[inline(always)]
pub fn landed(entry: &mut SockEntry, sends: u64, pages: u64) {
    gauge::landed(entry, pages);
    let before = fetch_add(&mut entry.in_flight, sends.wrapping_neg());
    if before == sends && entry.flags & sock_flags::CLOSING != 0 {
        forget_unread(entry);
        lifecycle::zcscope_publish(entry);
        let _ = SOCKS.remove(entry.sk);
    }
}

/// What the loop over the sends of one notification needs and finds.
#[repr(C)]
struct Telling {
    sk: u64,
    now: u64,
    first: u64,
    lo: u32,
    copied: u32,
    /// Sends that waited to be read.
    read: u64,
    /// Sends without a record, though seen.
    dropped: u64,
    /// Sends whose release has not been seen.
    open: u64,
    wrong: Wrong,
}

/// `sock_dequeue_err_skb(sk)` gave the application this skb (null: the queue was empty).
#[inline(always)]
pub unsafe fn dequeued(skb: *const u8) {
    if skb.is_null() {
        return;
    }
    unsafe {
        if let Some(notice) = skb::notice(skb) {
            let freed = Probe::read(skb, conf!(off.skb_truesize));
            let sk = Probe::read(skb, conf!(off.skb_sk));
            zcscope_told(sk, notice.lo, notice.hi, u32::from(notice.copied), freed);
        }
    }
}

/// The application read a notification of the sends `lo ..= hi`, which gives `freed` bytes of option memory back.
/// Exported like [`zcscope_release`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zcscope_told(sk: u64, lo: u32, hi: u32, copied: u32, freed: u32) -> u64 {
    let Some(entry) = known(sk) else { return 0 };
    if !path_wanted() {
        return 0;
    }
    let Some(flow) = socket::flow(entry, PATH) else { return 0 };
    let len = hi.wrapping_sub(lo).wrapping_add(1);
    let sends = u64::from(len);
    add(&mut flow.told_reads, 1);
    add(&mut flow.told_sends, sends);
    if copied != 0 {
        add(&mut flow.told_copied_sends, sends);
    }
    record_number(SpreadKind::RangeLength, PATH, sends);
    // SAFETY: helpers without preconditions; the callback matches its contract and `sum` outlives the loop.
    let sum = unsafe {
        gauge::queues(entry, freed);
        let zero = unknown(0);
        let mut sum = Telling {
            sk,
            now: bpf_ktime_get_ns(),
            first: entry.first_send,
            lo,
            copied,
            read: zero,
            dropped: zero,
            open: zero,
            wrong: Wrong::new(),
        };
        let len = if len < MOST_SENDS { len } else { MOST_SENDS };
        bpf_loop(len, tell as *mut c_void, (&raw mut sum).cast(), 0);
        sum
    };
    fetch_add(&mut entry.unread_sends, sum.read.wrapping_neg());
    if sum.dropped != 0 {
        lost(Lost::UnreadSend, sum.dropped);
    }
    sum.wrong.book(flow);
    sum.open
}

/// Callback of `bpf_loop`: the application has read of the send `lo + index`.
#[inline(never)]
extern "C" fn tell(index: u32, telling: *mut Telling) -> i64 {
    // SAFETY: the context given to `bpf_loop`.
    let telling = unsafe { &mut *telling };
    let id = telling.lo.wrapping_add(index);
    let key = SendKey { sk: telling.sk, id: u64::from(id) };
    let Some(record) = SENDS.get_ptr_mut(key) else {
        if !before_tracing(id, telling.first) {
            telling.dropped += 1;
        }
        return 0;
    };
    const OVER: u64 = send_state::ACCEPTED | send_state::RELEASED;
    // SAFETY: a map value, valid while the program runs; what other CPUs may change now is exchanged atomically.
    unsafe {
        (*record).read_ns = telling.now;
        if conf!(mode.queue) != Source::None as u32 && (*record).done_ns != 0 {
            match swap(&raw mut (*record).queued_ns, telling.now) {
                0 => {
                    // Read before its report is seen: it was queued by now.
                    let waited = telling.now.saturating_sub((*record).done_ns);
                    record_duration(LatencyKind::Queue, (*record).path as u32, waited);
                }
                queued_ns => (*record).queued_ns = queued_ns,
            }
        }
        if telling.copied != 0 {
            fetch_add(&mut (*record).outcome, send_outcome::TOLD_COPIED);
        }
        // When the call has not returned, or the release not been seen yet, that will book.
        let before = fetch_add(&mut (*record).state, send_state::READ);
        if before & send_state::RELEASED == 0 {
            telling.open += 1;
        }
        if before & OVER == OVER {
            telling.read += 1;
            telling.wrong.count(compared(&*record));
            let _ = SENDS.remove(key);
        }
    }
    0
}

/// A notification was queued and reported on this CPU: see [`announce`].
#[inline(always)]
unsafe fn queued(entry: &mut SockEntry) {
    let Some(releasing) = RELEASING.get_ptr_mut(0) else { return };
    // SAFETY: a map value of this CPU; helpers without preconditions, and the context outlives the loop.
    unsafe {
        let Releasing { sk, done_ns, lo, len } = *releasing;
        if sk != entry.sk {
            return;
        }
        (*releasing).sk = 0;
        let mut queuing = Queuing { sk, done_ns, now: bpf_ktime_get_ns(), lo: u64::from(lo) };
        bpf_loop(len, queue as *mut c_void, (&raw mut queuing).cast(), 0);
    }
}

/// A range of sends whose notification is queued now.
#[repr(C)]
struct Queuing {
    sk: u64,
    done_ns: u64,
    now: u64,
    lo: u64,
}

/// Callback of `bpf_loop`: the notification of the send `lo + index` is queued.
#[inline(never)]
extern "C" fn queue(index: u32, queuing: *mut Queuing) -> i64 {
    // SAFETY: the context given to `bpf_loop`.
    let queuing = unsafe { &*queuing };
    let key = SendKey { sk: queuing.sk, id: u64::from((queuing.lo as u32).wrapping_add(index)) };
    if let Some(send) = SENDS.get_ptr_mut(key) {
        // SAFETY: a map value, valid while the program runs; a reader on another CPU may be faster.
        unsafe {
            if (*send).done_ns == queuing.done_ns && swap(&raw mut (*send).queued_ns, queuing.now) == 0 {
                let waited = queuing.now.saturating_sub(queuing.done_ns);
                record_duration(LatencyKind::Queue, (*send).path as u32, waited);
            }
        }
    }
    0
}

/// What is left to remove of an ended socket.
#[repr(C)]
struct Forgetting {
    sk: u64,
    /// The id its next send would have taken.
    next: u64,
    records: u64,
}

/// Removes the records of sends of an ended socket whose notifications nobody will read any more.
#[inline(always)]
pub fn forget_unread(entry: &mut SockEntry) {
    if entry.unread_sends == 0 {
        return;
    }
    // SAFETY: an untyped read; the callback matches the helper's contract and the context outlives the loop.
    unsafe {
        let next: u32 = Probe::read(entry.sk as *const u8, conf!(off.sock_zckey));
        let mut left = Forgetting { sk: entry.sk, next: u64::from(next), records: entry.unread_sends };
        bpf_loop(FARTHEST, forget as *mut c_void, (&raw mut left).cast(), 0);
    }
    entry.unread_sends = 0;
}

/// Callback of `bpf_loop`: removes the send `next - 1 - index` when it only waits to be read; ends when none is left.
#[inline(never)]
extern "C" fn forget(index: u32, left: *mut Forgetting) -> i64 {
    const WAITS: u64 = send_state::ACCEPTED | send_state::RELEASED;
    // SAFETY: the context given to `bpf_loop`.
    let left = unsafe { &mut *left };
    let id = (left.next as u32).wrapping_sub(1).wrapping_sub(index);
    let key = SendKey { sk: left.sk, id: u64::from(id) };
    if let Some(send) = SENDS.get_ptr(key) {
        // SAFETY: a map value, valid while the program runs.
        if unsafe { (*send).state } & WAITS == WAITS && SENDS.remove(key).is_ok() {
            left.records = left.records.saturating_sub(1);
        }
    }
    i64::from(left.records == 0)
}

/// Tracepoint `sock:inet_sk_error_report(sk)`: a notification may have been queued. Where the release itself is seen,
/// that is all it tells. Else the tail of the queue is ours when it is not the one of the report before; a merged
/// completion comes by `skb:consume_skb`.
#[inline(always)]
pub unsafe fn error_report(sk: *const u8) {
    let Some(entry) = known(sk as u64) else { return };
    unsafe {
        gauge::queues(entry, 0);
        if conf!(mode.completion) != Source::Tracepoint as u32 {
            return queued(entry);
        }
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
        ended(entry.sk, tail, &notice);
    }
}

/// A completion seen through its notification skb.
#[inline(always)]
fn ended(sk: u64, skb: u64, notice: &skb::Notice) {
    let uarg = skb.wrapping_add(u64::from(conf!(off.skb_cb)));
    let len = notice.hi.wrapping_sub(notice.lo).wrapping_add(1);
    zcscope_release(sk, uarg, notice.lo, len, u32::from(notice.copied));
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
        if known(sk).is_none() {
            return;
        }
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
        let mut open = 0;
        if !by_completion && conf!(mode.told) == Source::Tracepoint as u32 {
            let freed = Probe::read(skb, conf!(off.skb_truesize));
            open = zcscope_told(sk, notice.lo, notice.hi, u32::from(notice.copied), freed);
        }
        if conf!(mode.completion) != Source::Tracepoint as u32 {
            return;
        }
        if by_completion {
            return ended(sk, address(skb), &notice);
        }
        let Some(entry) = known(sk) else { return };
        // A notification that is read has ended before, by its report; only when it was read so fast that the report
        // found the queue empty this is the first we hear of it. What was merged into it has its own skb.
        if entry.tail_skb != skb as u64 || entry.tail_lo != u64::from(notice.lo) {
            ended(sk, address(skb), &notice);
        }
        overdue(entry, false);
        // One range at a time: a later one whose end stays unseen is given up by user space, and counted.
        if open == 0 || entry.read_ns != 0 {
            return;
        }
        entry.read_range = u64::from(notice.lo) | u64::from(notice.hi) << 32;
        entry.read_copied = u64::from(notice.copied);
        entry.read_ns = bpf_ktime_get_ns();
    }
}

/// Ends what is still open of the range read last. This program is skipped when it interrupts itself, and with it a
/// completion that was merged into another one; a reader interrupts nothing, so the range is known. The other CPU may
/// just be about to tell, so it is given a moment, unless the socket ends (`at_once`). No
/// function of its own in the object: its frame would be the one too many for 512 bytes of stack.
#[inline(always)]
pub fn overdue(entry: &mut SockEntry, at_once: bool) {
    // SAFETY: helper without preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    if entry.read_ns == 0 || (!at_once && now.saturating_sub(entry.read_ns) < A_MOMENT_NS) {
        return;
    }
    let (lo, hi) = (entry.read_range as u32, (entry.read_range >> 32) as u32);
    entry.read_ns = 0;
    // Its unit is not known any more.
    zcscope_release(entry.sk, 0, lo, hi.wrapping_sub(lo).wrapping_add(1), entry.read_copied as u32);
}
