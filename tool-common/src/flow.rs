//! Map layouts: what the kernel programs count per call, send, socket, path, completion unit and copy site.
//!
//! Counters only grow. A socket is known by `id`, a number of our own that never comes back, because a
//! `struct sock` address does.

use crate::{counters::FlowCounters, ids::Path};

/// Key of a spilled flow: a socket's second and later paths.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    /// `SockEntry::id`.
    pub id: u64,
    /// [`Path`] as a number.
    pub path: u64,
}

/// Local and remote address; IPv4 stands in the first four bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddrPair {
    /// Local address, network byte order.
    pub local: [u8; 16],
    /// Remote address, network byte order.
    pub remote: [u8; 16],
    /// Local port, host byte order.
    pub local_port: u16,
    /// Remote port, host byte order.
    pub remote_port: u16,
    /// `AF_INET` (2) or `AF_INET6` (10).
    pub family: u16,
    /// Padding.
    pub pad: u16,
}

/// Bits of [`SockEntry::flags`].
pub mod sock_flags {
    /// The filter does not want this socket; nothing is counted.
    pub const IGNORED: u32 = 1;
    /// `tcp_destroy_sock` was seen while sends were in flight; the last completion ends the entry.
    pub const CLOSING: u32 = 2;
    /// Some call on this socket kept state per thread; without it every call so far was a plain send.
    pub const KEEPS_STATE: u32 = 4;
}

/// One socket: who owns it, where it goes, and the counters of the first path it used.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SockEntry {
    /// Our own number for this socket (and owner); never used twice.
    pub id: u64,
    /// The kernel's socket cookie, 0 if the kernel has not made one.
    pub cookie: u64,
    /// Address of the `struct sock`.
    pub sk: u64,
    /// `CLOCK_MONOTONIC` of the first send seen, ns.
    pub first_ns: u64,
    /// Id of the process's cgroup (the inode number of its directory), 0 unknown.
    pub cgroup: u64,
    /// Address of the `net_device` the route points to, key of the device table; 0 unknown.
    pub dev: u64,
    /// Address of the cached route (`sk_dst_cache`): a change means that `dev` has to be read again.
    pub dst: u64,
    /// Process (thread group) that sends.
    pub tgid: u32,
    /// [`sock_flags`].
    pub flags: u32,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Path of `home`.
    pub home_path: u32,
    /// Bit per [`Path`] whose counters stand in the spill map.
    pub spill_mask: u32,
    /// User of the process (effective, initial user namespace).
    pub uid: u32,
    /// Zero-copy sends accepted and not released.
    pub in_flight: u64,
    /// What the socket holds at the moment.
    pub gauges: Gauges,
    /// Name of the process.
    pub comm: [u8; 16],
    /// Addresses and ports.
    pub addr: AddrPair,
    /// Counters of `home_path`.
    pub home: FlowCounters,
    /// Where completions stand on the error queue (tracepoint back end): tail skb and its first id, so that one
    /// notification is counted once.
    pub tail_skb: u64,
    /// See `tail_skb`.
    pub tail_lo: u64,
    /// `id` of the first owner's entry: the same for all owners of one life of the socket, and no other socket's.
    pub root: u64,
}

/// Key of the table of owners that are not sending at the moment, of sockets that several processes share.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerKey {
    /// Address of the `struct sock`.
    pub sk: u64,
    /// Process (thread group).
    pub tgid: u64,
}

const _: () = assert!(
    size_of::<SockEntry>() == 8 * 8 + 6 * 4 + size_of::<Gauges>() + 16 + 40 + size_of::<FlowCounters>() + 24
);

/// What a socket holds, as last seen on a send or at a completion.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Pages of zero-copy sends not released yet.
    pub pages_in_flight: u64,
    /// Pages the socket's user has pinned (`user_struct.locked_vm`), all its programs together.
    pub locked_pages: u64,
    /// Bytes charged to option memory (`sk_omem_alloc`): notifications in flight and unread.
    pub omem: u32,
    /// Limit of it (`optmem_max` of the namespace); 0 where the kernel keeps it elsewhere.
    pub omem_max: u32,
    /// Notifications queued and not read (`sk_error_queue.qlen`).
    pub unread: u32,
    /// Padding.
    pub pad: u32,
}

