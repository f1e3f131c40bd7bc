//! The view Pinning.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Scene, View, panel};
use crate::tui::app::{App, Intent};
use crate::tui::shown::Shown;

/// What the view remembers.
#[derive(Clone, Debug, Default)]
pub(in crate::tui) struct State {}

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    panel::centred(View::Pinning.entry().question, scene.theme.dim, area, buf);
}

pub(super) fn handle(_app: &mut App, _shown: &Shown, _intent: Intent) -> bool {
    false
}
