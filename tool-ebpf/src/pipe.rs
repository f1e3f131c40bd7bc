//! Pipes: whether the pages at the head of one are a program's own memory (`vmsplice(2)`) or somebody else's.
//!
//! The kernel marks each buffer with its operations, and those of user pages are one object whose address
//! `/proc/kallsyms` does not tell everywhere. So zcscope asks the kernel itself: before anything is counted it puts a
//! page of its own into a pipe of its own, and [`learn`] reads the mark.

use aya_ebpf::helpers::bpf_get_current_task_btf;

use crate::{
    config::conf,
    maps::PIPE,
    mem::{Direct, Mem, Probe},
};

/// Index of the descriptor to learn from, plus one, in the map.
const TEACHER: u32 = 0;
/// Index of the operations of user pages in the map; 0 while they are not known.
const USER_PAGES: u32 = 1;

/// Operations of the oldest buffer of the pipe behind descriptor `fd` of the current process; 0 when there is none.
#[inline(always)]
unsafe fn oldest_buffer(fd: u32) -> u64 {
    unsafe {
        let task = bpf_get_current_task_btf() as *const u8;
        let files: u64 = Direct::read(task, conf!(off.task_files));
        let table: u64 = Probe::read(files as *const u8, conf!(off.files_fdt));
        let slots: u64 = Probe::read(table as *const u8, conf!(off.fdtable_fd));
        let file: u64 = crate::mem::read(slots.wrapping_add(u64::from(fd) * 8) as *const u8);
        let pipe: u64 = Probe::read(file as *const u8, conf!(off.file_private_data));
        let pipe = pipe as *const u8;
        let tail: u32 = Probe::read(pipe, conf!(off.pipe_tail));
        let size: u32 = Probe::read(pipe, conf!(off.pipe_ring_size));
        let bufs: u64 = Probe::read(pipe, conf!(off.pipe_bufs));
        let at = u64::from(tail & size.wrapping_sub(1)) * u64::from(conf!(off.pipe_buffer_size));
        Probe::read(bufs.wrapping_add(at) as *const u8, conf!(off.pipe_buffer_ops))
    }
}

/// Whether the next bytes of this pipe are user pages.
#[inline(always)]
pub unsafe fn holds_user_pages(fd: u32) -> bool {
    match PIPE.get(USER_PAGES) {
        Some(known) if *known != 0 => unsafe { oldest_buffer(fd) == *known },
        _ => false,
    }
}

/// Called on an event that zcscope makes on purpose (it closes a TCP socket): learns the mark of user pages.
#[inline(always)]
pub unsafe fn learn() {
    let Some(teacher) = PIPE.get_ptr_mut(TEACHER) else { return };
    // SAFETY: a map value; after zcscope's start it stays 0.
    unsafe {
        // The process in the upper half: others close sockets meanwhile.
        let (tgid, fd) = ((*teacher >> 32) as u32, *teacher as u32);
        if tgid == 0 || tgid != crate::socket::current_tgid() {
            return;
        }
        *teacher = 0;
        if let Some(known) = PIPE.get_ptr_mut(USER_PAGES) {
            *known = oldest_buffer(fd);
        }
    }
}
