//! Map layouts: what the kernel programs count per call, send, socket, path, completion unit and copy site.
//!
//! Counters only grow. A socket is known by `id`, a number of our own that never comes back, because a
//! `struct sock` address does.

use crate::{
    counters::{Disagreement, FlowCounters},
    hist::{HIST_BUCKETS, Hist, bucket_bounds},
    ids::Path,
};

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
    /// Its first zero-copy send went out with the SYN and has no record; it was not before tracing (tracepoints).
    pub const SENT_WITH_SYN: u32 = 8;
}

/// One socket: who owns it, where it goes, and the counters of the first path it used. What a plain send looks at stands
/// first: with thousands of sockets every cache line of an entry is a cold one.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SockEntry {
    /// Address of the cached route (`sk_dst_cache`): a change means that `dev` has to be read again.
    pub dst: u64,
    /// Address of the socket's protocol operations (`sk_prot`) at first: TLS and sockmap change them.
    pub prot: u64,
    /// Process (thread group) that sends.
    pub tgid: u32,
    /// [`sock_flags`].
    pub flags: u32,
    /// Path of `home`.
    pub home_path: u32,
    /// Bit per [`Path`] whose counters stand in the spill map.
    pub spill_mask: u32,
    /// Counters of `home_path`.
    pub home: FlowCounters,
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
    /// Inode number of the network namespace.
    pub netns: u32,
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
    /// Where completions stand on the error queue (tracepoint back end): tail skb and its first id, so that one
    /// notification is counted once.
    pub tail_skb: u64,
    /// See `tail_skb`.
    pub tail_lo: u64,
    /// Range read last (first id, last id above it), whose sends may have ended unseen (tracepoint back end).
    pub read_range: u64,
    /// When it was, `CLOCK_MONOTONIC` ns; 0 none.
    pub read_ns: u64,
    /// 1 when it said "copied".
    pub read_copied: u64,
    /// Where packets of this socket were last seen to be taken, [`crate::Site`] as a number (tracepoint back end).
    pub rx_site: u64,
    /// Device they were received on.
    pub rx_dev: u64,
    /// Zero-copy sends released whose notification the application has not read; their records are kept.
    pub unread_sends: u64,
    /// Id of the first zero-copy send seen, plus one; 0 before it. Ids below were taken before tracing began.
    pub first_send: u64,
    /// Id of the latest send released, plus one (modulo 2^32); 0 before the first.
    pub last_released: u64,
    /// End of the sends from before tracing that have been released, as an id, plus 2^32; 0 while none has.
    pub earlier_end: u64,
    /// When the socket was destroyed with sends in flight, `CLOCK_MONOTONIC` ns; 0 while it lives.
    pub closing_ns: u64,
    /// `id` of the first owner's entry: the same for all owners of one life of the socket, and no other socket's.
    pub root: u64,
    /// Rounds an element of the table (56 bytes before its value) up to whole cache lines.
    pub fill: u64,
}

const _: () = assert!((56 + size_of::<SockEntry>()).is_multiple_of(64));
const _: () = assert!(core::mem::offset_of!(SockEntry, home) == 32);

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
    size_of::<SockEntry>() == 9 * 8 + 6 * 4 + size_of::<Gauges>() + 16 + 40 + size_of::<FlowCounters>() + 112
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
    /// Pages those frags refer to.
    pub pages: u64,
    /// [`Path`] as a number.
    pub path: u32,
    /// Zero-copy id of the send, valid when `has_id`.
    pub send_id: u32,
    /// 1 when `send_id` is set; 2 when the send has an id, but no room was left to follow it.
    pub has_id: u32,
    /// Where the kernel copies from the start although zero-copy was asked for, [`crate::Site`] as a number; 0 (no
    /// site of that kind) when it does not.
    pub start_copy: u32,
    /// `nr_frags` of the skb before bytes were attached.
    pub frags_before: u32,
    /// 1 when the pages could not be charged (`mm_account_pinned_pages` failed).
    pub memlock: u32,
    /// 1 when the filter wants the socket of this zero-copy send.
    pub wanted: u32,
    /// Times an skb had no room for another frag.
    pub frag_limit: u32,
    /// Pages of the skb's last frag before bytes were attached: it may grow.
    pub pages_before: u32,
    /// 1 between entry and exit of a function that attaches pages.
    pub attaching: u32,
    /// 1 when a layer above TCP (TLS, MPTCP) books this call: what it hands to TCP meanwhile is no call of its own.
    pub layered: u32,
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

