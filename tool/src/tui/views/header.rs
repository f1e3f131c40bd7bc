//! The first line: what must not be missed at the right (loss, pause, missing facts), who and where at the left.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::Scene;
use crate::tui::clock::Pace;
use crate::tui::text;
use crate::units;

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let signs = signs(scene, area.width);
    let signs_width = (signs.width() as u16).min(area.width);
    buf.set_line(area.right() - signs_width, area.y, &signs, signs_width);
    let room = area.width - signs_width;
    let left = facts(scene, usize::from(room.saturating_sub(1)));
    buf.set_line(area.x, area.y, &left, room);
}

/// Pause, loss and missing facts, the most important last so that they stand at the edge.
fn signs(scene: Scene<'_>, width: u16) -> Line<'static> {
    let (theme, snapshot) = (scene.theme, scene.snapshot);
    let mut spans = Vec::new();
    let missing = snapshot.session.missing.len();
    if missing > 0 && width >= 60 {
        let facts = if missing == 1 { "fact" } else { "facts" };
        spans.push(Span::styled(format!(" {missing} {facts} missing (?)"), theme.warn));
    } else if missing > 0 && width >= 30 {
        spans.push(Span::styled(format!(" {missing} n/a"), theme.warn));
    }
    if snapshot.lost.total > 0 {
        let text = if width >= 60 {
            format!(" LOST {} events", units::count(snapshot.lost.total))
        } else {
            format!(" LOST {}", units::count_short(snapshot.lost.total))
        };
        spans.push(Span::raw(" "));
        spans.push(Span::styled(text, theme.alarm));
    }
    let clock = &scene.shown.clock;
    if let Some(since) = clock.since()
        && width >= 40
    {
        spans.push(Span::styled(format!(" {since}"), theme.warn));
    }
    if clock.pace != Pace::Live {
        spans.push(Span::raw(" "));
        let text = match width {
            60.. => format!(" {} ", clock.text()),
            _ => clock.word().to_owned(),
        };
        spans.push(Span::styled(text, theme.badge));
    }
    Line::from(spans)
}

/// Name, host, kernel, back end and duration: as many as fit, in order of importance, never cut in the middle.
fn facts(scene: Scene<'_>, width: usize) -> Line<'static> {
    let theme = scene.theme;
    let session = &scene.snapshot.session;
    let known = |s: &str| if s.is_empty() { units::UNKNOWN.to_owned() } else { s.to_owned() };
    let mut spans = vec![Span::styled("zcscope", theme.title)];
    let mut used = 7;
    let items = [
        (3, "", units::clock(scene.shown.now_ns())),
        (1, "kernel ", known(&session.kernel)),
        (2, "via ", known(&session.backend)),
        (0, "", known(&session.host)),
    ];
    // Importance decides what stays; the place on the line is fixed.
    let mut chosen = Vec::new();
    for (place, label, value) in items {
        let needed = 3 + label.len() + text::width(&value);
        if used + needed > width {
            break;
        }
        used += needed;
        chosen.push((place, label, value));
    }
    chosen.sort_by_key(|(place, ..)| *place);
    for (_, label, value) in chosen {
        spans.push(Span::styled(" · ", theme.dim));
        spans.push(Span::styled(label, theme.dim));
        spans.push(Span::styled(text::cut(&value, 64).0, theme.text));
    }
    Line::from(spans)
}
