//! Send calls: how many bytes, which errors, and the id of a zero-copy send.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use zcscope_common::{
    CallState, CopyKey, Err, FlowCounters, Lost, Path, Refusal, SendEntry, SendKey, Site, SockEntry, Source,
    sock_flags,
};

use crate::{
    attach,
    classify::{
        Class, MSG_SPLICE_PAGES, MSG_ZEROCOPY, class_by_syscall, class_of_copy, classify, opens_connection,
    },
    complete::accepted,
    config::conf,
    copy, cost, file, gauge, infer,
    maps::{CALLS, SENDS, active, call_slot, lost, see_zerocopy},
    mem::{Direct, Mem, Probe, add, fetch_add},
    socket::{self, Owner, current_tid, known},
    tally::{self, Counted, zcscope_tally_stop},
    uring,
};

const ENOBUFS: i64 = -105;
const EOPNOTSUPP: i64 = -95;
const EINVAL: i64 = -22;
const EFAULT: i64 = -14;

#[inline(always)]
unsafe fn msg_flags<M: Mem>(msg: *const u8) -> u32 {
    unsafe { M::read(msg, conf!(off.msghdr_flags)) }
}

/// The state of the current thread, made when it is new.
#[inline(always)]
fn call_state() -> Option<&'static mut CallState> {
    // SAFETY: a map value, valid while the program runs and used by this thread only.
    call_slot(current_tid()).map(|state| unsafe { &mut *state })
}

#[inline(always)]
pub fn known_call(tid: u64) -> Option<&'static mut CallState> {
    // SAFETY: a map value, valid while the program runs and used by this thread only.
    CALLS.get_ptr_mut(tid).map(|state| unsafe { &mut *state })
}

/// Begins a call whose path needs more than its return value. Returns the state for the tracepoint back end.
#[inline(always)]
pub unsafe fn begin<M: Mem>(sk: *const u8, msg: *const u8, class: Class) -> Option<&'static mut CallState> {
    if !active() {
        return None;
    }
    let Some(state) = call_state() else {
        lost(Lost::CallState, 1);
        return None;
    };
    *state = CallState {
        sk: sk as u64,
        path: class.path as u32,
        start_copy: class.start_copy,
        ..CallState::default()
    };
    if conf!(mode.send) == Source::Kprobe as u32 && !class.path.wants_zerocopy() {
        cost::entered(sk);
        return Some(state);
    }
    see_zerocopy();
    // SAFETY: helper without preconditions.
    state.start_ns = unsafe { bpf_ktime_get_ns() };
    // Known from now on: copies of the first send can happen before its call returns.
    state.wanted = match unsafe { socket::sending::<M>(sk, state.path) } {
        Owner::Unwanted => 0,
        Owner::NoRoom => 1,
        Owner::Known(entry) => {
            if entry.flags & sock_flags::KEEPS_STATE == 0 {
                entry.flags |= sock_flags::KEEPS_STATE;
                zcscope_tally_stop(entry.sk);
            }
            if entry.first_send == 0 && class.path as u32 == Path::MsgZerocopy as u32 {
                let next: u32 = unsafe { M::read(sk, conf!(off.sock_zckey)) };
                // The tracepoint fires when the call has taken its id.
                let taken = conf!(mode.send) == Source::Tracepoint as u32;
                entry.first_send = u64::from(next) + u64::from(!taken);
            }
            1
        }
    };
    if class.path as u32 == Path::Splice as u32 && state.wanted != 0 {
        state.inode = unsafe { file::inode_of_message::<M>(msg) };
    }
    if uring::is_zerocopy(state.path) && state.wanted != 0 {
        unsafe { uring::enter(state, M::read(msg, conf!(off.msghdr_ubuf))) };
    }
    Some(state)
}

