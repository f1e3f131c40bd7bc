//! What a send call attaches by reference: the unit and id it takes, frags, pages; and what refuses it.

use zcscope_common::CallState;

use crate::{
    classify::{Class, class_of_pages},
    mem::{Mem, Probe},
    send::{begin, end, known_call, leave_call, took_id},
    skb,
    socket::current_tid,
};

/// `msg_zerocopy_realloc(sk, size, uarg)` returned `uarg`: the send has its id now, `sk_zckey - 1`.
#[inline(always)]
pub unsafe fn realloc<M: Mem>(uarg: u64, size: u64) {
    let Some(state) = known_call(current_tid()) else { return };
    if state.sk == 0 || uarg == 0 {
        return;
    }
    state.uarg = uarg;
    unsafe { took_id::<M>(state, state.sk as *const u8, size) };
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

/// Entry of a function that attaches pages to `skb`.
#[inline(always)]
pub unsafe fn attach_enter<M: Mem>(skb: *const u8) {
    if let Some(state) = known_call(current_tid())
        && state.sk != 0
    {
        state.skb = skb as u64;
        state.frags_before = u32::from(unsafe { skb::nr_frags::<M>(skb) });
    }
}

/// Exit of a function that attaches pages: `ret` is bytes attached or -errno.
#[inline(always)]
pub unsafe fn attach_leave(ret: i64) {
    if let Some(state) = known_call(current_tid())
        && state.sk != 0
        && state.skb != 0
    {
        let after = u32::from(unsafe { skb::nr_frags::<Probe>(state.skb as *const u8) });
        state.frags += u64::from(after.saturating_sub(state.frags_before));
        state.skb = 0;
        if ret > 0 {
            state.attached += ret as u64;
        }
    }
}

/// 6.1: `do_tcp_sendpages(sk, ...)` returned `ret`. All its bytes are attached by reference.
#[inline(always)]
pub unsafe fn sendpages<M: Mem>(sk: *const u8, ret: i64) {
    unsafe {
        let mut state = CallState { path: class_of_pages(sk) as u32, ..CallState::default() };
        if ret > 0 {
            state.attached = ret as u64;
        }
        end::<M>(sk, &mut state, ret);
    }
}

/// 6.1, kprobe: keeps the socket for the return probe of `do_tcp_sendpages`.
#[inline(always)]
pub unsafe fn sendpages_enter(sk: *const u8) {
    unsafe {
        let class = Class { path: class_of_pages(sk), start_copy: false };
        begin::<Probe>(sk, core::ptr::null(), class);
    }
}

/// 6.1, kprobe: see [`sendpages`].
#[inline(always)]
pub unsafe fn sendpages_leave(ret: i64) {
    if let Some(state) = known_call(current_tid())
        && ret > 0
    {
        state.attached = ret as u64;
    }
    unsafe { leave_call::<Probe>(None, ret) };
}
