//! What a source of data (probe, load generator, recording) hands to the model: cumulative counters at one moment.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use zcscope_common::{FlowCounters, Gauges, Hist, LatencyKind, Path, Reason, Spread, SpreadKind};

use super::serial;

/// All counters at one moment. Counters are totals since tracing began, never differences.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Nanoseconds since tracing began.
    pub at_ns: u64,
    /// Sockets that are alive, with everything counted so far; at least those that are not what they were in the
    /// sample before, but for those in `plain`. One in neither that has not ended has not changed.
    pub sockets: Vec<SocketSample>,
    /// What living sockets counted on a path of which only calls and bytes grew: sockets that were in an earlier sample
    /// and of which nothing else is new.
    pub plain: Vec<PlainSample>,
    /// Sockets that ended since the last sample, with their final counters. Each id comes once.
    pub ended: Vec<SocketSample>,
    /// What could not be attributed to a socket (tables full), per path. Totals per path include it.
    pub unattributed: Vec<(Path, FlowCounters)>,
    /// Copy events per socket, path, place and device, cumulative. A row of an ended socket stays in every
    /// later sample until its source has handed it over once after the socket's end; the model keeps it.
    pub copies: Vec<CopySample>,
    /// Durations per path and kind, cumulative.
    pub latency: Vec<LatencySample>,
    /// Release latency of single sockets (`LatencyKind::Release`), of those that found room, cumulative.
    pub socket_latency: Vec<SocketLatency>,
    /// Distributions per path and kind, cumulative.
    pub spreads: Vec<SpreadSample>,
    /// Files sent by sendfile and splice, per process, cumulative.
    pub files: Vec<FileSample>,
    /// Bytes of regular files read by processes that send plainly, cumulative.
    pub file_reads: Vec<FileReads>,
    /// Devices whose DMA went through bounce buffers while they transmitted, cumulative.
    pub bounces: Vec<BounceSample>,
    /// Names and limits learnt since the last sample.
    pub names: Names,
    /// What the source's kernel programs took so far, while somebody asks for it.
    pub programs: Option<ProgramCosts>,
    /// How full the source's tables are; only in a last sample.
    pub maps: Vec<MapSample>,
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
    /// Id of the cgroup, 0 unknown.
    pub cgroup: u64,
    /// User id of the process.
    pub uid: u32,
    /// What the socket holds now.
    pub gauges: Gauges,
    /// Counters per path used, receive paths included.
    pub flows: Vec<(Path, FlowCounters)>,
}

/// What a socket counted on one path that always copies, cumulative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainSample {
    /// `SocketSample::id`.
    pub socket: u64,
    /// Path.
    pub path: Path,
    /// Calls.
    pub calls: u64,
    /// Bytes.
    pub bytes: u64,
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CopyKind {
    /// Why.
    #[serde(with = "serial::reason")]
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

/// What one device copied into bounce buffers while it transmitted, for all programs of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BounceSample {
    /// Name on its bus (`0000:00:03.0`).
    pub device: String,
    /// Mappings that bounced.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
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

/// The release latency of one socket on one path.
#[derive(Clone, Debug)]
pub struct SocketLatency {
    /// `SocketSample::id`.
    pub socket: u64,
    /// Path.
    pub path: Path,
    /// Durations in ns.
    pub hist: Box<Hist>,
}

/// A distribution of small numbers.
#[derive(Clone, Debug)]
pub struct SpreadSample {
    /// Path.
    pub path: Path,
    /// Of what.
    pub kind: SpreadKind,
    /// The numbers.
    pub spread: Box<Spread>,
}

/// One file sent by one process on one of the paths that send files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSample {
    /// Process.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// `sendfile` or `splice`.
    #[serde(with = "serial::path")]
    pub path: Path,
    /// Last part of the file's name.
    pub name: String,
    /// Type of its filesystem.
    pub filesystem: String,
    /// Inode number.
    pub inode: u64,
    /// System calls; `None` where only the entries into TCP can be seen.
    pub calls: Option<u64>,
    /// Entries into TCP's send function: the chunks of the calls.
    pub chunks: u64,
    /// Bytes sent from it.
    pub bytes: u64,
    /// Bytes that had to be read into the page cache meanwhile; `None` when not known.
    pub cache_miss_bytes: Option<u64>,
    /// Bytes read into new pages instead of lent from the page cache (`copy_splice_read`); `None` when not known.
    pub copy_read_bytes: Option<u64>,
    /// Opened with `O_DIRECT`.
    pub direct: bool,
}

/// Bytes of regular files one process read by system calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReads {
    /// Process.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// Bytes.
    pub bytes: u64,
}

/// One table of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MapSample {
    /// Its name.
    pub name: String,
    /// Elements in it; `None` where they do not come and go.
    pub entries: Option<u64>,
    /// Elements it has room for (a ring: bytes).
    pub max_entries: u64,
    /// Kernel memory it takes, bytes.
    pub bytes: u64,
}

/// What the kernel programs took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgramCosts {
    /// Those that ran.
    pub programs: Vec<ProgramSample>,
    /// True when a filter leaves calls out of the figures: the programs run for those too.
    pub filtered: bool,
}

/// What one kernel program took, by the kernel's run-time statistics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgramSample {
    /// Its name.
    pub name: String,
    /// Runs since tracing began.
    pub runs: u64,
    /// Their time, ns; what taking it costs (30 to 55 ns a run) is in it.
    pub run_ns: u64,
}

/// Names for the numbers in the other parts, and limits; each comes once, and again when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Cgroup id -> path below the cgroup mount, and the container it belongs to (`docker:0123456789ab`), if any.
    pub cgroups: Vec<(u64, String, Option<String>)>,
    /// Inode number of a network namespace -> its name (`ip netns`).
    pub netns: Vec<(u32, String)>,
    /// Process -> its limit on locked memory in bytes, `None` for no limit.
    pub memlock: Vec<(u32, Option<u64>)>,
}
