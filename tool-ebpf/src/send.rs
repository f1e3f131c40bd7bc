//! Send calls: how many bytes, which errors, and the id of a zero-copy send.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use zcscope_common::{
    CallState, CopyKey, Err, FlowCounters, Lost, Path, Refusal, SendEntry, SendKey, Site, Source, Unit,
    sock_flags,
};

use crate::{
    classify::{
        Class, MSG_SPLICE_PAGES, MSG_ZEROCOPY, class_by_syscall, class_of_copy, classify, uses_uring,
    },
    complete::finish_if_done,
    config::conf,
    copy, file,
    maps::{CALLS, SENDS, SOCKS, UNITS, active, lost, see_zerocopy},
    mem::{Direct, Mem, Probe, add, fetch_add, swap},
    socket::{self, Owner, current_tid},
};

const ENOBUFS: i64 = 105;

#[inline(always)]
unsafe fn msg_flags<M: Mem>(msg: *const u8) -> u32 {
    unsafe { M::read(msg, conf!(off.msghdr_flags)) }
}

/// The state of the current thread, made when it is new.
#[inline(always)]
fn call_state() -> Option<&'static mut CallState> {
    let tid = current_tid();
    if CALLS.get_ptr(tid).is_none() {
        let _ = CALLS.insert(tid, CallState::default(), 0);
    }
    known_call(tid)
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
        start_copy: u32::from(class.start_copy),
        ..CallState::default()
    };
    if conf!(mode.send) == Source::Kprobe as u32 && !class.path.wants_zerocopy() {
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
            entry.flags |= sock_flags::KEEPS_STATE;
            1
        }
    };
    if class.path as u32 == Path::Splice as u32 && state.wanted != 0 {
        state.inode = unsafe { file::inode_of_message::<M>(msg) };
    }
    if class.path.has_completion() && class.path as u32 != Path::MsgZerocopy as u32 && state.wanted != 0 {
        state.uarg = unsafe { M::read(msg, conf!(off.msghdr_ubuf)) };
        let unit = Unit { sk: sk as u64, path: class.path as u32, ..Unit::default() };
        if UNITS.insert(state.uarg, unit, 0).is_err() {
            lost(Lost::UnitTable, 1);
        }
    }
    Some(state)
}

/// fentry `tcp_sendmsg_locked`: plain sends need nothing here, their exit has all arguments.
#[inline(always)]
pub unsafe fn enter_fentry(sk: *const u8, msg: *const u8) {
    unsafe {
        let flags = msg_flags::<Direct>(msg);
        if flags & (MSG_ZEROCOPY | MSG_SPLICE_PAGES) != 0 {
            begin::<Direct>(sk, msg, classify::<Direct>(sk, msg, flags));
        }
    }
}

/// fexit `tcp_sendmsg_locked`: `ret` is bytes accepted or -errno.
#[inline(always)]
pub unsafe fn leave_fexit(sk: *const u8, msg: *const u8, ret: i64) {
    unsafe {
        if msg_flags::<Direct>(msg) & (MSG_ZEROCOPY | MSG_SPLICE_PAGES) != 0 {
            leave_call::<Direct>(Some(sk), ret);
        } else {
            end_plain::<Direct>(sk, class_of_copy(), ret);
        }
    }
}

/// kprobe `tcp_sendmsg_locked`: its return probe has no arguments, so everything is kept.
#[inline(always)]
pub unsafe fn enter_kprobe<M: Mem>(sk: *const u8, msg: *const u8) {
    unsafe {
        let flags = msg_flags::<M>(msg);
        begin::<M>(sk, msg, classify::<M>(sk, msg, flags));
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
            return;
        }
        if let Some(state) = known_call(current_tid())
            && state.sk == sk as u64
        {
            return;
        }
        let class = classify::<Direct>(sk, msg, flags);
        let Some(state) = begin::<Direct>(sk, msg, class) else { return };
        if class.path as u32 == Path::MsgZerocopy as u32 && !class.start_copy {
            let size: u64 = Direct::read(msg, conf!(off.msghdr_iter_count));
            took_id::<Direct>(state, sk, size);
        }
    }
}

/// Exit of `tcp_sendmsg_locked` where the call's state was kept; `sk` where the exit has it as an argument.
#[inline(always)]
pub unsafe fn leave_call<M: Mem>(sk: Option<*const u8>, ret: i64) {
    let Some(state) = known_call(current_tid()) else { return };
    if state.sk != 0 {
        unsafe { end::<M>(sk.unwrap_or(state.sk as *const u8), state, ret) };
        state.sk = 0;
    }
}

