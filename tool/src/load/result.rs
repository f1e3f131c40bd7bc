//! What a load reports: pure types; their serde form is the JSON `zcscope.load/1`.
//!
//! Bytes and nanoseconds are integers. A key that is absent is not known here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zcscope_common::Hist;

use super::place::PlaceFigures;

/// Schema of [`LoadReport`].
pub const LOAD_SCHEMA: &str = "zcscope.load/1";

/// One run of the generator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// [`LOAD_SCHEMA`].
    pub schema: String,
    /// Version of zcscope.
    pub version: String,
    /// Kernel release.
    pub kernel_release: String,
    /// Name of the send path.
    pub path: String,
    /// Address sent to.
    pub target: String,
    /// The device asked for, and whether the traffic left through it; absent when none was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceCheck>,
    /// The two ends, when the load made them itself (`--cable`, `--veth`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<PlaceFigures>,
    /// Bytes per send.
    pub size: u64,
    /// Connections, one thread each.
    pub streams: u64,
    /// Buffers per connection; most sends outstanding on paths with completions.
    pub depth: u64,
    /// Congestion control in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cc: Option<String>,
    /// Whether `SO_ZEROCOPY` was set; absent on paths that do not need it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub so_zerocopy: Option<bool>,
    /// What ended the run.
    pub ended_by: EndedBy,
    /// Why it failed, when it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long each phase took.
    pub phases: Phases,
    /// Bytes the kernel accepted.
    pub bytes: u64,
    /// Of those, bytes the peer had acknowledged at the end.
    pub acked_bytes: u64,
    /// Acknowledged bits per ns, from the first send to the last acknowledgement.
    pub gbit_s: f64,
    /// CPU time of the same span.
    pub cpu: Cpu,
    /// Send calls that took at least one byte.
    pub calls: u64,
    /// Of those, calls that took fewer bytes than offered.
    pub partial_calls: u64,
    /// Failed send calls by errno; only those above zero, but `ENOBUFS` always on paths with completions.
    pub errors: BTreeMap<String, u64>,
    /// What the kernel told about the ends of sends; absent on paths where it tells nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completions: Option<Completions>,
    /// Every connection.
    pub per_stream: Vec<StreamFigures>,
    /// What the kernel did with exactly these sends, when tracing was possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<serde_json::Value>,
    /// Why `kernel` is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_missing: Option<String>,
}

/// What ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// All bytes asked for were sent.
    Bytes,
    /// The time was up.
    Duration,
    /// Ctrl-C or SIGTERM.
    Signal,
    /// Something failed.
    Error,
}

/// Whether the traffic left through the device asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceCheck {
    /// Device.
    pub name: String,
    /// Bytes it transmitted during the run, everybody's.
    pub tx_bytes: u64,
    /// Whether that is at least what we sent.
    pub verified: bool,
    /// In words.
    pub why: String,
}

/// How long each phase took, ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// Connecting all streams.
    pub connect_ns: u64,
    /// First send to last byte accepted, the slowest stream.
    pub send_ns: u64,
    /// From there until everything was acknowledged and every completion read, or given up on.
    pub settle_ns: u64,
}

/// CPU time from the first send to the last acknowledgement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// Of the sending threads, ns.
    pub thread_ns: u64,
    /// The same per GB (1e9 bytes) acknowledged, seconds; absent when nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_s_per_gb: Option<f64>,
    /// Of the whole machine, everything that ran on it, interrupts included, ns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_ns: Option<u64>,
    /// The same per GB acknowledged, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_s_per_gb: Option<f64>,
    /// Whether each sending thread was kept on one CPU.
    pub pinned: bool,
}

/// What the kernel told the application about the ends of its sends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completions {
    /// Sends that ended.
    pub sends: u64,
    /// Bytes of those sends.
    pub bytes: u64,
    /// Notifications read; each names a range of sends.
    pub notifications: u64,
    /// Sends the kernel told were copied.
    pub told_copied: u64,
    /// Bytes of those sends.
    pub told_copied_bytes: u64,
    /// Sends whose end had not come when we gave up waiting.
    pub outstanding: u64,
    /// Ends told of sends that were not outstanding; not zero means a fault.
    pub unexpected: u64,
    /// Sends between two looks at the error queue (it is also read whenever nothing can be sent).
    pub reap_every: u64,
    /// From just before the send call to reading its notification.
    pub latency_ns: Latency,
}

/// Percentiles of durations in ns; only `count` when there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the field names are the definition")]
pub struct Latency {
    pub count: u64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub figures: Option<LatencyFigures>,
}

/// Percentiles of at least one duration, ns, each within 3.2 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the field names are the definition")]
pub struct LatencyFigures {
    pub min: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
}

impl From<&Hist> for Latency {
    fn from(hist: &Hist) -> Self {
        let figures = || {
            Some(LatencyFigures {
                min: hist.min()?,
                p50: hist.percentile(500)?,
                p90: hist.percentile(900)?,
                p99: hist.percentile(990)?,
                p999: hist.percentile(999)?,
                max: hist.max,
            })
        };
        Self { count: hist.count, figures: figures() }
    }
}

/// One connection of a load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamFigures {
    /// Local address.
    pub local: String,
    /// Bytes accepted.
    pub bytes: u64,
    /// Bytes acknowledged.
    pub acked_bytes: u64,
    /// Send calls that took at least one byte.
    pub calls: u64,
    /// CPU time of its thread, ns.
    pub thread_ns: u64,
}

/// Bits per nanosecond; `None` without a span.
#[must_use]
pub fn gbit_s(bytes: u64, ns: u64) -> Option<f64> {
    (ns > 0).then(|| bytes as f64 * 8.0 / ns as f64)
}

/// Seconds per GB (1e9 bytes); `None` without bytes.
#[must_use]
pub fn s_per_gb(ns: u64, bytes: u64) -> Option<f64> {
    (bytes > 0).then(|| ns as f64 / bytes as f64)
}
