//! Requests that failed, charged to their socket: when they were answered, or could not even be prepared.

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_get_current_task_btf};
use zcscope_common::{Err, FlowCounters, Path, Refusal, UringSend, uring_flags};

use super::{OP_SEND, OP_SEND_ZC, OP_SENDMSG, OP_SENDMSG_ZC, path_of_request};
use crate::{
    classify,
    config::conf,
    maps::{SOCKS, URING, URING_REQS, active},
    mem::{Mem, Probe, add, read},
    send,
    socket::{self, Owner, known},
};

// Of the user interface (linux/io_uring.h).
const SQE_FIXED_FILE: u8 = 1;
const SQE_FLAGS: u32 = 1;
const SQE_FD: u32 = 4;
// Of linux/in.h.
const IPPROTO_TCP: u16 = 6;

/// The request itself is answered.
#[inline(never)]
pub(super) unsafe fn answered(req: u64, res: i32) {
    let at = req as *const u8;
    unsafe {
        let opcode: u8 = Probe::read(at, conf!(off.io_kiocb_opcode));
        let plain = opcode == OP_SEND || opcode == OP_SENDMSG;
        if plain && res < 0 && active() {
            let sk = sock_of_file(Probe::read(at, conf!(off.io_kiocb_file)));
            charge(sk, Path::UringSend as u32, res, false, false);
        }
        if opcode != OP_SEND_ZC && opcode != OP_SENDMSG_ZC {
            return;
        }
        let Some(notif) = URING_REQS.get_ptr(req) else { return };
        let notif = *notif;
        let _ = URING_REQS.remove(req);
        let Some(send) = URING.get_ptr_mut(notif) else { return };
        let send = &mut *send;
        if res >= 0 || send.bytes != 0 {
            return;
        }
        if send.sk == 0 {
            send.sk = sock_of_file(Probe::read(at, conf!(off.io_kiocb_file)));
        }
        let counted = send.flags & uring_flags::COUNTED != 0;
        if charge(send.sk, send.path, res, counted, accounts_memory(at)) {
            send.flags |= uring_flags::FAILED;
        }
    }
}

/// Tracepoint `io_uring:io_uring_req_failed(sqe, req, error)`: a request that could not even be prepared. It has no
/// file yet, only the number in its submission.
#[inline(always)]
pub unsafe fn refused(sqe: *const u8, req: *const u8, error: i32) {
    unsafe {
        let opcode: u8 = Probe::read(sqe, 0);
        if opcode != OP_SEND_ZC && opcode != OP_SENDMSG_ZC || !active() {
            return;
        }
        // The number of a registered file names no socket here.
        if Probe::read::<u8>(sqe, SQE_FLAGS) & SQE_FIXED_FILE != 0 {
            return;
        }
        let sk = sock_of_file(file_of_current(Probe::read(sqe, SQE_FD)));
        let path = path_of_request(req, opcode);
        if !charge(sk, path, error, false, accounts_memory(req)) {
            return;
        }
        let notif: u64 = Probe::read(req, conf!(off.io_sr_msg_notif));
        let send =
            UringSend { sk, path, flags: uring_flags::COUNTED | uring_flags::FAILED, ..UringSend::default() };
        // Without effect where the request never got a notification and this is the one of somebody before.
        let _ = URING.insert(notif, send, u64::from(BPF_NOEXIST));
    }
}

/// Whether the ring charges pages to its user: not for processes with CAP_IPC_LOCK.
#[inline(always)]
unsafe fn accounts_memory(req: *const u8) -> bool {
    unsafe {
        let ctx: u64 = Probe::read(req, conf!(off.io_kiocb_ctx));
        Probe::read::<u64>(ctx as *const u8, conf!(off.io_ring_ctx_user)) != 0
    }
}

/// The TCP socket of an open file, 0 when it is none.
#[inline(always)]
unsafe fn sock_of_file(file: u64) -> u64 {
    if file == 0 {
        return 0;
    }
    unsafe {
        let socket: u64 = Probe::read(file as *const u8, conf!(off.file_private_data));
        let back: u64 = Probe::read(socket as *const u8, conf!(off.socket_file));
        if back != file {
            return 0;
        }
        let sk: u64 = Probe::read(socket as *const u8, conf!(off.socket_sk));
        let protocol: u16 = Probe::read(sk as *const u8, conf!(off.sock_protocol));
        if protocol == IPPROTO_TCP { sk } else { 0 }
    }
}

/// The current process's open file of this number, 0 none.
#[inline(always)]
unsafe fn file_of_current(fd: i32) -> u64 {
    unsafe {
        let task = bpf_get_current_task_btf() as *const u8;
        let files: u64 = Probe::read(task, conf!(off.task_files));
        let table: u64 = Probe::read(files as *const u8, conf!(off.files_fdt));
        let most: u32 = Probe::read(table as *const u8, conf!(off.fdtable_max_fds));
        if fd < 0 || fd as u32 >= most {
            return 0;
        }
        let list: u64 = Probe::read(table as *const u8, conf!(off.fdtable_fd));
        read((list as *const u8).wrapping_add(fd as usize * 8))
    }
}

/// Counts a failed request of a TCP socket; `counted` when TCP has seen it. False when nobody wants it.
#[inline(never)]
unsafe fn charge(sk: u64, path: u32, res: i32, counted: bool, accounted: bool) -> bool {
    let mask = conf!(filter.path_mask);
    if sk == 0 || (mask != 0 && mask & (1 << (path & 31)) == 0) {
        return false;
    }
    let Some(flow) = (unsafe { flow_of_failure(sk, path) }) else { return false };
    if !counted {
        add(&mut flow.calls, 1);
    }
    let res = i64::from(res);
    send::fail(flow, res);
    match Err::of(res) {
        Err::Enomem if accounted && !counted => add(&mut flow.refused[Refusal::UringMemlock as usize], 1),
        Err::Eopnotsupp => add(&mut flow.refused[Refusal::Unsupported as usize], 1),
        Err::Einval => add(&mut flow.refused[Refusal::Invalid as usize], 1),
        Err::Efault => add(&mut flow.refused[Refusal::BadBuffer as usize], 1),
        _ => {}
    }
    true
}

/// The counters of a socket on which a request failed, possibly its first.
#[inline(always)]
unsafe fn flow_of_failure(sk: u64, path: u32) -> Option<&'static mut FlowCounters> {
    if SOCKS.get_ptr(sk).is_some() {
        return socket::flow(known(sk)?, path);
    }
    if classify::in_kernel_thread() {
        return None;
    }
    match unsafe { socket::sending::<Probe>(sk as *const u8, path) } {
        Owner::Known(entry) => socket::flow(entry, path),
        Owner::NoRoom => socket::unattributed(path),
        Owner::Unwanted => None,
    }
}
