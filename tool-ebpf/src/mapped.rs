//! Receiving without a copy: `TCP_ZEROCOPY_RECEIVE` (bytes mapped, copied, left to a read, and what kept them from
//! being mapped) and io_uring's receive into its own area.

use aya_ebpf::helpers::{bpf_get_current_task_btf, bpf_probe_read_user};
use zcscope_common::{CopyKey, Path, RecvCall, RxCause, Site};

use crate::{
    config::conf,
    copy,
    mem::{Direct, Mem, Probe, add, read},
    receive::{self, Receiver},
    skb, socket,
};

const PAGE_SHIFT: u32 = 12;
const PAGE_SIZE: u32 = 1 << PAGE_SHIFT;
const RCV_SHUTDOWN: u8 = 1;
const MAX_FRAGS: u32 = 17;
/// Packets looked at to find the one that holds a byte: those in front of it have been read already.
const MAX_SKBS: u32 = 4;

const SYS_GETSOCKOPT: u64 = 55;
const IPPROTO_TCP: u64 = 6;
const TCP_ZEROCOPY_RECEIVE: u64 = 35;
const EBADF: i64 = 9;
const ENOTSOCK: i64 = 88;

/// What one call moved, in bytes.
#[derive(Clone, Copy)]
struct Moved {
    mapped: u64,
    copied: u64,
    /// Left to a plain read.
    hint: u64,
}

/// Entry of `tcp_zerocopy_receive(sk, zc, tss)`: what waits at the head of the queue may be gone at its exit.
#[inline(always)]
pub unsafe fn enter(sk: *const u8, zc: *const u8) {
    if !receive::wanted(Path::RecvZerocopy) {
        return;
    }
    receive::begin(&RecvCall { sk: sk as u64, zc: zc as u64, ..RecvCall::default() });
    let Some(call) = receive::current() else { return };
    // From the map: a typed pointer cannot be handed to a function as a number.
    let sk = call.sk as *const u8;
    let (cause, _) = unsafe { blocker(sk, copied_seq(sk)) };
    call.cause = cause as u32;
}

/// Exit of `tcp_zerocopy_receive`.
#[inline(always)]
pub unsafe fn leave(ret: i64) {
    let Some(call) = receive::end() else { return };
    unsafe {
        let zc = call.zc as *const u8;
        let copied: i32 = Probe::read(zc, conf!(off.zc_copybuf_len));
        let moved = Moved {
            mapped: u64::from(Probe::read::<u32>(zc, conf!(off.zc_length))),
            copied: u64::from(copied.max(0) as u32),
            hint: u64::from(Probe::read::<u32>(zc, conf!(off.zc_skip_hint))),
        };
        settle(call.sk as *const u8, ret, moved, Some(call.cause));
    }
}

/// Tracepoint `raw_syscalls:sys_exit(regs, ret)`: what `getsockopt(TCP_ZEROCOPY_RECEIVE)` wrote for the application.
#[inline(always)]
pub unsafe fn syscall_exit(regs: *const u8, ret: i64) {
    unsafe {
        // Every system call of the host passes here: nearly all end at this test.
        if Direct::read::<u64>(regs, conf!(off.pt_regs_orig_ax)) != SYS_GETSOCKOPT
            || Direct::read::<u64>(regs, conf!(off.pt_regs_si)) != IPPROTO_TCP
            || Direct::read::<u64>(regs, conf!(off.pt_regs_dx)) != TCP_ZEROCOPY_RECEIVE
        {
            return;
        }
        if ret == -EBADF || ret == -ENOTSOCK {
            return;
        }
        let sk = sock_of_fd(Direct::read::<u64>(regs, conf!(off.pt_regs_di)) as u32);
        if sk.is_null() || !is_tcp(sk) {
            return;
        }
        let option = Direct::read::<u64>(regs, conf!(off.pt_regs_r10));
        let length = Direct::read::<u64>(regs, conf!(off.pt_regs_r8));
        let length: u32 = bpf_probe_read_user(length as *const u32).unwrap_or(0);
        let field = |offset: u32| {
            let known = offset + 4 <= length;
            let at = option.wrapping_add(u64::from(offset)) as *const u32;
            if known { bpf_probe_read_user(at).unwrap_or(0) } else { 0 }
        };
        let copied = field(conf!(off.zc_copybuf_len)) as i32;
        let moved = Moved {
            mapped: u64::from(field(conf!(off.zc_length))),
            copied: u64::from(copied.max(0) as u32),
            hint: u64::from(field(conf!(off.zc_skip_hint))),
        };
        settle(sk, ret, moved, None);
    }
}

