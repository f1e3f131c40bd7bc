//! What screens, reports and findings read: figures with their meaning settled. `None` means "not known here" and
//! is shown as such, never as 0.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zcscope_common::{Disagreement, Hist, LatencyKind, Path, Reason};

use crate::host::facts::HostFacts;

use super::sample::{BounceSample, CopyKind, FileReads, FileSample, MapSample, ProgramCosts};
use super::serial;
pub use super::socket_figures::{SocketFigures, SocketIdentity};
use super::sparse::SparseHist;

/// The state of the world at one moment. Recordings keep these types by the names of their fields: a field added later
/// is an `Option` or has `#[serde(default)]`. What changes seldom (skipped here) stands beside it in a frame.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// Host and session facts.
    #[serde(skip)]
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
    #[serde(skip)]
    pub sockets: Vec<Arc<SocketFigures>>,
    /// The same per device.
    pub devices: Vec<DeviceFigures>,
    /// Files sent, per process and path, most bytes first; `None` when they cannot be seen.
    pub files: Option<Vec<Arc<FileSample>>>,
    /// Bytes of regular files read by processes that send plainly, most first; `None` when they cannot be seen.
    pub file_reads: Option<Vec<FileReads>>,
    /// Devices that copied into bounce buffers while they transmitted, most bytes first; `None` when it cannot be seen.
    pub bounces: Option<Vec<BounceSample>>,
    /// Per path, the time in which bytes moved on it, ns: the sum of the intervals between samples that saw any.
    #[serde(with = "serial::per_path")]
    pub active_ns: BTreeMap<Path, u64>,
    /// Durations of all traffic since tracing began, per path and kind, only those known and not empty.
    pub latency: Vec<LatencyFigures>,
    /// What the kernel programs took, most time first; `None` unless it is measured (`--kernel-stats`).
    pub programs: Option<ProgramCosts>,
    /// How full the source's tables are, as last told.
    pub maps: Vec<MapSample>,
    /// Facts of the host, as last read: filled in by whoever shows the snapshot, empty from the model.
    #[serde(skip)]
    pub host: Arc<HostFacts>,
}

impl Snapshot {
    /// Time in kernel programs per call that sent or received, ns; `None` unless it is measured, there were calls, and
    /// all of the host are in the figures: the programs run for those that a filter leaves out, too.
    #[must_use]
    pub fn program_ns_per_call(&self) -> Option<u64> {
        let costs = self.programs.as_ref().filter(|costs| !costs.filtered)?;
        let run_ns: u64 = costs.programs.iter().map(|program| program.run_ns).sum();
        run_ns.checked_div(self.paths.iter().map(|path| path.calls).sum())
    }
}

/// One histogram of durations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LatencyFigures {
    /// Path.
    #[serde(with = "serial::path")]
    pub path: Path,
    /// Which interval of a send's life.
    #[serde(with = "serial::latency")]
    pub kind: LatencyKind,
    /// Durations in ns since tracing began.
    #[serde(with = "serial::hist")]
    pub hist: Arc<Hist>,
}

/// Facts that do not change while tracing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
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
    /// Bytes of a page of memory; 0 not known.
    pub page_bytes: u64,
}

impl Session {
    /// True when nothing says that this fact cannot be known here.
    #[must_use]
    pub fn knows(&self, fact: &str) -> bool {
        !self.missing.iter().any(|missing| missing.fact == fact)
    }

    /// True when tracepoints feed this fact: for what happens inside functions they only allow a conclusion.
    #[must_use]
    pub fn infers(&self, fact: &str) -> bool {
        self.sources.get(fact).is_some_and(|source| source.starts_with("tracepoint:"))
    }
}

/// A fact that cannot be known here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Name of the fact.
    pub fact: String,
    /// One sentence: why, and what would help.
    pub why: String,
}

/// What was lost, by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lost {
    /// Sum.
    pub total: u64,
    /// Causes above zero.
    pub by_cause: BTreeMap<String, u64>,
}

