//! A send is over: its call and its release have both been. The last one of a closing socket ends its entry.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_loop;
use zcscope_common::{LatencyKind, SendEntry, SendKey, SockEntry, send_outcome, send_state, sock_flags};

use super::{
    PATH,
    wrong::{Wrong, compared},
};
use crate::{
    config::conf,
    gauge, lifecycle,
    maps::{SENDS, forget_sock, record_duration, record_socket},
    mem::{Mem, Probe, add, fetch_add},
    socket::{self, known},
};

/// How far back ids are looked up when a socket ends.
const FARTHEST: u32 = 1 << 16;

/// The call of a send has returned and its record is complete: ends what has ended before it.
#[inline(always)]
pub fn accepted(key: SendKey, send: *mut SendEntry) {
    // SAFETY: a map value, valid while the program runs.
    let (before, send) = unsafe { (fetch_add(&mut (*send).state, send_state::ACCEPTED), &*send) };
    if before & send_state::RELEASED != 0 {
        zcscope_returned(key.sk, key.id, send, u32::from(before & send_state::READ != 0));
    }
}

/// The call of a send returned after the send's release, and after it was read of (`was_read`). Exported like
/// `zcscope_release`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn zcscope_returned(sk: u64, id: u64, send: *const SendEntry, was_read: u32) -> u64 {
    // SAFETY: null or a map value.
    let (Some(send), Some(entry)) = (unsafe { send.as_ref() }, known(sk)) else { return 0 };
    let socket = entry.id;
    let Some(flow) = socket::flow(entry, PATH) else { return 0 };
    let held = send.done_ns.saturating_sub(send.start_ns);
    record_duration(LatencyKind::Release, send.path as u32, held);
    record_socket(socket, send.path, held);
    let (bytes, pages) = (send.bytes, send.pages);
    add(&mut flow.completed_sends, 1);
    add(&mut flow.completed_bytes, bytes);
    if was_read != 0 {
        let mut wrong = Wrong::new();
        wrong.count(compared(send));
        wrong.book(flow);
    }
    if was_read != 0 || send.outcome & send_outcome::UNREADABLE != 0 {
        let _ = SENDS.remove(SendKey { sk, id });
    } else {
        fetch_add(&mut entry.unread_sends, 1);
    }
    landed(entry, 1, pages);
    0
}

/// Sends are no longer in flight; the last one of a closing socket ends its entry.
#[inline(always)]
pub fn landed(entry: &mut SockEntry, sends: u64, pages: u64) {
    gauge::landed(entry, pages);
    let before = fetch_add(&mut entry.in_flight, sends.wrapping_neg());
    if before == sends && entry.flags & sock_flags::CLOSING != 0 {
        forget_unread(entry);
        lifecycle::zcscope_publish(entry);
        forget_sock(entry.sk);
    }
}

/// [`landed`] for a caller that has no stack to spare. Exported like `zcscope_release`.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn zcscope_landed(entry: *mut SockEntry, sends: u64, pages: u64) -> u64 {
    // SAFETY: null or a map value.
    if let Some(entry) = unsafe { entry.as_mut() } {
        landed(entry, sends, pages);
    }
    0
}

/// What is left to remove of an ended socket.
#[repr(C)]
struct Forgetting {
    sk: u64,
    /// The id its next send would have taken.
    next: u64,
    records: u64,
}

/// Removes the records of sends of an ended socket whose notifications nobody will read any more.
#[inline(always)]
pub fn forget_unread(entry: &mut SockEntry) {
    if entry.unread_sends == 0 {
        return;
    }
    // SAFETY: an untyped read; the callback matches the helper's contract and the context outlives the loop.
    unsafe {
        let next: u32 = Probe::read(entry.sk as *const u8, conf!(off.sock_zckey));
        let mut left = Forgetting { sk: entry.sk, next: u64::from(next), records: entry.unread_sends };
        bpf_loop(FARTHEST, forget as *mut c_void, (&raw mut left).cast(), 0);
    }
    entry.unread_sends = 0;
}

/// Callback of `bpf_loop`: removes the send `next - 1 - index` when it only waits to be read; ends when none is left.
#[inline(never)]
extern "C" fn forget(index: u32, left: *mut Forgetting) -> i64 {
    const WAITS: u64 = send_state::ACCEPTED | send_state::RELEASED;
    // SAFETY: the context given to `bpf_loop`.
    let left = unsafe { &mut *left };
    let id = (left.next as u32).wrapping_sub(1).wrapping_sub(index);
    let key = SendKey { sk: left.sk, id: u64::from(id) };
    if let Some(send) = SENDS.get_ptr(key) {
        // SAFETY: a map value, valid while the program runs.
        if unsafe { (*send).state } & WAITS == WAITS && SENDS.remove(key).is_ok() {
            left.records = left.records.saturating_sub(1);
        }
    }
    i64::from(left.records == 0)
}
