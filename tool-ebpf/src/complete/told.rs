//! The application reads a notification: what it is told of which sends, and when.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_ktime_get_ns, bpf_loop};
use zcscope_common::{LatencyKind, Lost, SendKey, Source, SpreadKind, send_outcome, send_state, sock_flags};

use super::{
    MOST_SENDS, PATH, before_tracing, path_wanted,
    wrong::{Wrong, compared},
};
use crate::{
    config::conf,
    gauge,
    maps::{SENDS, lost, record_duration, record_number},
    mem::{Mem, Probe, add, fetch_add, swap, unknown},
    skb,
    socket::{self, known},
};

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
        if let Some(notice) = skb::notice::<Probe>(skb) {
            let freed = Probe::read(skb, conf!(off.skb_truesize));
            let sk = Probe::read(skb, conf!(off.skb_sk));
            zcscope_told(sk, notice.lo, notice.hi, u32::from(notice.copied), freed);
        }
    }
}

/// The application read a notification of the sends `lo ..= hi`, which gives `freed` bytes of option memory back.
/// Exported like `zcscope_release`.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn zcscope_told(sk: u64, lo: u32, hi: u32, copied: u32, freed: u32) -> u64 {
    let Some(entry) = known(sk) else { return 0 };
    if !path_wanted() {
        return 0;
    }
    let Some(flow) = socket::flow(entry, PATH) else { return 0 };
    let len = hi.wrapping_sub(lo).wrapping_add(1);
    // Sends from before the trace are in no figure but their own.
    let earlier = match entry.flags & sock_flags::SENT_WITH_SYN {
        0 => earlier(lo, len, entry.first_send),
        _ => 0,
    };
    let (lo, len) = (lo.wrapping_add(earlier), len - earlier);
    if len == 0 {
        return 0;
    }
    let sends = u64::from(len);
    add(&mut flow.told_reads, 1);
    add(&mut flow.told_sends, sends);
    if copied != 0 {
        add(&mut flow.told_copied_sends, sends);
    }
    record_number(SpreadKind::RangeLength, PATH, sends);
    // SAFETY: helpers without preconditions; the callback matches its contract and `sum` outlives the loop.
    let sum = unsafe {
        gauge::queues::<Probe>(entry, entry.sk as *const u8, freed);
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

/// How many of the `len` sends from `lo` on were accepted before tracing began.
#[inline(always)]
fn earlier(lo: u32, len: u32, first: u64) -> u32 {
    let before = (first.wrapping_sub(1) as u32).wrapping_sub(lo);
    match first {
        0 => len,
        _ if (before as i32) <= 0 => 0,
        _ if before < len => before,
        _ => len,
    }
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
