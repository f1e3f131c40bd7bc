//! What moved between two snapshots.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zcscope_common::{LatencyKind, Path};

use super::events::{self, Event};
use crate::diagnose;
use crate::model::sample::CopyKind;
use crate::model::serial;
use crate::model::snapshot::{CopyFigures, InFlight, PathFigures, Snapshot};

/// What moved in an interval, and when it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Point {
    /// End of the interval, ns since tracing began.
    pub at_ns: u64,
    /// Its length, ns.
    pub interval_ns: u64,
    /// Per path in use.
    pub paths: Vec<PathPoint>,
    /// Copy events in it, per kind and direction, only those that happened.
    pub copies: Vec<CopyPoint>,
    /// Durations that ended in it, all traffic.
    pub latency: Vec<LatencyPoint>,
    /// Events lost in it.
    pub lost: u64,
    /// Sockets alive at its end.
    pub sockets: u64,
    /// What happened in it and is worth telling, oldest first.
    pub events: Vec<Event>,
}

/// What moved on one path, all traffic. `None` is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the snapshot's ledger and completions")]
pub struct PathPoint {
    #[serde(with = "serial::path")]
    pub path: Path,
    pub calls: u64,
    pub bytes: u64,
    /// 0 on paths that never ask for zero-copy.
    pub requested_bytes: u64,
    pub zerocopied_bytes: Option<u64>,
    pub copied_bytes: Option<u64>,
    pub clone_copied_bytes: Option<u64>,
    pub silent_copied_bytes: Option<u64>,
    pub refused: u64,
    /// Sends released by the kernel; 0 without completions.
    pub ended_sends: u64,
    pub kernel_copied: u64,
    pub told_copied: Option<u64>,
    /// What was in flight at the end of the interval; no difference.
    pub in_flight: Option<InFlight>,
}

/// Copy events of one kind in an interval, over all send paths or over all receive paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyPoint {
    /// Which kind.
    pub kind: Arc<CopyKind>,
    /// On receive paths.
    pub receives: bool,
    /// Events.
    pub count: u64,
    /// Bytes; a byte copied twice counts twice.
    pub bytes: u64,
}

/// Durations of one kind on one path that ended in an interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyPoint {
    /// Path.
    #[serde(with = "serial::path")]
    pub path: Path,
    /// Which interval of a send's life.
    #[serde(with = "serial::latency")]
    pub kind: LatencyKind,
    /// Bucket of `zcscope_common::Hist` and how many fell into it, ascending, only those above 0.
    pub buckets: Vec<(u16, u64)>,
}

impl PathPoint {
    /// A path on which nothing moved and everything is known.
    #[must_use]
    pub const fn nothing(path: Path) -> Self {
        Self {
            path,
            calls: 0,
            bytes: 0,
            requested_bytes: 0,
            zerocopied_bytes: Some(0),
            copied_bytes: Some(0),
            clone_copied_bytes: Some(0),
            silent_copied_bytes: Some(0),
            refused: 0,
            ended_sends: 0,
            kernel_copied: 0,
            told_copied: Some(0),
            in_flight: None,
        }
    }

    /// How the path stands in a snapshot.
    fn of(figures: &PathFigures) -> Self {
        let ledger = figures.ledger.unwrap_or_default();
        // A path that never asks has nothing of these, and that is known.
        let part = |bytes: Option<u64>| if figures.ledger.is_some() { bytes } else { Some(0) };
        let ends = figures.completions.as_deref();
        Self {
            path: figures.path,
            calls: figures.calls,
            bytes: figures.bytes,
            requested_bytes: ledger.requested_bytes,
            zerocopied_bytes: part(ledger.zerocopied_bytes),
            copied_bytes: part(ledger.copied_bytes),
            clone_copied_bytes: part(ledger.clone_copied_bytes),
            silent_copied_bytes: part(ledger.silent_copied_bytes),
            refused: figures.refused.iter().map(|(_, n)| n).sum(),
            ended_sends: ends.map_or(0, |ends| ends.sends),
            kernel_copied: ends.map_or(0, |ends| ends.kernel_copied),
            told_copied: ends.map_or(Some(0), |ends| ends.told_copied),
            in_flight: figures.in_flight,
        }
    }

