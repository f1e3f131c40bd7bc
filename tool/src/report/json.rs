//! The JSON document `zcscope.stat/1`. Additive changes only; bytes and nanoseconds are integers; a key that is
//! absent is not known here.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::json_path::{PathDoc, paths};
use crate::diagnose::Finding;
use crate::model::sample::{BounceSample, FileReads, FileSample, MapSample, ProgramSample};
use crate::model::snapshot::{GaugeFigures, Limit, Place, ProcessFigures, Snapshot};

/// Name and version of the document.
pub const SCHEMA: &str = "zcscope.stat/1";

/// The whole document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatDocument {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of zcscope.
    pub version: String,
    /// Host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Kernel release.
    pub kernel: String,
    /// Back end in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The traced command with its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Length of the trace, ns.
    pub duration_ns: u64,
    /// Fact -> `backend:function` that feeds it.
    pub sources: BTreeMap<String, String>,
    /// Facts that cannot be known here.
    pub missing: Vec<MissingDoc>,
    /// What was lost.
    pub lost: LostDoc,
    /// All traffic per path.
    pub paths: Vec<PathDoc>,
    /// Per process.
    pub processes: Vec<ProcessDoc>,
    /// Per socket.
    pub sockets: Vec<SocketDoc>,
    /// Per device.
    #[serde(default)]
    pub devices: Vec<DeviceDoc>,
    /// Files sent by sendfile and splice, most bytes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<FileDoc>>,
    /// Bytes of regular files read by processes that send plainly, most first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_reads: Option<Vec<FileReadsDoc>>,
    /// Devices that copied into bounce buffers while they transmitted, all programs together, most bytes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounces: Option<Vec<BounceDoc>>,
    /// What it means.
    pub findings: Vec<FindingDoc>,
    /// The kernel's tables at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maps: Vec<MapDoc>,
    /// What zcscope itself took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnDoc>,
}

/// What zcscope itself took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnDoc {
    /// CPU time since it started, as last read, ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ns: Option<u64>,
    /// Memory it occupied then, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<u64>,
    /// Time in kernel programs per call that sent or received, ns; absent unless it is measured without a filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_ns_per_call: Option<u64>,
    /// Kernel programs that ran, most time first; absent unless they are measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub programs: Option<Vec<ProgramDoc>>,
}

/// One kernel program of zcscope's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramDoc {
    /// Its name.
    pub name: String,
    /// Runs since tracing began.
    pub runs: u64,
    /// Their time with what taking it costs, ns.
    pub run_ns: u64,
}

/// One of the kernel's tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapDoc {
    /// Its name.
    pub name: String,
    /// Elements in it; absent where they do not come and go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// Elements it has room for (a ring: bytes).
    pub max_entries: u64,
    /// Kernel memory it takes, bytes.
    pub bytes: u64,
}

/// What one device copied into bounce buffers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BounceDoc {
    /// Name on its bus.
    pub device: String,
    /// Mappings.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A fact that cannot be known here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingDoc {
    /// Name of the fact.
    pub fact: String,
    /// Why, and what would help.
    pub why: String,
}

/// What was lost, by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostDoc {
    /// Sum.
    pub total: u64,
    /// Causes above zero.
    pub by_cause: BTreeMap<String, u64>,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessDoc {
    /// Process id.
    pub pid: u32,
    /// Name.
    pub comm: String,
    /// Where it runs.
    #[serde(flatten)]
    pub place: PlaceDoc,
    /// What its living sockets hold; `locked_pages` and `optmem_peak_bytes` are the most seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gauges: Option<GaugesDoc>,
    /// Its paths.
    pub paths: Vec<PathDoc>,
}

