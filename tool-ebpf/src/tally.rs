//! Tallies: where plain calls end that are like the one before, by arithmetic instead of a look-up in a hash table.
//! Every entry of a socket has one, if there is room, from when it is made until it is removed.
//!
//! A call that has to look at the entry touches the tally, so that its reader looks, too; only a plain call that finds
//! nothing unusual in the entry starts it ([`start`]), and what makes the entry unusual stops it ([`stop`]).

use aya_ebpf::{bindings::BPF_F_MMAPABLE, helpers::bpf_get_current_task_btf, macros::map, maps::Array};
use zcscope_common::{Tally, sock_flags, tally_state};

use crate::{
    classify,
    config::conf,
    mem::{Direct, Mem, add, add32, fetch_and, fetch_or, low_half, swap, unknown},
};

/// All tallies. User space has them mapped.
#[map]
static TALLIES: Array<Tally> = Array::with_max_entries(Tally::SLOTS, BPF_F_MMAPABLE);
/// A bit for each slot that is taken, and the number of entries that found none.
#[map]
static TALLIES_USED: Array<u64> = Array::with_max_entries(Tally::USED_WORDS + 1, BPF_F_MMAPABLE);

const LAST: u32 = Tally::SLOTS - 1;

#[inline(always)]
fn slot(number: u32) -> Option<&'static mut Tally> {
    // SAFETY: a map value, valid while the program runs.
    TALLIES.get_ptr_mut(number).map(|tally| unsafe { &mut *tally })
}

#[inline(always)]
fn word(number: u32) -> Option<&'static mut u64> {
    // SAFETY: a map value, valid while the program runs.
    TALLIES_USED.get_ptr_mut(number).map(|word| unsafe { &mut *word })
}

/// The key of a socket's receiving side.
#[inline(always)]
pub fn receives(sk: u64) -> u64 {
    sk.wrapping_add(Tally::RECEIVES)
}

/// The tally of this key.
#[inline(always)]
pub fn find(key: u64) -> Option<&'static mut Tally> {
    let first = Tally::first_slot(low_half(key));
    if let Some(tally) = slot(first)
        && tally.key == key
    {
        return Some(tally);
    }
    slot(behind(key)).filter(|tally| tally.key == key)
}

/// The slot of a tally that does not stand in its first; an impossible one when there is none. A function of its own,
/// but no global one: those take no kernel pointers.
#[inline(never)]
fn behind(key: u64) -> u32 {
    let first = Tally::first_slot(low_half(key));
    let mut n = 1;
    while n < Tally::WINDOW {
        let at = (first + n) & LAST;
        if slot(at).is_some_and(|tally| tally.key == key) {
            return unknown(u64::from(at)) as u32;
        }
        n += 1;
    }
    unknown(u64::from(Tally::SLOTS)) as u32
}

/// Takes a slot for an entry that is new. Two CPUs may do so at once for the same: the slot of better choice stays.
/// Exported like [`crate::socket::zcscope_identify`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_tally_take(key: u64) -> u64 {
    let first = Tally::first_slot(low_half(key));
    let mut n = 0;
    while n < Tally::WINDOW {
        let at = (first + n) & LAST;
        let (Some(used), Some(tally)) = (word(at / 64), slot(at)) else { return 0 };
        let bit = 1 << (at % 64);
        if *used & bit == 0 && fetch_or(used, bit) & bit == 0 {
            (tally.id, tally.calls, tally.bytes, tally.state) = (0, 0, 0, tally_state::ENTRY);
            // SAFETY: a field of a map value.
            unsafe { swap(&raw mut tally.key, key) };
            if find(key).is_some_and(|better| !core::ptr::eq(better, tally)) {
                release(at, tally, used);
            }
            return 0;
        }
        if tally.key == key {
            return 0;
        }
        n += 1;
    }
    if let Some(unlucky) = word(Tally::USED_WORDS) {
        add(unlucky, 1);
    }
    0
}

#[inline(always)]
fn release(at: u32, tally: &mut Tally, used: &mut u64) {
    tally.state = tally_state::ENTRY;
    // SAFETY: a field of a map value.
    unsafe { swap(&raw mut tally.key, 0) };
    fetch_and(used, !(1 << (at % 64)));
}

/// Gives a slot back: its entry is gone. Exported like [`crate::socket::zcscope_identify`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_tally_free(key: u64) -> u64 {
    let first = Tally::first_slot(low_half(key));
    let mut n = 0;
    while n < Tally::WINDOW {
        let at = (first + n) & LAST;
        if let (Some(used), Some(tally)) = (word(at / 64), slot(at))
            && tally.key == key
        {
            release(at, tally, used);
            return 0;
        }
        n += 1;
    }
    0
}

/// Something is about to change in the entry that calls which end here do not look at.
#[inline(always)]
pub fn touch(tally: &mut Tally) {
    if tally.state != tally_state::ENTRY {
        add32(&mut tally.touched, 1);
    }
}

/// Calls look at the entry again, until [`start`].
#[inline(always)]
pub fn stop(tally: &mut Tally) {
    if tally.state != tally_state::ENTRY {
        // SAFETY: a field of a map value. A barrier: the entry was changed before.
        unsafe { swap(&raw mut tally.state, tally_state::ENTRY) };
        add32(&mut tally.touched, 1);
    }
}

/// Calls like the present one are counted here from now on.
#[inline(always)]
pub fn start(tally: &mut Tally, id: u64, tgid: u32, flags: &u32) {
    let ignored = *flags & sock_flags::IGNORED != 0;
    (tally.id, tally.tgid) = (id, tgid);
    let state = if ignored { tally_state::IGNORED } else { tally_state::PLAIN };
    if tally.state != state {
        // SAFETY: a field of a map value. A barrier: whoever changed the flags before it is seen, whoever does after
        // it stops this.
        unsafe { swap(&raw mut tally.state, state) };
        // SAFETY: a valid reference.
        if unsafe { core::ptr::read_volatile(flags) } & !sock_flags::IGNORED != 0 {
            stop(tally);
        }
    }
}

/// Takes out what was counted, for an entry that ends or changes hands, and stops.
#[inline(always)]
pub fn fold(key: u64) -> (u64, u64) {
    let Some(tally) = find(key) else { return (0, 0) };
    stop(tally);
    tally.id = 0;
    // SAFETY: fields of a map value.
    unsafe { (swap(&raw mut tally.calls, 0), swap(&raw mut tally.bytes, 0)) }
}

/// What became of a plain call.
pub enum Counted {
    /// It was counted here, after so many.
    After(u64),
    /// The filter does not want it.
    Unwanted,
    /// Something about it is new: the entry has to be looked at.
    No,
}

/// Counts a plain call, if it is one like the one before: same process, no ring, and `same`.
#[inline(always)]
pub fn count(key: u64, bytes: u64, same: impl Fn(&Tally) -> bool) -> Counted {
    let Some(tally) = find(key) else { return Counted::No };
    let state = tally.state;
    if state == tally_state::ENTRY || !same(tally) {
        return Counted::No;
    }
    // SAFETY: a helper without preconditions; the task is a typed pointer.
    unsafe {
        let task = bpf_get_current_task_btf() as *const u8;
        if Direct::read::<u32>(task, conf!(off.task_tgid)) != tally.tgid || classify::has_ring(task) {
            return Counted::No;
        }
    }
    if state != tally_state::PLAIN {
        return Counted::Unwanted;
    }
    let before = tally.calls;
    add(&mut tally.calls, 1);
    add(&mut tally.bytes, bytes);
    Counted::After(before)
}