/// Bits of [`SendEntry::state`]. Each is added once, by the event of its name, and whoever comes last of two that
/// belong together books: the events run on different CPUs and in either order.
pub mod send_state {
    /// The call has returned; `bytes` is final.
    pub const ACCEPTED: u64 = 1;
    /// The kernel has released the buffer; `done_ns` and `outcome` are final.
    pub const RELEASED: u64 = 2;
    /// The application has read the notification; `read_ns` is final.
    pub const READ: u64 = 4;
}

/// Bits of [`SendEntry::outcome`].
pub mod send_outcome {
    /// The kernel flagged the send's own unit as copied.
    pub const FLAGGED: u64 = 1;
    /// At least half of the unit's bytes went out as a copy.
    pub const COPIED: u64 = 2;
    /// The range the application read says copied.
    pub const TOLD_COPIED: u64 = 4;
    /// Nobody will read a notification of it: the record ends with the send.
    pub const UNREADABLE: u64 = 8;
}

/// One zero-copy send, from its id until the application has read its notification or never will.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendEntry {
    /// Time of the call's entry, ns.
    pub start_ns: u64,
    /// Time of release, ns; 0 while in flight.
    pub done_ns: u64,
    /// Time the notification was on the error queue and reported, ns; 0 when that was not seen.
    pub queued_ns: u64,
    /// Time the application read it, ns; only kept when that was before the call returned.
    pub read_ns: u64,
    /// Bytes accepted; before that, bytes asked for.
    pub bytes: u64,
    /// [`Path`] as a number.
    pub path: u64,
    /// Pages attached; where the back end cannot see pages, the fewest that hold its bytes.
    pub pages: u64,
    /// [`send_state`].
    pub state: u64,
    /// [`send_outcome`].
    pub outcome: u64,
    /// TCP sequence number behind its last byte (`write_seq` when the call returned), with [`SendEntry::HAS_SEQ`]
    /// above it; before that `write_seq` at its begin, with [`SendEntry::STARTED`].
    pub end_seq: u64,
    /// Process (thread group) that sent it: it keeps its end, whoever has the socket by then.
    pub owner: u64,
}

impl SendEntry {
    /// Marks `end_seq` as set.
    pub const HAS_SEQ: u64 = 1 << 32;
    /// Marks it as the begin: the call has not returned.
    pub const STARTED: u64 = 1 << 33;

    /// Bytes accepted, when the kernel has let go of the send and `write_seq` is the socket's now. The kernel often does
    /// so just before the call returns, and a call that was cut short then still stands with all it asked for.
    #[inline(always)]
    #[must_use]
    pub const fn accepted_bytes(bytes: u64, end_seq: u64, write_seq: u32) -> u64 {
        let so_far = write_seq.wrapping_sub(end_seq as u32) as u64;
        if end_seq & Self::STARTED != 0 && so_far < bytes { so_far } else { bytes }
    }

    /// What was wrong with what the application was told of this send.
    #[inline(always)]
    #[must_use]
    pub const fn disagreement(outcome: u64) -> Option<Disagreement> {
        let told = outcome & send_outcome::TOLD_COPIED != 0;
        let flagged = outcome & send_outcome::FLAGGED != 0;
        let copied = outcome & send_outcome::COPIED != 0;
        if told == copied {
            None
        } else if flagged == copied {
            Some(Disagreement::MergedRange)
        } else if copied {
            Some(Disagreement::ToldZerocopyButCopied)
        } else {
            Some(Disagreement::ToldCopiedButNot)
        }
    }
}

/// The release latency of one socket on one path: the buckets of [`Hist`] in half the bits.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketHist {
    /// Sum of all values, ns.
    pub sum: u64,
    /// Largest value, ns; two CPUs can lose one against the other, the buckets cannot.
    pub max: u64,
    /// Smallest value, inverted (`!min`), likewise.
    pub min_inverted: u64,
    /// Values per bucket.
    pub buckets: [u32; HIST_BUCKETS],
}

const _: () = assert!(size_of::<SocketHist>() == 24 + 4 * HIST_BUCKETS && HIST_BUCKETS.is_multiple_of(2));

