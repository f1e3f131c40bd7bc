//! What was seen of one row: the difference between two moments of one trace.

use std::collections::BTreeMap;

use zcscope_common::{Path, Reason};

use super::result::{ObservedDoc, SeenReason};
use crate::model::snapshot::{Ledger, PathFigures, Snapshot};

/// Totals of one path at one moment, or between two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Accepted bytes.
    pub(super) bytes: u64,
    /// Calls that did not fail.
    pub(super) calls: u64,
    /// Calls on all other send paths.
    pub(super) other_calls: u64,
    /// `None` on a path that never asks.
    pub(super) ledger: Option<Ledger>,
    /// Bytes of sends whose end has not come.
    pub(super) in_flight_bytes: u64,
    /// Sends that ended.
    pub(super) ended: u64,
    /// Sends told of, and told that they were copied; `None` where reading cannot be seen.
    pub(super) told: Option<u64>,
    pub(super) told_copied: Option<u64>,
    /// Calls refused with `ENOBUFS`.
    pub(super) enobufs: u64,
    /// Refused calls by reason.
    pub(super) refused: BTreeMap<&'static str, u64>,
    /// Bytes copied by reason, and whether for a second consumer only, or concluded.
    pub(super) copies: BTreeMap<(&'static str, bool, bool), u64>,
    pub(super) lost: u64,
}

impl Totals {
    /// Of `path`, as they are.
    pub(super) fn of(snapshot: &Snapshot, path: Path) -> Self {
        let lost = snapshot.lost.total;
        let others = snapshot.paths.iter().filter(|other| other.path != path && !other.path.receives());
        let other_calls = others.map(|other| other.calls).sum();
        let Some(figures) = snapshot.paths.iter().find(|figures| figures.path == path) else {
            return Self { other_calls, lost, ..Self::default() };
        };
        let ends = figures.completions.as_deref();
        Self {
            bytes: figures.bytes,
            calls: figures.good_calls(),
            other_calls,
            ledger: figures.ledger,
            in_flight_bytes: figures.in_flight.map_or(0, |open| open.bytes),
            ended: ends.map_or(0, |ends| ends.sends),
            told: ends.and_then(|ends| ends.told_sends),
            told_copied: ends.and_then(|ends| ends.told_copied),
            enobufs: figures.errors.get("ENOBUFS").copied().unwrap_or(0),
            refused: figures.refused.iter().map(|(reason, n)| (reason.name(), *n)).collect(),
            copies: copies(figures),
            lost,
        }
    }

    /// What came since `before`.
    pub(super) fn since(mut self, before: &Self) -> Self {
        let more = |now: Option<u64>, then: Option<u64>| Some(now? - then.unwrap_or(0).min(now?));
        self.bytes -= before.bytes;
        self.calls -= before.calls;
        self.other_calls -= before.other_calls;
        self.ended -= before.ended;
        self.enobufs -= before.enobufs;
        self.lost -= before.lost;
        self.told = more(self.told, before.told);
        self.told_copied = more(self.told_copied, before.told_copied);
        if let (Some(now), Some(then)) = (&mut self.ledger, &before.ledger) {
            now.requested_bytes -= then.requested_bytes;
            now.copied_bytes = more(now.copied_bytes, then.copied_bytes);
            now.zerocopied_bytes = more(now.zerocopied_bytes, then.zerocopied_bytes);
            now.clone_copied_bytes = more(now.clone_copied_bytes, then.clone_copied_bytes);
            now.silent_copied_bytes = more(now.silent_copied_bytes, then.silent_copied_bytes);
        }
        for (reason, n) in &before.refused {
            self.refused.entry(reason).and_modify(|now| *now -= n);
        }
        for (kind, n) in &before.copies {
            self.copies.entry(*kind).and_modify(|now| *now -= n);
        }
        self.refused.retain(|_, n| *n > 0);
        self.copies.retain(|_, n| *n > 0);
        self
    }

    /// Why the row cannot be judged: this back end does not know what became of the bytes.
    pub(super) fn not_known(&self, snapshot: &Snapshot, path: Path) -> Option<String> {
        if !path.wants_zerocopy() || self.ledger.is_none_or(|ledger| ledger.copied_bytes.is_some()) {
            return None;
        }
        let missing = &snapshot.session.missing;
        let facts = ["copy", "completion", "uring_completion"];
        let why = missing.iter().find(|missing| facts.contains(&missing.fact.as_str()));
        Some(format!(
            "what becomes of these bytes is not known here: {}",
            why.map_or("no back end sees it", |missing| missing.why.as_str())
        ))
    }

    /// Reasons of wire copies, or of copies for a second consumer.
    pub(super) fn reasons(&self, clone: bool) -> Vec<&'static str> {
        let mut names: Vec<_> =
            self.copies.keys().filter(|kind| kind.1 == clone).map(|kind| kind.0).collect();
        names.dedup();
        names
    }

    /// For the report.
    pub(super) fn document(&self) -> ObservedDoc {
        let ledger = self.ledger.unwrap_or_default();
        let of = |bytes: u64| self.ledger.map(|_| bytes);
        let seen = |(kind, bytes): (&(&'static str, bool, bool), &u64)| SeenReason {
            reason: kind.0.into(),
            bytes: *bytes,
            clone: kind.1,
            inferred: kind.2,
        };
        ObservedDoc {
            bytes: self.bytes,
            requested_bytes: of(ledger.requested_bytes),
            zerocopied_bytes: ledger.zerocopied_bytes,
            copied_bytes: ledger.copied_bytes,
            clone_copied_bytes: ledger.clone_copied_bytes,
            silent_copied_bytes: ledger.silent_copied_bytes,
            ended_sends: self.ended,
            told_copied_sends: self.told_copied,
            enobufs: self.enobufs,
            copies: self.copies.iter().map(seen).collect(),
        }
    }
}

fn copies(figures: &PathFigures) -> BTreeMap<(&'static str, bool, bool), u64> {
    let mut all = BTreeMap::new();
    for copy in &figures.copies {
        let reason: Reason = copy.kind.reason;
        *all.entry((reason.name(), copy.kind.clone, copy.kind.inferred)).or_insert(0) += copy.bytes;
    }
    all
}
