//! Files: which one a `sendfile` or `splice` sends, whether its pages were lent or copied, what had to be read for
//! it; and what programs that send plainly read from files.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::{bpf_get_current_comm, bpf_get_current_task_btf, bpf_probe_read_kernel_str_bytes};
use zcscope_common::{FileEntry, FileKey, Lost, Offsets, Path, ReadEntry, file_flags};

use crate::{
    classify::{SYS_SENDFILE, Syscall, syscall},
    config::conf,
    maps::{FILES, READERS, ZERO_FILE, active, lost},
    mem::{Direct, Mem, Probe, add},
    socket::{current_tgid, process_wanted},
};

const O_DIRECT: u32 = 0x4000;
const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;
const PG_HEAD: u64 = 1 << 6;
const PAGE_SIZE: u64 = 4096;
const FDS: u32 = 1 << 20;
/// Bits of `page->mapping` that say it is no `address_space` (anonymous memory).
const MAPPING_FLAGS: u64 = 3;

/// `struct file` behind a descriptor of the current process; 0 when there is none.
#[inline(always)]
unsafe fn file_of(fd: u32) -> u64 {
    if fd >= FDS {
        return 0;
    }
    unsafe {
        let task = bpf_get_current_task_btf() as *const u8;
        let files: u64 = Probe::read(task, conf!(off.task_files));
        let table: u64 = Probe::read(files as *const u8, conf!(off.files_fdt));
        let slots: u64 = Probe::read(table as *const u8, conf!(off.fdtable_fd));
        Probe::read(slots as *const u8, fd * 8)
    }
}

/// The file a `sendfile(out_fd, in_fd, ...)` reads; 0 in any other system call.
#[inline(always)]
unsafe fn source_of(call: &Syscall) -> u64 {
    if call.nr != SYS_SENDFILE {
        return 0;
    }
    unsafe { file_of(Direct::read::<u64>(call.regs, conf!(off.pt_regs_si)) as u32) }
}

/// Whether that `sendfile` writes to a socket.
#[inline(always)]
unsafe fn to_socket(call: &Syscall) -> bool {
    unsafe {
        let file = file_of(Direct::read::<u64>(call.regs, conf!(off.pt_regs_di)) as u32);
        let inode: u64 = Probe::read(file as *const u8, conf!(off.file_inode));
        Probe::read::<u16>(inode as *const u8, conf!(off.inode_mode)) & S_IFMT == S_IFSOCK
    }
}

#[inline(always)]
unsafe fn key_of(inode: u64, path: u32) -> FileKey {
    unsafe {
        let sb: u64 = Probe::read(inode as *const u8, conf!(off.inode_sb));
        FileKey {
            inode: Probe::read(inode as *const u8, conf!(off.inode_ino)),
            device: Probe::read(sb as *const u8, conf!(off.sb_dev)),
            tgid: current_tgid(),
            path: u64::from(path),
        }
    }
}

/// The entry of a file, made when it is new; `file` is 0 where only the inode is known.
#[inline(always)]
unsafe fn slot(key: FileKey, inode: u64, file: u64) -> Option<&'static mut FileEntry> {
    unsafe {
        // Map values, valid while the program runs.
        if let Some(entry) = FILES.get_ptr_mut(key) {
            return Some(&mut *entry);
        }
        if FILES.insert(key, ZERO_FILE.get(0)?, u64::from(BPF_NOEXIST)).is_err()
            && FILES.get_ptr(key).is_none()
        {
            lost(Lost::FileTable, 1);
        }
        let entry = &mut *FILES.get_ptr_mut(key)?;
        describe(entry, inode, file);
        Some(entry)
    }
}

/// Name, filesystem and kind of a file.
#[inline(always)]
unsafe fn describe(entry: &mut FileEntry, inode: u64, file: u64) {
    unsafe {
        entry.comm = bpf_get_current_comm().unwrap_or([0; 16]);
        let sb: u64 = Probe::read(inode as *const u8, conf!(off.inode_sb));
        let kind: u64 = Probe::read(sb as *const u8, conf!(off.sb_type));
        let filesystem: u64 = Probe::read(kind as *const u8, conf!(off.fs_type_name));
        let _ = bpf_probe_read_kernel_str_bytes(filesystem as *const u8, &mut entry.filesystem);
        let dentry = if file != 0 {
            let op: u64 = Probe::read(file as *const u8, conf!(off.file_op));
            let splice_read: u64 = Probe::read(op as *const u8, conf!(off.file_op_splice_read));
            if splice_read != 0 && splice_read == conf!(copy_splice_read) {
                entry.flags = file_flags::COPY_READ;
            }
            Probe::read(file as *const u8, conf!(off.file_dentry))
        } else {
            // Any name of the inode: the first of its list.
            let alias: u64 = Probe::read(inode as *const u8, conf!(off.inode_dentry));
            if alias == 0 { 0 } else { alias.wrapping_sub(u64::from(conf!(off.dentry_alias))) }
        };
        if dentry != 0 {
            let name: u64 = Probe::read(dentry as *const u8, conf!(off.dentry_name));
            let _ = bpf_probe_read_kernel_str_bytes(name as *const u8, &mut entry.name);
        }
    }
}

