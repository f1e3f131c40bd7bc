//! What the kernel programs (`tool-ebpf`) and user space (`tool`) of zcscope share: ids that are stable API,
//! map layouts (`repr(C)`, size-asserted), the configuration written into frozen `.rodata`, and the histogram.
//!
//! Nothing here knows aya's loader, a terminal or a clock; the crate is `no_std` and compiles for both sides.
#![no_std]

mod bounce;
mod config;
mod counters;
mod file;
mod flow;
mod hist;
mod ids;
mod loss;
mod receive;
mod spread;
mod tally;
mod uring;

pub use bounce::BounceEntry;
pub use config::{Config, DETOURS, Filter, Mode, Offsets, Range, Source, THROUGH};
pub use counters::{Disagreement, Err, FlowCounters, Refusal};
pub use file::{FileEntry, FileKey, ReadEntry, file_flags};
pub use flow::{
    AddrPair, CallState, CopyKey, CopyTotals, DevInfo, FlowKey, ForwardKey, Gauges, OwnerKey, SendEntry,
    SendKey, SockEntry, SocketHist, SpillEntry, Unit, rx_how, send_outcome, send_state, sock_flags,
};
pub use hist::{
    HIST_BUCKETS, Hist, LATENCY_SLOTS, LatencyKind, bucket_bounds, bucket_of, latency_slot, latency_slot_of,
};
pub use ids::{Path, Reason, Site};
pub use loss::{LOST_CAUSES, Lost};
pub use receive::{RecvCall, RecvEntry, RecvFlow, RxCause};
pub use spread::{SPREAD_BUCKETS, Spread, SpreadKind, spread_bucket, spread_slot, spread_top};
pub use tally::{Tally, tally_state};
pub use uring::{UringSend, uring_flags};

#[cfg(feature = "user")]
mod pod;
