//! The heat map: time from left to right, durations on a logarithmic scale from below to above. A shade is the share of
//! the moment's values: so a moment with few values is read like one with many, and a single late one can be seen. How
//! many they were stands below.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use zcscope_common::{HIST_BUCKETS, LatencyKind, bucket_of};

use super::stages::Stage;
use crate::timeline::Timeline;
use crate::tui::series::window_name;
use crate::tui::text::{self, Align};
use crate::tui::theme::Theme;
use crate::units;

/// Columns of the labels at the left.
const LABELS: u16 = 9;
/// Where a delayed ACK shows.
const DELAYED_ACK_NS: u64 = 40_000_000;
/// Durations with a label of their own, ns.
const MARKS: [(u64, &str); 8] = [
    (1_024, "1 µs"),
    (10_000, "10 µs"),
    (100_000, "100 µs"),
    (1_000_000, "1 ms"),
    (10_000_000, "10 ms"),
    (100_000_000, "100 ms"),
    (1_000_000_000, "1 s"),
    (10_000_000_000, "10 s"),
];

/// From this share of a column's values on (per mille), the level of [`Theme::heat`].
const LEVELS: [(u64, usize); 5] = [(750, 8), (350, 7), (100, 5), (10, 3), (0, 1)];

fn level(part: u64, whole: u64) -> usize {
    if part == 0 {
        return 0;
    }
    let share = u128::from(part) * 1_000 / u128::from(whole.max(1));
    LEVELS.iter().find(|(from, _)| share >= u128::from(*from)).map_or(1, |(_, level)| *level)
}

/// One moment.
#[derive(Clone, Debug, Default)]
struct Column {
    /// Values per row, the shortest durations first.
    rows: Vec<u64>,
    total: u64,
    /// Time its points cover, ns.
    interval_ns: u64,
}

/// What is drawn.
#[derive(Clone, Debug)]
pub(super) struct Map {
    columns: Vec<Column>,
    /// Cells each column is wide.
    wide: usize,
    rows: usize,
    column_ns: u64,
}

impl Map {
    /// The time up to `to_ns` on `cells` x `rows`. A column covers at least the time between two points, and begins at
    /// a multiple of its length: what is drawn moves on, it does not swim.
    pub(super) fn of(
        timeline: &Timeline,
        stage: Stage,
        (to_ns, window_ns): (u64, u64),
        cells: usize,
        rows: usize,
    ) -> Self {
        let cells = cells.max(1);
        let wide = (usual_interval(timeline) as usize * cells).div_ceil(window_ns.max(1) as usize).max(1);
        let count = (cells / wide).max(1);
        let column_ns = window_ns.div_ceil(count.max(1) as u64).max(1);
        let end = to_ns.div_ceil(column_ns).saturating_mul(column_ns);
        let mut columns = vec![Column { rows: vec![0; rows], ..Column::default() }; count];
        for point in timeline.points().rev().skip_while(|point| point.at_ns > to_ns) {
            let back = ((end - point.at_ns) / column_ns) as usize;
            let Some(column) = count.checked_sub(back + 1).and_then(|at| columns.get_mut(at)) else { break };
            column.interval_ns += point.interval_ns;
            for of in point.latency.iter().filter(|of| (of.path, of.kind) == (stage.path, stage.kind)) {
                for (bucket, n) in &of.buckets {
                    column.total += n;
                    if let Some(row) = column.rows.get_mut(row_of(usize::from(*bucket), rows)) {
                        *row += n;
                    }
                }
            }
        }
        Self { columns, wide, rows, column_ns }
    }

    /// True when nothing ended in the window.
    pub(super) fn is_empty(&self) -> bool {
        self.columns.iter().all(|column| column.total == 0)
    }

    fn per_s(&self) -> Vec<u64> {
        let rate = |column: &Column| {
            u128::from(column.total) * 1_000_000_000 / u128::from(column.interval_ns.max(1))
        };
        self.columns.iter().map(|column| u64::try_from(rate(column)).unwrap_or(u64::MAX)).collect()
    }