/// The ledger of one path: for all traffic, a process, a socket or a device. There is one for every socket, so what most
/// of them do not have is boxed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathFigures {
    /// The path.
    #[serde(with = "serial::path")]
    pub path: Path,
    /// Entries into TCP's send function, or receive calls.
    pub calls: u64,
    /// Failed calls by errno name; only those above zero, but `ENOBUFS` always on paths that send without a copy.
    #[serde(with = "serial::errnos")]
    pub errors: BTreeMap<&'static str, u64>,
    /// Bytes accepted, or received.
    pub bytes: u64,
    /// Bytes per second over the last interval.
    pub bytes_per_s: u64,
    /// Bytes put into frags by reference; receive: bytes mapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attached_bytes: Option<u64>,
    /// New frags they took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frags: Option<u64>,
    /// Pages those frags refer to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<u64>,
    /// Frags of an skb when a send call left it; only over all traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frags_per_skb: Option<Box<SpreadFigures>>,
    /// Bytes per frag; only over all traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_frag: Option<Box<SpreadFigures>>,
    /// What is no copy and worth telling (`frag_limit`, `mixed_socket`), only those above zero; `None` when it cannot
    /// be seen.
    #[serde(default, with = "serial::reasons::known", skip_serializing_if = "Option::is_none")]
    pub notes: Option<Vec<(Reason, u64)>>,
    /// `recv_zerocopy`: bytes the kernel left to a plain read (`recv_skip_hint`); `None` on other paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_hint_bytes: Option<u64>,
    /// The copy ledger; `None` on paths that never asked for zero-copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Ledger>,
    /// Copy events, most bytes first.
    pub copies: Vec<CopyFigures>,
    /// Refused calls by reason, only those above zero.
    #[serde(with = "serial::reasons")]
    pub refused: Vec<(Reason, u64)>,
    /// Ends of sends; `None` on paths without completions or where they cannot be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completions: Option<Box<Completions>>,
    /// Sends not released yet; `None` on paths without completions or where they cannot be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<InFlight>,
    /// Time inside the send call; only over all traffic, `None` when not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_ns: Option<Box<Percentiles>>,
    /// Time inside the send call per 1,024 bytes, ns, of the calls measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_ns_per_kib: Option<u64>,
}

impl PathFigures {
    /// A path on which nothing has happened and nothing is known.
    #[must_use]
    pub fn nothing(path: Path) -> Self {
        Self {
            path,
            calls: 0,
            errors: BTreeMap::new(),
            bytes: 0,
            bytes_per_s: 0,
            attached_bytes: None,
            frags: None,
            pages: None,
            frags_per_skb: None,
            bytes_per_frag: None,
            notes: None,
            skip_hint_bytes: None,
            ledger: None,
            copies: Vec::new(),
            refused: Vec::new(),
            completions: None,
            in_flight: None,
            send_ns: None,
            send_ns_per_kib: None,
        }
    }

    /// Calls that did not fail.
    #[must_use]
    pub fn good_calls(&self) -> u64 {
        self.calls.saturating_sub(self.errors.values().sum())
    }
}

/// Requested = zero-copied + copied + in flight + what lost its end (`Completions::lost_end_bytes`, 0 unless an event
/// was missed). Receive paths: received = mapped + copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyFigures {
    /// Which kind.
    pub kind: Arc<CopyKind>,
    /// Events.
    pub count: u64,
    /// Bytes; a byte copied twice counts twice.
    pub bytes: u64,
    /// Bytes per second over the last interval.
    pub bytes_per_s: u64,
    /// End of the first interval it was seen in, ns since tracing began.
    #[serde(default)]
    pub first_ns: u64,
    /// End of the last one.
    #[serde(default)]
    pub last_ns: u64,
}

/// Ends of zero-copy sends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
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
    /// Sends released whose notification the application has not read; `None` when reading cannot be seen.
    pub unread_sends: Option<u64>,
    /// Sends released that were accepted before tracing began; in no other figure.
    pub before_attach: u64,
    /// Sends given up because their end was not seen.
    pub lost_ends: u64,
    /// Bytes of those: neither copied, nor zero-copied, nor in flight.
    pub lost_end_bytes: u64,
    /// Bytes of sends released that never left, because the connection ended first. Nothing copied them: they stand
    /// among the zero-copied ones.
    pub unsent_bytes: u64,
    /// Sends the application was told something wrong about, by kind, only those above zero; `None` when what it was
    /// told, or what was done, cannot be seen.
    pub disagreements: Option<Vec<WrongSends>>,
    /// Sends per notification read; only over all traffic.
    pub range_length: Option<SpreadFigures>,
    /// Accepted -> released; over all traffic and per socket.
    pub latency: Option<Percentiles>,
    /// The durations behind `latency`; only per socket, and only of sockets that found room.
    pub release: Option<Arc<SparseHist>>,
    /// Of those, releases as late as a delayed ACK makes them; only over all traffic.
    pub delayed_acks: Option<DelayedAcks>,
    /// Released -> notification queued; only over all traffic.
    pub queue_latency: Option<Percentiles>,
    /// Queued -> read by the application; only over all traffic.
    pub read_latency: Option<Percentiles>,
    /// Accepted -> read by the application; only over all traffic.
    pub app_read_latency: Option<Percentiles>,
}