/// The socket behind a file descriptor of the current process: `files->fdt->fd[fd]->private_data->sk`.
#[inline(always)]
unsafe fn sock_of_fd(fd: u32) -> *const u8 {
    unsafe {
        let task = bpf_get_current_task_btf() as *const u8;
        let files: u64 = Probe::read(task, conf!(off.task_files));
        let table: u64 = Probe::read(files as *const u8, conf!(off.files_fdt));
        let array: u64 = Probe::read(table as *const u8, conf!(off.fdtable_fd));
        let file: u64 = read(array.wrapping_add(u64::from(fd) * 8) as *const u8);
        let socket: u64 = Probe::read(file as *const u8, conf!(off.file_private_data));
        receive::sock_of::<Probe>(socket as *const u8)
    }
}

#[inline(always)]
unsafe fn is_tcp(sk: *const u8) -> bool {
    unsafe { u64::from(Probe::read::<u16>(sk, conf!(off.sock_protocol))) == IPPROTO_TCP }
}

/// Books one call. `at_entry` is the cause found there, `None` where only the exit is seen: then other bytes may have
/// arrived meanwhile, and every cause is a conclusion.
#[inline(always)]
unsafe fn settle(sk: *const u8, ret: i64, moved: Moved, at_entry: Option<u32>) {
    const PATH: Path = Path::RecvZerocopy;
    if !receive::wanted(PATH) {
        return;
    }
    let (id, dev, flow) = match unsafe { receive::receiver(sk, PATH) } {
        Receiver::Unwanted => return,
        Receiver::NoRoom => (0, 0, socket::unattributed(PATH as u32)),
        Receiver::Known(entry) => (entry.id, entry.dev, receive::flow(entry, PATH)),
    };
    let Some(flow) = flow else { return };
    if ret < 0 {
        return receive::count(Some(flow), ret);
    }
    add(&mut flow.attached_bytes, moved.mapped);
    add(&mut flow.pages, moved.mapped >> PAGE_SHIFT);
    add(&mut flow.start_copied_bytes, moved.copied);
    add(&mut flow.skip_hint_bytes, moved.hint);
    receive::count(Some(flow), (moved.mapped + moved.copied) as i64);
    let key = CopyKey { id, dev, path: PATH as u8, told: 1, ..CopyKey::default() };
    unsafe {
        if moved.copied != 0 {
            let (cause, sure) = cause_of_copy(sk, moved, at_entry);
            let inferred = u8::from(!sure);
            let site = Site::ZerocopyReceive as u8;
            copy::count(CopyKey { caller: cause as u64, site, inferred, ..key }, moved.copied);
        }
        if moved.hint != 0 {
            let (cause, sure) = cause_of_hint(sk, moved);
            let inferred = u8::from(!sure || at_entry.is_none());
            let site = Site::SkipHint as u8;
            copy::count(CopyKey { caller: cause as u64, site, inferred, ..key }, moved.hint);
        }
    }
}

