//! How full the kernel's tables are, for a screen: counting walks them, so it is done now and then.

use std::time::{Duration, Instant};

use crate::model::sample::Sample;
use crate::probe::Probe;

/// Time between two counts.
const EVERY: Duration = Duration::from_secs(10);

/// When they were counted last.
#[derive(Debug, Default)]
pub(in crate::commands) struct Tables(Option<Instant>);

impl Tables {
    /// Puts the fill of the tables into a sample when it is time.
    pub(in crate::commands) fn add(&mut self, probe: &Probe, sample: &mut Sample) {
        if self.0.is_none_or(|last| last.elapsed() >= EVERY) {
            sample.maps = probe.maps();
            self.0 = Some(Instant::now());
        }
    }
}
