//! The line of tabs: every view with its key, as many as fit around the one that is shown.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Scene, VIEWS};
use crate::tui::app::Intent;
use crate::tui::text;

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let (theme, chosen) = (scene.theme, scene.app.view as usize);
    let label = |i: usize| format!("{} {}", i + 1, VIEWS[i].name);
    let all: usize = (0..VIEWS.len()).map(|i| text::width(&label(i)) + 3).sum();
    let short = all > usize::from(area.width);
    let mut spans = Vec::new();
    let mut x = area.x;
    for (i, entry) in VIEWS.iter().enumerate() {
        let label = if short && i != chosen { format!("{}", i + 1) } else { label(i) };
        // Brackets as well: colour is never the only sign.
        let (open, close, style) = if i == chosen { ("[", "]", theme.title) } else { (" ", " ", theme.dim) };
        let tab = format!("{open}{label}{close}");
        let width = text::width(&tab) as u16;
        scene.click(Rect { x, width, ..area }.intersection(area), Intent::Show(entry.view));
        x += width;
        spans.push(Span::styled(tab, style));
    }
    let used: usize = spans.iter().map(|span| text::width(&span.content)).sum();
    let question = VIEWS[chosen].question;
    if used + 2 + text::width(question) <= usize::from(area.width) {
        spans.push(Span::styled(format!("  {question}"), theme.dim));
    }
    buf.set_line(area.x, area.y, &Line::from(spans), area.width);
}
