//! Copies of bytes that were accepted without one: at the functions that copy, with the caller and the device.

use core::ffi::c_void;

use aya_ebpf::bindings::BPF_NOEXIST;
use zcscope_common::{CopyKey, CopyTotals, Lost, Range, Site, SockEntry, Unit};

use crate::{
    caller::{Entry, caller},
    config::conf,
    forward,
    maps::{COPIES, SEGMENTED, UNITS, lost},
    mem::{Mem, Probe, add, unknown},
    skb::{self, SHARED_FRAG, ZEROCOPY_ENABLE},
    socket::{self, known},
};

const NETIF_F_SG: u64 = 1;

/// Adds to the copy table.
#[inline(always)]
pub fn count(key: CopyKey, bytes: u64) {
    zcscope_count(&key, bytes);
}

/// Exported like [`socket::zcscope_identify`], and for the same reason.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_count(key: *const CopyKey, bytes: u64) -> u64 {
    if key.is_null() {
        return 0;
    }
    // A copy on the stack: before Linux 6.2 the verifier takes no map key from memory a function was given.
    // SAFETY: the caller's key.
    let key = unsafe { key.read_volatile() };
    // Zeros LLVM does not know of: it would call a function to write them, and that costs 32 bytes of a stack whose 512
    // are used up here, at the end of the longest chain of calls.
    let none = CopyTotals { count: unknown(0), bytes: unknown(0) };
    let mut totals = COPIES.get_ptr_mut(key);
    if totals.is_none() {
        let _ = COPIES.insert(key, none, u64::from(BPF_NOEXIST));
        totals = COPIES.get_ptr_mut(key);
    }
    match totals {
        Some(totals) => {
            // SAFETY: a map value, valid while the program runs.
            let totals = unsafe { &mut *totals };
            add(&mut totals.count, 1);
            add(&mut totals.bytes, bytes);
        }
        // Refused, and no other CPU has made it: the table is full.
        None => lost(Lost::CopyTable, 1),
    }
    0
}

/// Who owns the bytes of a skb that carries somebody else's pages.
pub struct Victim {
    pub entry: &'static mut SockEntry,
    pub path: u32,
    /// The completion unit, on paths that have one.
    pub unit: Option<&'static mut Unit>,
}

impl Victim {
    /// Whether the kernel could tell the application of a copy.
    #[inline(always)]
    pub fn is_told(&self) -> bool {
        self.unit.as_ref().is_some_and(|unit| unit.untold == 0)
    }
}

/// Finds the socket of such a skb: through the unit where there is one, because a skb loses its socket on the way.
#[inline(always)]
pub unsafe fn victim<M: Mem>(skb: *const u8, shared: &skb::Shared) -> Option<Victim> {
    if shared.flags & ZEROCOPY_ENABLE != 0 && shared.uarg != 0 {
        let unit = unsafe { unit_of(shared.uarg)? };
        let entry = known(unit.sk)?;
        return Some(Victim { entry, path: unit.path, unit: Some(unit) });
    }
    if shared.flags & SHARED_FRAG != 0 {
        return of_socket(unsafe { Probe::read(skb, conf!(off.skb_sk)) });
    }
    None
}

/// The unit of a skb that has one; only of sockets that are counted.
#[inline(always)]
pub unsafe fn unit(shared: &skb::Shared) -> Option<&'static mut Unit> {
    let has_unit = shared.flags & ZEROCOPY_ENABLE != 0 && shared.uarg != 0;
    if has_unit { unsafe { unit_of(shared.uarg) } } else { None }
}

/// File pages of this socket.
#[inline(always)]
fn of_socket(sk: u64) -> Option<Victim> {
    let entry = known(sk)?;
    let path = socket::spliced_path(entry)?;
    Some(Victim { entry, path, unit: None })
}