    fn zip(&self, other: &Self, f: impl Fn(u64, u64) -> u64) -> Self {
        let both = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| f(a, b));
        Self {
            path: self.path,
            calls: f(self.calls, other.calls),
            bytes: f(self.bytes, other.bytes),
            requested_bytes: f(self.requested_bytes, other.requested_bytes),
            zerocopied_bytes: both(self.zerocopied_bytes, other.zerocopied_bytes),
            copied_bytes: both(self.copied_bytes, other.copied_bytes),
            clone_copied_bytes: both(self.clone_copied_bytes, other.clone_copied_bytes),
            silent_copied_bytes: both(self.silent_copied_bytes, other.silent_copied_bytes),
            refused: f(self.refused, other.refused),
            ended_sends: f(self.ended_sends, other.ended_sends),
            kernel_copied: f(self.kernel_copied, other.kernel_copied),
            told_copied: both(self.told_copied, other.told_copied),
            in_flight: self.in_flight,
        }
    }
}

impl Point {
    /// What moved from one snapshot to a later one. Without events.
    #[must_use]
    pub fn between(before: &Snapshot, after: &Snapshot) -> Self {
        Self {
            at_ns: after.duration_ns,
            interval_ns: after.duration_ns.saturating_sub(before.duration_ns),
            paths: after.paths.iter().map(|now| moved(before, now)).collect(),
            copies: copies(before, after),
            latency: latencies(before, after),
            lost: after.lost.total.saturating_sub(before.lost.total),
            sockets: after.sockets.iter().filter(|socket| socket.alive).count() as u64,
            events: Vec::new(),
        }
    }

    /// The same with what happened, for those who do not keep the findings.
    #[must_use]
    pub fn told(before: &Snapshot, after: &Snapshot) -> Self {
        let findings = [before, after].map(diagnose::findings);
        let events = events::between(before, after, &findings[0], &findings[1]);
        Self { events, ..Self::between(before, after) }
    }

    /// Makes one point of this and the next one.
    pub fn append(&mut self, next: &Self) {
        self.at_ns = next.at_ns;
        self.interval_ns += next.interval_ns;
        for path in &next.paths {
            match self.paths.iter_mut().find(|mine| mine.path == path.path) {
                Some(mine) => {
                    *mine = PathPoint { in_flight: path.in_flight, ..mine.zip(path, u64::saturating_add) };
                }
                None => self.paths.push(*path),
            }
        }
        next.copies.iter().for_each(|copy| copy.add_to(&mut self.copies));
        for latency in &next.latency {
            let mine = self.latency.iter_mut().find(|l| (l.path, l.kind) == (latency.path, latency.kind));
            match mine {
                Some(mine) => mine.append(&latency.buckets),
                None => self.latency.push(latency.clone()),
            }
        }
        self.lost += next.lost;
        self.sockets = next.sockets;
        events::append(&mut self.events, &next.events);
    }

    /// The path's part, if it was in use.
    #[must_use]
    pub fn path(&self, path: Path) -> Option<&PathPoint> {
        self.paths.iter().find(|point| point.path == path)
    }
}

impl CopyPoint {
    fn add_to(&self, sums: &mut Vec<Self>) {
        let same = |sum: &&mut Self| {
            sum.receives == self.receives && (Arc::ptr_eq(&sum.kind, &self.kind) || sum.kind == self.kind)
        };
        match sums.iter_mut().find(same) {
            Some(sum) => {
                sum.count += self.count;
                sum.bytes += self.bytes;
            }
            None => sums.push(self.clone()),
        }
    }
}

impl LatencyPoint {
    fn append(&mut self, more: &[(u16, u64)]) {
        for (bucket, count) in more {
            match self.buckets.binary_search_by_key(bucket, |(bucket, _)| *bucket) {
                Ok(at) => self.buckets[at].1 += count,
                Err(at) => self.buckets.insert(at, (*bucket, *count)),
            }
        }
    }
}

fn moved(before: &Snapshot, now: &PathFigures) -> PathPoint {
    let now = PathPoint::of(now);
    match before.paths.iter().find(|old| old.path == now.path) {
        Some(old) => now.zip(&PathPoint::of(old), u64::saturating_sub),
        None => now,
    }
}

/// Every row of copies with its path.
fn rows(snapshot: &Snapshot) -> impl Iterator<Item = (Path, &CopyFigures)> {
    snapshot.paths.iter().flat_map(|figures| figures.copies.iter().map(|copy| (figures.path, copy)))
}

fn copies(before: &Snapshot, after: &Snapshot) -> Vec<CopyPoint> {
    let old: HashMap<(Path, &CopyKind), (u64, u64)> =
        rows(before).map(|(path, copy)| ((path, &*copy.kind), (copy.count, copy.bytes))).collect();
    let mut sums = Vec::new();
    for (path, copy) in rows(after) {
        let (count, bytes) = old.get(&(path, &*copy.kind)).copied().unwrap_or_default();
        let grown = CopyPoint {
            kind: copy.kind.clone(),
            receives: path.receives(),
            count: copy.count.saturating_sub(count),
            bytes: copy.bytes.saturating_sub(bytes),
        };
        if grown.count > 0 || grown.bytes > 0 {
            grown.add_to(&mut sums);
        }
    }
    sums
}

