//! Map layouts: what the kernel programs count per call, send, socket, path, completion unit and copy site.
//!
//! Counters only grow. A socket is known by `id`, a number of our own that never comes back, because a
//! `struct sock` address does.

use crate::ids::Path;

/// Classes of errno a send can fail with; the index into [`FlowCounters::errors`].
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Err {
    /// `ENOBUFS`: no room to track another zero-copy send.
    Enobufs = 0,
    /// `EAGAIN`: the socket buffer is full.
    Eagain = 1,
    /// `EPIPE`: the peer or the program shut the connection.
    Epipe = 2,
    /// `ECONNRESET`: the peer reset the connection.
    Econnreset = 3,
    /// Any other errno.
    Other = 4,
}

impl Err {
    /// Every class, in index order, with the name it has in JSON.
    pub const ALL: [(Err, &'static str); 5] = [
        (Err::Enobufs, "ENOBUFS"),
        (Err::Eagain, "EAGAIN"),
        (Err::Epipe, "EPIPE"),
        (Err::Econnreset, "ECONNRESET"),
        (Err::Other, "other"),
    ];

    /// The class of a negative return value, errno numbers of x86-64 and arm64.
    #[inline(always)]
    #[must_use]
    pub const fn of(ret: i64) -> Err {
        match ret {
            -105 => Err::Enobufs,
            -11 => Err::Eagain,
            -32 => Err::Epipe,
            -104 => Err::Econnreset,
            _ => Err::Other,
        }
    }
}

/// Everything counted for one socket on one path. All fields are totals since the first send seen.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowCounters {
    /// Entries into TCP's send function (one `sendfile(2)` makes several).
    pub calls: u64,
    /// Bytes accepted.
    pub bytes: u64,
    /// Failed calls by [`Err`].
    pub errors: [u64; 5],
    /// Calls refused because `sk_omem_alloc` would pass `optmem_max`.
    pub refused_optmem: u64,
    /// Calls refused because the user's pinned pages would pass `RLIMIT_MEMLOCK`.
    pub refused_memlock: u64,
    /// Bytes put into skb frags by reference.
    pub attached_bytes: u64,
    /// New skb frags those bytes took.
    pub frags: u64,
    /// Bytes asked for without a copy and copied from the start (told to nobody).
    pub start_copied_bytes: u64,
    /// Raw bytes of wire copies on paths without completion units; may exceed the bytes requested (retransmits).
    pub raw_wire_bytes: u64,
    /// Like `raw_wire_bytes`, for copies made for a second consumer.
    pub raw_clone_bytes: u64,
    /// Raw bytes of those wire copies the application could not be told about.
    pub raw_silent_bytes: u64,
    /// Zero-copy sends accepted (each will have an end).
    pub zc_sends: u64,
    /// Zero-copy sends released by the kernel.
    pub completed_sends: u64,
    /// Bytes of the sends released.
    pub completed_bytes: u64,
    /// Completion units (ubufs) released: the notifications queued, before merging.
    pub units: u64,
    /// Sends of units the kernel flagged as copied.
    pub kernel_copied_sends: u64,
    /// Bytes of released units that went out as a copy, each requested byte once.
    pub unit_copied_bytes: u64,
    /// Bytes of released units of which a second consumer got a copy, each requested byte once.
    pub unit_clone_bytes: u64,
    /// Those of `unit_copied_bytes` whose unit was flagged as not copied.
    pub unit_silent_bytes: u64,
    /// Notifications the application read from the error queue (ranges, after merging).
    pub told_reads: u64,
    /// Sends covered by the notifications read.
    pub told_sends: u64,
    /// Sends of ranges read with the COPIED code.
    pub told_copied_sends: u64,
}

const _: () = assert!(size_of::<FlowCounters>() == 26 * 8);

impl core::ops::Add for FlowCounters {
    type Output = FlowCounters;

    fn add(self, other: FlowCounters) -> FlowCounters {
        let mut errors = self.errors;
        errors.iter_mut().zip(other.errors).for_each(|(mine, theirs)| *mine += theirs);
        FlowCounters {
            calls: self.calls + other.calls,
            bytes: self.bytes + other.bytes,
            errors,
            refused_optmem: self.refused_optmem + other.refused_optmem,
            refused_memlock: self.refused_memlock + other.refused_memlock,
            attached_bytes: self.attached_bytes + other.attached_bytes,
            frags: self.frags + other.frags,
            start_copied_bytes: self.start_copied_bytes + other.start_copied_bytes,
            raw_wire_bytes: self.raw_wire_bytes + other.raw_wire_bytes,
            raw_clone_bytes: self.raw_clone_bytes + other.raw_clone_bytes,
            raw_silent_bytes: self.raw_silent_bytes + other.raw_silent_bytes,
            zc_sends: self.zc_sends + other.zc_sends,
            completed_sends: self.completed_sends + other.completed_sends,
            completed_bytes: self.completed_bytes + other.completed_bytes,
            units: self.units + other.units,
            kernel_copied_sends: self.kernel_copied_sends + other.kernel_copied_sends,
            unit_copied_bytes: self.unit_copied_bytes + other.unit_copied_bytes,
            unit_clone_bytes: self.unit_clone_bytes + other.unit_clone_bytes,
            unit_silent_bytes: self.unit_silent_bytes + other.unit_silent_bytes,
            told_reads: self.told_reads + other.told_reads,
            told_sends: self.told_sends + other.told_sends,
            told_copied_sends: self.told_copied_sends + other.told_copied_sends,
        }
    }
}

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
    /// `CLOCK_MONOTONIC` of the first and the last send seen, ns.
    pub first_ns: u64,
    /// See `first_ns`.
    pub last_ns: u64,
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
    /// Padding.
    pub pad: u32,
    /// Zero-copy sends accepted and not released.
    pub in_flight: u64,
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
}

const _: () = assert!(size_of::<SockEntry>() == 8 * 8 + 6 * 4 + 16 + 40 + 26 * 8 + 16);

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

/// Names of the causes in the loss counters; the index is what the kernel side uses. See [`Lost`].
pub const LOST_CAUSES: [&str; Lost::COUNT] = [
    "socket_table_full",
    "flow_table_full",
    "send_table_full",
    "copy_table_full",
    "unit_table_full",
    "device_table_full",
    "ring_full",
    "call_state_lost",
    "process_table_full",
];

/// Why something could not be counted where it belongs.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// A new socket found no room: its bytes stand in the totals per path only.
    SocketTable = 0,
    /// A socket's second path found no room.
    FlowTable = 1,
    /// A zero-copy send found no room: its latency is unknown.
    SendTable = 2,
    /// A copy site found no room: its bytes are in the ledger, not in the list.
    CopyTable = 3,
    /// A completion unit found no room: its copied bytes are unknown.
    UnitTable = 4,
    /// A device found no room: its name is unknown.
    DevTable = 5,
    /// The ring was full: an ended socket is only in the totals per path.
    Ring = 6,
    /// The end of a call found no beginning.
    CallState = 7,
    /// A forked process found no room in the process filter.
    ProcessTable = 8,
}

impl Lost {
    /// Number of causes.
    pub const COUNT: usize = 9;
}

const _: () = assert!(Path::COUNT <= 32, "spill_mask has 32 bits");
