//! Map layouts of the receiving side: a socket's compact entry, and what a thread's current receive call has gathered.
//!
//! A socket that also sends bears the same number here and in the socket table; what it received by a second path
//! stands in the spill map under that number.

use crate::{
    counters::{Err, FlowCounters},
    flow::{AddrPair, SockEntry, SpillEntry},
};

/// One socket a process receives on: who, from where, and the counters of the first plain path it used.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvEntry {
    /// Process (thread group) that receives.
    pub tgid: u32,
    /// [`crate::sock_flags`]; only `IGNORED` is used.
    pub flags: u32,
    /// Path of `home`, one that always copies: the others stand in the spill map.
    pub home_path: u32,
    /// Bit per [`crate::Path`] whose counters stand in the spill map.
    pub spill_mask: u32,
    /// Counters of `home_path`.
    pub home: RecvFlow,
    /// The socket's number; that of its [`SockEntry`] where the same process also sends on it. 0 while being made.
    pub id: u64,
    /// The kernel's socket cookie, 0 if the kernel has not made one.
    pub cookie: u64,
    /// Address of the `struct sock`.
    pub sk: u64,
    /// Id of the process's cgroup, 0 unknown.
    pub cgroup: u64,
    /// Address of the `net_device` the route back points to, 0 unknown.
    pub dev: u64,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// User of the process.
    pub uid: u32,
    /// Name of the process.
    pub comm: [u8; 16],
    /// Addresses and ports.
    pub addr: AddrPair,
}

const _: () = assert!(size_of::<RecvEntry>() == 5 * 8 + 6 * 4 + 16 + 40 + size_of::<RecvFlow>());
// Records of the ring are told apart by their size.
const _: () = assert!(
    size_of::<RecvEntry>() != size_of::<SockEntry>() && size_of::<RecvEntry>() != size_of::<SpillEntry>()
);

/// What a path that always copies counts. All fields are totals.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecvFlow {
    /// Receive calls, failed ones and those that met the end of the stream included.
    pub calls: u64,
    /// Bytes taken out of the receive queue.
    pub bytes: u64,
    /// Failed calls by [`Err`].
    pub errors: [u64; Err::COUNT],
}

impl RecvFlow {
    /// The same as counters of any path.
    #[must_use]
    pub fn counters(&self) -> FlowCounters {
        FlowCounters { calls: self.calls, bytes: self.bytes, errors: self.errors, ..FlowCounters::default() }
    }
}

/// What one thread's current receive call has gathered, for back ends and paths whose exit does not tell all.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecvCall {
    /// The socket.
    pub sk: u64,
    /// `struct tcp_zerocopy_receive` of the call, 0 none.
    pub zc: u64,
    /// `MSG_*` flags of the call.
    pub flags: u32,
    /// [`RxCause`] that the first byte waiting at entry could not be mapped.
    pub cause: u32,
    /// io_uring: bytes announced to the ring.
    pub bytes: u64,
    /// io_uring: those of them that were copied.
    pub copied: u64,
}

/// Why received bytes could not be mapped; stands in `CopyKey::caller` of the receive sites, which have no caller.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxCause {
    /// Not found out.
    Unknown = 0,
    /// The bytes lie in the packet's linear part, beside its headers.
    Linear = 1,
    /// The frag does not start at a page, or does not fill it.
    Unaligned = 2,
    /// The page belongs to a file or to a compound page.
    MappedPage = 3,
    /// No more was queued than the copy buffer takes, or less than a page.
    SmallQueue = 4,
    /// Nothing was wrong with the page: the range to map into was full.
    MapFull = 5,
}

impl RxCause {
    /// The cause with this number.
    #[must_use]
    pub const fn from_number(n: u64) -> Self {
        match n {
            1 => RxCause::Linear,
            2 => RxCause::Unaligned,
            3 => RxCause::MappedPage,
            4 => RxCause::SmallQueue,
            5 => RxCause::MapFull,
            _ => RxCause::Unknown,
        }
    }
}
