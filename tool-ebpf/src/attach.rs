//! What a send call attaches by reference: the unit and id it takes, frags, pages; and what refuses it.

use zcscope_common::{CallState, Path, Range, Site, SpreadKind};

use crate::{
    caller::{Entry, caller},
    classify::class_of_pages,
    config::conf,
    copy,
    maps::{record_equal, record_number},
    mem::{Mem, Probe, add, unknown},
    send::{begin, end, known_call, leave_call, took_id},
    skb::{self, FRAGS_AT_ONCE, Frag, MANAGED_FRAG_REFS, PURE_ZEROCOPY},
    socket::{self, current_tid},
};

const EMSGSIZE: i64 = 90;
/// More frags than any kernel's `MAX_SKB_FRAGS` (17 to 45).
const MAX_FRAGS: u32 = 46;

/// `msg_zerocopy_realloc(sk, size, uarg)` returned `uarg`: the send has its id now, `sk_zckey - 1`.
#[inline(always)]
pub unsafe fn realloc<M: Mem>(uarg: u64, size: u64) {
    let Some(state) = known_call(current_tid()) else { return };
    if state.sk == 0 || state.layered != 0 || uarg == 0 {
        return;
    }
    state.uarg = uarg;
    unsafe {
        took_id::<M>(state, state.sk as *const u8, size);
        opens_connection(state, size);
    }
}

/// A socket without a route is about to be connected by this very send (`MSG_FASTOPEN`, `TCP_FASTOPEN_CONNECT`). The
/// kernel looks for scatter-gather before it connects, finds none, and copies the whole send, not only what fits into
/// the SYN; the unit will say so, but its end can come before that of the call.
#[inline(always)]
unsafe fn opens_connection(state: &mut CallState, size: u64) {
    const NETIF_F_SG: u64 = 1;
    if state.has_id == 0 || state.start_copy != 0 {
        return;
    }
    let caps: u64 = unsafe { Probe::read(state.sk as *const u8, conf!(off.sock_route_caps)) };
    if caps & NETIF_F_SG == 0
        && let Some(unit) = unsafe { copy::unit_of(state.uarg) }
    {
        state.start_copy = Site::Fastopen as u32;
        add(&mut unit.wire_bytes, size);
    }
}

/// kprobe `msg_zerocopy_realloc(sk, size, uarg)`: keeps the size for the return probe.
#[inline(always)]
pub fn realloc_size(size: u64) {
    if let Some(state) = known_call(current_tid()) {
        state.requested = size;
    }
}

/// kretprobe `msg_zerocopy_realloc`.
#[inline(always)]
pub unsafe fn realloc_return(uarg: u64) {
    if let Some(state) = known_call(current_tid()) {
        unsafe { realloc::<Probe>(uarg, state.requested) };
    }
}

/// `mm_account_pinned_pages` returned `ret`.
#[inline(always)]
pub fn account_pinned(ret: i64) {
    if ret != 0
        && let Some(state) = known_call(current_tid())
    {
        state.memlock = 1;
    }
}

/// Whether the pages a call attaches are the program's: not those of a layer, nor of what was copied before.
#[inline(always)]
fn attaches(state: &CallState) -> bool {
    state.sk != 0 && state.layered == 0 && state.start_copy == 0 && state.path != Path::Copy as u32
}

/// Entry of a function that attaches pages to `skb`.
#[inline(always)]
pub unsafe fn attach_enter<M: Mem>(skb: *const u8) {
    if let Some(state) = known_call(current_tid())
        && attaches(state)
    {
        unsafe {
            if state.skb != skb as u64 {
                leave_skb(state);
            }
            state.skb = skb as u64;
            let info = skb::shinfo::<M>(skb) as u64;
            state.frags_before = skb::frags_at(info);
            state.pages_before = skb::frag_pages(info, state.frags_before.wrapping_sub(1)) as u32;
            state.attaching = 1;
        }
    }
}

/// Exit of a function that attaches pages: `ret` is bytes attached or -errno.
#[inline(always)]
pub unsafe fn attach_leave(ret: i64) {
    if let Some(state) = known_call(current_tid())
        && state.sk != 0
        && state.attaching != 0
    {
        state.attaching = 0;
        if ret == -EMSGSIZE {
            state.frag_limit += 1;
        }
        if ret <= 0 {
            return;
        }
        state.attached += ret as u64;
        unsafe {
            let info = skb::shinfo::<Probe>(state.skb as *const u8) as u64;
            let after = skb::frags_at(info);
            let new = after.saturating_sub(state.frags_before);
            state.frags += u64::from(new);
            // A frag that was there and grew: only the pages it grew by.
            let grown = skb::frag_pages(info, state.frags_before.wrapping_sub(1));
            state.pages += grown.saturating_sub(u64::from(state.pages_before));
            state.pages += zcscope_new_frags(info, state.frags_before, new, state.path);
        }
    }
}

