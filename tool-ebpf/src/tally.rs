//! Tallies: where plain calls end that are like the one before, by arithmetic instead of a look-up in a hash table.
//! Every entry of a socket has one, if there is room, from when it is made until it is removed.
//!
//! A call that has to look at the entry touches the tally, so that its reader looks, too; only a plain call that finds
//! nothing unusual in the entry starts it, and what makes the entry unusual stops it.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    helpers::{bpf_get_current_task_btf, bpf_loop},
    macros::map,
    maps::Array,
};
use zcscope_common::{Path, RecvEntry, SockEntry, Tally, sock_flags, tally_state};

use crate::{
    classify,
    config::conf,
    mem::{Direct, Mem, add, add32, fetch_and, fetch_or, low_half, swap},
};

/// All tallies. User space has them mapped.
#[map]
static TALLIES: Array<Tally> = Array::with_max_entries(Tally::SLOTS, BPF_F_MMAPABLE);
/// A bit for each slot that is taken; behind them [`UNLUCKY`] and [`FAR`].
#[map]
static TALLIES_USED: Array<u64> = Array::with_max_entries(Tally::USED_WORDS + 2, BPF_F_MMAPABLE);

/// Word with the number of entries that found no slot.
const UNLUCKY: u32 = Tally::USED_WORDS;
/// Word with a bit for each distance from its first choice that a tally ever stood at: nobody has to look farther.
const FAR: u32 = Tally::USED_WORDS + 1;
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

/// The tally of this key: most stand in the slot of their first choice.
#[inline(always)]
pub fn find(key: u64) -> Option<&'static mut Tally> {
    match slot(Tally::first_slot(low_half(key))) {
        Some(tally) if tally.key == key => Some(tally),
        _ => find_farther(key),
    }
}

#[inline(always)]
fn find_farther(key: u64) -> Option<&'static mut Tally> {
    // Handed over in memory: a global function takes no typed pointers.
    let kept = key;
    slot(zcscope_tally_slot(&raw const kept) as u32).filter(|tally| tally.key == key)
}

/// A look through the slots in which a tally may stand.
struct Search {
    key: u64,
    /// Distances to look at: all up to its highest bit.
    far: u64,
    /// The slot; an impossible one until it is found.
    found: u64,
}

impl Search {
    /// Asks about one slot after the other until the answer is not 0. A loop of the program's own would be walked by the
    /// verifier once for every slot.
    #[inline(always)]
    fn over(key: u64, far: u64, ask: extern "C" fn(u32, *mut Search) -> i64) -> u32 {
        let mut search = Search { key, far, found: u64::from(Tally::SLOTS) };
        // SAFETY: the callback matches the helper's contract and the context outlives the loop.
        unsafe { bpf_loop(Tally::WINDOW, ask as *mut c_void, (&raw mut search).cast(), 0) };
        search.found as u32
    }

    #[inline(always)]
    fn slot(&self, index: u32) -> u32 {
        Tally::first_slot(self.key as u32).wrapping_add(index) & LAST
    }
}

/// The slot of the tally of this key; an impossible one when there is none. Exported like
/// [`crate::socket::zcscope_identify`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_tally_slot(key: *const u64) -> u64 {
    // SAFETY: null or a number in the caller's memory.
    let Some(&key) = (unsafe { key.as_ref() }) else { return u64::from(Tally::SLOTS) };
    let Some(far) = word(FAR) else { return u64::from(Tally::SLOTS) };
    u64::from(Search::over(key, *far, is_it))
}

#[inline(never)]
extern "C" fn is_it(index: u32, search: *mut Search) -> i64 {
    // SAFETY: the context given to `bpf_loop`.
    let search = unsafe { &mut *search };
    if search.far >> (index & 63) == 0 {
        return 1;
    }
    let at = search.slot(index);
    let found = slot(at).is_some_and(|tally| tally.key == search.key);
    if found {
        search.found = u64::from(at);
    }
    i64::from(found)
}

/// Takes a slot for an entry that is new. Two CPUs may do so at once for the same: the slot of better choice stays.
/// Exported like [`crate::socket::zcscope_identify`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_tally_take(key: *const u64) -> u64 {
    // SAFETY: null or a number in the caller's memory.
    let Some(&key) = (unsafe { key.as_ref() }) else { return 0 };
    let at = Search::over(key, u64::MAX, is_free);
    match slot(at) {
        Some(tally) => {
            (tally.id, tally.calls, tally.bytes, tally.state) = (0, 0, 0, tally_state::ENTRY);
            // SAFETY: a field of a map value.
            unsafe { swap(&raw mut tally.key, key) };
            if zcscope_tally_slot(&raw const key) as u32 != at {
                release(at, tally);
            }
        }
        None => {
            if let Some(unlucky) = word(UNLUCKY) {
                add(unlucky, 1);
            }
        }
    }
    0
}

#[inline(never)]
extern "C" fn is_free(index: u32, search: *mut Search) -> i64 {
    // SAFETY: the context given to `bpf_loop`.
    let search = unsafe { &mut *search };
    let at = search.slot(index);
    let Some(used) = word(at / 64) else { return 0 };
    let bit = 1 << (at % 64);
    let free = *used & bit == 0 && fetch_or(used, bit) & bit == 0;
    if free {
        search.found = u64::from(at);
        if let Some(far) = word(FAR) {
            fetch_or(far, 1 << (index & 63));
        }
    }
    i64::from(free)
}

