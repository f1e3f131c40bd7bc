//! The document of `doctor --json` (`zcscope.doctor/1`): facts, predictions, and what was observed. A key that is absent
//! is not known here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zcscope_common::{Path, Reason};

use super::ids;
use crate::host::adapter::{Adapter, Binding};
use crate::host::device::DeviceKind;
use crate::host::facts::Switch;
use crate::host::process::ProcessLimits;
use crate::host::sysctl::Setting;
use crate::host::uring::Uring;

/// Schema of [`Document`].
pub const SCHEMA: &str = "zcscope.doctor/1";

/// Everything `doctor` found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of zcscope.
    pub version: String,
    /// Host name.
    pub host: String,
    /// Kernel release.
    pub kernel: String,
    /// What zcscope can know on this kernel.
    pub tracing: Tracing,
    /// The machine.
    pub machine: Machine,
    /// The process whose limits count; `-p`, or zcscope itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessLimits>,
    /// Kernel settings in the network namespace of the process.
    pub settings: Vec<Setting>,
    /// Paths that cannot be used here, with the reason in one sentence.
    pub unavailable: BTreeMap<String, String>,
    /// What io_uring can do.
    pub io_uring: Uring,
    /// Kernel TLS (`tls` among the upper layers the kernel has now).
    pub tls: bool,
    /// What the kernel lets programs bind to a device's queues.
    pub devmem: Binding,
    /// Packet taps of all network namespaces; absent: cannot be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taps: Option<Vec<Tap>>,
    /// Routes looked at, each with its predictions.
    pub routes: Vec<Route>,
    /// With `--prove`: whether everything that was observed is what was predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

/// What zcscope can know on this kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracing {
    /// It can trace: everything was loaded and attached, and detached again.
    pub possible: bool,
    /// Why not, and what would help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// `fentry`, `kprobe`, `tracepoint`, or `mixed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Every fact, known or not.
    pub facts: Vec<Fact>,
    /// Kernel memory all maps take together, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map_bytes: Option<u64>,
    /// Each map, most bytes first.
    pub maps: Vec<MapMemory>,
    /// The kernel programs that were loaded.
    #[serde(default)]
    pub programs: Vec<LoadedProgram>,
}

/// A kernel program that was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedProgram {
    /// Its name.
    pub program: String,
    /// Instructions the verifier walked before it accepted it; absent where the kernel (before 5.16) does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_instructions: Option<u64>,
    /// Its machine code, bytes.
    pub machine_bytes: u64,
}

/// One fact zcscope can know, or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Its name.
    pub fact: String,
    /// `backend:function` that feeds it; absent: it cannot be known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Why it cannot be known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// Better back ends that were tried, and why they do not feed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refusal>,
}

/// A back end that does not feed a fact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Back end.
    pub backend: String,
    /// Why not.
    pub why: String,
}

/// Kernel memory of one map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapMemory {
    /// Its name.
    pub map: String,
    /// Elements it has room for (a ring: bytes).
    pub max_entries: u64,
    /// Bytes.
    pub bytes: u64,
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Technology that keeps this guest's memory from its host (`TDX`, `SEV-SNP`): DMA is bounced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted_by: Option<String>,
    /// The kernel was told to bounce all DMA.
    pub swiotlb_forced: bool,
    /// Bytes of a page of memory.
    pub page_bytes: u64,
    /// This kernel copies what it forwards between namespaces (before Linux 6.17).
    pub copies_forwarded: bool,
}

/// A packet tap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tap {
    /// Inode number of its network namespace.
    pub netns: u64,
    /// Its name, or a process in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns_name: Option<String>,
    /// Index of the device it listens on; absent: all devices of the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ifindex: Option<u32>,
    /// The kernel copies zero-copy sends for it.
    pub sees_sent: bool,
    /// Processes that hold it, `comm (pid)`; empty when they cannot be seen.
    pub holders: Vec<String>,
}