/// Why bytes went through the copy buffer, and whether that was seen.
#[inline(always)]
unsafe fn cause_of_copy(sk: *const u8, moved: Moved, at_entry: Option<u32>) -> (RxCause, bool) {
    unsafe {
        // With nothing mapped and nothing left, the whole queue fitted the copy buffer.
        if moved.mapped == 0 && queued(sk) == 0 {
            return (RxCause::SmallQueue, at_entry.is_some());
        }
        let began = copied_seq(sk).wrapping_sub(moved.copied as u32);
        match (blocker(sk, began), at_entry) {
            // The packet copied from is still there.
            ((cause, true), _) => (or_map_full(cause), at_entry.is_some()),
            // It was the first one.
            ((_, false), Some(cause)) if moved.mapped == 0 => {
                (or_map_full(RxCause::from_number(u64::from(cause))), true)
            }
            // It is gone: less than a page behind mapped ones is the end of a packet that does not fill one.
            _ => (RxCause::Unaligned, at_entry.is_some() && moved.copied < u64::from(PAGE_SIZE)),
        }
    }
}

/// Why bytes were left to a plain read, and whether that was seen.
#[inline(always)]
unsafe fn cause_of_hint(sk: *const u8, moved: Moved) -> (RxCause, bool) {
    unsafe {
        if moved.mapped + moved.copied == 0 && queued(sk) < PAGE_SIZE {
            return (RxCause::SmallQueue, true);
        }
        match blocker(sk, copied_seq(sk)) {
            (cause, true) => (or_map_full(cause), true),
            (_, false) => (RxCause::Unaligned, false),
        }
    }
}

/// Nothing was wrong with the page: then there was no room to map it into.
#[inline(always)]
fn or_map_full(cause: RxCause) -> RxCause {
    if let RxCause::Unknown = cause { RxCause::MapFull } else { cause }
}

/// `tcp_sk(sk)->copied_seq`: the next byte to read.
#[inline(always)]
unsafe fn copied_seq(sk: *const u8) -> u32 {
    unsafe { Probe::read(sk, conf!(off.tcp_copied_seq)) }
}

/// Bytes that wait to be read; the peer's FIN takes a sequence number and is none.
#[inline(always)]
unsafe fn queued(sk: *const u8) -> u32 {
    unsafe {
        let next: u32 = Probe::read(sk, conf!(off.tcp_rcv_nxt));
        let shutdown: u8 = Probe::read(sk, conf!(off.sock_shutdown));
        let fin = u32::from(shutdown & RCV_SHUTDOWN != 0);
        next.wrapping_sub(copied_seq(sk)).saturating_sub(fin)
    }
}

/// What keeps the byte at `seq` from being mapped, with the kernel's own rule (`can_map_frag`), and whether its packet
/// is in the queue. Nothing is `Unknown`.
#[inline(always)]
unsafe fn blocker(sk: *const u8, seq: u32) -> (RxCause, bool) {
    let cause = zcscope_blocker(sk as u64, seq);
    (RxCause::from_number(cause), cause != NOT_QUEUED)
}

const NOT_QUEUED: u64 = u64::MAX;

/// Exported like [`socket::zcscope_identify`]: the loops are checked once.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_blocker(sk: u64, seq: u32) -> u64 {
    unsafe {
        let queue = (sk as *const u8).wrapping_add(conf!(off.sock_receive_queue) as usize);
        let mut packet: u64 = Probe::read(queue, conf!(off.skb_next));
        let mut i = 0;
        while i < MAX_SKBS {
            if packet == 0 || packet == queue as u64 {
                break;
            }
            let packet_at = packet as *const u8;
            let begins: u32 = Probe::read(packet_at, conf!(off.skb_cb) + conf!(off.tcp_cb_seq));
            let offset = seq.wrapping_sub(begins);
            let len: u32 = Probe::read(packet_at, conf!(off.skb_len));
            if offset < len {
                return cause_at(packet_at, len, offset) as u64;
            }
            packet = Probe::read(packet_at, conf!(off.skb_next));
            i += 1;
        }
    }
    NOT_QUEUED
}

