//! The past of the one socket or process whose page is open: a timeline of its own, made of what each snapshot says of it.

use std::sync::Arc;

use zcscope_common::LatencyKind;

use super::Of;
use super::portrait::Portrait;
use crate::model::snapshot::{LatencyFigures, Snapshot};
use crate::timeline::{Point, Timeline};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    /// What it was like when it was last looked at.
    last: Option<Snapshot>,
    pub(super) timeline: Timeline,
}

impl Track {
    /// Takes in what it was like in this snapshot; a moment known already, or before one that is, adds nothing. Where a
    /// snapshot does not know it, it had not begun.
    pub(super) fn observe(&mut self, snapshot: &Snapshot, of: Of) {
        let at_ns = snapshot.duration_ns;
        if self.last.as_ref().is_some_and(|last| at_ns <= last.duration_ns) {
            return;
        }
        let now = match Portrait::of(snapshot, of) {
            Some(portrait) => moment(&portrait, at_ns),
            None => Snapshot { duration_ns: at_ns, ..Snapshot::default() },
        };
        if let Some(before) = &self.last {
            self.timeline.push(Point::between(before, &now));
        }
        self.last = Some(now);
    }
}

/// A snapshot of nothing else.
fn moment(portrait: &Portrait<'_>, at_ns: u64) -> Snapshot {
    let latency = portrait.ending().filter_map(|figures| {
        let (hist, _) = portrait.releases(figures.path);
        let figures = LatencyFigures { path: figures.path, kind: LatencyKind::Release, hist: Arc::new(hist) };
        (figures.hist.count > 0).then_some(figures)
    });
    Snapshot {
        duration_ns: at_ns,
        latency: latency.collect(),
        paths: portrait.paths.to_vec(),
        ..Snapshot::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixtures;

    #[test]
    fn what_moved_before_the_first_look_is_in_no_point() {
        let mut track = Track::default();
        let mut at = |tick: u64, bytes: Option<u64>| {
            let mut snapshot = fixtures::moving(tick, 0);
            match bytes {
                Some(bytes) => Arc::make_mut(&mut snapshot.sockets[0]).paths[0].bytes = bytes,
                None => snapshot.sockets.clear(),
            }
            track.observe(&snapshot, Of::Socket(1));
        };
        // Looked at twice, and once more in the past: three moments, two points.
        at(4, Some(1_000));
        at(8, Some(1_500));
        at(8, Some(9_999));
        at(4, Some(9_999));
        at(12, Some(1_700));
        let points: Vec<_> = track.timeline.points().map(|p| (p.interval_ns, p.paths[0].bytes)).collect();
        assert_eq!(points, [(1_000_000_000, 500), (1_000_000_000, 200)]);
    }

    #[test]
    fn what_begins_while_it_is_looked_for_counts_from_its_begin() {
        let mut track = Track::default();
        let mut snapshot = fixtures::moving(8, 0);
        let bytes = snapshot.sockets[0].paths[0].bytes;
        let before = Snapshot { duration_ns: 1_000_000_000, ..Snapshot::default() };
        track.observe(&before, Of::Socket(1));
        track.observe(&snapshot, Of::Socket(1));
        snapshot.duration_ns += 1;
        track.observe(&snapshot, Of::Socket(1));
        let points: Vec<u64> = track.timeline.points().map(|p| p.paths[0].bytes).collect();
        assert_eq!(points, [bytes, 0]);
    }
}
