//! Forwarding: before Linux 6.17 or so the kernel copies a zero-copy packet as soon as another namespace receives it,
//! before it knows whether the packet stays. What follows on the same CPU tells: `ip_forward` or not.

use zcscope_common::ForwardKey;

use crate::{
    config::conf,
    maps::{ARRIVED, FORWARDS},
    mem::{Mem, Probe},
};

/// A packet that was copied on arrival. A packet is known by its address and by what TCP wrote into it, because
/// addresses come back; address translation on this way leaves source port and sequence number alone.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Arrived {
    skb: u64,
    print: u64,
    key: ForwardKey,
}

/// Source port and sequence number of the TCP packet at whose IP header the skb points.
#[inline(always)]
unsafe fn fingerprint<M: Mem>(skb: *const u8) -> u64 {
    unsafe {
        let head: u64 = M::read(skb, conf!(off.skb_head));
        let network: u16 = M::read(skb, conf!(off.skb_network_header));
        let ip = head.wrapping_add(u64::from(network)) as *const u8;
        let first: u8 = Probe::read(ip, 0);
        let tcp = if first >> 4 == 6 { 40 } else { u32::from(first & 15) * 4 };
        let port: u16 = Probe::read(ip, tcp);
        let sequence: u32 = Probe::read(ip, tcp + 4);
        u64::from(port) << 32 | u64::from(sequence)
    }
}

/// A packet of the socket `id` was copied where it arrived, on `dev`.
#[inline(always)]
pub unsafe fn arrived<M: Mem>(skb: *const u8, id: u64, dev: u64) {
    let Some(slot) = ARRIVED.get_ptr_mut(0) else { return };
    let print = unsafe { fingerprint::<M>(skb) };
    // SAFETY: a map value of this CPU.
    unsafe { *slot = Arrived { skb: skb as u64, print, key: ForwardKey { id, dev } } };
}

/// `ip_forward(skb)`, `ip6_forward(skb)`: a packet is not for this namespace.
#[inline(always)]
pub unsafe fn forwarded<M: Mem>(skb: *const u8) {
    let Some(slot) = ARRIVED.get_ptr_mut(0) else { return };
    // SAFETY: a map value of this CPU.
    unsafe {
        if (*slot).skb != skb as u64 {
            return;
        }
        (*slot).skb = 0;
        // A copy on the stack: before Linux 6.2 the verifier takes no map key from a map value.
        let key = (*slot).key;
        if (*slot).print == fingerprint::<M>(skb) {
            let _ = FORWARDS.insert(key, 1, 0);
        }
    }
}