#[inline(always)]
unsafe fn cause_at(packet: *const u8, len: u32, offset: u32) -> RxCause {
    unsafe {
        let linear = len - Probe::read::<u32>(packet, conf!(off.skb_data_len)).min(len);
        let info = skb::shinfo::<Probe>(packet);
        if offset < linear || Probe::read::<u64>(info, conf!(off.shinfo_frag_list)) != 0 {
            return RxCause::Linear;
        }
        let mut offset = offset - linear;
        let frags = u32::from(Probe::read::<u8>(info, conf!(off.shinfo_nr_frags)));
        let mut i = 0;
        while i < MAX_FRAGS && i < frags {
            let frag = info.wrapping_add((conf!(off.shinfo_frags) + i * 16) as usize);
            let frag_len: u32 = Probe::read(frag, conf!(off.frag_len));
            if offset < frag_len {
                return cause_of_frag(frag, frag_len, offset);
            }
            offset -= frag_len;
            i += 1;
        }
    }
    RxCause::Unknown
}

/// A page that is part of a larger one, or of a file, comes before its alignment: no sender could mend that here.
#[inline(always)]
unsafe fn cause_of_frag(frag: *const u8, len: u32, offset: u32) -> RxCause {
    unsafe {
        let page = read::<u64>(frag) as *const u8;
        let head: u64 = Probe::read(page, conf!(off.page_compound_head));
        let flags: u64 = Probe::read(page, conf!(off.page_flags));
        let mapping: u64 = Probe::read(page, conf!(off.page_mapping));
        let compound = head & 1 != 0 || flags & (1 << (conf!(off.page_head_bit) & 63)) != 0;
        if compound || mapping != 0 {
            return RxCause::MappedPage;
        }
        let begins: u32 = Probe::read(frag, conf!(off.frag_offset));
        if offset != 0 || len != PAGE_SIZE || begins != 0 { RxCause::Unaligned } else { RxCause::Unknown }
    }
}

/// Entry of `io_zcrx_recv(req, ifq, socket, ...)` (>= 6.15).
#[inline(always)]
pub unsafe fn zcrx_enter(socket: *const u8) {
    if receive::wanted(Path::UringZcrx) {
        let sk = unsafe { receive::sock_of::<Probe>(socket) };
        receive::begin(&RecvCall { sk: sk as u64, ..RecvCall::default() });
    }
}

/// `io_zcrx_queue_cqe(req, niov, ifq, off, len)` returned: `len` bytes are announced to the ring, however they came.
#[inline(always)]
pub fn zcrx_queued(len: i32, done: bool) {
    if done && let Some(call) = receive::current() {
        call.bytes += u64::from(len.max(0) as u32);
    }
}

/// `io_zcrx_copy_chunk` returned `ret`: bytes copied into the ring's area, or -errno.
#[inline(always)]
pub fn zcrx_copied(ret: i64) {
    if ret > 0
        && let Some(call) = receive::current()
    {
        call.copied += ret as u64;
    }
}

/// Exit of `io_zcrx_recv`. Its result is no amount where more is to come: what was announced is.
#[inline(always)]
pub unsafe fn zcrx_leave(ret: i64) {
    const PATH: Path = Path::UringZcrx;
    const EAGAIN: i64 = 11;
    let Some(call) = receive::end() else { return };
    let (id, dev, flow) = match unsafe { receive::receiver(call.sk as *const u8, PATH) } {
        Receiver::Unwanted => return,
        Receiver::NoRoom => (0, 0, socket::unattributed(PATH as u32)),
        Receiver::Known(entry) => (entry.id, entry.dev, receive::flow(entry, PATH)),
    };
    let Some(flow) = flow else { return };
    let copied = call.copied.min(call.bytes);
    add(&mut flow.attached_bytes, call.bytes - copied);
    add(&mut flow.start_copied_bytes, copied);
    // Below -4095 are the ring's own codes ("again", "wait"), not errors.
    let failed = call.bytes == 0 && (-4095..0).contains(&ret) && ret != -EAGAIN;
    receive::count(Some(flow), if failed { ret } else { call.bytes as i64 });
    if copied != 0 {
        let site = Site::ZcrxCopy as u8;
        copy::count(CopyKey { id, dev, path: PATH as u8, site, ..CopyKey::default() }, copied);
    }
}
