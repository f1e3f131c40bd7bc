//! What the kernel programs (`tool-ebpf`) and user space (`tool`) of zcscope share: ids that are stable API,
//! map layouts (`repr(C)`, size-asserted), the configuration written into frozen `.rodata`, and the histogram.
//!
//! Nothing here knows aya's loader, a terminal or a clock; the crate is `no_std` and compiles for both sides.
#![no_std]

mod config;
mod flow;
mod hist;
mod ids;

pub use config::{Config, Filter, Mode, Offsets, Range, Source};
pub use flow::{
    AddrPair, CallState, CopyKey, CopyTotals, DevInfo, Err, FlowCounters, FlowKey, LOST_CAUSES, Lost,
    SendEntry, SendKey, SockEntry, SpillEntry, Unit, sock_flags,
};
pub use hist::{HIST_BUCKETS, Hist, bucket_bounds, bucket_of};
pub use ids::{Path, Reason, Site};

#[cfg(feature = "user")]
mod pod;