/// Tracepoint `sock:sock_send_length(sk, ret)`: the end of every send call of every protocol.
#[inline(always)]
pub unsafe fn leave_tracepoint(sk: *const u8, ret: i64) {
    unsafe {
        // Without that tracepoint every call leaves no state, and its arguments must be looked at.
        if conf!(mode.send_has_tp) != 0 && ret > 0 && plain_again(sk, ret as u64) {
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
        let mut state = CallState {
            path: class.path as u32,
            start_copy: u32::from(class.start_copy),
            ..CallState::default()
        };
        let zerocopy = state.path == Path::MsgZerocopy as u32 && !class.start_copy;
        if zerocopy && ret > 0 && conf!(mode.send_has_tp) != 0 {
            // It began before tracing did: its id is unknown, so its end would never be.
            return;
        }
        if ret == -ENOBUFS && conf!(mode.refused) == Source::Tracepoint as u32 {
            state.memlock = u32::from(!optmem_exhausted(sk));
        }
        end::<Direct>(sk, &mut state, ret);
    }
}

/// Books a plain send on a socket that never did anything else, for the same process over the same route; false
/// when it is not one. By far the most sends end here, so it costs one look-up.
#[inline(always)]
unsafe fn plain_again(sk: *const u8, bytes: u64) -> bool {
    let Some(entry) = SOCKS.get_ptr_mut(sk as u64) else { return false };
    // SAFETY: a map value, valid while the program runs; `sk` and the task are typed pointers.
    unsafe {
        let entry = &mut *entry;
        let same = entry.flags == 0
            && entry.home_path == Path::Copy as u32
            && entry.tgid == socket::current_tgid()
            && entry.dst == Direct::read::<u64>(sk, conf!(off.sock_dst_cache));
        if !same || uses_uring() || conf!(filter.path_mask) != 0 {
            return false;
        }
        add(&mut entry.home.calls, 1);
        add(&mut entry.home.bytes, bytes);
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
        ..SendEntry::default()
    };
    // An id recycled after an aborted send overwrites its dead record.
    if SENDS.insert(key, send, 0).is_err() {
        state.has_id = 0;
        lost(Lost::SendTable, 1);
    }
}

/// Books one finished call that never asked for zero-copy: the busiest way through this file.
#[inline(always)]
unsafe fn end_plain<M: Mem>(sk: *const u8, path: Path, ret: i64) {
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
    add(&mut flow.calls, 1);
    if ret < 0 {
        fail(flow, ret);
    } else {
        add(&mut flow.bytes, ret as u64);
    }
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
    add(&mut flow.calls, 1);
    if ret < 0 {
        refuse(flow, state, ret);
        return forget(sk, state);
    }
    let bytes = ret as u64;
    add(&mut flow.bytes, bytes);
    if state.attached != 0 {
        add(&mut flow.attached_bytes, state.attached);
        add(&mut flow.frags, state.frags);
    }
    let mut site = Site::SendmsgLocked;
    if (state.path == Path::Sendfile as u32 || state.path == Path::Splice as u32)
        && entry.is_some()
        && file::zcscope_file_sent(state.path, state.inode, bytes) != 0
    {
        site = Site::CopySpliceRead;
        state.start_copy = 1;
    }
    if state.start_copy != 0 {
        add(&mut flow.start_copied_bytes, bytes);
        if let Some(entry) = &entry {
            let key = CopyKey {
                id: entry.id,
                dev: entry.dev,
                path: state.path as u8,
                site: site as u8,
                // A file that cannot lend its pages is known by what it is, not by watching it copy.
                inferred: u8::from(site as u8 == Site::CopySpliceRead as u8),
                ..CopyKey::default()
            };
            copy::count(key, bytes);
        }
    }
    if state.has_id != 0 {
        add(&mut flow.zc_sends, 1);
        if let Some(entry) = entry {
            fetch_add(&mut entry.in_flight, 1);
        }
        accept(sk, state, bytes);
    }
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
fn accept(sk: *const u8, state: &CallState, bytes: u64) {
    let key = SendKey { sk: sk as u64, id: u64::from(state.send_id) };
    if let Some(send) = SENDS.get_ptr_mut(key) {
        // SAFETY: a map value, valid while the program runs.
        unsafe {
            (*send).bytes = bytes;
            swap(&raw mut (*send).accepted, 1);
        }
        finish_if_done(key, send);
    }
}

/// Counts a failed call by its errno.
#[inline(always)]
fn fail(flow: &mut FlowCounters, ret: i64) {
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

/// Counts a failed call, with the cause of ENOBUFS on the zero-copy path.
#[inline(always)]
fn refuse(flow: &mut FlowCounters, state: &CallState, ret: i64) {
    fail(flow, ret);
    let named = conf!(mode.refused) != Source::None as u32;
    if named && ret == -ENOBUFS && state.path == Path::MsgZerocopy as u32 {
        if state.memlock != 0 {
            add(&mut flow.refused[Refusal::Memlock as usize], 1);
        } else {
            add(&mut flow.refused[Refusal::Optmem as usize], 1);
        }
    }
}
