//! Which path a send takes: from the message's flags, the system call and the socket.

use aya_ebpf::helpers::{bpf_get_current_task_btf, bpf_task_pt_regs};
use zcscope_common::{Offsets, Path};

use crate::{
    config::conf,
    mem::{Direct, Mem},
    socket,
};

/// `MSG_ZEROCOPY`.
pub const MSG_ZEROCOPY: u32 = 0x400_0000;
/// `MSG_SPLICE_PAGES` (>= 6.5).
pub const MSG_SPLICE_PAGES: u32 = 0x800_0000;
const PF_IO_WORKER: u32 = 0x10;
const PF_USER_WORKER: u32 = 0x4000;
const PF_KTHREAD: u32 = 0x20_0000;

// Syscall numbers of x86-64, the architecture supported.
pub const SYS_SENDFILE: u64 = 40;
const SYS_SENDTO: u64 = 44;
const SYS_SENDMSG: u64 = 46;
pub const SYS_SPLICE: u64 = 275;
const SYS_SENDMMSG: u64 = 307;
const SYS_IO_URING_ENTER: u64 = 426;

/// A path, and whether the kernel copies from the start although zero-copy was asked for.
#[derive(Clone, Copy)]
pub struct Class {
    pub path: Path,
    pub start_copy: bool,
}

/// The system call the current thread is in, 0 for kernel threads, and its registers.
pub struct Syscall {
    pub nr: u64,
    worker: bool,
    pub regs: *const u8,
}

#[inline(always)]
pub fn syscall() -> Syscall {
    // SAFETY: helpers without preconditions; the pointers they return are typed by the verifier.
    unsafe {
        let task = bpf_get_current_task_btf();
        let flags: u32 = Direct::read(task as *const u8, conf!(off.task_flags));
        let worker = flags & (PF_IO_WORKER | PF_USER_WORKER) != 0;
        if worker || flags & PF_KTHREAD != 0 {
            return Syscall { nr: 0, worker, regs: core::ptr::null() };
        }
        let regs = bpf_task_pt_regs(task) as *const u8;
        Syscall { nr: Direct::read(regs, conf!(off.pt_regs_orig_ax)), worker, regs }
    }
}

/// The path of bytes that are handed to TCP as pages.
#[inline(always)]
pub unsafe fn class_of_pages(sk: *const u8) -> Path {
    if unsafe { socket::has_ulp(sk) } {
        return Path::Ktls;
    }
    match syscall().nr {
        SYS_SENDFILE => Path::Sendfile,
        SYS_SPLICE => Path::Splice,
        _ => Path::Kernel,
    }
}

/// The path of one entry into `tcp_sendmsg_locked(sk, msg)`.
#[inline(always)]
pub unsafe fn classify<M: Mem>(sk: *const u8, msg: *const u8, flags: u32) -> Class {
    unsafe {
        let mut start_copy = false;
        let path = if conf!(mode.splice_pages) != 0 && flags & MSG_SPLICE_PAGES != 0 {
            class_of_pages(sk)
        } else if flags & MSG_ZEROCOPY != 0 {
            let ubuf: u64 = M::read(msg, conf!(off.msghdr_ubuf));
            if ubuf == 0 {
                let sk_flags: u64 = M::read(sk, conf!(off.sock_common_flags));
                start_copy = sk_flags & (1 << (conf!(sock_zerocopy_bit) & 63)) == 0;
                Path::MsgZerocopy
            } else {
                let from_iter: u64 = M::read(msg, conf!(off.msghdr_sg_from_iter));
                let fixed = conf!(io_sg_from_iter);
                if fixed != 0 && from_iter == fixed { Path::UringSendZcFixed } else { Path::UringSendZc }
            }
        } else {
            class_of_copy()
        };
        Class { path, start_copy }
    }
}

#[inline(always)]
pub fn class_of_copy() -> Path {
    let call = syscall();
    if call.worker || call.nr == SYS_IO_URING_ENTER { Path::UringSend } else { Path::Copy }
}

/// The path as the system call's arguments tell it: for calls that fail before their first loop iteration, and
/// for kernels without `tcp:tcp_sendmsg_locked`.
#[inline(always)]
pub unsafe fn class_by_syscall(sk: *const u8) -> Class {
    unsafe {
        let call = syscall();
        let flags = match call.nr {
            SYS_SENDTO | SYS_SENDMMSG => Direct::read::<u64>(call.regs, conf!(off.pt_regs_r10)) as u32,
            SYS_SENDMSG => Direct::read::<u64>(call.regs, conf!(off.pt_regs_dx)) as u32,
            _ => 0,
        };
        let mut start_copy = false;
        let path = match call.nr {
            SYS_SENDFILE => Path::Sendfile,
            SYS_SPLICE => Path::Splice,
            SYS_IO_URING_ENTER => Path::UringSend,
            _ if call.worker => Path::UringSend,
            _ if flags & MSG_ZEROCOPY != 0 => {
                let sk_flags: u64 = Direct::read(sk, conf!(off.sock_common_flags));
                start_copy = sk_flags & (1 << (conf!(sock_zerocopy_bit) & 63)) == 0;
                Path::MsgZerocopy
            }
            _ => Path::Copy,
        };
        Class { path, start_copy }
    }
}

/// Whether the current thread has ever used io_uring, or works for it.
#[inline(always)]
pub unsafe fn uses_uring() -> bool {
    unsafe {
        let task = bpf_get_current_task_btf() as *const u8;
        let flags: u32 = Direct::read(task, conf!(off.task_flags));
        flags & (PF_IO_WORKER | PF_USER_WORKER | PF_KTHREAD) != 0
            || (conf!(off.task_io_uring) != Offsets::ABSENT
                && Direct::read::<u64>(task, conf!(off.task_io_uring)) != 0)
    }
}
