//! Distributions of one path: what its packets are made of, and how many sends a notification covers.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::super::{Scene, panel};
use super::Panel;
use crate::model::snapshot::{PathFigures, SpreadFigures};
use crate::tui::table::{Column, Table, figures, names};
use crate::units;

/// Distributions there are.
pub(super) const ROWS: u16 = 3;

const COLUMNS: &[Column] = &[
    names("of", 16, 24, 9),
    figures("p50", 8, 8),
    figures("p90", 8, 3),
    figures("p99", 8, 7),
    figures("max", 8, 6),
    figures("count", 9, 2),
];

/// One row: its name, how its numbers are written, and the numbers.
type Row = (&'static str, fn(u64) -> String, Option<SpreadFigures>);

fn rows(of: &PathFigures) -> [Row; ROWS as usize] {
    let range = of.completions.as_deref().and_then(|ends| ends.range_length);
    [
        ("frags per packet", units::count_short, of.frags_per_skb.as_deref().copied()),
        ("bytes per frag", units::bytes, of.bytes_per_frag.as_deref().copied()),
        ("sends per notice", units::count_short, range),
    ]
}

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let state = &scene.app.states.pinning;
    let paths = super::holding(scene.snapshot);
    let chosen = paths.get(state.path_at(&paths));
    let title =
        chosen.map_or_else(|| "Distributions".to_owned(), |of| format!("Distributions: {}", of.path.name()));
    let inner = panel::frame(scene, &title, "", state.focus == Panel::Spreads, area, buf);
    let Some(of) = chosen else {
        panel::centred("no path that asks for zero-copy is in use", scene.theme.dim, inner, buf);
        return;
    };
    let table = Table::new(COLUMNS, inner.width);
    let lines = rows(of).map(|row| line(scene, &table, row));
    panel::lines(std::iter::once(table.heading(scene.theme.heading)).chain(lines), inner, buf);
}

fn line(scene: Scene<'_>, table: &Table, (name, write, spread): Row) -> Line<'static> {
    let theme = scene.theme;
    let cell = |of: fn(&SpreadFigures) -> u64| match &spread {
        Some(spread) => (write(of(spread)), theme.text),
        None => (units::UNKNOWN.into(), theme.dim),
    };
    table.row(|column, _| match column {
        0 => (name.into(), theme.text),
        1 => cell(|spread| spread.p50),
        2 => cell(|spread| spread.p90),
        3 => cell(|spread| spread.p99),
        4 => cell(|spread| spread.max),
        _ => match &spread {
            Some(spread) => (units::count(spread.count), theme.dim),
            None => (units::UNKNOWN.into(), theme.dim),
        },
    })
}
