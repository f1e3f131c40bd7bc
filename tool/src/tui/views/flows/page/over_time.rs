//! What it did over the time of the window: bytes, copied bytes, and how long its buffers were held.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use zcscope_common::{LatencyKind, bucket_bounds};

use super::portrait::Portrait;
use super::track::Track;
use super::{Scene, Section};
use crate::timeline::Point;
use crate::tui::series::window_name;
use crate::tui::table::{Column, Table, figures, names};
use crate::tui::text::{Align, fit};
use crate::units;

/// Columns of the labels in front of a chart.
const LABEL: usize = 9;
/// Lower bounds of the rows of the heat map, ns, the highest first.
const BANDS: [u64; 11] = [
    1_000_000_000,
    300_000_000,
    100_000_000,
    30_000_000,
    10_000_000,
    3_000_000,
    1_000_000,
    300_000,
    100_000,
    30_000,
    0,
];
/// Shades above nothing.
const SHADES: u64 = 8;

const PERCENTILES: &[Column] = &[
    names("path", 13, 19, 9),
    figures("count", 9, 4),
    figures("min", 7, 2),
    figures("p50", 7, 8),
    figures("p90", 7, 3),
    figures("p99", 7, 9),
    figures("p99.9", 7, 1),
    figures("max", 7, 5),
];

/// The window cut into parts of equal time, newest last; `None` where nothing is known.
struct Columns {
    points: Vec<Option<Point>>,
    /// Columns of the screen they share.
    cells: usize,
}

impl Columns {
    /// A part is never shorter than the time between two moments known: else most would be empty.
    fn new(scene: Scene<'_>, track: &Track, width: usize) -> Self {
        let cells = width.saturating_sub(LABEL + 1).max(1);
        let (now, window) = (scene.shown.now_ns(), scene.app.window_ns());
        let inside = |point: &&Point| point.at_ns <= now && point.at_ns + window > now;
        let known = track.timeline.points().filter(inside).map(|point| point.interval_ns);
        let longest = known.max().unwrap_or(0).min(window / 4);
        let parts = (window / longest.max(1)).clamp(1, cells as u64);
        Self { points: track.timeline.columns(now, window / parts, parts as usize), cells }
    }

    /// The part each column of the screen belongs to.
    fn parts(&self) -> impl Iterator<Item = usize> + use<> {
        let (parts, cells) = (self.points.len(), self.cells);
        (0..cells).map(move |cell| cell * parts / cells)
    }
}

/// Bytes and copied bytes over time, each as a line of bars with its peak.
pub(super) fn throughput(scene: Scene<'_>, track: &Track, width: usize) -> Section {
    let columns = Columns::new(scene, track, width);
    let per_s = |point: &Point, bytes: u64| {
        let ns = u128::from(point.interval_ns.max(1));
        u64::try_from(u128::from(bytes) * 1_000_000_000 / ns).unwrap_or(u64::MAX)
    };
    let bytes = |p: &Point| Some(per_s(p, p.paths.iter().map(|path| path.bytes).sum()));
    let copied = |p: &Point| {
        let sent = p.paths.iter().filter(|path| !path.path.receives());
        let copied: Option<u64> = sent.map(|path| path.copied_bytes).sum();
        copied.map(|copied| per_s(p, copied))
    };
    let theme = scene.theme;
    let mut lines = spark(scene, "bytes", &columns, bytes, theme.good);
    lines.extend(spark(scene, "copied", &columns, copied, theme.bad));
    lines.push(axis(scene, columns.cells));
    Section { title: "Over time", lines }
}

/// One line of bars, scaled to its own peak, which stands above it.
fn spark(
    scene: Scene<'_>,
    label: &str,
    columns: &Columns,
    of: impl Fn(&Point) -> Option<u64>,
    style: Style,
) -> Vec<Line<'static>> {
    let values: Vec<Option<u64>> = columns.points.iter().map(|point| point.as_ref().and_then(&of)).collect();
    let lead = " ".repeat(LABEL + 1);
    let Some(peak) = values.iter().flatten().copied().max() else {
        let sentence = format!("{lead}{label}: {} in this time", units::UNKNOWN);
        return vec![Line::styled(sentence, scene.theme.dim)];
    };
    let eighths = &scene.theme.symbols.eighths;
    let bar = |part: usize| values[part].map_or(".", |value| eighths[level(value, peak)]);
    let bars: String = columns.parts().map(bar).collect();
    let name = format!("{lead}{label}, peak {}", scene.rate(peak));
    vec![Line::styled(name, scene.theme.dim), Line::from(vec![Span::raw(lead), Span::styled(bars, style)])]
}

/// `value` of `max` in shades, never 0 for something above 0.
fn level(value: u64, max: u64) -> usize {
    if value == 0 || max == 0 {
        return 0;
    }
    (u128::from(value.min(max)) * u128::from(SHADES)).div_ceil(u128::from(max)) as usize
}

