//! The counters of one socket on one path: only growing, all `u64`, so that they add up field by field.

use crate::ids::Reason;

/// Combines two sets of counters number by number.
trait Words {
    fn zip(&self, other: &Self, f: &impl Fn(u64, u64) -> u64) -> Self;
}

impl Words for u64 {
    fn zip(&self, other: &Self, f: &impl Fn(u64, u64) -> u64) -> Self {
        f(*self, *other)
    }
}

impl<const N: usize> Words for [u64; N] {
    fn zip(&self, other: &Self, f: &impl Fn(u64, u64) -> u64) -> Self {
        core::array::from_fn(|i| f(self[i], other[i]))
    }
}

/// Declares a set of counters, so that each one is named once.
macro_rules! counters {
    ($(#[$meta:meta])* $name:ident { $($(#[$fmeta:meta])* $field:ident: $ty:ty),+ $(,)? }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name { $($(#[$fmeta])* pub $field: $ty),+ }

        impl $name {
            /// Combines two sets number by number.
            #[must_use]
            pub fn zip(&self, other: &Self, f: impl Fn(u64, u64) -> u64) -> Self {
                Self { $($field: self.$field.zip(&other.$field, &f)),+ }
            }
        }

        impl core::ops::Add for $name {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                self.zip(&other, |a, b| a + b)
            }
        }
    };
}

counters! {
    /// Everything counted for one socket on one path. All fields are totals since the first call seen.
    FlowCounters {
        /// Entries into TCP's send function (one `sendfile(2)` makes several), or receive calls.
        calls: u64,
        /// Bytes accepted, or received.
        bytes: u64,
        /// Failed calls by [`Err`].
        errors: [u64; Err::COUNT],
        /// Refused calls by [`Refusal`].
        refused: [u64; Refusal::COUNT],
        /// Calls whose time inside the kernel was measured (plain sends: a sample of them).
        timed_calls: u64,
        /// Bytes of the calls measured.
        timed_bytes: u64,
        /// Time of the calls measured, entry to exit of `tcp_sendmsg_locked`, ns.
        timed_ns: u64,
        /// Bytes put into skb frags by reference; receive: bytes mapped.
        attached_bytes: u64,
        /// New skb frags those bytes took.
        frags: u64,
        /// Pages those frags refer to.
        pages: u64,
        /// Times an skb had no room for another frag (`-EMSGSIZE`): the rest went into a new skb.
        frag_limit: u64,
        /// Times a send was appended to an skb of another kind (plain to zero-copy, or to registered buffers).
        mixed_socket: u64,
        /// Bytes asked for without a copy and copied from the start.
        start_copied_bytes: u64,
        /// Receive: bytes the kernel could neither map nor copy, left to a plain read (`recv_skip_hint`).
        skip_hint_bytes: u64,
        /// Raw bytes of wire copies on paths without completion units; may exceed the bytes requested (retransmits).
        raw_wire_bytes: u64,
        /// Like `raw_wire_bytes`, for copies made for a second consumer.
        raw_clone_bytes: u64,
        /// Raw bytes of those wire copies the application could not be told about.
        raw_silent_bytes: u64,
        /// Zero-copy sends accepted (each will have an end).
        zc_sends: u64,
        /// Zero-copy sends released by the kernel.
        completed_sends: u64,
        /// Bytes of the sends released.
        completed_bytes: u64,
        /// Sends released that were accepted before tracing began.
        before_attach_sends: u64,
        /// Sends whose end was not seen: given up, neither copied nor zero-copied.
        lost_end_sends: u64,
        /// Bytes of those.
        lost_end_bytes: u64,
        /// Bytes of sends released that never left: the connection ended before TCP had sent them.
        unsent_bytes: u64,
        /// Completion units (ubufs, notifs) released: the notifications queued, before merging.
        units: u64,
        /// Sends of units the kernel flagged as copied.
        kernel_copied_sends: u64,
        /// Bytes of released units that went out as a copy, each requested byte once.
        unit_copied_bytes: u64,
        /// Bytes of released units of which a second consumer got a copy, each requested byte once.
        unit_clone_bytes: u64,
        /// Those of `unit_copied_bytes` whose unit was flagged as not copied.
        unit_silent_bytes: u64,
        /// Notifications the application got (error queue: ranges read, after merging; io_uring: CQEs posted).
        told_reads: u64,
        /// Sends covered by them.
        told_sends: u64,
        /// Sends the application was told were copied.
        told_copied_sends: u64,
        /// Sends it was told something wrong about, by [`Disagreement`].
        disagreements: [u64; Disagreement::COUNT],
    }
}