/// fentry `tcp_sendmsg_locked`: plain sends need nothing here, their exit has all arguments.
#[inline(always)]
pub unsafe fn enter_fentry(sk: *const u8, msg: *const u8) {
    unsafe {
        let flags = msg_flags::<Direct>(msg);
        if flags & (MSG_ZEROCOPY | MSG_SPLICE_PAGES) == 0 {
            cost::entered(sk);
        } else if let Some(class) = classify::<Direct>(sk, msg, flags) {
            begin::<Direct>(sk, msg, class);
        }
    }
}

/// fexit `tcp_sendmsg_locked`: `ret` is bytes accepted or -errno.
#[inline(always)]
pub unsafe fn leave_fexit(sk: *const u8, msg: *const u8, ret: i64) {
    unsafe {
        if msg_flags::<Direct>(msg) & (MSG_ZEROCOPY | MSG_SPLICE_PAGES) != 0 {
            leave_call::<Direct>(Some(sk), ret);
        } else if ret <= 0 || !plain_again::<Direct>(sk, ret as u64) {
            end_plain::<Direct>(sk, class_of_copy(), ret);
        }
    }
}

/// kprobe `tcp_sendmsg_locked`: its return probe has no arguments, so everything is kept.
#[inline(always)]
pub unsafe fn enter_kprobe<M: Mem>(sk: *const u8, msg: *const u8) {
    unsafe {
        let flags = msg_flags::<M>(msg);
        if let Some(class) = classify::<M>(sk, msg, flags) {
            begin::<M>(sk, msg, class);
        }
    }
}

/// Tracepoint `tcp:tcp_sendmsg_locked`: fires once per loop iteration of a call; the first one tells the path,
/// the size asked for and the id the send took.
#[inline(always)]
pub unsafe fn enter_tracepoint(sk: *const u8, msg: *const u8) {
    unsafe {
        let flags = msg_flags::<Direct>(msg);
        // Plain sends, by far the most, cost nothing here: a call that leaves no state is one.
        if flags & (MSG_ZEROCOPY | MSG_SPLICE_PAGES) == 0 {
            return cost::entered(sk);
        }
        if let Some(state) = known_call(current_tid())
            && state.sk == sk as u64
        {
            return;
        }
        // A layer above TCP is booked when its own call ends.
        let Some(class) = classify::<Direct>(sk, msg, flags) else { return };
        let Some(state) = begin::<Direct>(sk, msg, class) else { return };
        if class.path as u32 == Path::MsgZerocopy as u32 && class.start_copy == 0 {
            let size: u64 = Direct::read(msg, conf!(off.msghdr_iter_count));
            took_id::<Direct>(state, sk, size);
        }
    }
}

/// Exit of `tcp_sendmsg_locked` where the call's state was kept; `sk` where the exit has it as an argument.
#[inline(always)]
pub unsafe fn leave_call<M: Mem>(sk: Option<*const u8>, ret: i64) {
    let Some(state) = known_call(current_tid()) else { return };
    if state.sk != 0 && state.layered == 0 {
        let sk = sk.unwrap_or(state.sk as *const u8);
        let plain = state.path == Path::Copy as u32 && ret > 0;
        if !plain || !unsafe { plain_again::<M>(sk, ret as u64) } {
            unsafe { end::<M>(sk, state, ret) };
        }
        state.sk = 0;
    }
}

