//! What the screen can ask of the verbs that show it.

use super::save;
use crate::tui::{Actions, Shown};

/// Saves what is shown into the working directory.
#[derive(Debug, Default)]
pub(super) struct ScreenActions;

impl Actions for ScreenActions {
    fn save(&mut self, shown: &Shown) -> anyhow::Result<String> {
        let (text, json) = save::save(&shown.snapshot, &shown.findings)?;
        let since = shown.clock.since().map(|since| format!(", {since}")).unwrap_or_default();
        Ok(format!("saved {} and {}{since}", text.display(), json.display()))
    }
}
