//! The past of the one socket or process whose page is open: a timeline of its own, made of what each snapshot says of it.

use std::sync::Arc;

use zcscope_common::LatencyKind;

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
    /// Takes in what it is like at this moment; a moment known already, or before, adds nothing.
    pub(super) fn observe(&mut self, portrait: &Portrait<'_>, at_ns: u64) {
        if self.last.as_ref().is_some_and(|last| at_ns <= last.duration_ns) {
            return;
        }
        let now = moment(portrait, at_ns);
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
    use super::super::Of;
    use super::*;
    use crate::tui::fixtures;

    #[test]
    fn what_moved_before_the_page_opened_is_in_no_point() {
        let mut track = Track::default();
        for tick in [4, 8, 8, 4, 12] {
            let snapshot = fixtures::moving(tick, 0);
            let portrait = Portrait::of(&snapshot, Of::Socket(1)).expect("socket 1");
            track.observe(&portrait, snapshot.duration_ns);
        }
        let bytes = |tick| fixtures::moving(tick, 0).sockets[0].paths[0].bytes;
        let points: Vec<_> = track.timeline.points().collect();
        assert_eq!(points.iter().map(|p| p.interval_ns).collect::<Vec<_>>(), [1_000_000_000; 2]);
        let moved: u64 = points.iter().map(|p| p.paths[0].bytes).sum();
        assert!(bytes(12) < bytes(4) || moved <= bytes(12));
    }
}