/// Tracepoint `sock:sock_send_length(sk, ret)`: the end of every send call of every protocol.
#[inline(always)]
pub unsafe fn leave_tracepoint(sk: *const u8, ret: i64) {
    unsafe {
        // Without that tracepoint every call leaves no state, and its arguments must be looked at.
        if conf!(mode.send_has_tp) != 0 && ret > 0 && plain_again::<Direct>(sk, ret as u64) {
            return;
        }
        if let Some(state) = known_call(current_tid())
            && state.sk == sk as u64
        {
            end::<Direct>(sk, state, ret);
            state.sk = 0;
            return;
        }
        let class = class_by_syscall(sk);
        if !class.path.wants_zerocopy() {
            return end_plain::<Direct>(sk, class.path, ret);
        }
        let mut state =
            CallState { path: class.path as u32, start_copy: class.start_copy, ..CallState::default() };
        let zerocopy = state.path == Path::MsgZerocopy as u32 && class.start_copy == 0;
        if zerocopy && ret > 0 && conf!(mode.send_has_tp) != 0 {
            // All of it went into the SYN; or it began before tracing did: its id is unknown, so its end would never
            // be.
            if opens_connection() {
                state.start_copy = Site::Fastopen as u32;
                end::<Direct>(sk, &mut state, ret);
                sent_with_syn(sk, ret as u64);
            }
            return;
        }
        if ret == ENOBUFS && conf!(mode.refused) == Source::Tracepoint as u32 {
            state.memlock = u32::from(!optmem_exhausted(sk));
        }
        end::<Direct>(sk, &mut state, ret);
    }
}

/// Tracepoints: a zero-copy send that opened its connection and needed nothing but the SYN is copied, and was flagged
/// as copied, before its call returned.
#[inline(always)]
fn sent_with_syn(sk: *const u8, bytes: u64) {
    see_zerocopy();
    let Some(entry) = known(sk as u64) else { return };
    let Some(flow) = socket::flow(entry, Path::MsgZerocopy as u32) else { return };
    entry.flags |= sock_flags::SENT_WITH_SYN;
    add(&mut flow.zc_sends, 1);
    add(&mut flow.completed_sends, 1);
    add(&mut flow.completed_bytes, bytes);
    add(&mut flow.units, 1);
    add(&mut flow.kernel_copied_sends, 1);
    add(&mut flow.unit_copied_bytes, bytes);
}

/// Books a plain send on a socket that never did anything else, for the same process over the same route; false
/// when it is not one. By far the most sends end here, so it costs no look-up.
#[inline(always)]
unsafe fn plain_again<M: Mem>(sk: *const u8, bytes: u64) -> bool {
    // SAFETY: `sk` is a pointer `M` reads through.
    let counted = tally::count(sk as u64, bytes, |tally| unsafe {
        tally.dst == M::read::<u64>(sk, conf!(off.sock_dst_cache))
            && tally.prot == M::read::<u64>(sk, conf!(off.sock_common_prot))
    });
    match counted {
        Counted::No => return false,
        Counted::Unwanted => {}
        Counted::After(calls) => cost::left_plain(sk, calls, bytes as i64),
    }
    true
}

/// Whether one more notification would pass `optmem_max` of the socket's namespace: the test `sock_omalloc` made
/// a moment ago. What else refuses with ENOBUFS is the limit on locked memory.
#[inline(always)]
unsafe fn optmem_exhausted(sk: *const u8) -> bool {
    unsafe {
        let used: u32 = Probe::read(sk, conf!(off.sock_omem_alloc));
        let net: u64 = Probe::read(sk, conf!(off.sock_common_net));
        let max: u32 = Probe::read(net as *const u8, conf!(off.net_optmem_max));
        used.saturating_add(conf!(off.skb_truesize_empty)) > max
    }
}

/// Notes the id of a zero-copy send and puts it in flight.
#[inline(always)]
pub unsafe fn took_id<M: Mem>(state: &mut CallState, sk: *const u8, size: u64) {
    if state.wanted == 0 {
        return;
    }
    let next: u32 = unsafe { M::read(sk, conf!(off.sock_zckey)) };
    state.send_id = next.wrapping_sub(1);
    state.has_id = 1;
    let key = SendKey { sk: sk as u64, id: u64::from(state.send_id) };
    let send = SendEntry {
        start_ns: state.start_ns,
        bytes: size,
        path: u64::from(state.path),
        owner: u64::from(socket::current_tgid()),
        end_seq: u64::from(unsafe { Probe::read::<u32>(sk, conf!(off.tcp_write_seq)) }) | SendEntry::STARTED,
        ..SendEntry::default()
    };
    // An id recycled after an aborted send overwrites its dead record.
    if SENDS.insert(key, send, 0).is_err() {
        state.has_id = 2;
        lost(Lost::SendTable, 1);
    }
}

