//! What became of the sends of a unit, before their records are marked with it.

use zcscope_common::{SendEntry, SockEntry, Source, send_outcome};

use super::release::Range;
use crate::{
    config::conf,
    infer,
    maps::UNITS,
    mem::{Mem, Probe, unknown},
};

/// `TCP_CLOSE` of `net/tcp_states.h`.
const TCP_CLOSE: u8 = 7;
/// A socket that reads no notifications keeps so many records; its later sends end with their release.
const MOST_UNREAD: u64 = 4_096;

/// Finds what became of all sends of a unit: `Range::outcome` and `Range::snd_nxt`. Exported like
/// `zcscope_release`, and not in it: the stacks of nested calls together have 512 bytes.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn zcscope_judge(
    entry: *const SockEntry,
    uarg: u64,
    sum: *mut Range,
    len: u32,
    copied: u32,
) -> u64 {
    // SAFETY: null, or a map value and the caller's stack.
    let (Some(entry), Some(sum)) = (unsafe { entry.as_ref() }, unsafe { sum.as_mut() }) else { return 0 };
    // SAFETY: untyped reads of the socket.
    unsafe {
        sum.outcome = unknown(outcome(entry, uarg, copied != 0, sum.bytes) | readable(entry, u64::from(len)));
        sum.snd_nxt = unknown(end_of_connection(entry.sk));
    }
    0
}

/// Whether the bytes of a unit must be known to say if they were copied: only when some were.
#[inline(always)]
pub(super) fn needs_sum(uarg: u64, copied: bool) -> bool {
    let concluded = conf!(mode.copy) == Source::Tracepoint as u32 && copied;
    concluded || UNITS.get_ptr(uarg).is_some()
}

/// What became of the sends of a unit: its flag, and whether its bytes went out as a copy. A copy of less than half
/// of them (a driver that pulled headers) leaves a send what the program asked for.
#[inline(always)]
fn outcome(entry: &SockEntry, uarg: u64, copied: bool, bytes: u64) -> u64 {
    let concluded = conf!(mode.copy) == Source::Tracepoint as u32 && copied;
    let wire = match UNITS.get_ptr(uarg) {
        // SAFETY: a map value, valid while the program runs.
        Some(unit) => unsafe {
            let seen = (*unit).wire_bytes;
            match concluded {
                // As `infer::settle` will book it.
                true if (*unit).rx_bytes != 0 => seen + infer::arrived(entry, &*unit, bytes),
                true if seen == 0 && (*unit).clone_bytes == 0 && (*unit).tap_bytes == 0 => bytes,
                _ => seen,
            }
        },
        None if concluded => bytes,
        None => 0,
    };
    let mut outcome = 0;
    if copied {
        outcome |= send_outcome::FLAGGED;
    }
    if wire != 0 && wire.saturating_mul(2) >= bytes {
        outcome |= send_outcome::COPIED;
    }
    outcome
}

/// `UNREADABLE` when nobody will read of `sends` more sends, or too many wait for it already.
#[inline(always)]
unsafe fn readable(entry: &SockEntry, sends: u64) -> u64 {
    let flags: u64 = unsafe { Probe::read(entry.sk as *const u8, conf!(off.sock_common_flags)) };
    let dead = flags & (1 << (conf!(sock_dead_bit) & 63)) != 0;
    let unseen = conf!(mode.told) == Source::None as u32;
    if dead || unseen || entry.unread_sends + sends > MOST_UNREAD { send_outcome::UNREADABLE } else { 0 }
}

/// `snd_nxt` with `HAS_SEQ` when the connection is over, so that what TCP never sent is released now; else 0.
#[inline(always)]
unsafe fn end_of_connection(sk: u64) -> u64 {
    let sk = sk as *const u8;
    unsafe {
        let state: u8 = Probe::read(sk, conf!(off.sock_state));
        let error: i32 = Probe::read(sk, conf!(off.sock_err));
        if state != TCP_CLOSE && error == 0 {
            return 0;
        }
        u64::from(Probe::read::<u32>(sk, conf!(off.tcp_snd_nxt))) | SendEntry::HAS_SEQ
    }
}