/// The `struct inode` of the page cache page that a message with spliced pages begins with; 0 when it is none.
#[inline(always)]
pub unsafe fn inode_of_message<M: Mem>(msg: *const u8) -> u64 {
    if msg.is_null() {
        return 0;
    }
    unsafe {
        let bvec: u64 = Probe::read(msg, conf!(off.msghdr_iter_bvec));
        // `bv_page` is the first member.
        let mut page: u64 = Probe::read(bvec as *const u8, 0);
        let head: u64 = Probe::read(page as *const u8, conf!(off.page_compound_head));
        if head & 1 != 0 {
            page = head - 1;
        }
        let mapping: u64 = Probe::read(page as *const u8, conf!(off.page_mapping));
        if mapping == 0 || mapping & MAPPING_FLAGS != 0 {
            return 0;
        }
        Probe::read(mapping as *const u8, conf!(off.mapping_host))
    }
}

/// Bytes of a file were handed to TCP by the current `sendfile` or `splice`; `inode` is the spliced one. Returns 1
/// when they did not come from the page cache but were read into new pages: copied before TCP saw them. Exported
/// like [`crate::socket::zcscope_identify`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn zcscope_file_sent(path: u32, spliced: u64, bytes: u64) -> u64 {
    unsafe {
        let file = if path == Path::Sendfile as u32 { source_of(&syscall()) } else { 0 };
        let inode =
            if file != 0 { Probe::read::<u64>(file as *const u8, conf!(off.file_inode)) } else { spliced };
        if inode == 0 {
            return 0;
        }
        let Some(entry) = slot(key_of(inode, path), inode, file) else { return 0 };
        add(&mut entry.chunks, 1);
        add(&mut entry.bytes, bytes);
        let mut copied = entry.flags & file_flags::COPY_READ != 0;
        if file != 0 && Probe::read::<u32>(file as *const u8, conf!(off.file_flags)) & O_DIRECT != 0 {
            entry.flags |= file_flags::DIRECT;
            copied = true;
        }
        if copied {
            add(&mut entry.copy_read_bytes, bytes);
        }
        u64::from(copied)
    }
}

/// `do_sendfile` returned: one system call, if it sent anything.
#[inline(always)]
pub unsafe fn sendfile_return(ret: i64) {
    if ret < 0 {
        return;
    }
    unsafe {
        let call = syscall();
        let file = source_of(&call);
        if file == 0 || !to_socket(&call) {
            return;
        }
        let inode: u64 = Probe::read(file as *const u8, conf!(off.file_inode));
        if let Some(entry) = FILES.get_ptr_mut(key_of(inode, Path::Sendfile as u32)) {
            // A map value, valid while the program runs.
            add(&mut (*entry).calls, 1);
        }
    }
}

/// Tracepoint `filemap:mm_filemap_add_to_page_cache(folio)`: a `sendfile` has to read. Every page cache of the host
/// passes here, so the system call is looked at first.
#[inline(always)]
pub unsafe fn cached(folio: *const u8) {
    unsafe {
        let call = syscall();
        if call.nr != SYS_SENDFILE || !active() || !process_wanted(current_tgid()) {
            return;
        }
        let file = source_of(&call);
        let inode: u64 = Probe::read(file as *const u8, conf!(off.file_inode));
        let mapping: u64 = Probe::read(folio, conf!(off.page_mapping));
        let host: u64 = Probe::read(mapping as *const u8, conf!(off.mapping_host));
        if file == 0 || inode == 0 || inode != host || !to_socket(&call) {
            return;
        }
        let mut pages = 1;
        // `flags` is the first member.
        if Probe::read::<u64>(folio, 0) & PG_HEAD != 0 && conf!(off.folio_nr_pages) != Offsets::ABSENT {
            pages = u64::from(Probe::read::<u32>(folio, conf!(off.folio_nr_pages)));
        }
        if let Some(entry) = slot(key_of(inode, Path::Sendfile as u32), inode, file) {
            add(&mut entry.cache_miss_bytes, pages * PAGE_SIZE);
        }
    }
}

/// A process sends plainly: what it reads from files is counted from now on.
#[inline(always)]
pub fn sends_plainly(tgid: u32, comm: [u8; 16]) {
    if READERS.get_ptr(tgid).is_none() && READERS.insert(tgid, ReadEntry { comm, bytes: 0 }, 0).is_err() {
        lost(Lost::FileTable, 1);
    }
}

/// A function that reads from a regular file returned `ret` bytes. `sendfile` and `splice` read through the same
/// functions before Linux 6.5.
#[inline(always)]
pub unsafe fn read(ret: i64) {
    if ret <= 0 {
        return;
    }
    let Some(entry) = READERS.get_ptr_mut(current_tgid()) else { return };
    let nr = syscall().nr;
    if nr != SYS_SENDFILE && nr != crate::classify::SYS_SPLICE {
        // SAFETY: a map value, valid while the program runs.
        unsafe { add(&mut (*entry).bytes, ret as u64) };
    }
}
