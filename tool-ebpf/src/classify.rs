//! Which path a send takes: from the message's flags, the system call and the socket.

use aya_ebpf::helpers::{bpf_get_current_task_btf, bpf_task_pt_regs};
use zcscope_common::{Offsets, Path, Site};

use crate::{
    config::conf,
    mem::{Direct, Mem},
    pipe, socket, uring,
};

/// `MSG_ZEROCOPY`.
pub const MSG_ZEROCOPY: u32 = 0x400_0000;
/// `MSG_SPLICE_PAGES` (>= 6.5).
pub const MSG_SPLICE_PAGES: u32 = 0x800_0000;
/// `MSG_FASTOPEN`.
const MSG_FASTOPEN: u32 = 0x2000_0000;
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
const SYS_READ: u64 = 0;
const SYS_READV: u64 = 19;
const SYS_RECVFROM: u64 = 45;
const SYS_RECVMSG: u64 = 47;
const SYS_RECVMMSG: u64 = 299;
const SYS_PREADV2: u64 = 327;

/// A path, and where the kernel copies from the start although zero-copy was asked for.
#[derive(Clone, Copy)]
pub struct Class {
    pub path: Path,
    /// [`Site`] as a number, 0 when it does not.
    pub start_copy: u32,
}

impl Class {
    const fn plain(path: Path) -> Self {
        Self { path, start_copy: 0 }
    }
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

/// The path of bytes that are handed to TCP as pages; `None` when TLS or a sockmap hands them over, which are watched
/// themselves.
#[inline(always)]
pub unsafe fn class_of_pages(sk: *const u8) -> Option<Class> {
    unsafe {
        if socket::has_ulp(sk) {
            return None;
        }
        if conf!(mode.sockmap) != 0 && socket::sockmap_sends(sk) {
            return None;
        }
        let call = syscall();
        Some(Class::plain(match call.nr {
            SYS_SENDFILE => Path::Sendfile,
            SYS_SPLICE
                if pipe::holds_user_pages(Direct::read::<u64>(call.regs, conf!(off.pt_regs_di)) as u32) =>
            {
                Path::Vmsplice
            }
            // io_uring splices, too, and sends pages in no other way.
            SYS_SPLICE | SYS_IO_URING_ENTER => Path::Splice,
            _ if call.worker => Path::Splice,
            _ => Path::Kernel,
        }))
    }
}

/// The program that a sockmap runs has looked at the bytes: they were copied for it. Only before Linux 6.5 it gets the
/// pages of a file themselves.
#[inline(always)]
pub unsafe fn class_in_sockmap() -> Class {
    unsafe { class_of_sockmap(&syscall()) }
}

/// See [`class_in_sockmap`].
#[inline(always)]
unsafe fn class_of_sockmap(call: &Syscall) -> Class {
    let (path, copies) = match call.nr {
        SYS_SENDFILE => (Path::Sendfile, conf!(mode.splice_pages) != 0),
        SYS_SPLICE => (Path::Splice, conf!(mode.splice_pages) != 0),
        _ if unsafe { syscall_flags(call) } & MSG_ZEROCOPY != 0 => (Path::MsgZerocopy, true),
        _ => return Class::plain(Path::Copy),
    };
    Class { path, start_copy: if copies { Site::Sockmap as u32 } else { 0 } }
}

/// Flags of a send as the system call's arguments tell them, 0 where they stand in memory.
#[inline(always)]
unsafe fn syscall_flags(call: &Syscall) -> u32 {
    unsafe {
        match call.nr {
            SYS_SENDTO | SYS_SENDMMSG => Direct::read::<u64>(call.regs, conf!(off.pt_regs_r10)) as u32,
            SYS_SENDMSG => Direct::read::<u64>(call.regs, conf!(off.pt_regs_dx)) as u32,
            _ => 0,
        }
    }
}

/// `MSG_ZEROCOPY` without a unit of its own: copied at once when `SO_ZEROCOPY` is not set, or when the socket is being
/// repaired (its receive queue is filled).
#[inline(always)]
unsafe fn class_of_zerocopy<M: Mem>(sk: *const u8) -> Class {
    unsafe {
        let sk_flags: u64 = M::read(sk, conf!(off.sock_common_flags));
        let start_copy = if sk_flags & (1 << (conf!(sock_zerocopy_bit) & 63)) == 0 {
            Site::SendmsgLocked as u32
        } else if socket::repairs_receive_queue(sk) {
            Site::RepairQueue as u32
        } else {
            0
        };
        Class { path: Path::MsgZerocopy, start_copy }
    }
}

/// The path of one entry into `tcp_sendmsg_locked(sk, msg)`; `None` when another layer books it.
#[inline(always)]
pub unsafe fn classify<M: Mem>(sk: *const u8, msg: *const u8, flags: u32) -> Option<Class> {
    unsafe {
        if flags & MSG_SPLICE_PAGES != 0 {
            if conf!(mode.splice_pages) != 0 {
                return class_of_pages(sk);
            }
            // Some 6.1 kernels have the flag already, for what a sockmap sends.
            if conf!(mode.sockmap) != 0 && socket::sockmap_sends(sk) {
                return None;
            }
        }
        if flags & MSG_ZEROCOPY == 0 {
            return Some(Class::plain(class_of_copy()));
        }
        let ubuf: u64 = M::read(msg, conf!(off.msghdr_ubuf));
        if ubuf == 0 {
            return Some(class_of_zerocopy::<M>(sk));
        }
        if let Some(path) = uring::path_of(ubuf) {
            return Some(Class::plain(path));
        }
        let from_iter: u64 = M::read(msg, conf!(off.msghdr_sg_from_iter));
        let fixed = conf!(io_sg_from_iter);
        let path = if fixed != 0 && from_iter == fixed { Path::UringSendZcFixed } else { Path::UringSendZc };
        Some(Class::plain(path))
    }
}

#[inline(always)]
pub fn class_of_copy() -> Path {
    let call = syscall();
    if call.worker || call.nr == SYS_IO_URING_ENTER { Path::UringSend } else { Path::Copy }
}

/// The path as the system call's arguments tell it: for calls that fail before their first loop iteration or are
/// booked by another layer, and for kernels without `tcp:tcp_sendmsg_locked`.
#[inline(always)]
pub unsafe fn class_by_syscall(sk: *const u8) -> Class {
    unsafe {
        let call = syscall();
        let zerocopy = syscall_flags(&call) & MSG_ZEROCOPY != 0;
        if socket::has_ulp(sk) && !zerocopy {
            return Class::plain(Path::Ktls);
        }
        if socket::sockmap_sends(sk) {
            return class_of_sockmap(&call);
        }
        match call.nr {
            SYS_SENDFILE => Class::plain(Path::Sendfile),
            SYS_SPLICE => Class::plain(Path::Splice),
            SYS_IO_URING_ENTER => Class::plain(Path::UringSend),
            _ if call.worker => Class::plain(Path::UringSend),
            _ if zerocopy => class_of_zerocopy::<Direct>(sk),
            _ => Class::plain(Path::Copy),
        }
    }
}

/// Whether the current call asks for `MSG_ZEROCOPY`, as far as its arguments tell.
#[inline(always)]
pub unsafe fn asks_zerocopy() -> bool {
    unsafe { syscall_flags(&syscall()) & MSG_ZEROCOPY != 0 }
}

/// Whether a worker of io_uring is running (io-wq, SQPOLL): a thread of its process.
#[inline(always)]
pub fn in_worker() -> bool {
    // SAFETY: as in `in_kernel_thread`.
    let flags: u32 = unsafe { Direct::read(bpf_get_current_task_btf() as *const u8, conf!(off.task_flags)) };
    flags & (PF_IO_WORKER | PF_USER_WORKER) != 0
}

/// Whether a thread of the kernel's own is running: not a process, and none of io_uring's workers.
#[inline(always)]
pub fn in_kernel_thread() -> bool {
    // SAFETY: a helper without preconditions; its pointer is typed by the verifier.
    let flags: u32 = unsafe { Direct::read(bpf_get_current_task_btf() as *const u8, conf!(off.task_flags)) };
    flags & PF_KTHREAD != 0
}

/// Whether the current call opens its connection and sends with the SYN, as far as its arguments tell.
#[inline(always)]
pub unsafe fn opens_connection() -> bool {
    unsafe { syscall_flags(&syscall()) & MSG_FASTOPEN != 0 }
}

/// Whether the current thread has ever used io_uring, or works for it.
#[inline(always)]
pub unsafe fn uses_uring() -> bool {
    unsafe { has_ring(bpf_get_current_task_btf() as *const u8) }
}

/// The same of this thread, `task`.
#[inline(always)]
pub unsafe fn has_ring(task: *const u8) -> bool {
    unsafe {
        let flags: u32 = Direct::read(task, conf!(off.task_flags));
        flags & (PF_IO_WORKER | PF_USER_WORKER | PF_KTHREAD) != 0
            || (conf!(off.task_io_uring) != Offsets::ABSENT
                && Direct::read::<u64>(task, conf!(off.task_io_uring)) != 0)
    }
}

/// The path of a read: of a system call, or of io_uring. A thread that never used a ring is not looked at closely.
#[inline(always)]
pub fn class_of_recv() -> Path {
    // SAFETY: reads the current task only.
    if !unsafe { uses_uring() } {
        return Path::Recv;
    }
    let call = syscall();
    match call.nr {
        _ if call.worker => Path::UringRecv,
        SYS_READ | SYS_READV | SYS_RECVFROM | SYS_RECVMSG | SYS_RECVMMSG | SYS_PREADV2 => Path::Recv,
        // A ring's work is done at the end of any system call.
        _ => Path::UringRecv,
    }
}
