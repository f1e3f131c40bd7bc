//! What each path holds now and over time, and what is in its way.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use zcscope_common::Path;

use super::super::{Scene, panel};
use super::Panel;
use crate::model::snapshot::{InFlight, PathFigures};
use crate::timeline::Timeline;
use crate::tui::selection;
use crate::tui::series::window_name;
use crate::tui::table::{Column, Table, figures, names};
use crate::units;

const COLUMNS: &[Column] = &[
    names("path", 13, 19, 9),
    figures("in flight", 9, 8),
    figures("sends", 6, 5),
    figures("pages", 6, 6),
    figures("most", 8, 3),
    names("over time", 9, u16::MAX, 4),
    figures("frags", 9, 2),
    figures("unread", 6, 7),
    figures("ENOBUFS", 7, 8),
];

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let state = &scene.app.states.pinning;
    let window = window_name(scene.app.window_ns());
    let note = format!("over time and most: last {window}");
    let inner = panel::frame(scene, "In flight", &note, state.focus == Panel::Paths, area, buf);
    let paths = super::holding(scene.snapshot);
    if paths.is_empty() {
        panel::centred("no path that asks for zero-copy is in use", scene.theme.dim, inner, buf);
        return;
    }
    let visible = usize::from(inner.height.saturating_sub(1));
    let chosen = state.path_at(&paths);
    let first = selection::first_row(&state.path_scroll, chosen, paths.len(), visible);
    let table = Table::new(COLUMNS, inner.width.saturating_sub(selection::MARK));
    let heading = selection::marked(scene.theme, false, table.heading(scene.theme.heading));
    let rows = paths.iter().enumerate().skip(first).take(visible);
    let lines = rows.map(|(at, of)| selection::marked(scene.theme, at == chosen, row(scene, &table, of)));
    panel::lines(std::iter::once(heading).chain(lines), inner, buf);
    let below = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    scene.rows(below.intersection(inner), Panel::Paths as usize, first, paths.len());
}

fn row(scene: Scene<'_>, table: &Table, of: &PathFigures) -> Line<'static> {
    let theme = scene.theme;
    let ends = of.path.has_completion();
    let held = |figure: fn(&InFlight) -> Option<String>| match &of.in_flight {
        _ if !ends => (units::NOT_APPLICABLE.to_owned(), theme.dim),
        Some(held) => (figure(held).unwrap_or_else(|| units::UNKNOWN.into()), theme.text),
        None => (units::UNKNOWN.into(), theme.dim),
    };
    let span = (scene.shown.now_ns(), scene.app.window_ns());
    table.row(|column, width| match column {
        0 => (of.path.name().into(), theme.text),
        1 => held(|held| Some(units::bytes(held.bytes))),
        2 => held(|held| Some(units::count_short(held.sends))),
        3 => held(|held| held.pages.map(units::count_short)),
        4 if !ends => (units::NOT_APPLICABLE.into(), theme.dim),
        4 => {
            let most = over_time(&scene.shown.timeline, of.path, span, 1).into_iter().flatten().max();
            (units::bytes_or_unknown(most), theme.text)
        }
        5 => (sparkline(scene, of.path, span, width), theme.accent),
        6 => frags(of, theme.text),
        7 => unread(of, scene),
        _ => enobufs(of, scene),
    })
}

/// Fragments per packet: half of them, and nearly all.
fn frags(of: &PathFigures, style: Style) -> (String, Style) {
    let text = of.frags_per_skb.as_ref().map_or_else(
        || units::UNKNOWN.into(),
        |spread| format!("{}..{}", units::count_short(spread.p50), units::count_short(spread.p99)),
    );
    (text, style)
}

fn unread(of: &PathFigures, scene: Scene<'_>) -> (String, Style) {
    match &of.completions {
        _ if !of.path.has_completion() => (units::NOT_APPLICABLE.into(), scene.theme.dim),
        Some(ends) => {
            let text = ends.unread_sends.map_or_else(|| units::UNKNOWN.into(), units::count_short);
            (text, scene.theme.text)
        }
        None => (units::UNKNOWN.into(), scene.theme.dim),
    }
}

fn enobufs(of: &PathFigures, scene: Scene<'_>) -> (String, Style) {
    match of.errors.get("ENOBUFS") {
        Some(0) => ("0".into(), scene.theme.dim),
        Some(n) => (units::count_short(*n), scene.theme.warn),
        None => (units::NOT_APPLICABLE.into(), scene.theme.dim),
    }
}

/// Most bytes in flight in each of `cells` parts of the time up to `to_ns`, oldest first. Between two points the value
/// stays; before the first nothing is known.
fn over_time(
    timeline: &Timeline,
    path: Path,
    (to_ns, window_ns): (u64, u64),
    cells: usize,
) -> Vec<Option<u64>> {
    let mut found: Vec<Option<u64>> = vec![None; cells];
    let from_ns = to_ns.saturating_sub(window_ns);
    for point in timeline.points().rev().skip_while(|point| point.at_ns > to_ns) {
        if point.at_ns <= from_ns {
            break;
        }
        let back = u128::from(to_ns - point.at_ns) * cells as u128 / u128::from(window_ns.max(1));
        let Some(cell) = cells.checked_sub(back as usize + 1).and_then(|at| found.get_mut(at)) else { break };
        let held = point.path(path).and_then(|of| of.in_flight).map(|held| held.bytes);
        *cell = (*cell).max(held);
    }
    let mut last = None;
    for cell in &mut found {
        *cell = cell.or(last);
        last = *cell;
    }
    found
}

fn sparkline(scene: Scene<'_>, path: Path, span: (u64, u64), width: usize) -> String {
    let cells = over_time(&scene.shown.timeline, path, span, width);
    let most = cells.iter().flatten().copied().max().unwrap_or(0);
    let eighths = &scene.theme.symbols.eighths;
    let glyph = |held: &Option<u64>| match held {
        None | Some(0) => eighths[0],
        Some(held) => eighths[(u128::from(*held) * 8).div_ceil(u128::from(most.max(1))).min(8) as usize],
    };
    cells.iter().map(glyph).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{PathPoint, Point};

    #[test]
    fn a_gauge_stays_until_the_next_point_and_the_most_counts() {
        let mut timeline = Timeline::default();
        for (second, bytes) in [(1, 5), (2, 9), (3, 7), (6, 1)] {
            let in_flight = Some(InFlight { sends: 1, bytes, pages: None });
            let path = PathPoint { in_flight, ..PathPoint::nothing(Path::MsgZerocopy) };
            timeline.push(Point { at_ns: second * 1_000, paths: vec![path], ..Point::default() });
        }
        let of = |to, window, cells| over_time(&timeline, Path::MsgZerocopy, (to, window), cells);
        assert_eq!(of(6_000, 6_000, 6), [Some(5), Some(9), Some(7), Some(7), Some(7), Some(1)]);
        assert_eq!(of(6_000, 6_000, 3), [Some(9), Some(7), Some(1)]);
        assert_eq!(of(3_000, 6_000, 3), [None, Some(5), Some(9)]);
        assert_eq!(over_time(&timeline, Path::Devmem, (6_000, 6_000), 2), [None, None]);
    }
}
