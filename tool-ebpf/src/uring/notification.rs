//! A buffer is given back and its notification posted: how long it took, what was copied, what was told.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use zcscope_common::{Disagreement, FlowCounters, LatencyKind, Offsets, Source, UringSend, uring_flags};

use super::{flow_of, notif_of, owner, reports_usage};
use crate::{
    complete::landed,
    config::conf,
    infer,
    maps::{UNITS, URING, record_duration},
    mem::{Mem, Probe, add},
};

/// Where a notification stands in the chain of those that end together (>= 6.10).
struct Link {
    /// The first one, which the packet carries; itself when it is alone.
    head: u64,
    /// The next one, 0 none.
    next: u64,
}

impl Link {
    #[inline(always)]
    unsafe fn of(notif: u64) -> Link {
        let next = conf!(off.io_notif_next);
        // SAFETY: a guarded read.
        let next = unsafe { if next == Offsets::ABSENT { 0 } else { Probe::read(notif as *const u8, next) } };
        Link { head: unsafe { head_of(notif) }, next }
    }
}

/// The first notification of the chain that `notif` is part of; itself when it is alone.
#[inline(always)]
unsafe fn head_of(notif: u64) -> u64 {
    let head = conf!(off.io_notif_head);
    // SAFETY: a guarded read.
    unsafe { if head == Offsets::ABSENT { notif } else { Probe::read(notif as *const u8, head) } }
}

/// `io_tx_ubuf_complete(skb, ubuf, success)` (6.1: `io_uring_tx_zerocopy_callback`): a packet gives its reference
/// back; the last one to do so releases the buffer, with all that are linked to it.
///
/// The sender itself gives a reference back with interrupts on, just when those of its packets come: the kernel skips
/// a program that is still running on the CPU, and the packet's would be lost. So with trampolines two programs do
/// this at every call, one after the other. An interrupt finds at most one of them running, and what both do is done
/// once.
#[inline(always)]
pub unsafe fn put(ubuf: u64, success: bool) {
    let notif = notif_of(ubuf);
    let Some(send) = URING.get_ptr_mut(notif) else { return };
    // SAFETY: a helper without preconditions, and map values, valid while the program runs.
    unsafe {
        let now = bpf_ktime_get_ns();
        (*send).put_ns = now;
        if !success {
            (*send).copied = 1;
        }
        let head = head_of(notif);
        if head != notif
            && let Some(head) = URING.get_ptr_mut(head)
        {
            (*head).put_ns = now;
        }
    }
}

/// The notification of a request is posted: the application may use its buffer again. Exported like
/// [`crate::socket::zcscope_identify`].
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn zcscope_notified(notif: u64, res: i32) -> u64 {
    let Some(send) = URING.get_ptr_mut(notif) else { return 0 };
    // SAFETY: a map value, valid while the program runs.
    let send = unsafe { &mut *send };
    let link = unsafe { Link::of(notif) };
    let reports = unsafe { reports_usage(notif) };
    // IORING_NOTIF_USAGE_ZC_COPIED is the sign bit.
    let told = reports && res < 0;
    if send.flags & (uring_flags::COUNTED | uring_flags::FAILED) != 0
        && let Some(flow) = flow_of(owner(send), send.path)
    {
        add(&mut flow.told_reads, 1);
        if send.bytes != 0 {
            unsafe { end(notif, send, flow, &link, reports, told) };
        } else if told && send.flags & uring_flags::FAILED != 0 {
            add(&mut flow.disagreements[Disagreement::FailedSend as usize], 1);
        }
    }
    let _ = UNITS.remove(notif.wrapping_add(u64::from(conf!(off.io_notif_uarg))));
    if link.head == notif && link.next != 0 {
        // What is left of its copies belongs to those behind it, whose notifications follow at once.
        send.flags |= uring_flags::ENDED;
        return 0;
    }
    let _ = URING.remove(notif);
    if link.head != notif && link.next == 0 {
        let _ = URING.remove(link.head);
    }
    0
}

