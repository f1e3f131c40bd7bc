//! A recording beside a trace: fed while the trace goes on, finished with its last snapshot. Trouble with it never ends
//! the trace of a command.

use std::time::Duration;

use crate::model::snapshot::Snapshot;
use crate::record::{Recorder, Summary};

/// A recording, if one is wanted.
#[derive(Default)]
pub(in crate::commands) struct Keep {
    recorder: Option<Recorder>,
    /// Nothing but the recording is wanted of the trace.
    alone: bool,
    tick: Option<Duration>,
    summary: Option<Summary>,
    failed: bool,
}

impl Keep {
    /// The trace has a report, too.
    pub(in crate::commands) fn beside(recorder: Option<Recorder>) -> Self {
        Self { recorder, ..Self::default() }
    }

    /// The trace is for the recording only, with a frame in every `interval`.
    pub(in crate::commands) fn alone(recorder: Recorder, interval: Duration) -> Self {
        Self { recorder: Some(recorder), alone: true, tick: Some(interval), ..Self::default() }
    }

    /// Time between two readings that the recording needs.
    pub(super) const fn tick(&self) -> Option<Duration> {
        self.tick
    }

    /// Records `snapshot` if it is time. The first trouble is said at once.
    pub(super) fn offer(&mut self, now_ns: u64, snapshot: impl FnOnce() -> Snapshot) {
        let Some(recorder) = &mut self.recorder else { return };
        if recorder.has_failed() {
            self.end(None);
        } else if recorder.is_due(now_ns) {
            recorder.offer(&snapshot());
        }
    }

    /// Records the last snapshot, and waits until everything is written.
    pub(super) fn finish(&mut self, last: &Snapshot) {
        self.end(Some(last));
    }

    fn end(&mut self, last: Option<&Snapshot>) {
        match self.recorder.take().map(|recorder| recorder.finish(last)) {
            None => {}
            Some(Ok(summary)) => self.summary = Some(summary),
            Some(Err(error)) => {
                self.failed = true;
                eprintln!("zcscope: {error}; what was written before can be replayed");
            }
        }
    }

    /// True when nothing is left to do for the trace.
    pub(super) const fn is_over(&self) -> bool {
        self.alone && self.failed
    }

    /// True when something could not be written.
    pub(in crate::commands) const fn failed(&self) -> bool {
        self.failed
    }

    /// What was recorded, after the end.
    pub(in crate::commands) const fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }
}
