//! Throughput per path: current rate beside its copied share, a sparkline, and all send paths together as a chart.
//! What is received stands below what is sent and is in no sum with it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::chart::{self, Stacked};
use super::{Panel, Scene, panel};
use crate::model::snapshot::{History, PathFigures};
use crate::tui::table::{Column, Table, figures, names};
use crate::tui::totals::Totals;
use crate::units;

const COLUMNS: &[Column] = &[
    names("path", 13, 19, 9),
    figures("rate", 11, 8),
    figures("copied", 6, 7),
    figures("bytes", 8, 2),
    figures("calls", 9, 0),
    figures("ns/KiB", 6, 1),
    names("", 8, u16::MAX, 5),
];

/// From this width on the title has room for the rates of both directions.
const BOTH_RATES: u16 = 60;

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let snapshot = scene.snapshot;
    let sent = scene.rate(Totals::of(&snapshot.paths).bytes_per_s);
    let note = match Totals::received_per_s(&snapshot.paths) {
        Some(received) if area.width >= BOTH_RATES => format!("{sent}, received {}", scene.rate(received)),
        _ => sent,
    };
    let inner = super::focusable(scene, Panel::Throughput, &note, area, buf);
    if snapshot.paths.is_empty() {
        panel::centred("waiting for the first send", scene.theme.dim, inner, buf);
        return;
    }
    let table = Table::new(COLUMNS, inner.width);
    let visible = usize::from(inner.height.saturating_sub(1));
    let rows = rows(scene, &table);
    let count = rows.len();
    let first = scene.app.states.overview.scroll(Panel::Throughput).clamp(count, visible);
    let shown = rows.into_iter().skip(first).take(visible);
    panel::lines(std::iter::once(table.heading(scene.theme.heading)).chain(shown), inner, buf);

    let used = 1 + count as u16;
    // A blank line, the legend, and at least two lines of chart.
    if inner.height >= used + 4 {
        let rest = Rect { y: inner.y + used + 1, height: inner.height - used - 1, ..inner };
        draw_chart(scene, rest, buf);
    }
}

/// Send paths, then receive paths under a heading of their own.
fn rows(scene: Scene<'_>, table: &Table) -> Vec<Line<'static>> {
    let paths = &scene.snapshot.paths;
    let of = |receive| paths.iter().filter(move |p| p.path.receives() == receive);
    let mut rows: Vec<_> = of(false).map(|figures| row(scene, table, figures)).collect();
    if of(true).next().is_some() {
        rows.push(Line::styled("received", scene.theme.heading));
        rows.extend(of(true).map(|figures| row(scene, table, figures)));
    }
    rows
}

fn row(scene: Scene<'_>, table: &Table, figures: &PathFigures) -> Line<'static> {
    let theme = scene.theme;
    let totals = Totals::over(std::iter::once(figures));
    table.row(|column, width| match column {
        0 => (figures.path.name().into(), theme.text),
        1 => (scene.rate(figures.bytes_per_s), theme.text),
        2 => (totals.copied_share(), theme.copied(totals.copied, totals.requested).unwrap_or(theme.text)),
        3 => (units::bytes(figures.bytes), theme.text),
        4 => (units::count(figures.calls), theme.dim),
        5 => (cost(figures), theme.text),
        _ => {
            let points = scene.snapshot.history.bytes_per_s.get(&figures.path);
            (chart::sparkline(points.map_or(&[], Vec::as_slice), width), theme.accent)
        }
    })
}

/// Time in the send call per KiB; a receive call has none.
fn cost(figures: &PathFigures) -> String {
    match figures.send_ns_per_kib {
        Some(ns) => units::count_short(ns),
        None if figures.path.receives() => units::NOT_APPLICABLE.into(),
        None => units::UNKNOWN.into(),
    }
}

/// All send paths together, the copied part below.
fn draw_chart(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let history = &scene.snapshot.history;
    let total = all_paths(history);
    let stacked = Stacked {
        total: &total,
        part: &history.copied_per_s,
        total_style: theme.accent,
        part_style: theme.bad,
    };
    let copied = match Totals::of(&scene.snapshot.paths).copied {
        Some(_) => Span::styled(format!("{} copied", chart::PART), theme.bad),
        None => Span::styled("copied n/a", theme.warn),
    };
    let peak = scene.rate(stacked.peak(area.width));
    let span = units::duration(visible_ns(history, usize::from(area.width)));
    // What does not fit is left out whole: the key, then the peak.
    let key = [Span::styled("   █ sent  ", theme.accent), copied];
    let mut legend = Line::from(Span::styled(format!("all paths over {span}"), theme.dim));
    for more in [vec![Span::styled(format!(", peak {peak}"), theme.dim)], key.to_vec()] {
        let width: usize = more.iter().map(Span::width).sum();
        if legend.width() + width <= usize::from(area.width) {
            legend.extend(more);
        }
    }
    buf.set_line(area.x, area.y, &legend, area.width);
    stacked.draw(Rect { y: area.y + 1, height: area.height - 1, ..area }, buf);
}

/// The time between the oldest and the newest of the visible points.
fn visible_ns(history: &History, columns: usize) -> u64 {
    let points = &history.at_ns[history.at_ns.len().saturating_sub(columns)..];
    points.last().zip(points.first()).map_or(0, |(newest, oldest)| newest.saturating_sub(*oldest))
}

/// Bytes per second of all send paths together, one per point of time.
fn all_paths(history: &History) -> Vec<u64> {
    let mut total = vec![0u64; history.at_ns.len()];
    for (_, points) in history.bytes_per_s.iter().filter(|(path, _)| !path.receives()) {
        // A path that began later may have fewer points: they are the newest.
        let offset = total.len().saturating_sub(points.len());
        for (sum, point) in total[offset..].iter_mut().zip(points) {
            *sum = sum.saturating_add(*point);
        }
    }
    total
}
