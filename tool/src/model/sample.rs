//! What a source of data (probe, load generator, recording) hands to the model: cumulative counters at one moment.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use zcscope_common::{FlowCounters, Hist, Path, Reason};

/// All counters at one moment. Counters are totals since tracing began, never differences.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Nanoseconds since tracing began.
    pub at_ns: u64,
    /// Sockets that are alive, with everything counted so far.
    pub sockets: Vec<SocketSample>,
    /// Sockets that ended since the last sample, with their final counters. Each id comes once.
    pub ended: Vec<SocketSample>,
    /// What could not be attributed to a socket (tables full), per path. Totals per path include it.
    pub unattributed: Vec<(Path, FlowCounters)>,
    /// Copy events per socket, path, place and device, cumulative. A row of an ended socket stays in every
    /// later sample until its source has handed it over once after the socket's end; the model keeps it.
    pub copies: Vec<CopySample>,
    /// Completion latency per path and kind, cumulative.
    pub latency: Vec<LatencySample>,
    /// What was lost, by cause, cumulative; only causes above zero.
    pub lost: BTreeMap<String, u64>,
}

/// One socket, owned by one process, with the counters of every path it used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketSample {
    /// zcscope's own number of this socket; never used twice.
    pub id: u64,
    /// The kernel's socket cookie, where it has one.
    pub cookie: Option<u64>,
    /// Process that sends.
    pub pid: u32,
    /// Its name when it first sent.
    pub comm: String,
    /// Local address.
    pub local: SocketAddr,
    /// Remote address.
    pub remote: SocketAddr,
    /// Device the route points to.
    pub dev: Option<String>,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Counters per path used.
    pub flows: Vec<(Path, FlowCounters)>,
}

/// Copy events of one kind on one socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopySample {
    /// `SocketSample::id`; `None` when the socket is not known.
    pub socket: Option<u64>,
    /// Path the bytes came in by.
    pub path: Path,
    /// Kind of copy.
    pub kind: CopyKind,
    /// Copy events.
    pub count: u64,
    /// Bytes copied (a byte copied twice counts twice).
    pub bytes: u64,
}

/// What tells one kind of copy from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CopyKind {
    /// Why.
    pub reason: Reason,
    /// The kernel function that copied.
    pub site: String,
    /// The function that asked for it, where the back end can see it.
    pub caller: Option<String>,
    /// Device.
    pub dev: Option<String>,
    /// False for a wire copy, true when only a second consumer got the copy.
    pub clone: bool,
    /// Whether the kernel tells the application of this copy.
    pub told: bool,
    /// True when the place was concluded from other events, not seen.
    pub inferred: bool,
}

/// A completion latency histogram.
#[derive(Clone, Debug)]
pub struct LatencySample {
    /// Path.
    pub path: Path,
    /// Which interval.
    pub kind: LatencyKind,
    /// Durations in ns.
    pub hist: Box<Hist>,
}

/// Which interval of a zero-copy send's life a histogram measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LatencyKind {
    /// Send accepted to buffer released by the kernel.
    Kernel,
    /// Send accepted to notification read by the application.
    AppRead,
}
