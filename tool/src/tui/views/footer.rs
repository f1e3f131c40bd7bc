//! The last line: what the keys do, from the table of keys, those of the view at hand; whole hints only.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Scene, View};
use crate::tui::text;

/// What keys do while a line is written; all others are letters.
const ENDS: &[(&str, &str)] = &[("enter", "keep"), ("esc", "undo")];
/// While the line is a filter.
const FILTER: &[(&str, &str)] = &[("tab", "complete"), ("?", "all that can be asked")];

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    if let Some(toast) = &scene.app.toast {
        let style = if toast.failed { theme.warn } else { theme.title };
        let text = text::cut(&toast.text, usize::from(area.width)).0;
        buf.set_line(area.x, area.y, &Line::styled(text, style), area.width);
        return;
    }
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut used = 0;
    let hints = match (scene.app.writing, scene.app.view) {
        (false, _) => scene.app.keys.hints(scene.app.here(scene.shown), theme.symbols),
        (true, view) => {
            let more = if view == View::Flows { FILTER } else { &[] };
            ENDS.iter().chain(more).map(|(keys, word)| ((*keys).to_owned(), *word)).collect()
        }
    };
    for (keys, word) in hints {
        let needed = text::width(&keys) + 1 + text::width(word);
        let gap = if spans.is_empty() { 0 } else { 3 };
        if used + gap + needed > usize::from(area.width) {
            break;
        }
        used += gap + needed;
        spans.push(Span::raw(" ".repeat(gap)));
        spans.push(Span::styled(keys, theme.accent));
        spans.push(Span::styled(format!(" {word}"), theme.dim));
    }
    buf.set_line(area.x, area.y, &Line::from(spans), area.width);
}
