//! What a socket holds at the moment: option memory, notifications nobody has read, pages of sends in flight, and
//! the pages its user has pinned.

use aya_ebpf::helpers::bpf_get_current_task_btf;
use zcscope_common::{Offsets, SockEntry};

use crate::{
    config::conf,
    mem::{Direct, Mem, fetch_add},
};

const PAGE_SIZE: u64 = 4096;

/// The fewest pages that hold so many bytes: where the back end cannot see what was attached.
#[inline(always)]
pub const fn pages(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE_SIZE)
}

/// A zero-copy send was accepted on `sk`, by the current task.
#[inline(always)]
pub unsafe fn sent<M: Mem>(entry: &mut SockEntry, sk: *const u8, pages: u64) {
    fetch_add(&mut entry.gauges.pages_in_flight, pages);
    unsafe {
        entry.gauges.locked_pages = locked_pages();
        if conf!(off.net_optmem_max) != Offsets::ABSENT {
            let net: *const u8 = M::read(sk, conf!(off.sock_common_net));
            entry.gauges.omem_max = M::read(net, conf!(off.net_optmem_max));
        }
        queues::<M>(entry, sk, 0);
    }
}

/// Sends with so many pages are no longer in flight.
#[inline(always)]
pub fn landed(entry: &mut SockEntry, pages: u64) {
    fetch_add(&mut entry.gauges.pages_in_flight, pages.wrapping_neg());
}

/// Reads option memory of `sk`, less what is about to be freed, and the length of its error queue.
#[inline(always)]
pub unsafe fn queues<M: Mem>(entry: &mut SockEntry, sk: *const u8, freed: u32) {
    unsafe {
        let omem: u32 = M::read(sk, conf!(off.sock_omem_alloc));
        entry.gauges.omem = omem.saturating_sub(freed);
        entry.gauges.unread = M::read(sk, conf!(off.sock_error_queue) + conf!(off.queue_len));
    }
}

/// Pages charged to the limit on locked memory of the current task's user (`mm_account_pinned_pages`).
#[inline(always)]
unsafe fn locked_pages() -> u64 {
    unsafe {
        let task = bpf_get_current_task_btf() as *const u8;
        let cred: *const u8 = Direct::read(task, conf!(off.task_cred));
        let user: *const u8 = Direct::read(cred, conf!(off.cred_user));
        Direct::read(user, conf!(off.user_locked_vm))
    }
}
