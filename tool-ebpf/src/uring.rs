//! io_uring: a zero-copy request from its submission over its tries, its end and its notification; and the errors
//! of every send, which only the completion queue tells.
//!
//! A request has two `struct io_kiocb`: its own, and that of its notification, whose `ubuf_info` the packets carry.
//! The notification is the key, because TCP, the copies and the end know only that one.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::{bpf_get_current_task_btf, bpf_ktime_get_ns},
};
use zcscope_common::{
    CallState, Disagreement, Err, FlowCounters, LatencyKind, Lost, Offsets, Path, Refusal, SockEntry, Source,
    Unit, UringSend, uring_flags,
};

use crate::{
    classify,
    complete::landed,
    config::conf,
    infer,
    maps::{SOCKS, UNITS, URING, URING_REQS, active, lost, record_duration},
    mem::{Direct, Mem, Probe, add, fetch_add, read},
    send,
    socket::{self, Owner, known},
};

// Opcodes and flags of the user interface (linux/io_uring.h).
const OP_SENDMSG: u8 = 9;
const OP_SEND: u8 = 26;
const OP_SEND_ZC: u8 = 47;
const OP_SENDMSG_ZC: u8 = 48;
const CQE_F_MORE: u32 = 1 << 1;
const CQE_F_NOTIF: u32 = 1 << 3;
const FIXED_BUF: u16 = 1 << 2;
const SQE_FIXED_FILE: u8 = 1;
const SQE_FLAGS: u32 = 1;
const SQE_FD: u32 = 4;
const CQE_RES: u32 = 8;
const CQE_FLAGS: u32 = 12;
const IPPROTO_TCP: u16 = 6;

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

/// `io_tx_ubuf_complete(skb, ubuf, success)` (6.1: `io_uring_tx_zerocopy_callback`): a packet gives its reference
/// back; the last one to do so releases the buffer, with all that are linked to it.
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
        let link = Link::of(notif);
        if link.head != notif
            && let Some(head) = URING.get_ptr_mut(link.head)
        {
            (*head).put_ns = now;
        }
    }
}

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
        if conf!(off.io_notif_head) == Offsets::ABSENT || conf!(off.io_notif_next) == Offsets::ABSENT {
            return Link { head: notif, next: 0 };
        }
        let at = notif as *const u8;
        unsafe {
            Link {
                head: Probe::read(at, conf!(off.io_notif_head)),
                next: Probe::read(at, conf!(off.io_notif_next)),
            }
        }
    }
}

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
        return unsafe { notified(req, res) };
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

/// The request itself is answered.
#[inline(never)]
unsafe fn answered(req: u64, res: i32) {
    let at = req as *const u8;
    unsafe {
        let opcode: u8 = Probe::read(at, conf!(off.io_kiocb_opcode));
        let plain = opcode == OP_SEND || opcode == OP_SENDMSG;
        if plain && res < 0 && active() {
            let sk = sock_of_file(Probe::read(at, conf!(off.io_kiocb_file)));
            charge(sk, Path::UringSend as u32, res, false, false);
        }
        if opcode != OP_SEND_ZC && opcode != OP_SENDMSG_ZC {
            return;
        }
        let Some(notif) = URING_REQS.get_ptr(req) else { return };
        let notif = *notif;
        let _ = URING_REQS.remove(req);
        let Some(send) = URING.get_ptr_mut(notif) else { return };
        let send = &mut *send;
        if res >= 0 || send.bytes != 0 {
            return;
        }
        if send.sk == 0 {
            send.sk = sock_of_file(Probe::read(at, conf!(off.io_kiocb_file)));
        }
        let counted = send.flags & uring_flags::COUNTED != 0;
        if charge(send.sk, send.path, res, counted, accounts_memory(at)) {
            send.flags |= uring_flags::FAILED;
        }
    }
}

/// Tracepoint `io_uring:io_uring_req_failed(sqe, req, error)`: a request that could not even be prepared. It has no
/// file yet, only the number in its submission.
#[inline(always)]
pub unsafe fn refused(sqe: *const u8, req: *const u8, error: i32) {
    unsafe {
        let opcode: u8 = Probe::read(sqe, 0);
        if opcode != OP_SEND_ZC && opcode != OP_SENDMSG_ZC || !active() {
            return;
        }
        // The number of a registered file names no socket here.
        if Probe::read::<u8>(sqe, SQE_FLAGS) & SQE_FIXED_FILE != 0 {
            return;
        }
        let sk = sock_of_file(file_of_current(Probe::read(sqe, SQE_FD)));
        let path = path_of_request(req, opcode);
        if !charge(sk, path, error, false, accounts_memory(req)) {
            return;
        }
        let notif: u64 = Probe::read(req, conf!(off.io_sr_msg_notif));
        let send =
            UringSend { sk, path, flags: uring_flags::COUNTED | uring_flags::FAILED, ..UringSend::default() };
        // Without effect where the request never got a notification and this is the one of somebody before.
        let _ = URING.insert(notif, send, u64::from(BPF_NOEXIST));
    }
}