/// What one thread's current send call has gathered.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallState {
    /// The socket; 0 when no call is under way.
    pub sk: u64,
    /// Time of entry, ns.
    pub start_ns: u64,
    /// `ubuf_info` or io_uring notification of this call, 0 none.
    pub uarg: u64,
    /// Bytes attached by reference so far.
    pub attached: u64,
    /// New frags so far.
    pub frags: u64,
    /// The skb bytes are being attached to.
    pub skb: u64,
    /// `struct inode` of the file the spliced pages belong to; 0 unknown.
    pub inode: u64,
    /// Bytes asked for, where the back end learns them before the call returns.
    pub requested: u64,
    /// [`Path`] as a number.
    pub path: u32,
    /// Zero-copy id of the send, valid when `has_id`.
    pub send_id: u32,
    /// 1 when `send_id` is set.
    pub has_id: u32,
    /// 1 when a zero-copy path copies from the start (SO_ZEROCOPY unset).
    pub start_copy: u32,
    /// `nr_frags` of the skb before bytes were attached.
    pub frags_before: u32,
    /// 1 when the pages could not be charged (`mm_account_pinned_pages` failed).
    pub memlock: u32,
    /// 1 when the filter wants the socket of this zero-copy send.
    pub wanted: u32,
    /// Padding.
    pub pad: u32,
}

/// Key of one zero-copy send: socket address and the id the error queue will name.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendKey {
    /// Address of the `struct sock`.
    pub sk: u64,
    /// Id of the send (`sk_zckey - 1` after the send took it).
    pub id: u64,
}

/// One zero-copy send until its end.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendEntry {
    /// Time of acceptance, ns.
    pub start_ns: u64,
    /// Time of release, ns; 0 while in flight.
    pub done_ns: u64,
    /// Bytes accepted; valid once `accepted`.
    pub bytes: u64,
    /// [`Path`] as a number.
    pub path: u64,
    /// 1 once the call has returned and `bytes` is final.
    pub accepted: u64,
    /// Process (thread group) that sent it: it keeps its end, whoever has the socket by then.
    pub owner: u64,
}

/// Copies that hit one completion unit (`ubuf_info`) so far.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// The socket.
    pub sk: u64,
    /// [`Path`] as a number.
    pub path: u32,
    /// Padding.
    pub pad: u32,
    /// Bytes accepted into this unit (io_uring: at send; error queue: at completion).
    pub bytes: u64,
    /// Raw bytes of wire copies.
    pub wire_bytes: u64,
    /// Raw bytes of clone copies.
    pub clone_bytes: u64,
    /// Tracepoint back end: bytes seen on their way to a local receiver, a copy only if the end says so.
    pub rx_bytes: u64,
    /// 1 when they were addressed to another host: only a packet tap can have copied them.
    pub rx_for_other: u64,
    /// Device they were received on.
    pub rx_dev: u64,
    /// Tracepoint back end: bytes that passed a packet tap, a copy only if the end says so.
    pub tap_bytes: u64,
    /// Device of the tap.
    pub tap_dev: u64,
}

/// Key of the copy table.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyKey {
    /// `SockEntry::id`; 0 when the socket table had no room.
    pub id: u64,
    /// Address of the `net_device`, key of the device table; 0 none.
    pub dev: u64,
    /// Return address in the function that asked for the copy; 0 unknown.
    pub caller: u64,
    /// [`Path`] as a number.
    pub path: u8,
    /// [`crate::Site`] as a number.
    pub site: u8,
    /// 1 when only a second consumer got the copy.
    pub clone: u8,
    /// 1 when the kernel tells the application of this copy.
    pub told: u8,
    /// 1 when the place was concluded, not seen.
    pub inferred: u8,
    /// 1 when less than all paged data was pulled (a driver reading headers).
    pub partial: u8,
    /// Padding.
    pub pad: [u8; 2],
}

/// Value of the copy table.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyTotals {
    /// Copy events.
    pub count: u64,
    /// Bytes copied; a byte copied twice counts twice.
    pub bytes: u64,
}

/// Facts of a network device, read when it first takes part.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DevInfo {
    /// Interface name.
    pub name: [u8; 16],
    /// `rtnl_link_ops->kind` (veth, tun, ...), empty for hardware and loopback.
    pub kind: [u8; 16],
    /// `netdev_features_t`.
    pub features: u64,
    /// Interface index in its namespace.
    pub ifindex: u32,
    /// `IFF_*`.
    pub flags: u32,
}

/// A socket's second or later path: value of the spill map, and a record of the ring when the socket ends.
///
/// The ring carries the final [`SockEntry`] of a socket (or of one owner's share of it) and its spilled flows;
/// records are told apart by their size.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpillEntry {
    /// `SockEntry::id`.
    pub id: u64,
    /// [`Path`] as a number.
    pub path: u64,
    /// Its counters.
    pub flow: FlowCounters,
}

const _: () = assert!(Path::COUNT <= 32, "spill_mask has 32 bits");
