//! Percentiles of every path and stage: in the window, or since tracing began.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::super::panel;
use super::stages::Stage;
use super::{Frame, Panel};
use crate::model::distributions::percentiles;
use crate::model::snapshot::Percentiles;
use crate::tui::selection;
use crate::tui::series::window_name;
use crate::tui::table::{Column, Table, figures, names};
use crate::units;

const COLUMNS: &[Column] = &[
    names("path", 13, 19, 9),
    names("stage", 8, 8, 9),
    figures("sends", 6, 3),
    figures("min", 7, 2),
    figures("p50", 7, 7),
    figures("p90", 7, 1),
    figures("p99", 7, 8),
    figures("p99.9", 7, 4),
    figures("max", 7, 6),
];

pub(super) fn draw(frame: &Frame<'_>, of: Panel, area: Rect, buf: &mut Buffer) {
    let scene = frame.scene;
    let state = &scene.app.states.latency;
    let window = window_name(scene.app.window_ns());
    let (title, note) = match of {
        Panel::Start => (format!("Since the start ({})", units::clock(scene.shown.now_ns())), ""),
        _ => (format!("Last {window}"), "min and max within 6 %"),
    };
    let inner = panel::frame(scene, &title, note, state.focus == of, area, buf);
    let visible = usize::from(inner.height.saturating_sub(1));
    let first = selection::first_row(&state.scroll, frame.chosen, frame.rows.len(), visible);
    let table = Table::new(COLUMNS, inner.width.saturating_sub(selection::MARK));
    let rows = frame.rows.iter().enumerate().skip(first).take(visible);
    let lines = rows.map(|(at, stage)| row(frame, of, &table, at, *stage));
    let heading = selection::marked(scene.theme, false, table.heading(scene.theme.heading));
    panel::lines(std::iter::once(heading).chain(lines), inner, buf);
    let below = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    scene.rows(below.intersection(inner), of as usize, first, frame.rows.len());
}

fn row(frame: &Frame<'_>, of: Panel, table: &Table, at: usize, stage: Stage) -> Line<'static> {
    let (scene, theme) = (frame.scene, frame.scene.theme);
    let hist = match of {
        Panel::Start => stage.all(scene.snapshot),
        _ => frame.window.get(at),
    };
    let unknown = stage.why_unknown(&scene.snapshot.session).is_some();
    let known = hist.filter(|hist| hist.count > 0 && !unknown).and_then(percentiles);
    let count = hist.map_or(0, |hist| hist.count);
    // A path is named once: its other stages stand below it.
    let named = at.checked_sub(1).is_none_or(|above| frame.rows[above].path != stage.path);
    let line = table.row(|column, _| match column {
        0 if named => (stage.path.name().into(), theme.text),
        0 => (String::new(), theme.text),
        1 => (stage.name().into(), theme.dim),
        2 if unknown => (units::UNKNOWN.into(), theme.dim),
        2 => (units::count_short(count), theme.text),
        3 => cell(frame, unknown, known.as_ref(), |p| p.min),
        4 => cell(frame, unknown, known.as_ref(), |p| p.p50),
        5 => cell(frame, unknown, known.as_ref(), |p| p.p90),
        6 => cell(frame, unknown, known.as_ref(), |p| p.p99),
        7 => cell(frame, unknown, known.as_ref(), |p| p.p999),
        _ => cell(frame, unknown, known.as_ref(), |p| p.max),
    });
    selection::marked(theme, at == frame.chosen, line)
}

/// A percentile: unknown with a reason, or without meaning while nothing has ended.
fn cell(
    frame: &Frame<'_>,
    unknown: bool,
    known: Option<&Percentiles>,
    of: fn(&Percentiles) -> u64,
) -> (String, Style) {
    let theme = frame.scene.theme;
    match known {
        Some(known) => (units::duration(of(known)), theme.text),
        None if unknown => (units::UNKNOWN.into(), theme.dim),
        None => (units::NOT_APPLICABLE.into(), theme.dim),
    }
}
