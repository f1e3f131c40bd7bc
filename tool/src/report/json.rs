//! The JSON document `zcscope.stat/1`. Additive changes only; bytes and nanoseconds are integers; a key that is
//! absent is not known here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::diagnose::Finding;
use crate::model::sample::MapSample;
use crate::model::snapshot::{
    Completions, CopyFigures, InFlight, PathFigures, Percentiles, Session, Snapshot,
};

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
    /// What it means.
    pub findings: Vec<FindingDoc>,
    /// The kernel's tables at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maps: Vec<MapDoc>,
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

/// One path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PathDoc {
    /// Name of the path.
    pub path: String,
    /// Entries into TCP's send function.
    pub calls: u64,
    /// Failed calls by errno name.
    pub errors: BTreeMap<String, u64>,
    /// Bytes accepted.
    pub bytes: u64,
    /// Bytes asked for without a copy; absent on paths that never ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_bytes: Option<u64>,
    /// Bytes put into frags by reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attached_bytes: Option<u64>,
    /// New frags they took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frags: Option<u64>,
    /// Pages they took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<u64>,
    /// Requested and done without a wire copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zerocopied_bytes: Option<u64>,
    /// Requested and copied, each byte once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copied_bytes: Option<u64>,
    /// Copied for a second consumer only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clone_copied_bytes: Option<u64>,
    /// Copied without the application being told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_copied_bytes: Option<u64>,
    /// Copy events; a byte copied twice counts twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies: Option<Vec<CopyDoc>>,
    /// Refused calls by reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Vec<RefusedDoc>>,
    /// Ends of sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completions: Option<CompletionsDoc>,
    /// Sends not released yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<InFlightDoc>,
    /// Time spent in the send call, ns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_ns: Option<PercentilesDoc>,
}

/// Copy events of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyDoc {
    /// Reason id.
    pub reason: String,
    /// Kernel function that copied.
    pub site: String,
    /// Function that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// Device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<String>,
    /// Events.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
    /// Whether the kernel tells the application.
    pub told: bool,
    /// True when only a second consumer got the copy.
    #[serde(default)]
    pub clone: bool,
    /// True when the place was concluded, not seen.
    #[serde(default)]
    pub inferred: bool,
}

/// Refused calls of one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedDoc {
    /// Reason id.
    pub reason: String,
    /// Calls.
    pub count: u64,
}

/// Ends of zero-copy sends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompletionsDoc {
    /// Sends released by the kernel.
    pub sends: u64,
    /// Completion units released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<u64>,
    /// Sends whose unit the kernel flagged as copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_copied: Option<u64>,
    /// Notifications the application read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notifications: Option<u64>,
    /// Sends it was told of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told_sends: Option<u64>,
    /// Sends it was told were copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told_copied: Option<u64>,
    /// Accepted -> released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ns: Option<PercentilesDoc>,
    /// Accepted -> read by the application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_read_latency_ns: Option<PercentilesDoc>,
}

/// Percentiles, ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the field names are the definition")]
pub struct PercentilesDoc {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p999: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

/// Sends not released yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlightDoc {
    /// Sends.
    pub sends: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The pages they hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<u64>,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessDoc {
    /// Process id.
    pub pid: u32,
    /// Name.
    pub comm: String,
    /// Its paths.
    pub paths: Vec<PathDoc>,
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
}

/// The document of a snapshot. `command` is the traced command with its arguments, empty when there was none.
#[must_use]
pub fn document(snapshot: &Snapshot, findings: &[Finding], command: &[String]) -> StatDocument {
    let session = &snapshot.session;
    let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let processes = snapshot.processes.iter().map(|p| ProcessDoc {
        pid: p.pid,
        comm: p.comm.clone(),
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
        findings: findings.iter().map(finding).collect(),
        maps: snapshot.maps.iter().map(map).collect(),
    }
}

fn map(map: &MapSample) -> MapDoc {
    MapDoc { name: map.name.clone(), entries: map.entries, max_entries: map.max_entries, bytes: map.bytes }
}

/// The ledgers of some paths (of all traffic, or of one process or socket) as they stand in the document.
#[must_use]
pub fn paths(paths: &[PathFigures], session: &Session) -> Vec<PathDoc> {
    paths.iter().map(|figures| path(figures, session)).collect()
}

fn path(figures: &PathFigures, session: &Session) -> PathDoc {
    let known = |fact: &str| !session.missing.iter().any(|m| m.fact == fact);
    let ledger = figures.ledger;
    let refused = || {
        let rows = figures.refused.iter();
        rows.map(|(reason, count)| RefusedDoc { reason: reason.name().into(), count: *count }).collect()
    };
    // A path that asked for no zero-copy has no list of copies, unless it has copies.
    let copies = || figures.copies.iter().map(copy).collect();
    let lists_copies = !figures.copies.is_empty() || (ledger.is_some() && known("copy"));
    PathDoc {
        path: figures.path.name().into(),
        calls: figures.calls,
        errors: figures.errors.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect(),
        bytes: figures.bytes,
        requested_bytes: ledger.map(|l| l.requested_bytes),
        attached_bytes: figures.attached_bytes,
        frags: figures.frags,
        pages: None,
        zerocopied_bytes: ledger.and_then(|l| l.zerocopied_bytes),
        copied_bytes: ledger.and_then(|l| l.copied_bytes),
        clone_copied_bytes: ledger.and_then(|l| l.clone_copied_bytes),
        silent_copied_bytes: ledger.and_then(|l| l.silent_copied_bytes),
        copies: lists_copies.then(copies),
        refused: (ledger.is_some() && known("refused")).then(refused),
        completions: figures.completions.as_ref().map(completions),
        in_flight: figures.in_flight.map(|InFlight { sends, bytes }| InFlightDoc {
            sends,
            bytes,
            pages: None,
        }),
        send_ns: None,
    }
}

fn copy(figures: &CopyFigures) -> CopyDoc {
    let kind = &figures.kind;
    CopyDoc {
        reason: kind.reason.name().into(),
        site: kind.site.clone(),
        caller: kind.caller.clone(),
        dev: kind.dev.clone(),
        count: figures.count,
        bytes: figures.bytes,
        told: kind.told,
        clone: kind.clone,
        inferred: kind.inferred,
    }
}

fn completions(c: &Completions) -> CompletionsDoc {
    CompletionsDoc {
        sends: c.sends,
        units: Some(c.units),
        kernel_copied: Some(c.kernel_copied),
        notifications: c.notifications,
        told_sends: c.told_sends,
        told_copied: c.told_copied,
        latency_ns: c.latency.map(percentiles),
        app_read_latency_ns: c.app_read_latency.map(percentiles),
    }
}

fn percentiles(p: Percentiles) -> PercentilesDoc {
    PercentilesDoc {
        count: Some(p.count),
        min: Some(p.min),
        p50: Some(p.p50),
        p90: Some(p.p90),
        p99: Some(p.p99),
        p999: Some(p.p999),
        max: Some(p.max),
    }
}

fn finding(f: &Finding) -> FindingDoc {
    FindingDoc {
        id: f.id.clone(),
        severity: f.severity.name().into(),
        title: f.title.clone(),
        evidence: f.evidence.clone(),
        fix: f.fix.clone(),
        bytes: f.bytes,
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