/// Books one finished call that never asked for zero-copy: the busiest way through this file.
#[inline(always)]
unsafe fn end_plain<M: Mem>(sk: *const u8, path: Path, ret: i64) {
    if ret < 0 && uring::tells_errors(path as u32) {
        return;
    }
    let mask = conf!(filter.path_mask);
    if mask != 0 && mask & (1 << (path as u32 & 31)) == 0 {
        return;
    }
    let flow = match unsafe { socket::sending::<M>(sk, path as u32) } {
        Owner::Unwanted => None,
        Owner::NoRoom => socket::unattributed(path as u32),
        Owner::Known(entry) => socket::flow(entry, path as u32),
    };
    let Some(flow) = flow else { return };
    let calls = flow.calls;
    add(&mut flow.calls, 1);
    if ret < 0 {
        fail(flow, ret);
    } else {
        add(&mut flow.bytes, ret as u64);
    }
    cost::left(sk, flow, path as u32, calls, ret);
}

/// Books one finished call.
#[inline(always)]
pub unsafe fn end<M: Mem>(sk: *const u8, state: &mut CallState, ret: i64) {
    let mask = conf!(filter.path_mask);
    if mask != 0 && mask & (1 << (state.path & 31)) == 0 {
        return forget(sk, state);
    }
    let (entry, flow) = match unsafe { socket::sending::<M>(sk, state.path) } {
        Owner::Unwanted => return forget(sk, state),
        Owner::NoRoom => (None, socket::unattributed(state.path)),
        Owner::Known(entry) => {
            let flow = socket::flow(entry, state.path);
            (Some(entry), flow)
        }
    };
    let Some(flow) = flow else { return };
    if uring::is_zerocopy(state.path) && conf!(mode.uring) != 0 {
        return uring::leave(entry, flow, state, ret);
    }
    if ret < 0 && uring::tells_errors(state.path) {
        return;
    }
    let calls = flow.calls;
    add(&mut flow.calls, 1);
    if ret < 0 {
        refuse(flow, state, ret);
        return forget(sk, state);
    }
    let bytes = ret as u64;
    add(&mut flow.bytes, bytes);
    match state.start_ns {
        0 => cost::left(sk, flow, state.path, calls, ret),
        start => cost::book(flow, state.path, start, ret),
    }
    if state.attached != 0 {
        unsafe { attach::leave_skb(state) };
        add(&mut flow.attached_bytes, state.attached);
        add(&mut flow.frags, state.frags);
        add(&mut flow.pages, state.pages);
        add(&mut flow.frag_limit, u64::from(state.frag_limit));
    }
    let lends_pages = state.path == Path::Sendfile as u32 || state.path == Path::Splice as u32;
    if lends_pages && entry.is_some() && file::zcscope_file_sent(state.path, state.inode, bytes) != 0 {
        state.start_copy = Site::CopySpliceRead as u32;
    }
    if conf!(mode.copy) == Source::Tracepoint as u32
        && state.start_copy == 0
        && socket::is_spliced(state.path)
        && let Some(entry) = &entry
    {
        unsafe { infer::pages_sent(entry, flow, state.path, bytes) };
    }
    // The unit of a send that opens its connection says so itself.
    let told = state.start_copy == Site::Fastopen as u32;
    if state.start_copy != 0 {
        if !told {
            add(&mut flow.start_copied_bytes, bytes);
        }
        if let Some(entry) = &entry {
            count_start(entry, state.path, state.start_copy, told, bytes);
        }
    }
    if state.has_id != 0 {
        add(&mut flow.zc_sends, 1);
        if state.has_id == 2 {
            // Not followed: its end will not be known.
            add(&mut flow.lost_end_sends, 1);
            add(&mut flow.lost_end_bytes, bytes);
            return;
        }
        let Some(entry) = entry else { return forget(sk, state) };
        let pages = if state.pages != 0 { state.pages } else { gauge::pages(bytes) };
        fetch_add(&mut entry.in_flight, 1);
        unsafe { gauge::sent::<M>(entry, sk, pages) };
        // What was copied at once and stands with no unit has been counted, whatever the notification will say.
        let bytes = if state.start_copy != 0 && !told { 0 } else { bytes };
        // SAFETY: a map value. Volatile, to get a number: `sk` can be a typed pointer.
        accept(unsafe { core::ptr::read_volatile(&raw const entry.sk) }, state, bytes, pages);
    }
}

