//! Lets the shared types pass through aya's typed maps.
#![allow(unsafe_code, reason = "aya::Pod is an unsafe marker trait")]

use crate::{
    BounceEntry, Config, CopyKey, CopyTotals, DevInfo, FileEntry, FileKey, FlowCounters, FlowKey, ForwardKey,
    Hist, OwnerKey, ReadEntry, RecvEntry, SendEntry, SendKey, SockEntry, SocketHist, SpillEntry, Spread,
    Tally, Unit,
};

macro_rules! pod {
    ($($ty:ty),+) => { $(
        // SAFETY: `repr(C)`, only integers and arrays of integers, no padding (sizes are asserted or fields
        // are padded by hand), valid for every bit pattern.
        unsafe impl aya::Pod for $ty {}
    )+ };
}

pod!(
    BounceEntry,
    Config,
    CopyKey,
    CopyTotals,
    DevInfo,
    FileEntry,
    FileKey,
    FlowCounters,
    FlowKey,
    ForwardKey,
    Hist,
    OwnerKey,
    ReadEntry,
    RecvEntry,
    SendEntry,
    SendKey,
    SockEntry,
    SocketHist,
    SpillEntry,
    Spread,
    Tally,
    Unit
);
