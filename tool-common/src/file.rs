//! Map layouts of files: which file a process sends by `sendfile` or `splice`, and who reads files to send them.

/// Key of the file table.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileKey {
    /// `inode->i_ino`.
    pub inode: u64,
    /// `super_block->s_dev`.
    pub device: u32,
    /// Process (thread group).
    pub tgid: u32,
    /// [`crate::Path`] as a number.
    pub path: u64,
}

/// Bits of [`FileEntry::flags`].
pub mod file_flags {
    /// Sent through a descriptor that was opened with `O_DIRECT`.
    pub const DIRECT: u64 = 1;
    /// The filesystem has no pages to lend: its `splice_read` is `copy_splice_read` (Linux 6.5 and later).
    pub const COPY_READ: u64 = 2;
}

/// One file sent by one process on one path.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Name of the process.
    pub comm: [u8; 16],
    /// `file_system_type->name`.
    pub filesystem: [u8; 16],
    /// Last part of the file's name, cut at 47 bytes.
    pub name: [u8; 48],
    /// [`file_flags`].
    pub flags: u64,
    /// System calls (`do_sendfile` returned), where they are seen.
    pub calls: u64,
    /// Entries into TCP's send function.
    pub chunks: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Bytes put into the page cache by its `sendfile` calls (read-ahead included).
    pub cache_miss_bytes: u64,
    /// Bytes sent that were read into new pages instead of lent from the page cache.
    pub copy_read_bytes: u64,
}

/// What a process that sends plainly read from regular files.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadEntry {
    /// Name of the process.
    pub comm: [u8; 16],
    /// Bytes.
    pub bytes: u64,
}

const _: () = assert!(size_of::<FileKey>() == 24 && size_of::<FileEntry>() == 80 + 6 * 8);
