//! The list of events. Only the visible rows are formatted.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::super::Scene;
use super::panel;
use crate::timeline::events::Episode;
use crate::tui::selection;
use crate::tui::table::{Column, Table, figures, hungry, names};
use crate::units;

const COLUMNS: &[Column] = &[
    names("", 1, 1, 9),
    figures("time", 7, 8),
    names("event", 11, 11, 7),
    names("about", 14, 24, 2),
    hungry("what happened", 18, u16::MAX, 9, 9),
];

pub(super) fn draw(scene: Scene<'_>, rows: &[Episode<'_>], selected: usize, area: Rect, buf: &mut Buffer) {
    let state = &scene.app.states.events;
    let borders = if scene.boxed { 3 } else { 2 };
    let visible = usize::from(area.height.saturating_sub(borders));
    let first = selection::first_row(&state.scroll, selected, rows.len(), visible);
    let note = format!("{} · {}", panel::position(first, visible, rows.len()), state.least.name());
    let inner = panel::frame(scene, "Events", &note, true, area, buf);
    if rows.is_empty() {
        panel::centred(&nothing(scene), scene.theme.dim, inner, buf);
        return;
    }
    let table = Table::new(COLUMNS, inner.width.saturating_sub(selection::MARK));
    let heading = selection::marked(scene.theme, false, table.heading(scene.theme.heading));
    let shown = rows.iter().enumerate().skip(first).take(visible);
    let lines =
        shown.map(|(at, row)| selection::marked(scene.theme, at == selected, line(scene, &table, row)));
    panel::lines(std::iter::once(heading).chain(lines), inner, buf);
    let below = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    scene.rows(below.intersection(inner), 0, first, rows.len());
}

fn nothing(scene: Scene<'_>) -> String {
    let all = scene.shown.timeline.points().all(|point| point.events.is_empty());
    match (all, scene.shown.timeline.range_ns()) {
        (false, _) => "no event is of this severity and has these words".into(),
        (true, None) => "nothing is known of the past yet".into(),
        (true, Some(_)) => "nothing has happened yet that is worth telling".into(),
    }
}

fn line(scene: Scene<'_>, table: &Table, row: &Episode<'_>) -> Line<'static> {
    let theme = scene.theme;
    let (sign, style) = theme.severity(row.severity);
    let event = row.latest;
    table.row(|column, _| match column {
        0 => (sign.to_owned(), style),
        1 => (units::clock(event.at_ns), theme.text),
        2 => (event.kind.name().into(), style),
        3 => (event.id.clone(), theme.text),
        _ => (format!("{}{}", since(row), event.text), theme.text),
    })
}

/// How many there were since when, where a row stands for several.
fn since(row: &Episode<'_>) -> String {
    if row.events < 2 {
        return String::new();
    }
    format!("[{} since {}] ", units::count_short(row.count), units::clock(row.first_ns))
}
