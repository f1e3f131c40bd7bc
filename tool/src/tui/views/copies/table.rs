//! The table of reasons, places and devices.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::rows::{By, Row, What};
use super::{Scene, TABLE, panel};
use crate::tui::selection::{MARK, first_row};
use crate::tui::table::{Column, Table, figures, hungry, names};
use crate::units;

/// In the order of [`By::ALL`].
const COLUMNS: &[Column] = &[
    hungry("reason", 16, 23, 4, 10),
    names("dev", 6, 15, 5),
    figures("bytes", 8, 9),
    figures("rate", 11, 4),
    figures("share", 6, 6),
    names("kind", 7, 7, 7),
    names("app was", 8, 8, 8),
    figures("events", 9, 3),
    names("where", 14, 60, 0),
    figures("first", 8, 1),
    figures("last", 8, 2),
];

pub(super) fn draw(scene: Scene<'_>, rows: &[Row], area: Rect, buf: &mut Buffer) {
    let (theme, state) = (scene.theme, &scene.app.states.copies);
    let borders = if scene.boxed { 2 } else { 1 };
    let visible = usize::from(area.height.saturating_sub(borders + 1));
    let selected = state.place(rows);
    let first = first_row(&state.rows, selected, rows.len(), visible);
    let ascending = is_name(state.by) != state.reverse;
    let order = if ascending { theme.symbols.ascending } else { theme.symbols.descending };
    let note = format!("{} · by {} {order}", panel::position(first, visible, rows.len()), title(state.by));
    let inner = panel::frame(scene, "Why bytes were copied", &note, true, area, buf);
    let body = Rect { x: inner.x + MARK, width: inner.width.saturating_sub(MARK), ..inner };
    let table = Table::new(COLUMNS, body.width);
    let lines = rows.iter().skip(first).take(visible).map(|row| line(scene, &table, row));
    panel::lines(std::iter::once(table.heading(theme.heading)).chain(lines), body, buf);
    let list = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    scene.rows(list, TABLE, first, rows.len());
    scene.headings(&table, body);
    let y = list.y + (selected - first) as u16;
    if y < list.bottom() {
        buf.set_string(list.x, y, theme.symbols.selected, theme.accent);
        buf.set_style(Rect { y, height: 1, ..body }, theme.selected);
    }
}

/// The heading of the column the rows are ordered by.
fn title(by: By) -> &'static str {
    let at = By::ALL.iter().position(|of| *of == by).unwrap_or(0);
    COLUMNS[at].title
}

/// Names are in alphabetical order at first, figures most first.
const fn is_name(by: By) -> bool {
    matches!(by, By::Reason | By::Dev | By::Kind | By::Told | By::Place)
}

fn line(scene: Scene<'_>, table: &Table, row: &Row) -> Line<'static> {
    let theme = scene.theme;
    let none = || units::NOT_APPLICABLE.to_owned();
    let (reason, told) = styles(scene, &row.what);
    table.row(|column, _| match By::ALL[column] {
        By::Reason => (row.what.reason().name().into(), reason),
        By::Dev => (dev(&row.what), theme.text),
        By::Bytes => (row.bytes.map_or_else(none, units::bytes), theme.text),
        By::Rate => (row.bytes_per_s.map_or_else(none, |rate| scene.rate(rate)), theme.text),
        By::Share => (share(row), theme.text),
        By::Kind => (row.what.word().into(), theme.text),
        By::Told => {
            (Some(row.what.told()).filter(|told| !told.is_empty()).map_or_else(none, Into::into), told)
        }
        By::Events => (row.count.map_or_else(none, units::count), theme.dim),
        By::Place => (row.what.place(), theme.text),
        By::First => (row.seen.map_or_else(none, |(first, _)| units::clock(first)), theme.dim),
        By::Last => (row.seen.map_or_else(none, |(_, last)| units::clock(last)), theme.dim),
    })
}

/// Of the reason's name, and of what the application was told.
fn styles(scene: Scene<'_>, what: &What) -> (Style, Style) {
    let theme = scene.theme;
    match what {
        What::Copy { receives: true, .. } => (theme.warn, theme.text),
        What::Copy { kind, .. } if kind.clone => (theme.warn, theme.text),
        What::Copy { kind, .. } if !kind.told => (theme.bad, theme.alarm),
        What::Copy { .. } => (theme.bad, theme.text),
        What::Refused(_) => (theme.warn, theme.warn),
        What::Note(_) => (theme.text, theme.dim),
    }
}

fn dev(what: &What) -> String {
    match what {
        What::Copy { kind, .. } => kind.dev.clone().unwrap_or_else(|| units::UNKNOWN.into()),
        _ => units::NOT_APPLICABLE.into(),
    }
}

fn share(row: &Row) -> String {
    match (&row.what, row.bytes) {
        (What::Copy { .. }, Some(bytes)) => units::percent(bytes, row.whole),
        _ => units::NOT_APPLICABLE.into(),
    }
}
