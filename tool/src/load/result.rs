//! What a load reports: pure types; their serde form is the JSON `zcscope.load/1`.
//!
//! Bytes and nanoseconds are integers. A key that is absent is not known here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zcscope_common::Hist;

use super::control::message::PeerReport;
use super::place::PlaceFigures;

/// Schema of [`LoadReport`].
pub const LOAD_SCHEMA: &str = "zcscope.load/1";

/// One run of the generator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// Connections.
    pub streams: u64,
    /// Threads that served them; fewer than connections where one served several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u64>,
    /// Most sends outstanding per connection, on paths with completions.
    pub depth: u64,
    /// Congestion control in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cc: Option<String>,
    /// Whether `SO_ZEROCOPY` was set; absent on paths that do not need it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub so_zerocopy: Option<bool>,
    /// How everything else was set.
    #[serde(default)]
    pub knobs: Knobs,
    /// The warm-up, of which nothing is in the other figures; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<WarmUpFigures>,
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
    /// Context switches of the sending threads in the same span.
    #[serde(default)]
    pub switches: Switches,
    /// System calls of the path in the same span; absent where the path does not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syscalls: Option<PerGb>,
    /// How much was copied though the path asks for no copy; absent where neither the kernel nor a notification told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied: Option<Copied>,
    /// Send calls that took at least one byte.
    pub calls: u64,
    /// Of those, calls that took fewer bytes than offered.
    pub partial_calls: u64,
    /// Failed send calls by errno; only those above zero, but `ENOBUFS` always on paths with completions.
    pub errors: BTreeMap<String, u64>,
    /// What the kernel told about the ends of sends; absent on paths where it tells nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completions: Option<Completions>,
    /// The levels of an open loop (`--latency`); absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_loop: Option<OpenLoop>,
    /// Every connection.
    pub per_stream: Vec<StreamFigures>,
    /// What the receiver counted, where the sink was asked for the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerReport>,
    /// What the kernel did with exactly these sends, when tracing was possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<serde_json::Value>,
    /// Why `kernel` is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_missing: Option<String>,
}

impl LoadReport {
    /// Whether it failed before anything was sent, warm-up included: then its figures say nothing. A run whose sends were
    /// refused again and again began; how often is worth a look. One refusal is in the sentence.
    #[must_use]
    pub fn never_began(&self) -> bool {
        let refused: u64 = self.errors.values().sum();
        self.error.is_some() && self.bytes == 0 && self.warm_up.is_none() && refused <= 1
    }
}

/// What ended a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// All bytes asked for were sent.
    Bytes,
    /// The time was up.
    #[default]
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

/// How a load was set up, beyond path, size, streams and depth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knobs {
    /// Most bytes outstanding on one connection by choice: depth times size.
    pub in_flight_bytes: u64,
    /// Limit of the send queue of a connection at the end, as the kernel counts it (the largest).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sndbuf_bytes: Option<u64>,
    /// The limit asked for; absent where the kernel tuned it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sndbuf_asked_bytes: Option<u64>,
    /// Bytes of buffers (or of file) each connection rotates through.
    pub working_set_bytes: u64,
    /// Pages the buffers were asked to live on: `4k`, `thp`, `hugetlb`.
    pub page: String,
    /// Where file paths read from: `memfd`, or a directory.
    pub source: String,
    /// Parts of one send.
    pub iovecs: u64,
    /// `MSG_MORE`.
    pub more: bool,
    /// `TCP_NODELAY`.
    pub nodelay: bool,
    /// Sends between two looks at the ends of sends.
    pub reap_every: u64,
    /// Most bits per second let out over all connections; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pacing_bit_s: Option<u64>,
    /// How sending threads were placed: `spread`, `cpus`, `free`, `same_core`, `other_core`.
    pub placement: String,
}

/// The warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WarmUpFigures {
    /// How long it sent, ns.
    pub ns: u64,
    /// Bytes it sent.
    pub bytes: u64,
    /// Whether the rate no longer drifted at its end; absent when nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flat: Option<bool>,
    /// How far it drifted over the last intervals, as a share of the rate; absent when nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<f64>,
    /// Bytes not acknowledged when the measuring began (their acknowledgement then falls into it); 0 as a rule.
    pub left_bytes: u64,
}

/// A count, and the same per GB (1e9 bytes) acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PerGb {
    /// Count.
    pub count: u64,
    /// Per GB; absent when nothing was acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_gb: Option<f64>,
}

