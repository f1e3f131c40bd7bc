//! Zero-copy sends of io_uring: one request from its submission to its notification.

/// Bits of [`UringSend::flags`].
pub mod uring_flags {
    /// The request is counted as a call.
    pub const COUNTED: u32 = 1;
    /// It failed; its notification tells nothing about bytes.
    pub const FAILED: u32 = 2;
    /// It has ended, and others linked to it have not.
    pub const ENDED: u32 = 4;
}

/// One zero-copy request. Key: its notification (`struct io_kiocb`), of which the `ubuf_info` is a part.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UringSend {
    /// Address of the `struct sock`; 0 until the request reaches TCP.
    pub sk: u64,
    /// `SockEntry::id` of the socket when its first bytes were accepted; 0 none.
    pub id: u64,
    /// Time of the first entry into TCP, ns: a request that is tried again keeps it.
    pub start_ns: u64,
    /// Time of the last reference given back so far, ns; 0 none, or not seen by this back end.
    pub put_ns: u64,
    /// Bytes accepted, over all tries.
    pub bytes: u64,
    /// 1 when a reference was given back with "this was copied".
    pub copied: u64,
    /// Copied bytes of this request and those linked before it that belong to the ones linked behind it.
    pub wire_left: u64,
    /// The same for clone copies.
    pub clone_left: u64,
    /// [`crate::Path`] as a number.
    pub path: u32,
    /// [`uring_flags`].
    pub flags: u32,
}

const _: () = assert!(size_of::<UringSend>() == 8 * 8 + 2 * 4);
