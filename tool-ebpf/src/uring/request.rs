//! A zero-copy request: submitted, tried by TCP, perhaps more than once, and its address used again.

use aya_ebpf::bindings::BPF_NOEXIST;
use zcscope_common::{CallState, FlowCounters, Lost, SockEntry, Unit, UringSend, uring_flags};

use super::{OP_SEND_ZC, OP_SENDMSG_ZC, flow_of, notif_of, owner, path_of_request, reports_usage};
use crate::{
    complete::landed,
    config::conf,
    maps::{UNITS, URING, URING_REQS, active, lost},
    mem::{Direct, Mem, Probe, add, fetch_add},
    socket,
};

/// Tracepoint `io_uring:io_uring_submit_req(req)` (`io_uring_submit_sqe` before 6.3): every request, prepared and
/// not yet tried.
#[inline(always)]
pub unsafe fn submitted(req: *const u8) {
    unsafe {
        let opcode: u8 = Direct::read(req, conf!(off.io_kiocb_opcode));
        if opcode != OP_SEND_ZC && opcode != OP_SENDMSG_ZC {
            return;
        }
        if !active() || !socket::process_wanted(socket::current_tgid()) {
            return;
        }
        let notif: u64 = Probe::read(req, conf!(off.io_sr_msg_notif));
        if notif == 0 {
            return;
        }
        give_up(notif);
        let send = UringSend { path: path_of_request(req, opcode), ..UringSend::default() };
        if URING.insert(notif, send, 0).is_err() || URING_REQS.insert(req as u64, notif, 0).is_err() {
            lost(Lost::SendTable, 1);
        }
    }
}

/// The address of a notification is used again: the end of the one before was not seen.
#[inline(always)]
fn give_up(notif: u64) {
    let Some(send) = URING.get_ptr(notif) else { return };
    // SAFETY: a map value, valid while the program runs.
    let send = unsafe { &*send };
    if send.bytes == 0 || send.flags & uring_flags::ENDED != 0 {
        return;
    }
    let entry = owner(send);
    if let Some(flow) = flow_of(entry, send.path) {
        add(&mut flow.lost_end_sends, 1);
        add(&mut flow.lost_end_bytes, send.bytes);
    }
    if let Some(entry) = owner(send) {
        landed(entry, 1, 0);
    }
}

/// A request enters TCP, for the first time or again. Not inlined: the stack of those who call it is full.
#[inline(never)]
pub unsafe fn enter(state: &mut CallState, ubuf: u64) {
    state.uarg = ubuf;
    let notif = notif_of(ubuf);
    if conf!(mode.uring) != 0 && URING.get_ptr(notif).is_none() {
        let send = UringSend { path: state.path, ..UringSend::default() };
        if URING.insert(notif, send, u64::from(BPF_NOEXIST)).is_err() {
            lost(Lost::SendTable, 1);
        }
    }
    if let Some(send) = URING.get_ptr_mut(notif) {
        // SAFETY: a map value, valid while the program runs.
        let send = unsafe { &mut *send };
        if send.start_ns != 0 {
            return;
        }
        send.sk = state.sk;
        send.start_ns = state.start_ns;
    }
    let untold = u32::from(unsafe { !reports_usage(notif) });
    let unit = Unit { sk: state.sk, path: state.path, untold, ..Unit::default() };
    if UNITS.insert(ubuf, unit, 0).is_err() {
        lost(Lost::UnitTable, 1);
    }
}

/// A request leaves TCP with `ret`: one call, however often it is tried.
#[inline(always)]
pub fn leave(entry: Option<&mut SockEntry>, flow: &mut FlowCounters, state: &CallState, ret: i64) {
    let bytes = if ret > 0 { ret as u64 } else { 0 };
    add(&mut flow.bytes, bytes);
    if state.attached != 0 && bytes != 0 {
        add(&mut flow.attached_bytes, state.attached);
        add(&mut flow.frags, state.frags);
    }
    let Some(send) = URING.get_ptr_mut(notif_of(state.uarg)) else { return add(&mut flow.calls, 1) };
    // SAFETY: a map value, valid while the program runs; one thread at a time works for a request.
    let send = unsafe { &mut *send };
    if send.flags & uring_flags::COUNTED == 0 {
        send.flags |= uring_flags::COUNTED;
        add(&mut flow.calls, 1);
    }
    if bytes == 0 {
        return;
    }
    if send.bytes == 0 {
        add(&mut flow.zc_sends, 1);
        if let Some(entry) = entry {
            send.id = entry.id;
            fetch_add(&mut entry.in_flight, 1);
        }
    }
    send.bytes += bytes;
}
