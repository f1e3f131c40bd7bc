//! Where snapshots come from: something that goes on (a probe, a test), or something that is whole (a recording).

use crate::model::snapshot::Snapshot;
use crate::record::Memory;
use crate::timeline::Timeline;

/// Something that goes on: a probe with a model, a test.
pub trait Feed {
    /// The state of the world now. Called at the start and then on every tick, frozen or not.
    ///
    /// # Errors
    /// The source can no longer be read; the screen ends with this error.
    fn next(&mut self) -> anyhow::Result<Snapshot>;
}

/// Snapshots of the past, by time in ns since tracing began.
pub trait Archive {
    /// The newest snapshot at or before `ns`; `None` when there is none that can be read.
    fn at(&mut self, ns: u64) -> Option<Snapshot>;

    /// Times of the oldest and the newest snapshot; `None` when there is none.
    fn range_ns(&self) -> Option<(u64, u64)>;

    /// Time of the first snapshot after `ns`.
    fn after(&self, ns: u64) -> Option<u64>;

    /// Time of the last snapshot before `ns`.
    fn before(&self, ns: u64) -> Option<u64>;
}

impl Archive for Memory {
    fn at(&mut self, ns: u64) -> Option<Snapshot> {
        Memory::at(self, ns)
    }

    fn range_ns(&self) -> Option<(u64, u64)> {
        Memory::range_ns(self)
    }

    fn after(&self, ns: u64) -> Option<u64> {
        Memory::after(self, ns)
    }

    fn before(&self, ns: u64) -> Option<u64> {
        Memory::before(self, ns)
    }
}

/// What a screen shows.
pub enum Source<'a> {
    /// As it happens.
    Live(&'a mut dyn Feed),
    /// What has happened.
    Replay(Replay<'a>),
}

/// A recording, whole from the start.
pub struct Replay<'a> {
    /// Its snapshots.
    pub archive: &'a mut dyn Archive,
    /// Its points, all of them.
    pub timeline: Timeline,
    /// Where to begin, ns since tracing began; brought into the recording's range.
    pub from_ns: u64,
    /// How fast to begin; the nearest speed there is.
    pub speed: f64,
}
