//! Throughput per path: current rate beside its copied share, a sparkline, and all send paths together as a chart.
//! What is received stands below what is sent and is in no sum with it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::chart::{self, Band, Stacked};
use super::{Panel, Scene, panel};
use crate::model::snapshot::PathFigures;
use crate::timeline::{PathPoint, Point};
use crate::tui::table::{Column, Table, figures, names};
use crate::tui::text;
use crate::tui::totals::Totals;
use crate::units;

const COLUMNS: &[Column] = &[
    names("path", 13, 19, 9),
    figures("rate", 11, 8),
    figures("copied", 6, 7),
    figures("bytes", 8, 2),
    figures("calls", 9, 0),
    figures("ns/KiB", 6, 1),
    names("trend", 8, u16::MAX, 5),
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
    // The legend, and at least two lines of chart.
    if inner.height >= used + 3 {
        let blank = u16::from(inner.height >= used + 6);
        let rest = Rect { y: inner.y + used + blank, height: inner.height - used - blank, ..inner };
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
            let rates = super::window(scene).path_rates(width, figures.path, |path| Some(path.bytes));
            (chart::sparkline(&rates), theme.accent)
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

/// All send paths together: what was copied lowest, what went out plainly above it, what was not copied on top.
fn draw_chart(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let bands = bands(scene, usize::from(area.width));
    let stacked = Stacked { bands: &bands };
    let peak = scene.rate(stacked.peak());
    let window = super::window(scene);
    // What does not fit is left out whole: the time, then the peak.
    let mut legend = Line::default();
    for (band, name) in bands.iter().zip(NAMES).rev() {
        legend.push_span(Span::styled(format!("{} {name}  ", band.glyph), band.style));
    }
    if unknown(scene) {
        legend.push_span(Span::styled("copied n/a  ", theme.warn));
    }
    for more in [format!("peak {peak}"), format!("  last {}", window.name())] {
        if legend.width() + text::width(&more) <= usize::from(area.width) {
            legend.push_span(Span::styled(more, theme.dim));
        }
    }
    buf.set_line(area.x, area.y, &legend, area.width);
    stacked.draw(Rect { y: area.y + 1, height: area.height - 1, ..area }, buf);
}

/// The names of the bands, the lowest first.
const NAMES: [&str; 3] = ["copied", "plain", "not copied"];

/// The bands of the chart, the lowest first. Where it is not known what was copied, all is in the last one, and the
/// legend says so.
fn bands(scene: Scene<'_>, columns: usize) -> [Band; 3] {
    let window = super::window(scene);
    let rates = |of: fn(&PathPoint) -> u64| {
        let send = |point: &Point| {
            point.paths.iter().filter(|path| !path.path.receives()).map(of).reduce(u64::saturating_add)
        };
        window.rates(columns, |point| Some(send(point).unwrap_or(0)))
    };
    let theme = scene.theme;
    [
        Band { values: rates(copied_of), glyph: "▒", style: theme.bad },
        Band {
            values: rates(|path| path.bytes.saturating_sub(path.requested_bytes)),
            glyph: "░",
            style: theme.accent,
        },
        Band {
            values: rates(|path| path.requested_bytes.saturating_sub(copied_of(path))),
            glyph: chart::SOLID,
            style: theme.good,
        },
    ]
}

/// A byte may have been asked for in the interval before: the sum of the bands stays what was accepted.
fn copied_of(path: &PathPoint) -> u64 {
    path.copied_bytes.unwrap_or(0).min(path.requested_bytes)
}

/// True when the chart cannot tell copied bytes from others.
fn unknown(scene: Scene<'_>) -> bool {
    let totals = Totals::of(&scene.snapshot.paths);
    totals.has_ledger && totals.copied.is_none()
}
