//! The last line: what the keys do, from the table of keys, those of the view at hand; whole hints only.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::Scene;
use crate::tui::text;

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
    for (keys, word) in scene.app.keys.hints(scene.app.here(scene.shown), theme.symbols) {
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