/// The call turns to another skb, or ends: how many frags does this one have now?
#[inline(always)]
pub unsafe fn leave_skb(state: &mut CallState) {
    if state.skb != 0 && state.attached != 0 {
        let info = unsafe { skb::shinfo::<Probe>(state.skb as *const u8) } as u64;
        let frags = unsafe { skb::frags_at(info) };
        // A call that waited for room may find it acknowledged and its memory used again.
        if frags < MAX_FRAGS {
            record_number(SpreadKind::FragsPerSkb, state.path, u64::from(frags));
        }
    }
    state.skb = 0;
}

/// Records the size of the `new` frags after the first `before` ones of a shared info; returns the pages they refer
/// to. Exported like [`crate::socket::zcscope_identify`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_new_frags(info: u64, before: u32, new: u32, path: u32) -> u64 {
    let mut some = [Frag::default(); FRAGS_AT_ONCE];
    let (mut pages, mut n) = (0, 0);
    // Most frags of a send are of one length: equal ones are recorded together. Numbers the verifier does not know: else
    // every frag doubles the ways it walks.
    let (mut len, mut times) = (unknown(0) as u32, unknown(0));
    while n < MAX_FRAGS {
        if n >= new {
            break;
        }
        if n as usize % FRAGS_AT_ONCE == 0 {
            // SAFETY: the fault-safe helper.
            unsafe { skb::read_frags(&mut some, info, before.wrapping_add(n), new - n) };
        }
        let frag = some[n as usize % FRAGS_AT_ONCE];
        pages += frag.pages();
        if frag.len() != len {
            record_equal(SpreadKind::BytesPerFrag, path, u64::from(len), times);
            (len, times) = (frag.len(), unknown(0));
        }
        times += 1;
        n += 1;
    }
    record_equal(SpreadKind::BytesPerFrag, path, u64::from(len), times);
    pages
}

/// `tcp_downgrade_zcopy_pure(sk, skb)`: bytes of another kind are about to be appended to `skb`. It runs before each
/// append to a fragile skb, and matters when the skb held nothing but pages of zero-copy sends so far.
#[inline(always)]
pub unsafe fn downgrade_pure<M: Mem>(skb: *const u8) {
    unsafe {
        let Some(shared) = skb::shared::<M>(skb) else { return };
        if shared.flags & PURE_ZEROCOPY == 0 {
            return;
        }
        mixed::<M>(skb, &shared);
    }
}

/// `__skb_zcopy_downgrade_managed(skb)`: the skb holds registered buffers without page references and takes them now.
/// Also done before a copy; only an append that the zero-copy path itself makes is meant here, because one of plain
/// bytes has passed [`downgrade_pure`] already.
#[inline(always)]
pub unsafe fn downgrade_managed<E: Entry>(ctx: *mut core::ffi::c_void, skb: *const u8) {
    unsafe {
        let Some(shared) = skb::shared::<E::Mem>(skb) else { return };
        if shared.flags & MANAGED_FRAG_REFS == 0 {
            return;
        }
        let function = Range { start: conf!(downgrade_managed.start), end: conf!(downgrade_managed.end) };
        let caller = caller::<E>(ctx, function);
        if caller >= conf!(zerocopy_from_iter.start) && caller < conf!(zerocopy_from_iter.end) {
            mixed::<E::Mem>(skb, &shared);
        }
    }
}

/// Counts a mixed skb with the zero-copy path whose pages it held.
#[inline(always)]
unsafe fn mixed<M: Mem>(skb: *const u8, shared: &skb::Shared) {
    let Some(victim) = (unsafe { copy::victim::<M>(skb, shared) }) else { return };
    if let Some(flow) = socket::flow(victim.entry, victim.path) {
        add(&mut flow.mixed_socket, 1);
    }
}

/// 6.1: `do_tcp_sendpages(sk, ...)` returned `ret`. All its bytes are attached by reference.
#[inline(always)]
pub unsafe fn sendpages<M: Mem>(sk: *const u8, ret: i64) {
    unsafe {
        let Some(class) = class_of_pages(sk) else { return };
        let mut state =
            CallState { path: class.path as u32, start_copy: class.start_copy, ..CallState::default() };
        if ret > 0 && class.path.wants_zerocopy() && class.start_copy == 0 {
            state.attached = ret as u64;
        }
        end::<M>(sk, &mut state, ret);
    }
}

/// 6.1, kprobe: keeps the socket for the return probe of `do_tcp_sendpages`.
#[inline(always)]
pub unsafe fn sendpages_enter(sk: *const u8) {
    unsafe {
        if let Some(class) = class_of_pages(sk) {
            begin::<Probe>(sk, core::ptr::null(), class);
        }
    }
}

/// 6.1, kprobe: see [`sendpages`].
#[inline(always)]
pub unsafe fn sendpages_leave(ret: i64) {
    if let Some(state) = known_call(current_tid())
        && attaches(state)
        && ret > 0
    {
        state.attached = ret as u64;
    }
    unsafe { leave_call::<Probe>(None, ret) };
}
