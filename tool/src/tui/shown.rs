//! What is on screen: the snapshot at the cursor, what it means, and the time around it.

use crate::diagnose::{self, Finding};
use crate::model::snapshot::Snapshot;
use crate::timeline::{Point, Timeline, events};

/// The data of a frame.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The state of the world at the cursor.
    pub snapshot: Snapshot,
    /// What it means, computed once per snapshot.
    pub findings: Vec<Finding>,
    /// The past; while the cursor stands in the past, also what came after it.
    pub timeline: Timeline,
    /// Where changes are counted from, when not from the begin of tracing.
    pub baseline: Option<Snapshot>,
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
        self.findings = diagnose::findings(&snapshot);
        self.snapshot = snapshot;
    }

    /// Takes in the next snapshot and what moved since the one shown.
    pub fn advance(&mut self, snapshot: Snapshot) {
        let before = std::mem::take(&mut self.snapshot);
        let findings = std::mem::take(&mut self.findings);
        self.put(snapshot);
        let mut point = Point::between(&before, &self.snapshot);
        point.events = events::between(&before, &self.snapshot, &findings, &self.findings);
        self.timeline.push(point);
    }

    /// The cursor, ns since tracing began: charts end here.
    #[must_use]
    pub const fn now_ns(&self) -> u64 {
        self.snapshot.duration_ns
    }
}
