//! Ends of zero-copy sends: how many, how many copied, and after what time in the window; the kernel's view and what
//! the application read stand one below the other, the stages between them where there is room.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use zcscope_common::{LatencyKind, Path};

use super::{Panel, Scene, chart, panel};
use crate::model::snapshot::{Completions, PathFigures, Percentiles};
use crate::tui::table::{Column, Table, figures, names};
use crate::tui::totals::{Sends, kernel_sends, told_sends};
use crate::units;

const COLUMNS: &[Column] = &[
    names("path", 13, 19, 9),
    names("until", 8, 8, 8),
    figures("sends", 6, 3),
    figures("copied", 8, 6),
    figures("p50", 7, 5),
    figures("p90", 7, 1),
    figures("p99", 7, 7),
    figures("p99.9", 7, 2),
    figures("max", 7, 4),
    names("p99 trend", 9, 30, 0),
];

/// One row: one path, one view.
struct Row {
    path: &'static str,
    until: &'static str,
    sends: Option<Sends>,
    latency: Option<Percentiles>,
    of: (Path, LatencyKind),
    differs: bool,
    /// A stage between the two views: has a time only.
    stage: bool,
}

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let inner = super::focusable(scene, Panel::Latency, &note(scene), area, buf);
    let visible = usize::from(inner.height.saturating_sub(1));
    let rows = rows(scene, visible);
    if rows.is_empty() {
        panel::centred("no path with completions in use", scene.theme.dim, inner, buf);
        return;
    }
    let table = Table::new(COLUMNS, inner.width);
    let first = scene.app.states.overview.scroll(Panel::Latency).clamp(rows.len(), visible);
    let shown = rows.iter().skip(first).take(visible).map(|row| line(scene, &table, row));
    panel::lines(std::iter::once(table.heading(scene.theme.heading)).chain(shown), inner, buf);
}

/// What the times are of. Counts are of the whole trace, as everywhere.
fn note(scene: Scene<'_>) -> String {
    if times_of_window(scene) {
        format!("times: last {}; copied: kernel's flag, then what the app read", super::window(scene).name())
    } else {
        "copied: kernel's flag, then what the app read".to_owned()
    }
}

/// False when the past is not known, or began later than the window: then times are of the whole trace.
fn times_of_window(scene: Scene<'_>) -> bool {
    scene.shown.timeline.range_ns().is_some() && !super::window(scene).is_everything()
}

/// The rows of every path: with the stages when all fit, or when the reader has turned to this panel.
fn rows(scene: Scene<'_>, visible: usize) -> Vec<Row> {
    let paths = || scene.snapshot.paths.iter().filter(|p| p.path.has_completion());
    let all: Vec<Row> = paths().flat_map(|path| path_rows(scene, path)).collect();
    if all.len() <= visible || scene.app.states.overview.focus == Panel::Latency {
        return all;
    }
    all.into_iter().filter(|row| !row.stage).collect()
}

/// The kernel's view, the stages between (where they were measured), the application's view.
fn path_rows(scene: Scene<'_>, figures: &PathFigures) -> Vec<Row> {
    let completions = figures.completions.as_deref();
    let kernel = completions.map(kernel_sends);
    let told = completions.and_then(told_sends);
    let known_wrong = completions.and_then(|c| c.disagreements.as_ref()).map(|kinds| !kinds.is_empty());
    let differs = known_wrong.unwrap_or(matches!((kernel, told), (Some(k), Some(t)) if k.copied != t.copied));
    // In the window, where the figure is known at all; nothing ended in it is no time of 0.
    let recent = times_of_window(scene);
    let time = |kind, whole: Option<Percentiles>| {
        let known = whole.filter(|_| recent)?;
        let window = super::window(scene).percentiles(figures.path, kind);
        Some(window.unwrap_or(Percentiles { count: 0, ..known }))
    };
    let row = |path, until, sends, kind, whole: Option<Percentiles>| Row {
        path,
        until,
        sends,
        latency: time(kind, whole).or(whole),
        of: (figures.path, kind),
        differs,
        stage: false,
    };
    let get = |of: fn(&Completions) -> Option<Percentiles>| completions.and_then(of);
    let stage = |until, kind, whole| Row { stage: true, ..row("", until, None, kind, Some(whole)) };
    let mut rows = vec![row(figures.path.name(), "kernel", kernel, LatencyKind::Release, get(|c| c.latency))];
    rows.extend(get(|c| c.queue_latency).map(|whole| stage("+ queued", LatencyKind::Queue, whole)));
    rows.extend(get(|c| c.read_latency).map(|whole| stage("+ read", LatencyKind::Read, whole)));
    rows.push(row("", "app read", told, LatencyKind::AppRead, get(|c| c.app_read_latency)));
    rows
}

fn line(scene: Scene<'_>, table: &Table, row: &Row) -> Line<'static> {
    let theme = scene.theme;
    let sends = |n: Option<u64>| match n {
        _ if row.stage => String::new(),
        Some(n) => units::count_short(n),
        None => units::UNKNOWN.into(),
    };
    let copied = if row.differs { theme.warn } else { theme.text };
    // The mark stands where the two views can be compared: on the second of the two rows.
    let mark = if row.differs && row.path.is_empty() && !row.stage { "≠ " } else { "" };
    let at = |of: fn(&Percentiles) -> u64| latency(row.latency.as_ref(), of, theme.text, theme.dim);
    table.row(|column, width| match column {
        0 => (row.path.into(), theme.text),
        1 => (row.until.into(), theme.dim),
        2 => (sends(row.sends.map(|s| s.all)), theme.text),
        3 => (format!("{mark}{}", sends(row.sends.map(|s| s.copied))), copied),
        4 => at(|p| p.p50),
        5 => at(|p| p.p90),
        6 => at(|p| p.p99),
        7 => at(|p| p.p999),
        8 => at(|p| p.max),
        _ => (chart::sparkline(&super::window(scene).p99s(width, row.of.0, row.of.1)), theme.accent),
    })
}

/// A percentile; unknown without a histogram, without meaning when nothing has been measured yet.
fn latency(
    percentiles: Option<&Percentiles>,
    of: fn(&Percentiles) -> u64,
    text: Style,
    dim: Style,
) -> (String, Style) {
    match percentiles {
        None => (units::UNKNOWN.into(), dim),
        Some(Percentiles { count: 0, .. }) => (units::NOT_APPLICABLE.into(), dim),
        Some(percentiles) => (units::duration(of(percentiles)), text),
    }
}
