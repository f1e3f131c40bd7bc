//! What screens, reports and findings read: figures with their meaning settled. `None` means "not known here" and
//! is shown as such, never as 0.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use zcscope_common::{Path, Reason};

use super::sample::{CopyKind, MapSample};

/// The state of the world at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Host and session facts.
    pub session: Session,
    /// Nanoseconds since tracing began.
    pub duration_ns: u64,
    /// Nanoseconds between the two latest samples; rates are over exactly this.
    pub interval_ns: u64,
    /// What was lost.
    pub lost: Lost,
    /// All traffic, per path, in table order; only paths with calls.
    pub paths: Vec<PathFigures>,
    /// The same per process, ended ones included; most bytes first.
    pub processes: Vec<ProcessFigures>,
    /// The same per socket, ended ones included; most bytes first.
    /// Shared with the model: most are idle and the same in every snapshot.
    pub sockets: Vec<Arc<SocketFigures>>,
    /// The same per device.
    pub devices: Vec<DeviceFigures>,
    /// Throughput per path over time.
    pub history: History,
    /// How full the source's tables are, as last told.
    pub maps: Vec<MapSample>,
}

/// Facts that do not change while tracing.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Host name.
    pub host: String,
    /// Kernel release.
    pub kernel: String,
    /// Back end in words: `fentry`, `kprobe`, `tracepoint`, or `mixed`.
    pub backend: String,
    /// Fact -> `backend:function` that feeds it.
    pub sources: BTreeMap<String, String>,
    /// Facts that cannot be known here.
    pub missing: Vec<Missing>,
}

/// A fact that cannot be known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Name of the fact.
    pub fact: String,
    /// One sentence: why, and what would help.
    pub why: String,
}

/// What was lost, by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Sum.
    pub total: u64,
    /// Causes above zero.
    pub by_cause: BTreeMap<String, u64>,
}

/// The ledger of one path: for all traffic, a process, a socket or a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathFigures {
    /// The path.
    pub path: Path,
    /// Entries into TCP's send function.
    pub calls: u64,
    /// Failed calls by errno name; only those above zero, but `ENOBUFS` always on zero-copy paths.
    pub errors: BTreeMap<&'static str, u64>,
    /// Bytes accepted.
    pub bytes: u64,
    /// Bytes per second over the last interval.
    pub bytes_per_s: u64,
    /// Bytes put into frags by reference.
    pub attached_bytes: Option<u64>,
    /// New frags they took.
    pub frags: Option<u64>,
    /// The copy ledger; `None` on paths that never asked for zero-copy.
    pub ledger: Option<Ledger>,
    /// Copy events, most bytes first.
    pub copies: Vec<CopyFigures>,
    /// Refused calls by reason, only those above zero.
    pub refused: Vec<(Reason, u64)>,
    /// Ends of sends; `None` on paths without completions or where they cannot be seen.
    pub completions: Option<Completions>,
    /// Sends not released yet; `None` on paths without completions or where they cannot be seen.
    pub in_flight: Option<InFlight>,
}

/// Requested = zero-copied + copied + in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Bytes given to the kernel on a zero-copy path and accepted.
    pub requested_bytes: u64,
    /// Requested and done without a wire copy; `None` when copies cannot be seen here.
    pub zerocopied_bytes: Option<u64>,
    /// Requested and copied, each byte once; `None` when copies cannot be seen here.
    pub copied_bytes: Option<u64>,
    /// Copied for a second consumer only.
    pub clone_copied_bytes: Option<u64>,
    /// Copied without the application being told.
    pub silent_copied_bytes: Option<u64>,
}

/// Copy events of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyFigures {
    /// Which kind.
    pub kind: Arc<CopyKind>,
    /// Events.
    pub count: u64,
    /// Bytes; a byte copied twice counts twice.
    pub bytes: u64,
    /// Bytes per second over the last interval.
    pub bytes_per_s: u64,
}

/// Ends of zero-copy sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completions {
    /// Sends released by the kernel.
    pub sends: u64,
    /// Completion units (ubufs) released, before the error queue merges them.
    pub units: u64,
    /// Sends whose unit the kernel flagged as copied.
    pub kernel_copied: u64,
    /// Notifications the application read (merged ranges); `None` when it cannot be seen.
    pub notifications: Option<u64>,
    /// Sends the application was told of.
    pub told_sends: Option<u64>,
    /// Sends the application was told were copied.
    pub told_copied: Option<u64>,
    /// Accepted -> released.
    pub latency: Option<Percentiles>,
    /// Accepted -> read by the application.
    pub app_read_latency: Option<Percentiles>,
}

/// Percentiles of durations in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the field names are the definition")]
pub struct Percentiles {
    pub count: u64,
    pub min: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
}

/// Zero-copy sends accepted and not released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    /// Sends.
    pub sends: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessFigures {
    /// Process id.
    pub pid: u32,
    /// Name.
    pub comm: String,
    /// Its ledger per path.
    pub paths: Vec<PathFigures>,
}

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketFigures {
    /// zcscope's own number.
    pub id: u64,
    /// The kernel's cookie.
    pub cookie: Option<u64>,
    /// Process id.
    pub pid: u32,
    /// Process name.
    pub comm: String,
    /// Local address.
    pub local: SocketAddr,
    /// Remote address.
    pub remote: SocketAddr,
    /// Device of the route.
    pub dev: Option<String>,
    /// False once the socket has ended.
    pub alive: bool,
    /// Its ledger per path.
    pub paths: Vec<PathFigures>,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceFigures {
    /// Interface name.
    pub dev: String,
    /// Its ledger per path.
    pub paths: Vec<PathFigures>,
}

/// Throughput over time, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Nanoseconds since tracing began, one per point.
    pub at_ns: Vec<u64>,
    /// Bytes per second per path, as long as `at_ns`.
    pub bytes_per_s: BTreeMap<Path, Vec<u64>>,
    /// Copied bytes per second over all zero-copy paths, as long as `at_ns`.
    pub copied_per_s: Vec<u64>,
}