fn latencies(before: &Snapshot, after: &Snapshot) -> Vec<LatencyPoint> {
    let moved = after.latency.iter().map(|now| {
        let old = before.latency.iter().find(|old| (old.path, old.kind) == (now.path, now.kind));
        let count = |i: usize| old.map_or(0, |old| old.hist.buckets[i]);
        let buckets = now.hist.buckets.iter().enumerate();
        let buckets = buckets.map(|(i, n)| (i as u16, n.saturating_sub(count(i)))).filter(|(_, n)| *n > 0);
        LatencyPoint { path: now.path, kind: now.kind, buckets: buckets.collect() }
    });
    moved.filter(|point| !point.buckets.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use zcscope_common::{Hist, Reason};

    use super::*;
    use crate::model::snapshot::{LatencyFigures, Ledger};

    fn test_copy(reason: Reason, bytes: u64) -> CopyFigures {
        let kind = CopyKind {
            reason,
            site: "skb_copy_ubufs".into(),
            caller: None,
            dev: None,
            clone: false,
            told: true,
            inferred: false,
        };
        CopyFigures { kind: kind.into(), count: bytes, bytes, bytes_per_s: 0, first_ns: 0, last_ns: 0 }
    }

    fn snapshot(second: u64, bytes: u64, copied: Option<u64>, durations: &[u64]) -> Snapshot {
        let ledger = Ledger { requested_bytes: bytes, copied_bytes: copied, ..Ledger::default() };
        let path = PathFigures { bytes, ledger: Some(ledger), ..PathFigures::nothing(Path::Sendfile) };
        let mut hist = Hist::default();
        durations.iter().for_each(|ns| hist.record(*ns));
        let latency =
            LatencyFigures { path: Path::MsgZerocopy, kind: LatencyKind::Release, hist: Arc::new(hist) };
        Snapshot {
            duration_ns: second * 1_000_000_000,
            paths: vec![path],
            latency: vec![latency],
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_point_is_the_difference_and_unknown_stays_unknown() {
        let before = snapshot(1, 100, Some(10), &[5_000]);
        let after = snapshot(3, 300, Some(10), &[5_000, 5_000, 900_000]);
        let point = Point::between(&before, &after);
        assert_eq!((point.at_ns, point.interval_ns), (3_000_000_000, 2_000_000_000));
        let path = point.path(Path::Sendfile).unwrap();
        assert_eq!((path.bytes, path.copied_bytes, path.zerocopied_bytes), (200, Some(0), None));
        assert_eq!(point.latency[0].buckets.iter().map(|(_, n)| n).collect::<Vec<_>>(), [&1, &1]);
        let unknown = Point::between(&before, &snapshot(2, 200, None, &[]));
        assert_eq!(unknown.paths[0].copied_bytes, None);
        assert!(unknown.latency.is_empty());
    }

    #[test]
    fn copies_are_summed_over_paths_and_only_what_grew_counts() {
        let at = |second: u64, loopback: u64, tap: u64| {
            let mut snapshot = snapshot(second, 0, None, &[]);
            let mut other = PathFigures::nothing(Path::MsgZerocopy);
            other.copies = vec![test_copy(Reason::Loopback, loopback)];
            snapshot.paths[0].copies =
                vec![test_copy(Reason::Loopback, loopback), test_copy(Reason::PacketTap, tap)];
            snapshot.paths.push(other);
            snapshot
        };
        let mut point = Point::between(&at(1, 10, 5), &at(2, 30, 5));
        let of = |point: &Point| {
            let row = |copy: &CopyPoint| (copy.kind.reason, copy.bytes);
            point.copies.iter().map(row).collect::<Vec<_>>()
        };
        assert_eq!(of(&point), [(Reason::Loopback, 40)]);
        point.append(&Point::between(&at(2, 30, 5), &at(3, 31, 7)));
        assert_eq!(of(&point), [(Reason::Loopback, 42), (Reason::PacketTap, 2)]);
    }

    #[test]
    fn two_points_in_a_row_are_the_point_over_both() {
        let [a, b, c] = [
            snapshot(1, 100, Some(1), &[2_000]),
            snapshot(2, 150, Some(2), &[2_000, 70_000]),
            snapshot(4, 400, Some(9), &[2_000, 70_000, 70_000, 3_000]),
        ];
        let mut two = Point::between(&a, &b);
        two.append(&Point::between(&b, &c));
        assert_eq!(two, Point::between(&a, &c));
    }
}
