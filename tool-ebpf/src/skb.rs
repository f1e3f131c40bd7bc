//! Reading `sk_buff`, its shared info and the notification in its control block.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

use crate::{
    config::conf,
    mem::{Mem, Probe, checked_by_verifier, read},
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

/// A frag as it lies in memory, which user space makes sure of: a page, and in one word its length and the offset from
/// the start of that, possibly compound, page.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Frag {
    page: u64,
    part: u64,
}

impl Frag {
    /// Bytes.
    #[inline(always)]
    pub fn len(self) -> u32 {
        self.part as u32
    }

    /// Pages it touches.
    #[inline(always)]
    pub fn pages(self) -> u64 {
        pages_of((self.part >> 32) as u32, self.len())
    }
}

/// Address of frag `index` of a shared info.
#[inline(always)]
fn frag_at(info: u64, index: u32) -> *const u8 {
    let first = info.wrapping_add(u64::from(conf!(off.shinfo_frags)));
    first.wrapping_add(u64::from(index) * size_of::<Frag>() as u64) as *const u8
}

/// So many frags are read at once.
pub const FRAGS_AT_ONCE: usize = 8;

/// Reads the frags from `index` on: as many as there is room for, but not more than `left`, because behind the last
/// one there need not be memory.
#[inline(always)]
pub unsafe fn read_frags(to: &mut [Frag; FRAGS_AT_ONCE], info: u64, index: u32, left: u32) {
    const ROOM: u32 = size_of::<[Frag; FRAGS_AT_ONCE]>() as u32;
    let n = if left < FRAGS_AT_ONCE as u32 { left } else { FRAGS_AT_ONCE as u32 };
    // The mask changes nothing, but before Linux 6.2 the verifier loses sight of the bound above.
    let size = (checked_by_verifier((n * size_of::<Frag>() as u32).wrapping_sub(1)) & (ROOM - 1)) + 1;
    unsafe { bpf_probe_read_kernel(to.as_mut_ptr().cast(), size, frag_at(info, index).cast()) };
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
    unsafe { read::<Frag>(frag_at(info, index)) }.pages()
}

/// Reads the shared info; `None` when the skb carries nobody else's pages. `uarg` is set for zero-copy skbs of a
/// `ubuf_info`; pointers with bit 0 set belong to AF_XDP and packet sockets and are none.
#[inline(always)]
pub unsafe fn shared<M: Mem>(skb: *const u8) -> Option<Shared> {
    unsafe {
        // Acknowledgements, half of all packets, have no frags.
        if M::TYPED && M::read::<u32>(skb, conf!(off.skb_data_len)) == 0 {
            return None;
        }
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
pub unsafe fn notice<M: Mem>(skb: *const u8) -> Option<Notice> {
    unsafe {
        let at = conf!(off.skb_cb) + conf!(off.exterr_origin);
        // `struct sock_extended_err` is the same for ever: origin, type, code, pad, info, data.
        let [what, lo, hi] = M::read_three(skb, at);
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
