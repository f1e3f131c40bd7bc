//! What the kernel side could not count where it belongs, per cause.

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
    "file_table_full",
    "owner_table_full",
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
    /// A file (or a reader of files) found no room: its bytes are counted, its name and facts are not known.
    FileTable = 9,
    /// A socket passed between processes found no room for the one before: sends of it that are in flight have no
    /// known end.
    OwnerTable = 10,
}

impl Lost {
    /// Number of causes.
    pub const COUNT: usize = 11;
}