/// The unit at this `ubuf_info`. io_uring's are known since the send; one of MSG_ZEROCOPY is made at its first
/// copy, from the socket that its notification skb names.
#[inline(always)]
pub unsafe fn unit_of(uarg: u64) -> Option<&'static mut Unit> {
    if let Some(unit) = UNITS.get_ptr_mut(uarg) {
        // SAFETY: a map value, valid while the program runs.
        return Some(unsafe { &mut *unit });
    }
    let sk = unsafe { skb::sock_of_uarg(uarg) };
    known(sk)?;
    let unit = Unit { sk, path: zcscope_common::Path::MsgZerocopy as u32, ..Unit::default() };
    // Not to overwrite: another CPU may make it at the same time and count on it already.
    if UNITS.insert(uarg, unit, u64::from(BPF_NOEXIST)).is_err() && UNITS.get_ptr(uarg).is_none() {
        lost(Lost::UnitTable, 1);
    }
    // SAFETY: a map value, valid while the program runs.
    UNITS.get_ptr_mut(uarg).map(|unit| unsafe { &mut *unit })
}

/// A copy as a hook sees it.
pub struct Event {
    pub site: Site,
    /// Addresses of the copying function, to find its caller on the stack.
    pub function: Range,
    pub bytes: u64,
    /// The kernel will tell the application.
    pub told: bool,
    /// Less than all paged data.
    pub partial: bool,
}

/// `skb_copy_ubufs(skb, gfp)`: all paged data goes into kernel pages.
#[inline(always)]
pub unsafe fn copy_ubufs<E: Entry>(ctx: *mut c_void, skb: *const u8) {
    unsafe {
        let bytes: u32 = E::Mem::read(skb, conf!(off.skb_data_len));
        let function = Range { start: conf!(copy_ubufs.start), end: conf!(copy_ubufs.end) };
        let event =
            Event { site: Site::SkbCopyUbufs, function, bytes: u64::from(bytes), told: true, partial: false };
        // Without ZEROCOPY_ENABLE the function has nothing to do.
        book::<E, E::Mem>(ctx, skb, &event, ZEROCOPY_ENABLE);
    }
}

/// `__pskb_pull_tail(skb, delta)`: `delta` bytes go from frags into the linear part. Only when nothing is left in
/// frags the kernel flags the unit as copied.
#[inline(always)]
pub unsafe fn pull_tail<E: Entry>(ctx: *mut c_void, skb: *const u8, delta: i32) {
    if delta <= 0 {
        return;
    }
    unsafe {
        let paged: u32 = E::Mem::read(skb, conf!(off.skb_data_len));
        let partial = (delta as u32) < paged;
        let function = Range { start: conf!(pull_tail.start), end: conf!(pull_tail.end) };
        let event = Event {
            site: Site::PskbPullTail,
            function,
            bytes: u64::from(delta as u32),
            told: !partial,
            partial,
        };
        book::<E, E::Mem>(ctx, skb, &event, ZEROCOPY_ENABLE | SHARED_FRAG);
    }
}

/// `skb_segment(head, features)`: without scatter-gather every segment is made linear, and nobody is told.
#[inline(always)]
pub unsafe fn segment<E: Entry>(ctx: *mut c_void, skb: *const u8, features: u64) {
    if features & NETIF_F_SG != 0 {
        // Segments may still be pulled together, for a checksum, before they have a socket.
        if let Some(slot) = SEGMENTED.get_ptr_mut(0) {
            // SAFETY: a map value of this CPU.
            unsafe { *slot = Probe::read(skb, conf!(off.skb_sk)) };
        }
        return;
    }
    unsafe {
        let bytes: u32 = E::Mem::read(skb, conf!(off.skb_data_len));
        let function = Range { start: conf!(segment.start), end: conf!(segment.end) };
        let event =
            Event { site: Site::SkbSegment, function, bytes: u64::from(bytes), told: false, partial: false };
        book::<E, E::Mem>(ctx, skb, &event, ZEROCOPY_ENABLE | SHARED_FRAG);
    }
}