/// Books the end of a request whose bytes were accepted.
#[inline(always)]
unsafe fn end(
    notif: u64,
    send: &mut UringSend,
    flow: &mut FlowCounters,
    link: &Link,
    reports: bool,
    told: bool,
) {
    // SAFETY: helpers without preconditions; map values stay valid while the program runs.
    unsafe {
        if reports && Probe::read::<u8>(notif as *const u8, conf!(off.io_notif_zc_copied)) != 0 {
            send.copied = 1;
        }
        let bytes = send.bytes;
        let alone = link.head == notif && link.next == 0;
        let (mut wire, mut clone) = (0, 0);
        if let Some(unit) = UNITS.get_ptr_mut(notif.wrapping_add(u64::from(conf!(off.io_notif_uarg)))) {
            let unit = &mut *unit;
            // Without a report the kernel keeps no flag that could confirm or deny what was seen.
            if conf!(mode.copy) == Source::Tracepoint as u32
                && (send.copied != 0 || !reports)
                && let Some(entry) = owner(send)
            {
                let limit = if alone && send.copied != 0 { bytes } else { u64::MAX };
                infer::settle(entry, unit, limit);
            }
            (wire, clone) = (unit.wire_bytes, unit.clone_bytes);
        }
        if !reports && conf!(mode.uring_release) == 0 && wire + clone != 0 {
            send.copied = 1;
        }
        // Packets that several requests share carry the first one's unit: what it cannot have been itself goes to
        // the next in the chain.
        let mut flagged = send.copied != 0;
        if link.head == notif {
            send.wire_left = wire.saturating_sub(bytes);
            send.clone_left = clone.saturating_sub(bytes);
        } else if let Some(head) = URING.get_ptr_mut(link.head) {
            let head = &mut *head;
            // Only packets of its own would have set its own flags.
            let own = reports && Probe::read::<u8>(notif as *const u8, conf!(off.io_notif_zc_used)) != 0;
            flagged |= head.copied != 0 && !own;
            wire += head.wire_left;
            clone += head.clone_left;
            head.wire_left = wire.saturating_sub(bytes);
            head.clone_left = clone.saturating_sub(bytes);
        }
        let behind_uncopied_head = link.head != notif && !flagged;
        let verdict = u32::from(told) * verdict::TOLD
            | u32::from(flagged) * verdict::FLAGGED
            | u32::from(reports) * verdict::REPORTS
            | u32::from(behind_uncopied_head) * verdict::BEHIND;
        zcscope_verdict(flow, verdict, bytes, wire, clone);
        durations(send);
        add(&mut flow.completed_sends, 1);
        add(&mut flow.completed_bytes, bytes);
        if let Some(entry) = owner(send) {
            landed(entry, 1, 0);
        }
    }
}

/// What is known of a request at its end, as bits.
mod verdict {
    /// The application is told that it was copied.
    pub(super) const TOLD: u32 = 1;
    /// The kernel flagged it as copied, or would have.
    pub(super) const FLAGGED: u32 = 2;
    /// The application asked for a report.
    pub(super) const REPORTS: u32 = 4;
    /// It stands in a chain behind one that was not copied, and neither was it.
    pub(super) const BEHIND: u32 = 8;
}

/// Books the copies of a request of `bytes` and what its application is told. Exported like
/// [`crate::socket::zcscope_identify`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zcscope_verdict(
    flow: *mut FlowCounters,
    verdict: u32,
    bytes: u64,
    wire: u64,
    clone: u64,
) -> u64 {
    // SAFETY: null or a map value.
    let Some(flow) = (unsafe { flow.as_mut() }) else { return 0 };
    let is = |bit| verdict & bit != 0;
    let (wire, clone) = (wire.min(bytes), clone.min(bytes));
    add(&mut flow.units, 1);
    add(&mut flow.told_sends, 1);
    add(&mut flow.kernel_copied_sends, u64::from(is(verdict::FLAGGED)));
    add(&mut flow.told_copied_sends, u64::from(is(verdict::TOLD)));
    add(&mut flow.unit_copied_bytes, wire);
    add(&mut flow.unit_clone_bytes, clone);
    if !is(verdict::TOLD) {
        add(&mut flow.unit_silent_bytes, wire);
    }
    if is(verdict::REPORTS) && conf!(mode.copy) != 0 {
        disagree(flow, is(verdict::TOLD), wire * 2 >= bytes, is(verdict::BEHIND));
    }
    0
}

/// Compares what the notification said with what became of at least half of the bytes.
#[inline(always)]
fn disagree(flow: &mut FlowCounters, told: bool, copied: bool, behind_uncopied_head: bool) {
    if told && !copied {
        if behind_uncopied_head {
            add(&mut flow.disagreements[Disagreement::LinkedNotification as usize], 1);
        } else {
            add(&mut flow.disagreements[Disagreement::ToldCopiedButNot as usize], 1);
        }
    } else if !told && copied {
        add(&mut flow.disagreements[Disagreement::ToldZerocopyButCopied as usize], 1);
    }
}

/// Accepted -> released -> notification posted, where the release was seen.
#[inline(always)]
fn durations(send: &UringSend) {
    if conf!(mode.uring_release) == 0 {
        return;
    }
    // SAFETY: helper without preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    let released = if send.put_ns != 0 { send.put_ns } else { now };
    record_duration(LatencyKind::Release, send.path, released.saturating_sub(send.start_ns));
    record_duration(LatencyKind::Queue, send.path, now.saturating_sub(released));
}
