//! The last line: what the keys do, from the table of keys; whole hints only.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::Scene;
use crate::tui::keys::BINDINGS;
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
    for binding in BINDINGS.iter().filter(|b| !b.hint.is_empty()) {
        let needed = text::width(binding.short) + 1 + binding.hint.len();
        let gap = if spans.is_empty() { 0 } else { 3 };
        if used + gap + needed > usize::from(area.width) {
            break;
        }
        used += gap + needed;
        spans.push(Span::raw(" ".repeat(gap)));
        spans.push(Span::styled(binding.short, theme.accent));
        spans.push(Span::styled(format!(" {}", binding.hint), theme.dim));
    }
    buf.set_line(area.x, area.y, &Line::from(spans), area.width);
}
