//! Layers between the program and TCP that make bytes of their own: kTLS, MPTCP and sockmaps. Their calls are booked where the
//! program makes them, with the bytes it gave (for kTLS: plaintext). What such a layer hands to TCP is not counted.

use zcscope_common::{CallState, Path, Site};

use crate::{
    classify::{Class, MSG_ZEROCOPY, asks_zerocopy, class_in_sockmap},
    config::conf,
    lifecycle,
    mem::{Mem, Probe},
    send::{begin, end, known_call},
    socket::{self, Owner, current_tid},
};

/// `IPPROTO_MPTCP`: protocol of the socket the program has; its subflows are plain TCP.
pub const IPPROTO_MPTCP: u16 = 262;
const TCP_CLOSE: i32 = 7;

/// Begins a call of a layer; what it hands to TCP until [`zcscope_layer_leave`] is part of it.
#[inline(always)]
fn enter(sk: *const u8, class: Class) {
    zcscope_layer_enter(sk as u64, class.path as u32, class.start_copy);
}

/// Exported like [`socket::zcscope_identify`], and for the same reason.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_layer_enter(sk: u64, path: u32, start_copy: u32) -> u64 {
    let path = match path {
        p if p == Path::MsgZerocopy as u32 => Path::MsgZerocopy,
        p if p == Path::Mptcp as u32 => Path::Mptcp,
        p if p == Path::Copy as u32 => Path::Copy,
        p if p == Path::Sendfile as u32 => Path::Sendfile,
        p if p == Path::Splice as u32 => Path::Splice,
        _ => Path::Ktls,
    };
    let class = Class { path, start_copy };
    if let Some(state) = unsafe { begin::<Probe>(sk as *const u8, core::ptr::null(), class) } {
        state.layered = 1;
    }
    0
}

/// kprobe `tls_sw_sendmsg(sk, msg)`, `tls_device_sendmsg`: TLS refuses `MSG_ZEROCOPY`.
#[inline(always)]
pub unsafe fn tls_enter(sk: *const u8, msg: *const u8) {
    unsafe {
        let flags: u32 = Probe::read(msg, conf!(off.msghdr_flags));
        let path = if flags & MSG_ZEROCOPY != 0 { Path::MsgZerocopy } else { Path::Ktls };
        enter(sk, Class { path, start_copy: 0 });
    }
}

/// kprobe `tls_sw_sendpage(sk, page, ...)`, `tls_device_sendpage` (<= 6.4).
#[inline(always)]
pub fn tls_enter_page(sk: *const u8) {
    enter(sk, Class { path: Path::Ktls, start_copy: 0 });
}

/// kretprobe of a layer's function. Exported like [`zcscope_layer_enter`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_layer_leave(ret: i64) -> u64 {
    if let Some(state) = known_call(current_tid())
        && state.sk != 0
        && state.layered != 0
    {
        unsafe { end::<Probe>(state.sk as *const u8, state, ret) };
        state.sk = 0;
        state.layered = 0;
    }
    0
}

/// MPTCP copies whatever it gets and does not look at `MSG_ZEROCOPY`.
#[inline(always)]
unsafe fn mptcp_class() -> Class {
    let asked = unsafe { asks_zerocopy() };
    Class { path: Path::Mptcp, start_copy: if asked { Site::Mptcp as u32 } else { 0 } }
}

/// `mptcp_sendmsg(sk)` returned `ret`; tracepoints: `sock:sock_send_length` of such a socket.
#[inline(always)]
pub unsafe fn mptcp<M: Mem>(sk: *const u8, ret: i64) {
    unsafe {
        let class = mptcp_class();
        route_over_first::<M>(sk);
        let mut state =
            CallState { path: class.path as u32, start_copy: class.start_copy, ..CallState::default() };
        end::<M>(sk, &mut state, ret);
    }
}

/// kprobe `mptcp_sendmsg(sk)`.
#[inline(always)]
pub unsafe fn mptcp_enter(sk: *const u8) {
    unsafe {
        route_over_first::<Probe>(sk);
        enter(sk, mptcp_class());
    }
}

/// `tcp_bpf_sendmsg(sk)` returned `ret`, or `tcp_bpf_sendpage` (<= 6.4): a sockmap's program has seen the bytes.
#[inline(always)]
pub unsafe fn sockmap<M: Mem>(sk: *const u8, ret: i64) {
    unsafe {
        // On its way out of the map the socket sends plainly, which is booked already.
        if !socket::sockmap_sends(sk) {
            return;
        }
        let class = class_in_sockmap();
        let mut state =
            CallState { path: class.path as u32, start_copy: class.start_copy, ..CallState::default() };
        end::<M>(sk, &mut state, ret);
    }
}

/// kprobe `tcp_bpf_sendmsg(sk)`, `tcp_bpf_sendpage`.
#[inline(always)]
pub unsafe fn sockmap_enter(sk: *const u8) {
    if unsafe { socket::sockmap_sends(sk) } {
        enter(sk, unsafe { class_in_sockmap() });
    }
}

/// The socket has no route of its own: the device is that of its first subflow.
#[inline(always)]
unsafe fn route_over_first<M: Mem>(sk: *const u8) {
    unsafe {
        let Owner::Known(entry) = socket::sending::<M>(sk, Path::Mptcp as u32) else { return };
        if entry.dev == 0 {
            let first: u64 = Probe::read(sk, conf!(off.mptcp_first));
            entry.dst = Probe::read(first as *const u8, conf!(off.sock_dst_cache));
            socket::zcscope_route(entry);
        }
    }
}

/// Tracepoint `sock:inet_sock_set_state(sk, old, new)`: the end of an MPTCP socket, which TCP's own tracepoint does not
/// see.
#[inline(always)]
pub unsafe fn state_changed<M: Mem>(sk: *const u8, new: i32) {
    if new == TCP_CLOSE && unsafe { M::read::<u16>(sk, conf!(off.sock_protocol)) } == IPPROTO_MPTCP {
        lifecycle::destroyed(sk as u64);
    }
}