#[inline(always)]
fn release(at: u32, tally: &mut Tally) {
    tally.state = tally_state::ENTRY;
    // SAFETY: a field of a map value.
    unsafe { swap(&raw mut tally.key, 0) };
    if let Some(used) = word(at / 64) {
        fetch_and(used, !(1 << (at % 64)));
    }
}

/// Gives a slot back: its entry is gone. Exported like [`crate::socket::zcscope_identify`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_tally_free(key: u64) -> u64 {
    let at = zcscope_tally_slot(&raw const key) as u32;
    if let Some(tally) = slot(at) {
        release(at, tally);
    }
    0
}

/// An entry is about to change, which calls that are counted in its tally do not look at.
#[inline(always)]
pub fn touch(tally: &mut Tally) {
    if tally.state != tally_state::ENTRY {
        add32(&mut tally.touched, 1);
    }
}

/// Something unusual was begun on a socket: its calls look at the entry from now on. Exported like
/// [`crate::socket::zcscope_identify`], as are those below: each is a branch or two that callers need not walk.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_tally_stop(key: u64) -> u64 {
    if let Some(tally) = find(key) {
        stop(tally);
    }
    0
}

#[inline(always)]
fn stop(tally: &mut Tally) {
    if tally.state != tally_state::ENTRY {
        // SAFETY: a field of a map value. A barrier: the entry was changed before.
        unsafe { swap(&raw mut tally.state, tally_state::ENTRY) };
        add32(&mut tally.touched, 1);
    }
}

/// A call on a sending socket, which is about to change its entry. If it is a plain one, those like it are counted in
/// the tally from now on.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_tally_sends(entry: *mut SockEntry, path: u32) -> u64 {
    // SAFETY: null or a map value.
    let Some(entry) = (unsafe { entry.as_mut() }) else { return 0 };
    let Some(tally) = find(entry.sk) else { return 0 };
    touch(tally);
    let home = entry.home_path == Path::Copy as u32 || entry.flags == sock_flags::IGNORED;
    if path == Path::Copy as u32 && home && entry.flags & !sock_flags::IGNORED == 0 {
        (tally.dst, tally.prot) = (entry.dst, entry.prot);
        start(tally, entry.id, entry.tgid, &entry.flags);
    } else if tally.state == tally_state::IGNORED {
        // This call keeps state for its thread, which its exit must not pass by.
        stop(tally);
    }
    0
}

/// The same on a receiving socket.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_tally_receives(entry: *mut RecvEntry, path: u32) -> u64 {
    // SAFETY: null or a map value.
    let Some(entry) = (unsafe { entry.as_mut() }) else { return 0 };
    let Some(tally) = find(receives(entry.sk)) else { return 0 };
    touch(tally);
    let home = entry.home_path == Path::Recv as u32 || entry.flags & sock_flags::IGNORED != 0;
    if path == Path::Recv as u32 && home && entry.id != 0 {
        start(tally, entry.id, entry.tgid, &entry.flags);
    }
    0
}

/// Calls like the present one are counted here from now on.
#[inline(always)]
fn start(tally: &mut Tally, id: u64, tgid: u32, flags: &u32) {
    let ignored = *flags & sock_flags::IGNORED != 0;
    let state = if ignored { tally_state::IGNORED } else { tally_state::PLAIN };
    (tally.id, tally.tgid) = (id, tgid);
    // With a filter by path every call has to be looked at.
    if tally.state != state && conf!(filter.path_mask) == 0 {
        // SAFETY: a field of a map value. A barrier: whoever changed the flags before it is seen, whoever does after
        // it stops this.
        unsafe { swap(&raw mut tally.state, state) };
        // SAFETY: a valid reference.
        if unsafe { core::ptr::read_volatile(flags) } & !sock_flags::IGNORED != 0 {
            stop(tally);
        }
    }
}

/// Takes out what was counted for a sending socket's entry, which ends or changes hands, and stops.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_tally_fold(entry: *mut SockEntry) -> u64 {
    // SAFETY: null or a map value.
    if let Some(entry) = unsafe { entry.as_mut() } {
        fold(entry.sk, &mut entry.home.calls, &mut entry.home.bytes);
    }
    0
}

/// The same of a receiving socket.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_tally_fold_receives(entry: *mut RecvEntry) -> u64 {
    // SAFETY: null or a map value.
    if let Some(entry) = unsafe { entry.as_mut() } {
        fold(receives(entry.sk), &mut entry.home.calls, &mut entry.home.bytes);
    }
    0
}

#[inline(always)]
fn fold(key: u64, calls: &mut u64, bytes: &mut u64) {
    let Some(tally) = find(key) else { return };
    stop(tally);
    tally.id = 0;
    // SAFETY: fields of a map value.
    unsafe {
        add(calls, swap(&raw mut tally.calls, 0));
        add(bytes, swap(&raw mut tally.bytes, 0));
    }
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
