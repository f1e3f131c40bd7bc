//! One path in the JSON document `zcscope.stat/1`: of all traffic, a process, a socket or a device.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zcscope_common::Reason;

use crate::model::snapshot::{
    Completions, CopyFigures, InFlight, PathFigures, Percentiles, Session, SpreadFigures, WrongSends,
};

/// One path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PathDoc {
    /// Name of the path.
    pub path: String,
    /// Entries into TCP's send function, or receive calls.
    pub calls: u64,
    /// Failed calls by errno name.
    pub errors: BTreeMap<String, u64>,
    /// Bytes accepted, or received.
    pub bytes: u64,
    /// Bytes asked for without a copy; absent on paths that never ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_bytes: Option<u64>,
    /// Bytes put into frags by reference; receive: bytes mapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attached_bytes: Option<u64>,
    /// New frags they took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frags: Option<u64>,
    /// Pages they took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<u64>,
    /// Frags of an skb when a send call left it; only over all traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frags_per_skb: Option<SpreadDoc>,
    /// Bytes per frag; only over all traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_frag: Option<SpreadDoc>,
    /// What is no copy and worth telling, by reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<Vec<ReasonCountDoc>>,
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
    /// Bytes the kernel left to a plain read (`recv_skip_hint`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_hint_bytes: Option<u64>,
    /// Copy events; a byte copied twice counts twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies: Option<Vec<CopyDoc>>,
    /// Refused calls by reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Vec<ReasonCountDoc>>,
    /// Bytes of sends that never left, because the connection ended first; nothing copied them, and they stand among
    /// the zero-copied ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsent_bytes: Option<u64>,
    /// Ends of sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completions: Option<CompletionsDoc>,
    /// Sends not released yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<InFlightDoc>,
    /// Time spent in the send call, ns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_ns: Option<PercentilesDoc>,
    /// Time spent in the send call per 1,024 bytes, ns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_ns_per_kib: Option<u64>,
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

/// How often a reason occurred: refused calls, or notes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonCountDoc {
    /// Reason id.
    pub reason: String,
    /// Calls, or times.
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
    /// Sends released whose notification was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread_sends: Option<u64>,
    /// Sends released that were accepted before tracing began; in no other figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_attach: Option<u64>,
    /// Sends given up because their end was not seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_ends: Option<u64>,
    /// Their bytes: neither copied, nor zero-copied, nor in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_end_bytes: Option<u64>,
    /// Sends the application was told something wrong about, by kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disagreements: Option<Vec<DisagreementDoc>>,
    /// Sends per notification read; only over all traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range_length: Option<SpreadDoc>,
    /// Accepted -> released; over all traffic and per socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ns: Option<PercentilesDoc>,
    /// Of those, releases as late as a delayed ACK makes them (36 to 50 ms).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delayed_acks: Option<u64>,
    /// Released -> notification queued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_latency_ns: Option<PercentilesDoc>,
    /// Queued -> read by the application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_latency_ns: Option<PercentilesDoc>,
    /// Accepted -> read by the application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_read_latency_ns: Option<PercentilesDoc>,
}

/// Sends the application was told something wrong about, of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisagreementDoc {
    /// `failed_send`, `linked_notification`, `merged_range`, `told_zerocopy_but_copied` or `told_copied_but_not`.
    pub kind: String,
    /// Sends.
    pub sends: u64,
    /// True when it was concluded that they were copied, or were not, and not seen.
    #[serde(default)]
    pub inferred: bool,
}

/// Percentiles of small numbers: exact up to 32, then rounded up to the next power of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the field names are the definition")]
pub struct SpreadDoc {
    pub count: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub max: u64,
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

/// The ledgers of some paths (of all traffic, or of one process or socket) as they stand in the document.
#[must_use]
pub fn paths(paths: &[PathFigures], session: &Session) -> Vec<PathDoc> {
    paths.iter().map(|figures| path(figures, session)).collect()
}

fn path(figures: &PathFigures, session: &Session) -> PathDoc {
    let ledger = figures.ledger;
    let sends = !figures.path.receives();
    // A path that asked for no zero-copy has no list of copies, unless it has copies.
    let copies = || figures.copies.iter().map(copy).collect();
    let lists_copies = !figures.copies.is_empty() || (ledger.is_some() && (session.knows("copy") || !sends));
    PathDoc {
        path: figures.path.name().into(),
        calls: figures.calls,
        errors: figures.errors.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect(),
        bytes: figures.bytes,
        requested_bytes: ledger.map(|l| l.requested_bytes),
        attached_bytes: figures.attached_bytes,
        frags: figures.frags,
        pages: figures.pages,
        frags_per_skb: figures.frags_per_skb.as_deref().copied().map(spread),
        bytes_per_frag: figures.bytes_per_frag.as_deref().copied().map(spread),
        notes: figures.notes.as_deref().map(counts),
        zerocopied_bytes: ledger.and_then(|l| l.zerocopied_bytes),
        copied_bytes: ledger.and_then(|l| l.copied_bytes),
        clone_copied_bytes: ledger.and_then(|l| l.clone_copied_bytes),
        silent_copied_bytes: ledger.and_then(|l| l.silent_copied_bytes),
        skip_hint_bytes: figures.skip_hint_bytes,
        copies: lists_copies.then(copies),
        refused: (ledger.is_some() && sends && session.knows("refused")).then(|| counts(&figures.refused)),
        unsent_bytes: figures.completions.as_deref().map(|c| c.unsent_bytes),
        completions: figures.completions.as_deref().map(completions),
        in_flight: figures.in_flight.map(|InFlight { sends, bytes, pages }| InFlightDoc {
            sends,
            bytes,
            pages,
        }),
        send_ns: figures.send_ns.as_deref().copied().map(percentiles),
        send_ns_per_kib: figures.send_ns_per_kib,
    }
}

fn counts(rows: &[(Reason, u64)]) -> Vec<ReasonCountDoc> {
    rows.iter()
        .map(|(reason, count)| ReasonCountDoc { reason: reason.name().into(), count: *count })
        .collect()
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
        unread_sends: c.unread_sends,
        before_attach: Some(c.before_attach),
        lost_ends: Some(c.lost_ends),
        lost_end_bytes: Some(c.lost_end_bytes),
        disagreements: c.disagreements.as_ref().map(|kinds| kinds.iter().map(disagreement).collect()),
        range_length: c.range_length.map(spread),
        latency_ns: c.latency.map(percentiles),
        delayed_acks: c.delayed_acks.map(|delayed| delayed.sends),
        queue_latency_ns: c.queue_latency.map(percentiles),
        read_latency_ns: c.read_latency.map(percentiles),
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

fn disagreement(wrong: &WrongSends) -> DisagreementDoc {
    DisagreementDoc { kind: wrong.kind.name().into(), sends: wrong.sends, inferred: wrong.inferred }
}

fn spread(s: SpreadFigures) -> SpreadDoc {
    SpreadDoc { count: s.count, p50: s.p50, p90: s.p90, p99: s.p99, max: s.max }
}