    /// Draws the map with its labels, and below it how many values there were and the time.
    fn draw(&self, theme: &Theme, kind: LatencyKind, to_ns: u64, area: Rect, buf: &mut Buffer) {
        let left = area.x + LABELS;
        // The newest column stands at the right edge.
        let first = area.right().saturating_sub((self.columns.len() * self.wide) as u16).max(left);
        for (at, label, style) in labels(theme, kind, self.rows) {
            let y = area.y + (self.rows - 1 - at) as u16;
            let text = text::fit(label, usize::from(LABELS - 1), Align::Right);
            buf.set_stringn(area.x, y, text, usize::from(LABELS - 1), style);
        }
        let rates = self.per_s();
        let peak = rates.iter().copied().max().unwrap_or(0);
        let below = area.y + self.rows as u16;
        for (at, column) in self.columns.iter().enumerate() {
            let x = first + (at * self.wide) as u16;
            for (row, n) in column.rows.iter().enumerate() {
                let (glyph, style) = theme.heat(level(*n, column.total));
                let y = area.y + (self.rows - 1 - row) as u16;
                buf.set_stringn(x, y, glyph.repeat(self.wide), self.wide, style);
            }
            let eighth = if rates[at] == 0 { 0 } else { (rates[at] * 8).div_ceil(peak.max(1)).min(8) };
            let bar = theme.symbols.eighths[eighth as usize].repeat(self.wide);
            buf.set_stringn(x, below, bar, self.wide, theme.accent);
        }
        let label = format!("{}/s", units::count_short(peak));
        let label = text::fit(&label, usize::from(LABELS - 1), Align::Right);
        buf.set_stringn(area.x, below, label, usize::from(LABELS - 1), theme.dim);
        self.draw_axis(theme, to_ns, Rect { y: below + 1, height: 1, ..area }, buf);
    }

    fn draw_axis(&self, theme: &Theme, to_ns: u64, area: Rect, buf: &mut Buffer) {
        let span = self.column_ns * self.columns.len() as u64;
        let from = format!("-{}", window_name(span));
        let to = units::clock(to_ns);
        let x = (area.x + LABELS).min(area.right());
        buf.set_stringn(x, area.y, &from, usize::from(area.right() - x), theme.dim);
        let room = usize::from(area.right() - x);
        if text::width(&from) + text::width(&to) + 2 <= room {
            buf.set_stringn(area.right() - text::width(&to) as u16, area.y, &to, room, theme.dim);
        }
    }
}

/// The usual time between two points, in steps of 50 ms: a late tick shall not change the width of columns.
fn usual_interval(timeline: &Timeline) -> u64 {
    const STEP: u64 = 50_000_000;
    let all = timeline.range_ns().map_or(0, |(first, last)| last - first);
    let between = timeline.points().len().saturating_sub(1).max(1) as u64;
    (all / between).div_ceil(STEP) * STEP
}

/// The row of a bucket, 0 for the shortest durations.
const fn row_of(bucket: usize, rows: usize) -> usize {
    let row = bucket * rows / HIST_BUCKETS;
    if row < rows { row } else { rows.saturating_sub(1) }
}

/// Labels by row; the 40 ms of a delayed ACK stand out where they mean one.
fn labels(theme: &Theme, kind: LatencyKind, rows: usize) -> Vec<(usize, &'static str, Style)> {
    let mut found: Vec<(usize, &'static str, Style)> = Vec::new();
    if matches!(kind, LatencyKind::Release | LatencyKind::AppRead) {
        found.push((row_of(bucket_of(DELAYED_ACK_NS), rows), "40 ms", theme.warn));
    }
    for (ns, label) in MARKS {
        let row = row_of(bucket_of(ns), rows);
        if found.iter().all(|(taken, ..)| *taken != row) {
            found.push((row, label, theme.dim));
        }
    }
    found
}

/// Lines below the map: how many values, and the time.
const BELOW: u16 = 2;

/// Rows of the map itself in an area of this height.
pub(super) const fn rows_in(height: u16) -> usize {
    height.saturating_sub(BELOW) as usize
}

/// Cells of the map itself in an area of this width.
pub(super) const fn cells_in(width: u16) -> usize {
    width.saturating_sub(LABELS) as usize
}

/// Draws a map made for this area.
pub(super) fn draw(map: &Map, theme: &Theme, stage: Stage, to_ns: u64, area: Rect, buf: &mut Buffer) {
    if map.rows > 0 && area.width > LABELS && area.height > BELOW {
        map.draw(theme, stage.kind, to_ns, area, buf);
    }
}

/// What the shades mean.
pub(super) fn legend(theme: &Theme, width: usize) -> Line<'static> {
    let shades = [(1, "<1 %"), (3, "<10 %"), (5, "<35 %"), (7, "<75 %"), (8, "more")];
    let mut line = Line::from(Span::styled("share of each moment's sends:", theme.dim));
    for (level, label) in shades {
        let (glyph, style) = theme.heat(level);
        if line.width() + text::width(label) + 4 > width {
            break;
        }
        line.push_span(Span::styled(format!("  {glyph}"), style));
        line.push_span(Span::styled(format!(" {label}"), theme.dim));
    }
    line
}

