//! The figures a check can name: one row each.

use zcscope_common::{Hist, LatencyKind};

use crate::model::snapshot::{Ledger, PathFigures, Snapshot};
use crate::units::{bytes, duration};

/// A figure a check can name.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    /// The facts it rests on, to say why it is not known.
    pub(super) facts: &'static [&'static str],
    pub(super) value: Of<Snapshot>,
    /// What 100 % is, with its name; without it the figure has no share.
    pub(super) whole: Option<(&'static str, Of<Snapshot>)>,
    /// Findings that say more about it.
    pub(super) findings: Findings,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Bytes,
    Times,
    /// Nanoseconds.
    Time,
}

/// Findings that say more about a figure.
#[derive(Clone, Copy, Debug)]
pub(super) enum Findings {
    /// Those about copied bytes.
    Copies,
    /// Those about refused calls.
    Refusals,
    These(&'static [&'static str]),
}

/// Reads a figure; `None` when it is not known.
pub(super) type Of<T> = fn(&T) -> Option<u64>;

/// A verdict is about what was sent: receive paths have figures of their own.
pub(super) fn sends(snapshot: &Snapshot) -> impl Iterator<Item = &PathFigures> {
    snapshot.paths.iter().filter(|p| !p.path.receives())
}

fn over_ledgers(snapshot: &Snapshot, of: Of<Ledger>) -> Option<u64> {
    sends(snapshot).filter_map(|p| p.ledger.as_ref()).map(of).sum()
}

fn over_paths(snapshot: &Snapshot, of: Of<PathFigures>) -> Option<u64> {
    sends(snapshot).map(of).sum()
}

/// Over the paths whose ends the application is told of.
fn over_completions(snapshot: &Snapshot, of: Of<PathFigures>) -> Option<u64> {
    snapshot.paths.iter().filter(|p| p.path.has_completion()).map(of).sum()
}

fn requested(s: &Snapshot) -> Option<u64> {
    over_ledgers(s, |l| Some(l.requested_bytes))
}

fn calls(s: &Snapshot) -> Option<u64> {
    over_paths(s, |p| Some(p.calls))
}

fn told_sends(s: &Snapshot) -> Option<u64> {
    over_completions(s, |p| p.completions.as_deref()?.told_sends)
}

/// Sends whose end was seen.
pub(super) fn ended(s: &Snapshot) -> Option<u64> {
    over_completions(s, |p| Some(p.completions.as_deref()?.sends))
}

/// From acceptance to release over all paths; `None` when a path on which sends ended has no times.
fn held(s: &Snapshot, per_mille: u32) -> Option<u64> {
    let mut all = Hist::default();
    for path in s.paths.iter().filter(|path| path.path.has_completion()) {
        if path.completions.as_deref()?.sends == 0 {
            continue;
        }
        let mut own = s.latency.iter().filter(|l| l.path == path.path && l.kind == LatencyKind::Release);
        all.merge(&own.next()?.hist);
    }
    Some(if per_mille == 1000 { all.max } else { all.percentile(per_mille).unwrap_or(0) })
}

const COPY_FACTS: &[&str] = &["copy", "completion", "uring_completion"];
const END_FACTS: &[&str] = &["completion", "uring_completion"];
const REQUESTED: Option<(&str, Of<Snapshot>)> = Some(("bytes requested without a copy", requested));
const SILENCE: Findings = Findings::These(&["silent_copies", "told_zerocopy_but_copied"]);
const NONE: Findings = Findings::These(&[]);

const fn amount(name: &'static str, facts: &'static [&'static str], value: Of<Snapshot>) -> Figure {
    Figure { name, unit: Unit::Bytes, facts, value, whole: REQUESTED, findings: Findings::Copies }
}

const fn times(name: &'static str, facts: &'static [&'static str], value: Of<Snapshot>) -> Figure {
    Figure { name, unit: Unit::Times, facts, value, whole: None, findings: NONE }
}

const fn time(name: &'static str, value: Of<Snapshot>) -> Figure {
    let findings =
        Findings::These(&["delayed_ack", "depth_small", "slow_reader", "swept_retransmit", "pacing"]);
    let facts = &["completion", "uring_completion", "uring_release"];
    Figure { name, unit: Unit::Time, facts, value, whole: None, findings }
}

/// Every figure there is.
pub(super) static FIGURES: [Figure; 16] = [
    amount("copied", COPY_FACTS, |s| over_ledgers(s, |l| l.copied_bytes)),
    amount("zerocopied", COPY_FACTS, |s| over_ledgers(s, |l| l.zerocopied_bytes)),
    Figure {
        findings: SILENCE,
        ..amount("silent", COPY_FACTS, |s| over_ledgers(s, |l| l.silent_copied_bytes))
    },
    amount("clone", COPY_FACTS, |s| over_ledgers(s, |l| l.clone_copied_bytes)),
    Figure { whole: None, findings: NONE, ..amount("requested", &[], requested) },
    Figure {
        findings: NONE,
        ..amount("in_flight", END_FACTS, |s| over_completions(s, |p| Some(p.in_flight?.bytes)))
    },
    Figure { whole: None, findings: NONE, ..amount("bytes", &[], |s| over_paths(s, |p| Some(p.bytes))) },
    times("calls", &[], calls),
    Figure {
        whole: Some(("calls", calls)),
        findings: Findings::Refusals,
        ..times("errors", &[], |s| over_paths(s, |p| Some(p.errors.values().sum())))
    },
    Figure {
        whole: Some(("sends told of", told_sends)),
        findings: Findings::Copies,
        ..times("told_copied", &["told", "uring_told", "completion", "uring_completion"], |s| {
            over_completions(s, |p| p.completions.as_deref()?.told_copied)
        })
    },
    Figure {
        findings: Findings::These(&["lost", "lost_ends"]),
        ..times("lost", &[], |s| Some(s.lost.total))
    },
    time("p50", |s| held(s, 500)),
    time("p90", |s| held(s, 900)),
    time("p99", |s| held(s, 990)),
    time("p999", |s| held(s, 999)),
    time("max", |s| held(s, 1000)),
];

impl Unit {
    /// A value as people read it.
    pub(super) fn show(self, value: u64) -> String {
        match self {
            Unit::Bytes => bytes(value),
            Unit::Times => value.to_string(),
            Unit::Time => duration(value),
        }
    }
}