impl SocketHist {
    /// The same values as an ordinary histogram. Its extremes never lie outside the buckets used.
    #[must_use]
    pub fn widen(&self) -> Hist {
        let mut hist = Hist { sum: self.sum, ..Hist::default() };
        for (wide, narrow) in hist.buckets.iter_mut().zip(&self.buckets) {
            *wide = u64::from(*narrow);
            hist.count += *wide;
        }
        let used = |bucket: &usize| self.buckets[*bucket] != 0;
        if let (Some(first), Some(last)) = ((0..HIST_BUCKETS).find(used), (0..HIST_BUCKETS).rev().find(used))
        {
            let (low, high) = bucket_bounds(first);
            hist.min_inverted = !(!self.min_inverted).clamp(low, high - 1);
            let (low, high) = bucket_bounds(last);
            hist.max = self.max.clamp(low, high - 1);
        }
        hist
    }
}

/// Who takes packets that leave the kernel's hands on this host: values of [`Unit::rx_how`].
pub mod rx_how {
    /// A receiver on this host.
    pub const LOCAL: u64 = 0;
    /// Addressed to another host: only a packet tap can have copied them.
    pub const TAP: u64 = 1;
    /// The program that reads a tun device.
    pub const TUN: u64 = 2;
    /// A receiver on this host, behind generic XDP, which makes packets linear first.
    pub const XDP: u64 = 3;
}

/// Copies that hit one completion unit (`ubuf_info`) so far.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// The socket.
    pub sk: u64,
    /// [`Path`] as a number.
    pub path: u32,
    /// 1 when the kernel tells nobody of its copies (io_uring without IORING_SEND_ZC_REPORT_USAGE).
    pub untold: u32,
    /// Bytes accepted into this unit (io_uring: at send; error queue: at completion).
    pub bytes: u64,
    /// Raw bytes of wire copies.
    pub wire_bytes: u64,
    /// Raw bytes of clone copies.
    pub clone_bytes: u64,
    /// Tracepoint back end: bytes seen on their way to a local receiver, a copy only if the end says so.
    pub rx_bytes: u64,
    /// Who takes them: [`rx_how`].
    pub rx_how: u64,
    /// Device they were received on.
    pub rx_dev: u64,
    /// 1 when some of them were sent on to another device.
    pub forwarded: u64,
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

/// A socket's packets are forwarded by the namespace that receives them on this device: an entry of the table of
/// forwarders.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ForwardKey {
    /// `SockEntry::id`.
    pub id: u64,
    /// Address of the `net_device`.
    pub dev: u64,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hist::bucket_of;

    #[test]
    fn what_is_told_is_compared_with_what_happened() {
        use send_outcome::{COPIED, FLAGGED, TOLD_COPIED};
        let told = |outcome| SendEntry::disagreement(outcome);
        assert_eq!(told(0), None);
        assert_eq!(told(COPIED | FLAGGED | TOLD_COPIED), None);
        assert_eq!(told(COPIED | TOLD_COPIED), None, "right by chance is right");
        assert_eq!(told(TOLD_COPIED), Some(Disagreement::MergedRange));
        assert_eq!(told(COPIED | FLAGGED), Some(Disagreement::MergedRange));
        assert_eq!(told(COPIED), Some(Disagreement::ToldZerocopyButCopied));
        assert_eq!(told(FLAGGED | TOLD_COPIED), Some(Disagreement::ToldCopiedButNot));
    }

    #[test]
    fn a_narrow_histogram_widens_and_lost_extremes_are_put_right() {
        let empty = SocketHist { sum: 0, max: 0, min_inverted: 0, buckets: [0; HIST_BUCKETS] };
        assert_eq!(empty.widen(), Hist::default());
        let mut narrow = SocketHist { sum: 9_000, max: 3_000, min_inverted: !3_000, ..empty };
        narrow.buckets[bucket_of(3_000)] = 2;
        // The larger value's bucket is there, its `max` was overwritten by the smaller one's.
        narrow.buckets[bucket_of(100_000)] = 1;
        let wide = narrow.widen();
        assert_eq!((wide.count, wide.sum, wide.min()), (3, 9_000, Some(3_000)));
        assert_eq!(bucket_of(wide.max), bucket_of(100_000));
    }

    #[test]
    fn a_send_that_was_cut_short_is_what_it_moved() {
        let began = SendEntry::STARTED | 0xffff_ff00;
        assert_eq!(SendEntry::accepted_bytes(65_536, began, 0xffff_ff00 + 200), 200);
        assert_eq!(SendEntry::accepted_bytes(65_536, began, 65_160 - 256), 65_160, "sequence numbers wrap");
        assert_eq!(SendEntry::accepted_bytes(65_536, began, 70_000), 65_536, "another thread sent more");
        assert_eq!(SendEntry::accepted_bytes(376, SendEntry::HAS_SEQ | 5, 100_000), 376, "it has returned");
    }
}
