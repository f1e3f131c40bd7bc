//! Tracepoints at notifications. They are all that is seen of ends where the release itself cannot be hooked.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use zcscope_common::{SockEntry, Source};

use super::{queued::queued, release::zcscope_release, told::zcscope_told};
use crate::{
    config::conf,
    gauge,
    maps::UNITS,
    mem::{Direct, Mem, Probe, address, read},
    skb,
    socket::known,
};

/// Two CPUs tell of a merge and of its reading within this.
const A_MOMENT_NS: u64 = 1_000_000;

/// Tracepoint `sock:inet_sk_error_report(sk)`: a notification may have been queued. Where the release itself is seen,
/// that is all it tells. Else the tail of the queue is ours when it is not the one of the report before; a merged
/// completion comes by `skb:consume_skb`.
#[inline(always)]
pub unsafe fn error_report(sk: *const u8) {
    let Some(entry) = known(sk as u64) else { return };
    unsafe {
        gauge::queues::<Direct>(entry, sk, 0);
        if conf!(mode.completion) != Source::Tracepoint as u32 {
            return queued(entry);
        }
        let queue = sk.wrapping_add(conf!(off.sock_error_queue) as usize);
        // struct sk_buff_head { next, prev, ... }
        let tail: u64 = read(queue.wrapping_add(8));
        if tail == queue as u64 || tail == 0 {
            return;
        }
        let Some(notice) = skb::notice::<Probe>(tail as *const u8) else { return };
        if entry.tail_skb == tail && entry.tail_lo == u64::from(notice.lo) {
            return;
        }
        entry.tail_skb = tail;
        entry.tail_lo = u64::from(notice.lo);
        ended(entry, tail, &notice);
    }
}

/// A completion seen through its notification skb.
#[inline(always)]
fn ended(entry: &mut SockEntry, skb: u64, notice: &skb::Notice) {
    let uarg = skb.wrapping_add(u64::from(conf!(off.skb_cb)));
    let len = notice.hi.wrapping_sub(notice.lo).wrapping_add(1);
    zcscope_release(entry, uarg, notice.lo, len, u32::from(notice.copied));
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
        let Some(entry) = known(Direct::read(skb, conf!(off.skb_sk))) else { return };
        let by_completion =
            location >= conf!(zerocopy_callback.start) && location < conf!(zerocopy_callback.end);
        let notice = match skb::notice::<Direct>(skb) {
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
        // A plain number, unlike the pointer in the skb.
        let sk = core::ptr::read_volatile(&raw const entry.sk);
        let mut open = 0;
        if !by_completion && conf!(mode.told) == Source::Tracepoint as u32 {
            let freed = Direct::read(skb, conf!(off.skb_truesize));
            open = zcscope_told(sk, notice.lo, notice.hi, u32::from(notice.copied), freed);
        }
        if conf!(mode.completion) != Source::Tracepoint as u32 {
            return;
        }
        if by_completion {
            return ended(entry, address(skb), &notice);
        }
        // Another CPU may have ended the entry meanwhile.
        let Some(entry) = known(sk) else { return };
        // A notification that is read has ended before, by its report; only when it was read so fast that the report
        // found the queue empty this is the first we hear of it. What was merged into it has its own skb.
        if entry.tail_skb != skb as u64 || entry.tail_lo != u64::from(notice.lo) {
            ended(entry, address(skb), &notice);
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
    let copied = entry.read_copied as u32;
    zcscope_release(entry, 0, lo, hi.wrapping_sub(lo).wrapping_add(1), copied);
}