/// The time the columns show.
fn axis(scene: Scene<'_>, columns: usize) -> Line<'static> {
    let from = format!("-{}", window_name(scene.app.window_ns()));
    let gap = columns.saturating_sub(from.len() + 3);
    let text = format!("{}{from}{}now", " ".repeat(LABEL + 1), " ".repeat(gap));
    Line::styled(text, scene.theme.dim)
}

/// How long buffers were held: percentiles of all time, and a heat map of the window.
pub(super) fn held(scene: Scene<'_>, portrait: &Portrait<'_>, track: &Track, width: usize) -> Section {
    let title = "Buffers held (accepted to released)";
    let mut lines = percentiles(scene, portrait, width);
    if !lines.is_empty() {
        lines.extend(heat_map(scene, &Columns::new(scene, track, width)));
    }
    Section { title, lines }
}

fn percentiles(scene: Scene<'_>, portrait: &Portrait<'_>, width: usize) -> Vec<Line<'static>> {
    let table = Table::new(PERCENTILES, width as u16);
    let rows = portrait.ending().map(|figures| {
        let (hist, complete) = portrait.releases(figures.path);
        let known = figures.completions.as_deref().and_then(|ends| ends.latency);
        let percentile = |per_mille| if complete { hist.percentile(per_mille) } else { None };
        let values = match known {
            Some(p) => {
                [Some(p.count), Some(p.min), Some(p.p50), Some(p.p90), Some(p.p99), Some(p.p999), Some(p.max)]
            }
            None => [
                complete.then_some(hist.count),
                percentile(0).and(hist.min()),
                percentile(500),
                percentile(900),
                percentile(990),
                percentile(999),
                percentile(1_000),
            ],
        };
        table.row(|column, _| {
            let value = column.checked_sub(1).and_then(|i| values[i]);
            let text = match (column, value) {
                (0, _) => figures.path.name().into(),
                (_, None) => units::UNKNOWN.into(),
                (1, Some(count)) => units::count(count),
                (_, Some(ns)) => units::duration(ns),
            };
            (text, scene.theme.text)
        })
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        rows
    } else {
        std::iter::once(table.heading(scene.theme.heading)).chain(rows).collect()
    }
}

/// Time to the right, durations upwards, darker where more were released.
fn heat_map(scene: Scene<'_>, columns: &Columns) -> Vec<Line<'static>> {
    let counts: Vec<Option<[u64; BANDS.len()]>> =
        columns.points.iter().map(|p| p.as_ref().map(bands)).collect();
    let most = counts.iter().flatten().flatten().copied().max().unwrap_or(0);
    let lead = " ".repeat(LABEL + 1);
    if most == 0 {
        let sentence = format!("{lead}no release in this time, or its durations found no room");
        return vec![Line::styled(sentence, scene.theme.dim)];
    }
    let rows = BANDS.iter().enumerate().map(|(band, from)| {
        let label = if *from == 0 { "shorter".into() } else { format!("> {}", units::duration(*from)) };
        let mut spans = vec![Span::styled(fit(&label, LABEL, Align::Right) + " ", scene.theme.dim)];
        spans.extend(columns.parts().map(|part| match counts[part] {
            None => Span::styled(if band + 1 == BANDS.len() { "." } else { " " }, scene.theme.dim),
            Some(counts) => {
                let (glyph, style) = scene.theme.heat(level(counts[band], most));
                Span::styled(glyph, style)
            }
        }));
        Line::from(spans)
    });
    let mut lines: Vec<Line<'static>> = rows.collect();
    lines.push(axis(scene, columns.cells));
    let time = units::duration(scene.app.window_ns() / columns.points.len().max(1) as u64);
    let legend = format!("{lead}darkest: {} sends in {time}", units::count(most));
    lines.push(Line::styled(legend, scene.theme.dim));
    lines
}

/// Releases of a point per row.
fn bands(point: &Point) -> [u64; BANDS.len()] {
    let mut counts = [0; BANDS.len()];
    for latency in point.latency.iter().filter(|latency| latency.kind == LatencyKind::Release) {
        for (bucket, count) in &latency.buckets {
            let (low, high) = bucket_bounds(usize::from(*bucket));
            let middle = low + (high - low) / 2;
            let band = BANDS.iter().position(|from| middle >= *from).unwrap_or(BANDS.len() - 1);
            counts[band] += count;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::LatencyPoint;

    #[test]
    fn something_is_never_shown_as_nothing() {
        assert_eq!((level(0, 9), level(1, 1_000_000), level(9, 9), level(5, 0)), (0, 1, 8, 0));
    }

    #[test]
    fn durations_fall_into_their_band() {
        let bucket = |ns| zcscope_common::bucket_of(ns) as u16;
        let buckets = vec![(bucket(5_000), 1), (bucket(41_000_000), 2), (bucket(5_000_000_000), 4)];
        let latency =
            LatencyPoint { path: zcscope_common::Path::MsgZerocopy, kind: LatencyKind::Release, buckets };
        let counts = bands(&Point { latency: vec![latency], ..Point::default() });
        assert_eq!((counts[0], counts[3], counts[10]), (4, 2, 1));
        assert_eq!(counts.iter().sum::<u64>(), 7);
    }
}