/// Sends the application was told something wrong about, of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrongSends {
    /// What was wrong.
    #[serde(with = "serial::disagreement")]
    pub kind: Disagreement,
    /// Sends.
    pub sends: u64,
    /// True when it was concluded that they were copied, or were not, and not seen.
    pub inferred: bool,
}

/// Ages at release that a delayed ACK explains: Linux holds an ACK back for 40 ms (`TCP_DELACK_MIN`), and timers of 4
/// to 10 ms make 36 to 50 of it.
pub const DELAYED_ACK_NS: std::ops::Range<u64> = 36_000_000..50_000_000;

/// As wide a range below, to tell a peak at 40 ms from releases that take any time.
pub const BEFORE_DELAYED_ACK_NS: std::ops::Range<u64> = 22_000_000..36_000_000;

/// As wide a range above, for the same.
pub const AFTER_DELAYED_ACK_NS: std::ops::Range<u64> = 50_000_000..64_000_000;

/// Releases that a delayed ACK explains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DelayedAcks {
    /// Sends released in [`DELAYED_ACK_NS`].
    pub sends: u64,
    /// Sends released in [`BEFORE_DELAYED_ACK_NS`].
    pub before: u64,
    /// Sends released in [`AFTER_DELAYED_ACK_NS`]; 0 in recordings that do not have it.
    pub after: u64,
}

/// Percentiles of durations in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the field names are the definition")]
#[serde(default)]
pub struct Percentiles {
    pub count: u64,
    pub min: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
}

/// Percentiles of small numbers: exact up to 32, then rounded up to the next power of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the field names are the definition")]
#[serde(default)]
pub struct SpreadFigures {
    pub count: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub max: u64,
}

/// Zero-copy sends accepted and not released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InFlight {
    /// Sends.
    pub sends: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Pages they hold; `None` when not known, or when a socket has several such paths in use.
    pub pages: Option<u64>,
}

/// Where a process runs. Everything `None` is not known (yet).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// Inode number of the network namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
    /// Its name (`ip netns`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns_name: Option<Arc<str>>,
    /// Path of the cgroup below its mount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<Arc<str>>,
    /// Container, like `docker:0123456789ab`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Arc<str>>,
}

/// What a socket, or all living sockets of a process, hold for zero-copy, as last seen on a zero-copy send, at a
/// release or at a read. The fields are `None` when not known here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GaugeFigures {
    /// Bytes charged to option memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optmem_bytes: Option<u64>,
    /// The most seen on one socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optmem_peak_bytes: Option<u64>,
    /// Limit of option memory per socket (`net.core.optmem_max`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optmem_max_bytes: Option<u64>,
    /// Notifications queued and not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread_notifications: Option<u64>,
    /// Pages of zero-copy sends not released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages_in_flight: Option<u64>,
    /// Pages pinned by the user, all programs together, the most seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked_pages: Option<u64>,
}

/// A limit of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// None.
    Unlimited,
    /// So many bytes.
    Bytes(u64),
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessFigures {
    /// Process id.
    pub pid: u32,
    /// Name.
    pub comm: String,
    /// Where it runs.
    pub place: Place,
    /// Over its living sockets; `None` when none of its sockets sent with notifications.
    pub gauges: Option<GaugeFigures>,
    /// Its limit on locked memory; `None` when not known.
    pub memlock_limit: Option<Limit>,
    /// Its ledger per path.
    pub paths: Vec<PathFigures>,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFigures {
    /// Interface name.
    pub dev: String,
    /// Its ledger per path.
    pub paths: Vec<PathFigures>,
}
