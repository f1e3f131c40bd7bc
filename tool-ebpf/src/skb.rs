//! Reading `sk_buff`, its shared info and the notification in its control block.

use crate::{
    config::conf,
    mem::{Mem, Probe, read},
};

/// `SKBFL_ZEROCOPY_ENABLE`: the frags belong to a `ubuf_info`.
pub const ZEROCOPY_ENABLE: u8 = 1;
/// `SKBFL_SHARED_FRAG`: the frags are somebody else's pages (sendfile, splice).
pub const SHARED_FRAG: u8 = 2;
/// `SKBFL_PURE_ZEROCOPY`: nothing but pages of zero-copy sends (>= 5.16).
pub const PURE_ZEROCOPY: u8 = 4;
/// `SKBFL_MANAGED_FRAG_REFS`: io_uring's registered buffers, without page references (>= 6.0).
pub const MANAGED_FRAG_REFS: u8 = 16;
const PAGE_SIZE: u64 = 4096;
const SO_EE_ORIGIN_ZEROCOPY: u8 = 5;
const SO_EE_CODE_ZEROCOPY_COPIED: u8 = 1;

/// What matters of `skb_shared_info`.
#[derive(Clone, Copy)]
pub struct Shared {
    pub flags: u8,
    pub gso_size: u16,
    /// The `ubuf_info`, 0 when there is none.
    pub uarg: u64,
}

/// Address of `skb_shinfo(skb)` (64-bit layout: `head + end`).
#[inline(always)]
pub unsafe fn shinfo<M: Mem>(skb: *const u8) -> *const u8 {
    unsafe {
        let head: u64 = M::read(skb, conf!(off.skb_head));
        let end: u32 = M::read(skb, conf!(off.skb_end));
        head.wrapping_add(u64::from(end)) as *const u8
    }
}

/// Number of frags in a shared info.
#[inline(always)]
pub unsafe fn frags_at(info: u64) -> u32 {
    u32::from(unsafe { Probe::read::<u8>(info as *const u8, conf!(off.shinfo_nr_frags)) })
}

/// Offset (from the start of its first, possibly compound, page) and length of frag `index`.
#[inline(always)]
pub unsafe fn frag(info: u64, index: u32) -> (u32, u32) {
    unsafe {
        let size = u64::from(conf!(off.frag_size));
        let at = info.wrapping_add(u64::from(conf!(off.shinfo_frags))).wrapping_add(u64::from(index) * size);
        let at = at as *const u8;
        (Probe::read(at, conf!(off.frag_offset)), Probe::read(at, conf!(off.frag_len)))
    }
}

/// Pages touched by `len` bytes at `offset`.
#[inline(always)]
pub fn pages_of(offset: u32, len: u32) -> u64 {
    ((u64::from(offset) % PAGE_SIZE) + u64::from(len)).div_ceil(PAGE_SIZE)
}

/// Pages of frag `index`; 0 for the one before the first.
#[inline(always)]
pub unsafe fn frag_pages(info: u64, index: u32) -> u64 {
    if index == u32::MAX {
        return 0;
    }
    let (offset, len) = unsafe { frag(info, index) };
    pages_of(offset, len)
}

/// Reads the shared info; `None` when the skb carries nobody else's pages. `uarg` is set for zero-copy skbs of a
/// `ubuf_info`; pointers with bit 0 set belong to AF_XDP and packet sockets and are none.
#[inline(always)]
pub unsafe fn shared<M: Mem>(skb: *const u8) -> Option<Shared> {
    unsafe {
        let info = shinfo::<M>(skb);
        // They share a word since Linux 5.12; a helper's call costs more than what it reads.
        let begin: u64 = read(info);
        let flags = byte(begin, conf!(off.shinfo_flags));
        if flags & (ZEROCOPY_ENABLE | SHARED_FRAG) == 0 || byte(begin, conf!(off.shinfo_nr_frags)) == 0 {
            return None;
        }
        let mut uarg = 0;
        if flags & ZEROCOPY_ENABLE != 0 {
            uarg = Probe::read::<u64>(info, conf!(off.shinfo_destructor_arg));
            if uarg & 1 != 0 {
                return None;
            }
        }
        let gso_size = (begin >> (8 * (conf!(off.shinfo_gso_size) & 7))) as u16;
        Some(Shared { flags, gso_size, uarg })
    }
}

/// A byte of a word read from memory (little-endian, as all supported machines are).
#[inline(always)]
fn byte(word: u64, at: u32) -> u8 {
    (word >> (8 * (at & 7))) as u8
}

/// A zero-copy notification as it stands in an error-queue skb.
pub struct Notice {
    pub lo: u32,
    pub hi: u32,
    pub copied: bool,
}

/// Parses the control block of an skb of the error queue; `None` when it is not a zero-copy notification.
#[inline(always)]
pub unsafe fn notice(skb: *const u8) -> Option<Notice> {
    unsafe {
        let cb = skb.wrapping_add(conf!(off.skb_cb) as usize);
        // `struct sock_extended_err` is the same for ever: origin, type, code, pad, info, data.
        let [what, lo, hi]: [u32; 3] = Probe::read(cb, conf!(off.exterr_origin));
        let [origin, _, code, _] = what.to_le_bytes();
        if origin != SO_EE_ORIGIN_ZEROCOPY {
            return None;
        }
        Some(Notice { lo, hi, copied: code & SO_EE_CODE_ZEROCOPY_COPIED != 0 })
    }
}

/// What a `ubuf_info_msgzc` says at its end.
pub struct Ubuf {
    pub lo: u32,
    pub len: u32,
    pub copied: bool,
}

/// Reads a `ubuf_info_msgzc`. Its id union overlaps a pointer, so typed loads are refused: always by helper.
#[inline(always)]
pub unsafe fn ubuf(uarg: *const u8) -> Ubuf {
    unsafe {
        let lo: u32 = Probe::read(uarg, conf!(off.uarg_id));
        let len: u16 = Probe::read(uarg, conf!(off.uarg_len));
        let bits: u8 = Probe::read(uarg, conf!(off.uarg_zerocopy));
        Ubuf { lo, len: u32::from(len), copied: (bits >> (conf!(off.uarg_zerocopy_shift) & 7)) & 1 == 0 }
    }
}

/// The socket of a MSG_ZEROCOPY `ubuf_info`: it lives in the control block of its notification skb.
#[inline(always)]
pub unsafe fn sock_of_uarg(uarg: u64) -> u64 {
    let skb = uarg.wrapping_sub(u64::from(conf!(off.skb_cb)));
    unsafe { read(skb.wrapping_add(u64::from(conf!(off.skb_sk))) as *const u8) }
}