/// Who receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receiver {
    /// The sender's own network namespace.
    SameNamespace,
    /// Another network namespace of this host.
    ThisHost,
    /// Another host.
    Elsewhere,
    /// Not known.
    #[default]
    Unknown,
}

/// A way bytes can take, and what becomes of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// In words: `to 10.0.0.2 through eth0`.
    pub name: String,
    /// Address asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why nothing can be said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// Who receives.
    pub receiver: Receiver,
    /// The network namespace of this host that receives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver_netns: Option<String>,
    /// The next hop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Another namespace of this host routes the packets on.
    pub forwarded: bool,
    /// Devices that transmit, in order.
    pub devices: Vec<Device>,
    /// The device of this host the packets arrive at (far end of a veth pair).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrival: Option<Device>,
    /// One prediction per send path.
    pub send: Vec<Prediction>,
    /// One per receive path, for what arrives over this route.
    pub receive: Vec<Prediction>,
}

/// A device on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Interface name.
    pub name: String,
    /// Interface index.
    pub ifindex: u32,
    /// Inode number of its network namespace.
    pub netns: u64,
    /// What sort of device.
    pub kind: DeviceKind,
    /// Driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Bytes a packet may carry.
    pub mtu: u32,
    /// Set up, and the cable is in.
    pub running: bool,
    /// Scatter-gather.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scatter_gather: Option<Switch>,
    /// Checksums of sent packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_checksum: Option<Switch>,
    /// Segmentation of TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tso: Option<Switch>,
    /// TLS encryption of sent data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_tx: Option<Switch>,
    /// Queues and header split.
    #[serde(flatten)]
    pub adapter: Adapter,
    /// An XDP program is attached: `native`, `generic`, `offloaded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xdp: Option<String>,
}

/// What becomes of the bytes of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// They leave (or are mapped) without a copy.
    ZeroCopy,
    /// They are copied although no copy was asked for.
    Copied,
    /// Some are copied; only ever observed.
    PartlyCopied,
    /// The kernel refuses to take them.
    Refused,
    /// The path copies, always.
    CopiesByDesign,
    /// The path cannot be used here.
    Unavailable,
    /// It cannot be told.
    #[default]
    Unknown,
}

/// What a path will do on a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prediction {
    /// The path.
    #[serde(with = "ids::path")]
    pub path: Path,
    /// What becomes of its bytes.
    pub verdict: Verdict,
    /// The reason of a copy or refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<Because>,
    /// In one sentence, for every other verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What happens besides: copies for others, refusals under conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Because>,
    /// What the prediction takes for granted because the kernel does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumed: Option<String>,
    /// What was seen when it was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
}

/// A reason with what it rests on here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Because {
    /// The reason.
    #[serde(with = "ids::reason")]
    pub reason: Reason,
    /// The facts it rests on, one sentence.
    pub evidence: String,
    /// What to do, one step each.
    pub fix: Vec<String>,
}

/// What was seen when a path was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// What became of the bytes.
    pub verdict: Verdict,
    /// It is what was predicted; absent: this back end cannot see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agrees: Option<bool>,
    /// Where it differs, or why nothing could be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Bytes the kernel accepted.
    pub bytes: u64,
    /// Of those, bytes it copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_bytes: Option<u64>,
    /// Copied without telling the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_copied_bytes: Option<u64>,
    /// Copied for a second consumer only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clone_copied_bytes: Option<u64>,
    /// Reasons of what was copied, most bytes first.
    pub reasons: Vec<String>,
    /// Reasons of what was refused.
    pub refused: Vec<String>,
    /// Copies were concluded, not seen.
    pub inferred: bool,
}

/// The whole of `--prove`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Nothing that was observed differs from its prediction.
    pub agrees: bool,
    /// Predictions tried.
    pub tried: u64,
    /// Of those, observed as predicted.
    pub as_predicted: u64,
    /// Bytes offered on each path.
    pub bytes_per_path: u64,
}

impl Route {
    /// All devices, the one of arrival last.
    pub fn all_devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter().chain(&self.arrival)
    }
}