impl PerGb {
    /// `count`, for `bytes` acknowledged.
    #[must_use]
    pub fn of(count: u64, bytes: u64) -> Self {
        Self { count, per_gb: (bytes > 0).then(|| count as f64 * 1e9 / bytes as f64) }
    }
}

/// Context switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Switches {
    /// The thread waited.
    pub voluntary: u64,
    /// The thread was pushed off its CPU.
    pub involuntary: u64,
    /// Both per GB (1e9 bytes) acknowledged; absent when nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_gb: Option<f64>,
}

/// How much of a run was copied that had asked for no copy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Copied {
    /// Whom [`Self::share`] is from: `kernel` (seen by tracing), or else `told` (by notifications).
    pub by: String,
    /// Copied bytes per byte that asked for no copy.
    pub share: f64,
    /// Bytes the kernel was seen to copy, each once; absent when not traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_bytes: Option<u64>,
    /// Of so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_of_bytes: Option<u64>,
    /// Bytes of sends the application was told were copied; absent where it is told nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told_bytes: Option<u64>,
    /// Of so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told_of_bytes: Option<u64>,
}

impl Copied {
    /// Copied share above which a run may not be called zero-copy.
    pub const LIMIT: f64 = 0.01;

    /// From what the kernel was seen to copy and what the application was told, each `(copied, of)` bytes.
    #[must_use]
    pub fn of(kernel: Option<(u64, u64)>, told: Option<(u64, u64)>) -> Option<Self> {
        let known = |pair: Option<(u64, u64)>| pair.filter(|(_, of)| *of > 0);
        let (kernel, told) = (known(kernel), known(told));
        let (copied, of) = kernel.or(told)?;
        Some(Self {
            by: if kernel.is_some() { "kernel" } else { "told" }.into(),
            share: copied as f64 / of as f64,
            kernel_bytes: kernel.map(|pair| pair.0),
            kernel_of_bytes: kernel.map(|pair| pair.1),
            told_bytes: told.map(|pair| pair.0),
            told_of_bytes: told.map(|pair| pair.1),
        })
    }

    /// Whether the run may not be called zero-copy.
    #[must_use]
    pub fn too_much(&self) -> bool {
        self.share > Self::LIMIT
    }
}

/// Messages sent at fixed rates, whatever the answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OpenLoop {
    /// Messages per second the path took when nothing held it back, where a level is a share of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_per_s: Option<f64>,
    /// Every level, in the order they ran.
    pub levels: Vec<Level>,
}

/// One level of an open loop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// As it was asked for.
    pub asked: String,
    /// Messages per second that were due.
    pub rate_per_s: f64,
    /// Messages that were due.
    pub offered: u64,
    /// Of those, messages the kernel took whole before the level was over.
    pub sent: u64,
    /// Messages per second really sent.
    pub sent_per_s: f64,
    /// Whether all were sent, at (nearly) the rate they were due. If messages were left unsent, the
    /// corrected figures are lower bounds.
    pub kept: bool,
    /// From when a message was due until its last byte was accepted.
    pub accepted_ns: Latency,
    /// From just before its first send call: blind to messages that had to wait.
    pub accepted_raw_ns: Latency,
    /// From when a message was due until the end of its last send was read; absent on paths without notifications.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_ns: Option<Latency>,
    /// From just before its first send call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_raw_ns: Option<Latency>,
    /// CPU time of the sending threads, ns.
    pub thread_ns: u64,
}

/// CPU time from the first send to the last acknowledgement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// Of the sending threads, ns.
    pub thread_ns: u64,
    /// The same per GB (1e9 bytes) acknowledged, seconds; absent when nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_s_per_gb: Option<f64>,
    /// How long the sending threads could have run and had no CPU, because others had it, ns; of all threads together, so
    /// it may be longer than the span. Absent where the kernel does not count it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_delay_ns: Option<u64>,
    /// Of the whole machine, everything that ran on it, interrupts included, ns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_ns: Option<u64>,
    /// The same per GB acknowledged, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_s_per_gb: Option<f64>,
    /// Time the hypervisor gave to others while this machine wanted to run, ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal_ns: Option<u64>,
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
    /// CPU time of its thread, ns; absent where the thread served other connections, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_ns: Option<u64>,
    /// CPU its thread was kept on; absent when it was free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u64>,
    /// CPU that handled the flow's acknowledgements last (`SO_INCOMING_CPU`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incoming_cpu: Option<u64>,
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