/// Whether the ring charges pages to its user: not for processes with CAP_IPC_LOCK.
#[inline(always)]
unsafe fn accounts_memory(req: *const u8) -> bool {
    unsafe {
        let ctx: u64 = Probe::read(req, conf!(off.io_kiocb_ctx));
        Probe::read::<u64>(ctx as *const u8, conf!(off.io_ring_ctx_user)) != 0
    }
}

/// The TCP socket of an open file, 0 when it is none.
#[inline(always)]
unsafe fn sock_of_file(file: u64) -> u64 {
    if file == 0 {
        return 0;
    }
    unsafe {
        let socket: u64 = Probe::read(file as *const u8, conf!(off.file_private_data));
        let back: u64 = Probe::read(socket as *const u8, conf!(off.socket_file));
        if back != file {
            return 0;
        }
        let sk: u64 = Probe::read(socket as *const u8, conf!(off.socket_sk));
        let protocol: u16 = Probe::read(sk as *const u8, conf!(off.sock_protocol));
        if protocol == IPPROTO_TCP { sk } else { 0 }
    }
}

/// The current process's open file of this number, 0 none.
#[inline(always)]
unsafe fn file_of_current(fd: i32) -> u64 {
    unsafe {
        let task = bpf_get_current_task_btf() as *const u8;
        let files: u64 = Probe::read(task, conf!(off.task_files));
        let table: u64 = Probe::read(files as *const u8, conf!(off.files_fdt));
        let most: u32 = Probe::read(table as *const u8, conf!(off.fdtable_max_fds));
        if fd < 0 || fd as u32 >= most {
            return 0;
        }
        let list: u64 = Probe::read(table as *const u8, conf!(off.fdtable_fd));
        read((list as *const u8).wrapping_add(fd as usize * 8))
    }
}

/// Counts a failed request of a TCP socket; `counted` when TCP has seen it. False when nobody wants it.
#[inline(never)]
unsafe fn charge(sk: u64, path: u32, res: i32, counted: bool, accounted: bool) -> bool {
    let mask = conf!(filter.path_mask);
    if sk == 0 || (mask != 0 && mask & (1 << (path & 31)) == 0) {
        return false;
    }
    let Some(flow) = (unsafe { flow_of_failure(sk, path) }) else { return false };
    if !counted {
        add(&mut flow.calls, 1);
    }
    let res = i64::from(res);
    send::fail(flow, res);
    match Err::of(res) {
        Err::Enomem if accounted && !counted => add(&mut flow.refused[Refusal::UringMemlock as usize], 1),
        Err::Eopnotsupp => add(&mut flow.refused[Refusal::Unsupported as usize], 1),
        Err::Einval => add(&mut flow.refused[Refusal::Invalid as usize], 1),
        Err::Efault => add(&mut flow.refused[Refusal::BadBuffer as usize], 1),
        _ => {}
    }
    true
}

/// The counters of a socket on which a request failed, possibly its first.
#[inline(always)]
unsafe fn flow_of_failure(sk: u64, path: u32) -> Option<&'static mut FlowCounters> {
    if SOCKS.get_ptr(sk).is_some() {
        return socket::flow(known(sk)?, path);
    }
    if classify::in_kernel_thread() {
        return None;
    }
    match unsafe { socket::sending::<Probe>(sk as *const u8, path) } {
        Owner::Known(entry) => socket::flow(entry, path),
        Owner::NoRoom => socket::unattributed(path),
        Owner::Unwanted => None,
    }
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

/// The notification of a request is posted: the application may use its buffer again.
#[inline(never)]
unsafe fn notified(notif: u64, res: i32) {
    let Some(send) = URING.get_ptr_mut(notif) else { return };
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
        return;
    }
    let _ = URING.remove(notif);
    if link.head != notif && link.next == 0 {
        let _ = URING.remove(link.head);
    }
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
        let (wire, clone) = (wire.min(bytes), clone.min(bytes));
        add(&mut flow.units, 1);
        if flagged {
            add(&mut flow.kernel_copied_sends, 1);
        }
        add(&mut flow.unit_copied_bytes, wire);
        add(&mut flow.unit_clone_bytes, clone);
        if !told {
            add(&mut flow.unit_silent_bytes, wire);
        }
        add(&mut flow.told_sends, 1);
        if told {
            add(&mut flow.told_copied_sends, 1);
        }
        if reports && conf!(mode.copy) != 0 {
            disagree(flow, told, wire * 2 >= bytes, link.head != notif && !flagged);
        }
        durations(send);
        add(&mut flow.completed_sends, 1);
        add(&mut flow.completed_bytes, bytes);
        if let Some(entry) = owner(send) {
            landed(entry, 1, 0);
        }
    }
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
