//! What a matrix reports: pure types; their serde form is the JSON `zcscope.matrix/1`.
//!
//! Bytes and nanoseconds are integers. A key that is absent is not known here.

use serde::{Deserialize, Serialize};

use super::breakeven::BreakEven;
use super::knobs::Knobs;
use super::plan::Key;
use super::stats::Estimate;
use super::verdict::Verdict;

/// Schema of [`MatrixReport`].
pub const MATRIX_SCHEMA: &str = "zcscope.matrix/1";

/// A whole matrix: where it was measured, every cell with every run, and where zero-copy begins to pay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatrixReport {
    /// [`MATRIX_SCHEMA`].
    pub schema: String,
    /// Version of zcscope.
    pub version: String,
    /// The command line.
    pub command: Vec<String>,
    /// Seed of the order of runs and of the intervals.
    pub seed: u64,
    /// Why not all runs were made; absent when all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<String>,
    /// Where it was measured.
    pub setting: Setting,
    /// Rounds: runs of each cell.
    pub repeat: u64,
    /// Longest time to send of one run, ns.
    pub cell_duration_ns: u64,
    /// Most bytes of one run; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell_bytes: Option<u64>,
    /// Sending before the figures of each run begin, ns.
    pub warm_up_ns: u64,
    /// Bytes of buffers all connections together rotate through.
    pub working_set_bytes: u64,
    /// How the generator was set for every cell.
    #[serde(default)]
    pub knobs: Knobs,
    /// From the first run to the last, ns.
    pub duration_ns: u64,
    /// Cells in the order depth, streams, size, path.
    pub cells: Vec<CellReport>,
    /// Paths asked for that cannot be used here.
    pub unavailable: Vec<Unavailable>,
    /// Per zero-copy path, streams and depth.
    pub break_even: Vec<BreakEven>,
}

/// Where a matrix was measured: what must be the same before two results are compared, and what must be known to
/// judge one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Host name.
    pub host: String,
    /// Kernel release.
    pub kernel: String,
    /// CPUs this process may use.
    pub cpus: u64,
    /// How the two ends are joined: `loopback`, `veth`, `cable` or `network`.
    pub link: String,
    /// Address sent to; absent when every run had one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Why nothing here says anything about a NIC; absent when it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub functional_only: Option<String>,
    /// The sending device; absent when it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceFacts>,
    /// How the sink discards; absent when it is not ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// Congestion control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cc: Option<String>,
    /// Where the kernel's truth comes from (`fentry`, `kprobe`, `tracepoint`, `mixed`): one run of each zero-copy cell is
    /// traced; absent when none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traced: Option<String>,
    /// Why it was not traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_traced: Option<String>,
    /// Part of the machine's CPU time that was busy before the first run: other load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_load: Option<f64>,
    /// Part of the machine's CPU time that the hypervisor took during the runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steal: Option<f64>,
}

/// The device that sends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFacts {
    /// Interface name.
    pub name: String,
    /// Driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Bytes a packet may carry.
    pub mtu: u64,
    /// Scatter-gather; absent where the driver does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scatter_gather: Option<bool>,
    /// Checksums of what is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_checksum: Option<bool>,
    /// Segmentation of TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tso: Option<bool>,
}

/// A path that cannot be used here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unavailable {
    /// Name of the path.
    pub path: String,
    /// Why.
    pub why: String,
}

/// What a path is measured as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The kernel copies by design: a baseline.
    Copies,
    /// Asks for no copy, and the kernel tells of the end of every send.
    Told,
    /// Asks for no copy, and the kernel tells nothing.
    Untold,
}

/// One cell. Estimates are over the runs that did not fail; absent where no run knew the figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellReport {
    /// Path, size, streams, depth.
    #[serde(flatten)]
    pub key: Key,
    /// What the path is measured as.
    pub class: Class,
    /// What the cell may be called.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Bits per ns acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gbit_s: Option<Estimate>,
    /// CPU seconds of the whole machine per GB (1e9 bytes).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_s_per_gb: Option<Estimate>,
    /// CPU seconds of the sending threads per GB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_s_per_gb: Option<Estimate>,
    /// CPU seconds of the receiving threads per GB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink_s_per_gb: Option<Estimate>,
    /// Context switches of the sending threads per GB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switches_per_gb: Option<Estimate>,
    /// System calls of the sending threads per GB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syscalls_per_gb: Option<Estimate>,
    /// Send call to notification read, ns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p50_ns: Option<Estimate>,
    /// The same, 99th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p99_ns: Option<Estimate>,
    /// The same, 99.9th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p999_ns: Option<Estimate>,
    /// Copied bytes as the application was told, over all runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<Copied>,
    /// Copied bytes as the kernel did, in the traced run; absent when it was not seen whole, or was not like the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Copied>,
    /// Sends refused with `ENOBUFS`, over all runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enobufs: Option<u64>,
    /// What failed, each text once.
    pub errors: Vec<String>,
    /// A run that was traced, before all others: what the kernel copies is known from it, and no other figure. Absent
    /// where zero-copy is not asked for, or nothing was traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Repetition>,
    /// Every run.
    pub runs: Vec<Repetition>,
}

/// Bytes of zero-copy sends, and how many of them were copied all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// Asked for without a copy, and ended.
    pub requested_bytes: u64,
    /// Copied, each byte once.
    pub copied_bytes: u64,
}

impl Copied {
    /// Copied part, 0 to 1; `None` when nothing was asked for.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        (self.requested_bytes > 0).then(|| self.copied_bytes as f64 / self.requested_bytes as f64)
    }
}

/// One run of a cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Repetition {
    /// Round, from 0; those of a refinement go on counting.
    pub round: u64,
    /// Place within the round, from 0.
    pub place: u64,
    /// Why it failed; its figures are in no estimate then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Bytes acknowledged.
    pub acked_bytes: u64,
    /// First send to last acknowledgement, ns.
    pub duration_ns: u64,
    /// Bits per ns acknowledged.
    pub gbit_s: f64,
    /// CPU seconds of the whole machine per GB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_s_per_gb: Option<f64>,
    /// CPU seconds of the sending threads per GB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_s_per_gb: Option<f64>,
    /// CPU seconds of the receiving threads per GB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink_s_per_gb: Option<f64>,
    /// Context switches of the sending threads per GB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switches_per_gb: Option<f64>,
    /// System calls of the sending threads per GB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syscalls_per_gb: Option<f64>,
    /// Send call to notification read, ns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p50_ns: Option<u64>,
    /// The same, 99th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p99_ns: Option<u64>,
    /// The same, 99.9th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p999_ns: Option<u64>,
    /// What the application was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<Copied>,
    /// What the kernel did; of a traced run only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Copied>,
    /// Why that is absent although the run was traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_missing: Option<String>,
    /// Sends refused with `ENOBUFS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enobufs: Option<u64>,
}