#[cfg(test)]
mod tests {
    use zcscope_common::Path;

    use super::*;
    use crate::timeline::{LatencyPoint, Point};

    const STAGE: Stage = Stage { path: Path::MsgZerocopy, kind: LatencyKind::Release };

    fn timeline(seconds: u64) -> Timeline {
        let mut timeline = Timeline::default();
        for quarter in 1..=seconds * 4 {
            let buckets = vec![(bucket_of(50_000) as u16, 99), (bucket_of(40_000_000) as u16, 1)];
            let latency = vec![LatencyPoint { path: STAGE.path, kind: STAGE.kind, buckets }];
            let (at_ns, interval_ns) = (quarter * 250_000_000, 250_000_000);
            timeline.push(Point { at_ns, interval_ns, latency, ..Point::default() });
        }
        timeline
    }

    #[test]
    fn every_value_of_the_window_is_in_one_cell() {
        for (cells, window_s) in [(60, 30), (60, 10), (7, 30), (1, 30), (200, 30)] {
            let window = window_s * 1_000_000_000;
            let map = Map::of(&timeline(30), STAGE, (30_000_000_000, window), cells, 13);
            let all: u64 = map.columns.iter().map(|column| column.total).sum();
            let rows: u64 = map.columns.iter().flat_map(|column| &column.rows).sum();
            assert_eq!(all, rows);
            // The last column ends at a multiple of its length: up to one at the begin is not shown.
            let whole = window_s * 400;
            let column = whole / map.columns.len() as u64 + 100;
            assert!(all <= whole && all + column >= whole, "{cells} {window_s}: {all}");
            assert!(map.columns.len() * map.wide <= cells);
        }
    }

    #[test]
    fn no_column_is_shorter_than_the_time_between_points() {
        let map = Map::of(&timeline(30), STAGE, (30_000_000_000, 10_000_000_000), 150, 5);
        assert!(map.column_ns >= 250_000_000);
        let inside = &map.columns[1..map.columns.len() - 1];
        assert!(inside.iter().all(|column| column.total > 0), "no stripes");
    }

    #[test]
    fn what_comes_after_the_cursor_is_not_drawn() {
        let map = Map::of(&timeline(30), STAGE, (10_000_000_000, 10_000_000_000), 10, 5);
        assert_eq!(map.columns.iter().map(|column| column.total).sum::<u64>(), 4_000);
        let other = Stage { kind: LatencyKind::Read, ..STAGE };
        assert!(Map::of(&timeline(30), other, (10_000_000_000, 10_000_000_000), 10, 5).is_empty());
    }

    #[test]
    fn a_single_late_one_is_seen_and_most_is_dense() {
        assert_eq!(level(0, 100), 0);
        assert_eq!(level(1, 1_000_000), 1);
        assert_eq!(level(99, 100), 8);
        assert!(level(20, 100) < level(50, 100));
    }

    #[test]
    fn forty_milliseconds_keep_their_label() {
        let theme = Theme::mono();
        for rows in 1..40 {
            let found = labels(&theme, LatencyKind::Release, rows);
            assert!(found.iter().any(|(_, label, _)| *label == "40 ms"), "{rows}");
            assert!(found.iter().all(|(row, ..)| *row < rows));
            assert!(labels(&theme, LatencyKind::Queue, rows).iter().all(|(_, label, _)| *label != "40 ms"));
        }
    }
}
