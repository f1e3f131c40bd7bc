//! What is on screen: the snapshot at the cursor, what it means, and the time around it.

use super::clock::Clock;
use crate::diagnose::{self, Finding};
use crate::model::snapshot::Snapshot;
use crate::timeline::{Point, Timeline, events};

/// The data of a frame.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The state of the world at the cursor: what came together since tracing began, or since the baseline.
    pub snapshot: Snapshot,
    /// What it means, computed once per snapshot.
    pub findings: Vec<Finding>,
    /// The past; while the cursor stands in the past, also what came after it.
    pub timeline: Timeline,
    /// Where changes are counted from, when not from the begin of tracing.
    pub baseline: Option<Snapshot>,
    /// The cursor in time.
    pub clock: Clock,
    /// The snapshot as it came, while the one shown is what changed since the baseline.
    whole: Option<Snapshot>,
}

impl Shown {
    /// A snapshot without a past.
    #[must_use]
    pub fn of(snapshot: Snapshot) -> Self {
        let mut shown = Self::default();
        shown.put(snapshot);
        shown
    }

    /// Shows this snapshot.
    pub fn put(&mut self, snapshot: Snapshot) {
        self.clock.at_ns = snapshot.duration_ns;
        self.clock.newest_ns = self.clock.newest_ns.max(snapshot.duration_ns);
        self.whole = None;
        self.snapshot = snapshot;
        // Before the mark nothing has changed since it: everything is shown.
        if let Some(mark) =
            self.baseline.as_ref().filter(|mark| mark.duration_ns <= self.snapshot.duration_ns)
        {
            let since = self.snapshot.since(mark);
            self.whole = Some(std::mem::replace(&mut self.snapshot, since));
        }
        self.clock.since_ns = self.since_ns();
        self.findings = diagnose::findings(&self.snapshot);
    }

    /// Takes in the next snapshot and what moved since the one shown.
    pub fn advance(&mut self, snapshot: Snapshot) {
        if self.whole.is_some() {
            // The findings at hand are about the change since the baseline.
            self.timeline.push(Point::told(self.whole(), &snapshot));
            return self.put(snapshot);
        }
        let (before, findings) = (std::mem::take(&mut self.snapshot), std::mem::take(&mut self.findings));
        self.put(snapshot);
        let events = events::between(&before, self.whole(), &findings, &self.findings);
        let point = Point { events, ..Point::between(&before, self.whole()) };
        self.timeline.push(point);
    }

    /// The cursor, ns since tracing began: charts end here.
    #[must_use]
    pub const fn now_ns(&self) -> u64 {
        self.whole().duration_ns
    }

    /// The state of the world at the cursor, since tracing began, whatever the baseline.
    #[must_use]
    pub const fn whole(&self) -> &Snapshot {
        match &self.whole {
            Some(whole) => whole,
            None => &self.snapshot,
        }
    }

    /// The mark that figures are counted from, ns since tracing began; `None` for all since tracing began.
    #[must_use]
    pub fn since_ns(&self) -> Option<u64> {
        self.baseline.as_ref().filter(|_| self.whole.is_some()).map(|baseline| baseline.duration_ns)
    }

    /// Counts from this moment on, or from the begin of tracing again.
    pub(super) fn mark(&mut self) {
        let whole = self.whole().clone();
        self.baseline = self.baseline.is_none().then(|| whole.clone());
        self.put(whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::PathFigures;
    use zcscope_common::Path;

    const SECOND: u64 = 1_000_000_000;

    fn at(second: u64) -> Snapshot {
        let path = PathFigures { bytes: second * 100, calls: second, ..PathFigures::nothing(Path::Copy) };
        Snapshot { duration_ns: second * SECOND, paths: vec![path], ..Snapshot::default() }
    }

    fn bytes(snapshot: &Snapshot) -> u64 {
        snapshot.paths.iter().map(|path| path.bytes).sum()
    }

    #[test]
    fn a_mark_counts_from_there_and_the_second_one_from_the_begin() {
        let mut shown = Shown::of(at(10));
        shown.mark();
        assert_eq!((shown.since_ns(), shown.snapshot.duration_ns), (Some(10 * SECOND), 0));
        shown.advance(at(15));
        assert_eq!((shown.now_ns(), shown.snapshot.duration_ns), (15 * SECOND, 5 * SECOND));
        assert_eq!((bytes(&shown.snapshot), bytes(shown.whole())), (500, 1_500));
        assert_eq!(shown.timeline.points().map(|point| point.interval_ns).sum::<u64>(), 5 * SECOND);
        shown.put(at(5));
        assert_eq!((shown.since_ns(), shown.now_ns()), (None, 5 * SECOND), "before the mark all is shown");
        shown.put(at(15));
        assert_eq!(shown.clock.since_ns, Some(10 * SECOND));
        shown.mark();
        assert_eq!((shown.since_ns(), bytes(&shown.snapshot)), (None, 1_500));
    }
}