/// Where a process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlaceDoc {
    /// Inode number of the network namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
    /// Its name (`ip netns`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns_name: Option<String>,
    /// Path of the cgroup below its mount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// Container, like `docker:0123456789ab`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// What a socket or a process holds for zero-copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GaugesDoc {
    /// Bytes charged to option memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optmem_bytes: Option<u64>,
    /// The most seen on one socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optmem_peak_bytes: Option<u64>,
    /// Limit of it per socket.
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
    /// The process's limit on locked memory; absent also when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memlock_limit_bytes: Option<u64>,
    /// True when there is no such limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memlock_unlimited: Option<bool>,
}

/// One file sent by one process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileDoc {
    /// Process id.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// Path the bytes took.
    pub path: String,
    /// Last part of the file's name.
    pub file: String,
    /// Type of its filesystem.
    pub filesystem: String,
    /// Inode number.
    pub inode: u64,
    /// System calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// Entries into TCP's send function.
    pub chunks: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Bytes that were read into the page cache meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_miss_bytes: Option<u64>,
    /// Bytes read into new pages instead of lent from the page cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_read_bytes: Option<u64>,
    /// Opened with `O_DIRECT`.
    pub direct: bool,
}

/// Bytes of regular files one process read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReadsDoc {
    /// Process id.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// Bytes.
    pub bytes: u64,
}

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketDoc {
    /// The kernel's cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<u64>,
    /// Process id.
    pub pid: u32,
    /// Process name.
    pub comm: String,
    /// Local address and port.
    pub local: String,
    /// Remote address and port.
    pub remote: String,
    /// Device of the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<String>,
    /// False once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alive: Option<bool>,
    /// User id of the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Where it lives.
    #[serde(flatten)]
    pub place: PlaceDoc,
    /// What it holds; absent on sockets that never sent with notifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gauges: Option<GaugesDoc>,
    /// Its paths.
    pub paths: Vec<PathDoc>,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceDoc {
    /// Interface name.
    pub dev: String,
    /// Its paths.
    pub paths: Vec<PathDoc>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingDoc {
    /// Stable id.
    pub id: String,
    /// `critical`, `warning` or `info`.
    pub severity: String,
    /// One sentence.
    pub title: String,
    /// What was seen.
    pub evidence: Vec<String>,
    /// What to do.
    pub fix: Vec<String>,
    /// Bytes concerned.
    pub bytes: u64,
    /// Id of the finding that explains this one; it stands before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explained_by: Option<String>,
}

/// The document of a snapshot. `command` is the traced command with its arguments, empty when there was none.
#[must_use]
pub fn document(snapshot: &Snapshot, findings: &[Finding], command: &[String]) -> StatDocument {
    let session = &snapshot.session;
    let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let processes = snapshot.processes.iter().map(|p| ProcessDoc {
        pid: p.pid,
        comm: p.comm.clone(),
        place: place(&p.place),
        gauges: process_gauges(p),
        paths: paths(&p.paths, session),
    });
    let sockets = snapshot.sockets.iter().map(|s| SocketDoc {
        cookie: s.cookie,
        pid: s.pid,
        comm: s.comm.clone(),
        local: s.local.to_string(),
        remote: s.remote.to_string(),
        dev: s.dev.clone(),
        alive: Some(s.alive),
        uid: Some(s.uid),
        place: place(&s.place),
        gauges: s.gauges.as_deref().map(gauges),
        paths: paths(&s.paths, session),
    });
    let devices =
        snapshot.devices.iter().map(|d| DeviceDoc { dev: d.dev.clone(), paths: paths(&d.paths, session) });
    let missing = session.missing.iter().map(|m| MissingDoc { fact: m.fact.clone(), why: m.why.clone() });
    StatDocument {
        schema: SCHEMA.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        host: known(&session.host),
        kernel: session.kernel.clone(),
        backend: known(&session.backend),
        command: command.to_vec(),
        duration_ns: snapshot.duration_ns,
        sources: session.sources.clone(),
        missing: missing.collect(),
        lost: LostDoc { total: snapshot.lost.total, by_cause: snapshot.lost.by_cause.clone() },
        paths: paths(&snapshot.paths, session),
        processes: processes.collect(),
        sockets: sockets.collect(),
        devices: devices.collect(),
        files: snapshot.files.as_ref().map(|rows| rows.iter().map(|row| file(row)).collect()),
        file_reads: snapshot.file_reads.as_ref().map(|rows| rows.iter().map(file_reads).collect()),
        bounces: snapshot.bounces.as_ref().map(|rows| rows.iter().map(bounce).collect()),
        findings: findings.iter().map(finding).collect(),
        maps: snapshot.maps.iter().map(map).collect(),
        own: own(snapshot),
    }
}

fn own(snapshot: &Snapshot) -> Option<OwnDoc> {
    let cost = snapshot.host.own_cost.as_ref();
    let program = |p: &ProgramSample| ProgramDoc { name: p.name.clone(), runs: p.runs, run_ns: p.run_ns };
    let own = OwnDoc {
        cpu_ns: cost.map(|cost| cost.cpu_ns),
        rss_bytes: cost.and_then(|cost| cost.rss_bytes),
        program_ns_per_call: snapshot.program_ns_per_call(),
        programs: snapshot.programs.as_ref().map(|costs| costs.programs.iter().map(program).collect()),
    };
    (own != OwnDoc::default()).then_some(own)
}

fn map(map: &MapSample) -> MapDoc {
    MapDoc { name: map.name.clone(), entries: map.entries, max_entries: map.max_entries, bytes: map.bytes }
}

fn place(place: &Place) -> PlaceDoc {
    let text = |name: &Option<Arc<str>>| name.as_deref().map(str::to_owned);
    PlaceDoc {
        netns: place.netns,
        netns_name: text(&place.netns_name),
        cgroup: text(&place.cgroup),
        container: text(&place.container),
    }
}

fn gauges(g: &GaugeFigures) -> GaugesDoc {
    GaugesDoc {
        optmem_bytes: g.optmem_bytes,
        optmem_peak_bytes: g.optmem_peak_bytes,
        optmem_max_bytes: g.optmem_max_bytes,
        unread_notifications: g.unread_notifications,
        pages_in_flight: g.pages_in_flight,
        locked_pages: g.locked_pages,
        ..GaugesDoc::default()
    }
}

fn process_gauges(process: &ProcessFigures) -> Option<GaugesDoc> {
    let mut doc = gauges(process.gauges.as_ref()?);
    match process.memlock_limit {
        Some(Limit::Bytes(limit)) => doc.memlock_limit_bytes = Some(limit),
        Some(Limit::Unlimited) => doc.memlock_unlimited = Some(true),
        None => {}
    }
    Some(doc)
}

fn file(f: &FileSample) -> FileDoc {
    FileDoc {
        pid: f.pid,
        comm: f.comm.clone(),
        path: f.path.name().into(),
        file: f.name.clone(),
        filesystem: f.filesystem.clone(),
        inode: f.inode,
        calls: f.calls,
        chunks: f.chunks,
        bytes: f.bytes,
        cache_miss_bytes: f.cache_miss_bytes,
        copy_read_bytes: f.copy_read_bytes,
        direct: f.direct,
    }
}

fn bounce(b: &BounceSample) -> BounceDoc {
    BounceDoc { device: b.device.clone(), count: b.count, bytes: b.bytes }
}

fn file_reads(f: &FileReads) -> FileReadsDoc {
    FileReadsDoc { pid: f.pid, comm: f.comm.clone(), bytes: f.bytes }
}

fn finding(f: &Finding) -> FindingDoc {
    FindingDoc {
        id: f.id.clone(),
        severity: f.severity.name().into(),
        title: f.title.clone(),
        evidence: f.evidence.clone(),
        fix: f.fix.clone(),
        bytes: f.bytes,
        explained_by: f.explained_by.map(str::to_owned),
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
