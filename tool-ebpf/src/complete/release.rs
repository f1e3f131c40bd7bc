//! The kernel gives the buffers of a range of sends back: their records, one by one.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_ktime_get_ns, bpf_loop};
use zcscope_common::{LatencyKind, SendEntry, SendKey, SockEntry, send_outcome, send_state};

use super::{
    MOST_SENDS, before_tracing,
    landed::zcscope_landed,
    outcome::{needs_sum, zcscope_judge},
    path_wanted,
    queued::announce,
    settle::zcscope_settle,
    wrong::{Wrong, compared},
};
use crate::{
    config::conf,
    maps::{SENDS, UNITS, record_duration, record_socket},
    mem::{Mem, Probe, address, fetch_add, swap, unknown},
    skb,
    socket::known,
};

/// What the loops over the sends of one unit need and find.
#[repr(C)]
pub(super) struct Range {
    pub(super) sk: u64,
    pub(super) now: u64,
    /// `SockEntry::id`.
    pub(super) socket: u64,
    /// `SockEntry::first_send`.
    pub(super) first: u64,
    /// `send_outcome` of every send.
    pub(super) outcome: u64,
    /// `snd_nxt` and `SendEntry::HAS_SEQ` when the connection has ended; 0 otherwise.
    pub(super) snd_nxt: u64,
    pub(super) lo: u32,
    /// The socket's `write_seq`.
    pub(super) write_seq: u32,
    /// Sends that were in flight, and their bytes.
    pub(super) sends: u64,
    pub(super) bytes: u64,
    /// Those of them whose call has returned.
    pub(super) finished: u64,
    pub(super) finished_bytes: u64,
    pub(super) finished_pages: u64,
    pub(super) unsent: u64,
    /// Sends whose record waits for the reader.
    pub(super) kept: u64,
    /// Sends without a record, taken before tracing began.
    pub(super) before: u64,
    /// Process that has the socket now; what follows is part of the figures above.
    pub(super) owner: u64,
    /// Another process whose sends are among them, 0 none.
    pub(super) other: u64,
    pub(super) others: Share,
    pub(super) wrong: Wrong,
}

/// One owner's sends of a unit: those that were in flight, and those of them whose call has returned.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Share {
    pub(super) sends: u64,
    pub(super) bytes: u64,
    pub(super) finished: u64,
    pub(super) finished_bytes: u64,
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
            write_seq: unknown(0) as u32,
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
        if ubuf.len != 0
            && let Some(entry) = known(sk)
        {
            zcscope_release(entry, uarg, ubuf.lo, ubuf.len, u32::from(ubuf.copied));
        }
        let _ = UNITS.remove(uarg);
    }
}

/// Releases the sends `lo .. lo + len` of this socket; `copied` is the kernel's own flag of the unit. Exported like
/// [`zcscope_identify`](crate::socket::zcscope_identify), and for the same reason.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn zcscope_release(
    entry: *mut SockEntry,
    uarg: u64,
    lo: u32,
    len: u32,
    copied: u32,
) -> u64 {
    // SAFETY: null or a map value.
    let Some(entry) = (unsafe { entry.as_mut() }) else { return 0 };
    if !path_wanted() {
        return 0;
    }
    let sk = entry.sk;
    let copied = copied != 0;
    // SAFETY: helper without preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    let len = if len < MOST_SENDS { len } else { MOST_SENDS };
    let mut sum = Range::new(sk, now, lo);
    (sum.socket, sum.first, sum.owner) = (entry.id, entry.first_send, u64::from(entry.tgid));
    unsafe {
        sum.write_seq = Probe::read(sk as *const u8, conf!(off.tcp_write_seq));
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
    // Not in `zcscope_settle`: the stacks of all callers together have 512 bytes.
    zcscope_landed(entry, sum.finished, sum.finished_pages)
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
                range.bytes += SendEntry::accepted_bytes((*send).bytes, (*send).end_seq, range.write_seq);
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
        let (start, path) = ((*send).start_ns, (*send).path);
        let bytes = SendEntry::accepted_bytes((*send).bytes, (*send).end_seq, range.write_seq);
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

/// Bytes of a send that lie behind `snd_nxt`: TCP never sent them.
#[inline(always)]
fn unsent(bytes: u64, end_seq: u64, snd_nxt: u64) -> u64 {
    if end_seq & SendEntry::HAS_SEQ == 0 || snd_nxt == 0 {
        return 0;
    }
    let behind = (end_seq as u32).wrapping_sub(snd_nxt as u32);
    if (behind as i32) <= 0 { 0 } else { bytes.min(u64::from(behind)) }
}
