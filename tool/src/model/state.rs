//! Samples to snapshots (stub with the agreed signatures; the real model replaces this file).

use super::sample::Sample;
use super::snapshot::{Session, Snapshot};

/// State built from samples.
#[derive(Debug, Default)]
pub struct Model {
    snapshot: Snapshot,
}

impl Model {
    /// An empty state.
    #[must_use]
    pub fn new(session: Session) -> Self {
        Self { snapshot: Snapshot { session, ..Snapshot::default() } }
    }

    /// Takes in one sample.
    #[allow(clippy::needless_pass_by_value, reason = "the agreed signature")]
    pub fn absorb(&mut self, sample: Sample) {
        self.snapshot.duration_ns = sample.at_ns;
    }

    /// The state now.
    pub fn snapshot(&mut self) -> Snapshot {
        self.snapshot.clone()
    }
}