/// A row of the copy table for bytes that the call itself copied.
#[inline(always)]
fn count_start(entry: &SockEntry, path: u32, site: u32, told: bool, bytes: u64) {
    let key = CopyKey {
        id: entry.id,
        dev: entry.dev,
        path: path as u8,
        site: site as u8,
        told: u8::from(told),
        // A file that cannot lend its pages is known by what it is, not by watching it copy.
        inferred: u8::from(site == Site::CopySpliceRead as u32),
        ..CopyKey::default()
    };
    copy::count(key, bytes);
}

/// Drops the record of a send that did not happen or is not wanted.
#[inline(always)]
fn forget(sk: *const u8, state: &CallState) {
    if state.has_id != 0 {
        let _ = SENDS.remove(SendKey { sk: sk as u64, id: u64::from(state.send_id) });
    }
}

/// Makes the byte count of a send final; ends it when its completion came first.
#[inline(always)]
fn accept(sk: u64, state: &CallState, bytes: u64, pages: u64) {
    let key = SendKey { sk, id: u64::from(state.send_id) };
    if let Some(send) = SENDS.get_ptr_mut(key) {
        // SAFETY: a map value, valid while the program runs.
        unsafe {
            (*send).bytes = bytes;
            (*send).pages = pages;
            let end: u32 = Probe::read(sk as *const u8, conf!(off.tcp_write_seq));
            (*send).end_seq = u64::from(end) | SendEntry::HAS_SEQ;
        }
        accepted(key, send);
    }
}

/// Counts a failed call by its errno.
#[inline(always)]
pub fn fail(flow: &mut FlowCounters, ret: i64) {
    // Constants, not an index: nothing for the verifier to bound.
    macro_rules! count {
        ($($class:ident)+) => {
            match Err::of(ret) {
                $(Err::$class => add(&mut flow.errors[Err::$class as usize], 1)),+
            }
        };
    }
    count!(Enobufs Eagain Epipe Econnreset Eopnotsupp Einval Efault Enomem Other);
}

/// Counts a failed call, and on a path that asked for zero-copy why it was refused.
#[inline(always)]
fn refuse(flow: &mut FlowCounters, state: &CallState, ret: i64) {
    fail(flow, ret);
    // Constants, not an index: nothing for the verifier to bound.
    macro_rules! count {
        ($refusal:ident) => {
            add(&mut flow.refused[Refusal::$refusal as usize], 1)
        };
    }
    let zerocopy = state.path == Path::MsgZerocopy as u32;
    let spliced = state.path == Path::Sendfile as u32
        || state.path == Path::Splice as u32
        || state.path == Path::Vmsplice as u32;
    if !zerocopy && !spliced {
        return;
    }
    match ret {
        EOPNOTSUPP => count!(Unsupported),
        EINVAL => count!(Invalid),
        EFAULT => count!(BadBuffer),
        // Its two causes are a fact of their own.
        ENOBUFS if zerocopy && conf!(mode.refused) == Source::None as u32 => {}
        ENOBUFS if zerocopy && state.memlock != 0 => count!(Memlock),
        ENOBUFS if zerocopy => count!(Optmem),
        // It had an id already, which the kernel gives to the next send: no notification will come.
        _ if zerocopy && state.start_copy == 0 => count!(Aborted),
        _ => {}
    }
}