/// `skb_pp_cow_data(pool, &skb, headroom)`: XDP gets a new skb, all data copied; the old one is released as if it had
/// been sent, so nobody is told.
#[inline(always)]
pub unsafe fn pp_cow_data<E: Entry>(ctx: *mut c_void, pskb: *const u8) {
    unsafe {
        // The argument points at a pointer, for which the verifier has no type.
        let skb = crate::mem::read::<u64>(pskb) as *const u8;
        let bytes: u32 = Probe::read(skb, conf!(off.skb_data_len));
        let function = Range { start: conf!(pp_cow.start), end: conf!(pp_cow.end) };
        let event = Event {
            site: Site::SkbPpCowData,
            function,
            bytes: u64::from(bytes),
            told: false,
            partial: false,
        };
        book::<E, Probe>(ctx, skb, &event, ZEROCOPY_ENABLE | SHARED_FRAG);
    }
}

/// `skb_copy_bits(skb, offset, to, len)`: before Linux 6.3 veth copies for XDP by itself, through this function. All
/// other callers are somebody else's business.
#[inline(always)]
pub unsafe fn copy_bits<E: Entry>(ctx: *mut c_void, skb: *const u8, offset: i32, len: i32) {
    unsafe {
        if skb::shared::<E::Mem>(skb).is_none() {
            return;
        }
        let function = Range { start: conf!(copy_bits.start), end: conf!(copy_bits.end) };
        let by = caller::<E>(ctx, function);
        if by < conf!(veth_xdp.start) || by >= conf!(veth_xdp.end) {
            return;
        }
        let total: u32 = E::Mem::read(skb, conf!(off.skb_len));
        let paged: u32 = E::Mem::read(skb, conf!(off.skb_data_len));
        // Only what lies in frags is somebody else's.
        let linear = i64::from(total.wrapping_sub(paged));
        let begin = if i64::from(offset) > linear { i64::from(offset) } else { linear };
        let end = i64::from(offset) + i64::from(len);
        if end <= begin {
            return;
        }
        let bytes = (end - begin) as u64;
        let event = Event { site: Site::SkbCopyBits, function, bytes, told: false, partial: false };
        book::<E, E::Mem>(ctx, skb, &event, ZEROCOPY_ENABLE | SHARED_FRAG);
    }
}

#[inline(always)]
unsafe fn book<E: Entry, M: Mem>(ctx: *mut c_void, skb: *const u8, event: &Event, flags: u8) {
    unsafe {
        let Some(shared) = skb::shared::<M>(skb) else { return };
        if shared.flags & flags == 0 {
            return;
        }
        let caller = caller::<E>(ctx, event.function);
        let victim = match victim::<M>(skb, &shared) {
            Some(victim) => victim,
            None => {
                let segmenting = caller >= conf!(segment.start) && caller < conf!(segment.end);
                if !segmenting || shared.flags & ZEROCOPY_ENABLE != 0 {
                    return;
                }
                let Some(sk) = SEGMENTED.get(0) else { return };
                let Some(victim) = of_socket(*sk) else { return };
                victim
            }
        };
        let clone = caller >= conf!(tap.start) && caller < conf!(tap.end);
        let dev: u64 = crate::mem::Probe::read(skb, conf!(off.skb_dev));
        socket::zcscope_remember(dev);
        let told = event.told && victim.is_told();
        let key = CopyKey {
            id: victim.entry.id,
            dev,
            caller,
            path: victim.path as u8,
            site: event.site as u8,
            clone: u8::from(clone),
            told: u8::from(told),
            partial: u8::from(event.partial),
            ..CopyKey::default()
        };
        count(key, event.bytes);
        if event.site as u8 == Site::SkbCopyUbufs as u8 && !clone {
            forward::arrived::<M>(skb, key.id, dev);
        }
        charge(victim, clone, told, event.bytes);
    }
}

/// Adds copied bytes to the unit, or where there is none to the socket's flow.
#[inline(always)]
pub fn charge(victim: Victim, clone: bool, told: bool, bytes: u64) {
    if let Some(unit) = victim.unit {
        add(if clone { &mut unit.clone_bytes } else { &mut unit.wire_bytes }, bytes);
    } else if let Some(flow) = socket::flow(victim.entry, victim.path) {
        if clone {
            add(&mut flow.raw_clone_bytes, bytes);
        } else {
            add(&mut flow.raw_wire_bytes, bytes);
            if !told {
                add(&mut flow.raw_silent_bytes, bytes);
            }
        }
    }
}