const _: () =
    assert!(size_of::<FlowCounters>() == (30 + Err::COUNT + Refusal::COUNT + Disagreement::COUNT) * 8);

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
    /// `EOPNOTSUPP`: zero-copy is not possible on this socket.
    Eopnotsupp = 4,
    /// `EINVAL`: the kernel does not take this combination.
    Einval = 5,
    /// `EFAULT`: the buffer cannot be read, or not pinned.
    Efault = 6,
    /// `ENOMEM`: memory, or the limit on locked memory (io_uring).
    Enomem = 7,
    /// Any other errno.
    Other = 8,
}

impl Err {
    /// How many classes there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Every class, in index order, with the name it has in JSON.
    pub const ALL: [(Err, &'static str); 9] = [
        (Err::Enobufs, "ENOBUFS"),
        (Err::Eagain, "EAGAIN"),
        (Err::Epipe, "EPIPE"),
        (Err::Econnreset, "ECONNRESET"),
        (Err::Eopnotsupp, "EOPNOTSUPP"),
        (Err::Einval, "EINVAL"),
        (Err::Efault, "EFAULT"),
        (Err::Enomem, "ENOMEM"),
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
            -95 => Err::Eopnotsupp,
            -22 => Err::Einval,
            -14 => Err::Efault,
            -12 => Err::Enomem,
            _ => Err::Other,
        }
    }
}

/// Why a zero-copy send was refused; the index into [`FlowCounters::refused`].
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the reason table says what each one means")]
pub enum Refusal {
    Optmem = 0,
    Memlock = 1,
    UringMemlock = 2,
    Unsupported = 3,
    Invalid = 4,
    BadBuffer = 5,
    Aborted = 6,
    DevmemBinding = 7,
}

impl Refusal {
    /// How many there are.
    pub const COUNT: usize = Self::REASONS.len();

    /// The reason of each, in index order.
    pub const REASONS: [Reason; 8] = [
        Reason::Optmem,
        Reason::Memlock,
        Reason::UringMemlock,
        Reason::Unsupported,
        Reason::Invalid,
        Reason::BadBuffer,
        Reason::Aborted,
        Reason::DevmemBinding,
    ];
}

/// How what the application was told of a send differs from what the kernel did; the index into
/// [`FlowCounters::disagreements`]. Every wrongly told send counts once, under the first that applies.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disagreement {
    /// io_uring: the notification of a send that failed says copied.
    FailedSend = 0,
    /// io_uring: the notification of a send linked to another one's says copied, and it was not.
    LinkedNotification = 1,
    /// The send's own flag was right, but it was merged into a range with another flag.
    MergedRange = 2,
    /// Told zero-copy, but its bytes went out as a copy.
    ToldZerocopyButCopied = 3,
    /// Told copied, but its bytes went out without one.
    ToldCopiedButNot = 4,
}

impl Disagreement {
    /// How many kinds there are.
    pub const COUNT: usize = Self::NAMES.len();

    /// Every kind, in index order.
    pub const ALL: [Disagreement; 5] = [
        Disagreement::FailedSend,
        Disagreement::LinkedNotification,
        Disagreement::MergedRange,
        Disagreement::ToldZerocopyButCopied,
        Disagreement::ToldCopiedButNot,
    ];

    /// The name of each in JSON and on screen, in index order.
    pub const NAMES: [&'static str; 5] = [
        "failed_send",
        "linked_notification",
        "merged_range",
        "told_zerocopy_but_copied",
        "told_copied_but_not",
    ];

    /// The name in JSON and on screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}
