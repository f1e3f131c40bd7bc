//! What the kernel side could not count where it belongs, per cause.

/// Declares the causes, each once.
macro_rules! causes {
    ($($(#[$meta:meta])* $cause:ident = $name:literal,)+) => {
        /// Why something could not be counted where it belongs; the number is the index of its counter.
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Lost { $($(#[$meta])* #[doc = concat!("`", $name, "`")] $cause),+ }

        /// Names of the causes, by the index of their counters.
        pub const LOST_CAUSES: [&str; Lost::COUNT] = [$($name),+];

        impl Lost {
            /// Number of causes.
            pub const COUNT: usize = [$($name),+].len();
        }
    };
}

causes! {
    /// A new socket found no room: its bytes stand in the totals per path only.
    SocketTable = "socket_table_full",
    /// A socket's second path found no room.
    FlowTable = "flow_table_full",
    /// A zero-copy send found no room: its end is unknown.
    SendTable = "send_table_full",
    /// A copy site found no room: its bytes are in the ledger, not in the list.
    CopyTable = "copy_table_full",
    /// A completion unit found no room: its copied bytes are unknown.
    UnitTable = "unit_table_full",
    /// A device found no room: its name is unknown.
    DevTable = "device_table_full",
    /// The ring was full: an ended socket is only in the totals per path.
    Ring = "ring_full",
    /// The end of a call found no beginning.
    CallState = "call_state_lost",
    /// A forked process found no room in the process filter.
    ProcessTable = "process_table_full",
    /// A socket had too many sends released and not read: when this one is read, and whether what the program is
    /// told of it is true, is not known.
    UnreadSend = "unread_send_dropped",
    /// A socket's latency histogram found no room.
    SocketLatency = "socket_latency_full",
    /// A notification of io_uring found the completion queue full, where it is not told whose it is: a send that
    /// ended stays in flight.
    UringOverflow = "uring_overflow",
    /// A socket that receives found no room.
    RecvTable = "receive_table_full",
    /// A file (or a reader of files) found no room: its bytes are counted, its name and facts are not known.
    FileTable = "file_table_full",
    /// A socket passed between processes found no room for the one before: sends of it that are in flight have no
    /// known end.
    OwnerTable = "owner_table_full",
    /// A device found no room in the table of bounce buffers: bytes it bounced are in no figure.
    BounceTable = "bounce_table_full",
}
