//! What the screen can ask of the verbs that show it.

use std::path::Path;

use super::live_recording::LiveRecording;
use super::save;
use super::screen_load::ScreenLoad;
use crate::model::snapshot::Snapshot;
use crate::tui::{Actions, Generator, Shown};

/// Saves what is shown, and records what is live, into the working directory; starts loads beside what is live.
pub(super) struct ScreenActions {
    /// `None` when what is shown is a recording already.
    recording: Option<LiveRecording>,
    /// The same.
    load: Option<ScreenLoad>,
}

impl ScreenActions {
    /// For a source that goes on.
    pub(super) fn live() -> Self {
        Self { recording: Some(LiveRecording::default()), load: Some(ScreenLoad::default()) }
    }

    /// For a recording.
    pub(super) const fn replay() -> Self {
        Self { recording: None, load: None }
    }
}

impl Actions for ScreenActions {
    fn save(&mut self, shown: &Shown) -> anyhow::Result<String> {
        let (text, json) = save::save(&shown.snapshot, &shown.findings)?;
        let since = shown.clock.since().map(|since| format!(", {since}")).unwrap_or_default();
        Ok(format!("saved {} and {}{since}", text.display(), json.display()))
    }

    fn record(&mut self) -> anyhow::Result<String> {
        match &mut self.recording {
            Some(recording) => recording.toggle(Path::new("."), &save::stem_of_now()),
            None => anyhow::bail!("this is a recording already; its file can be copied"),
        }
    }

    fn observe(&mut self, snapshot: &Snapshot) {
        if let Some(recording) = &mut self.recording {
            recording.observe(snapshot);
        }
    }

    fn recording(&self) -> Option<String> {
        self.recording.as_ref()?.words()
    }

    fn generator(&mut self) -> Option<&mut dyn Generator> {
        self.load.as_mut().map(|load| load as &mut dyn Generator)
    }
}
