//! What the past holds, for charts and sentences: rates per column of a chart, and what moved in a time. Only what is
//! asked for is added up: a frame may want it of thousands of points.

use std::collections::BTreeMap;
use std::sync::Arc;

use zcscope_common::{HIST_BUCKETS, Hist, LatencyKind, Path, bucket_bounds};

use super::shown::Shown;
use crate::model::sample::CopyKind;
use crate::model::snapshot::Percentiles;
use crate::timeline::{PathPoint, Point, Timeline};

/// The time on screen: ends at the cursor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<'a> {
    timeline: &'a Timeline,
    /// The cursor, ns since tracing began.
    now_ns: u64,
    /// Its length, ns.
    pub(super) length_ns: u64,
}

/// What moved on all send paths in a time. `None` is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// Bytes accepted.
    pub(super) bytes: u64,
    /// Of those, asked for without a copy.
    pub(super) requested: u64,
    pub(super) copied: Option<u64>,
    pub(super) silent: Option<u64>,
    /// Calls refused.
    pub(super) refused: u64,
}

/// A column in the making.
#[derive(Clone, Copy, Default)]
struct Column {
    amount: f64,
    ns: u64,
    unknown: bool,
}

/// The length of a window in words: `60 s`, `5 min`, `8 h`.
pub(super) fn window_name(ns: u64) -> String {
    match ns / 1_000_000_000 {
        s if s >= 7_200 && s.is_multiple_of(3_600) => format!("{} h", s / 3_600),
        s if s >= 120 && s.is_multiple_of(60) => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

impl<'a> Window<'a> {
    /// The last `length_ns` before the cursor.
    pub(super) const fn new(shown: &'a Shown, length_ns: u64) -> Self {
        Self { timeline: &shown.timeline, now_ns: shown.now_ns(), length_ns }
    }

    /// Its length in words.
    pub(super) fn name(&self) -> String {
        window_name(self.length_ns)
    }

    /// True when it reaches back to where the timeline, and so tracing, began.
    pub(super) const fn is_everything(&self) -> bool {
        self.now_ns <= self.length_ns
    }

    /// Its points, newest first.
    fn points(&self) -> impl Iterator<Item = &'a Point> {
        let (from, to) = (self.now_ns.saturating_sub(self.length_ns), self.now_ns);
        let all = self.timeline.points().rev();
        all.skip_while(move |point| point.at_ns > to).take_while(move |point| point.at_ns > from)
    }

    /// What was sent in it; `None` when nothing is known of it.
    pub(super) fn sent(&self) -> Option<Moved> {
        let mut points = self.points().peekable();
        points.peek()?;
        let mut sum = Moved { bytes: 0, requested: 0, copied: Some(0), silent: Some(0), refused: 0 };
        let add = |sum: Option<u64>, part: Option<u64>| sum.zip(part).map(|(a, b)| a.saturating_add(b));
        for path in points.flat_map(|point| &point.paths).filter(|path| !path.path.receives()) {
            sum.bytes += path.bytes;
            sum.requested += path.requested_bytes;
            sum.copied = add(sum.copied, path.copied_bytes);
            sum.silent = add(sum.silent, path.silent_copied_bytes);
            sum.refused += path.refused;
        }
        Some(sum)
    }

    /// What each send path asked for in it and how much of that was copied, in the order of paths.
    pub(super) fn asked(&self) -> Vec<(Path, u64, Option<u64>)> {
        let mut sums: BTreeMap<Path, (u64, Option<u64>)> = BTreeMap::new();
        let paths = self.points().flat_map(|point| &point.paths);
        for path in paths.filter(|path| !path.path.receives() && path.requested_bytes > 0) {
            let (requested, copied) = sums.entry(path.path).or_insert((0, Some(0)));
            *requested += path.requested_bytes;
            *copied = copied.zip(path.copied_bytes).map(|(a, b)| a + b);
        }
        sums.into_iter().map(|(path, (requested, copied))| (path, requested, copied)).collect()
    }

    /// Bytes of wire copies in it per kind, most first.
    pub(super) fn wire_copies(&self) -> Vec<(Arc<CopyKind>, u64)> {
        let mut sums: Vec<(Arc<CopyKind>, u64)> = Vec::new();
        let wire = |copy: &&crate::timeline::CopyPoint| !copy.receives && !copy.kind.clone;
        for copy in self.points().flat_map(|point| &point.copies).filter(wire) {
            match sums.iter_mut().find(|(kind, _)| Arc::ptr_eq(kind, &copy.kind) || *kind == copy.kind) {
                Some((_, bytes)) => *bytes += copy.bytes,
                None => sums.push((copy.kind.clone(), copy.bytes)),
            }
        }
        sums.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        sums
    }

    /// The time cut into `columns`, oldest first; each is what `amount` says of its points, per second. `None` where
    /// nothing is known. Columns stand still while time goes on, and a point that reaches over two of them counts in
    /// both by its parts.
    pub(super) fn rates(&self, columns: usize, amount: impl Fn(&Point) -> Option<u64>) -> Vec<Option<u64>> {
        let Some(grid) = Grid::new(self, columns) else { return vec![None; columns] };
        let mut cells = vec![Column::default(); columns];
        for point in self.points().filter(|point| point.interval_ns > 0) {
            let amount = amount(point);
            let begin = point.at_ns.saturating_sub(point.interval_ns);
            for (at, ns) in grid.parts(begin, point.at_ns) {
                let cell = &mut cells[at];
                cell.unknown |= amount.is_none();
                cell.amount += amount.unwrap_or(0) as f64 * ns as f64 / point.interval_ns as f64;
                cell.ns += ns;
            }
        }
        let rate = |cell: Column| {
            (!cell.unknown && cell.ns > 0).then(|| (cell.amount * 1e9 / cell.ns as f64) as u64)
        };
        cells.into_iter().map(rate).collect()
    }

    /// [`Self::rates`] of one path.
    pub(super) fn path_rates(
        &self,
        columns: usize,
        path: Path,
        amount: impl Fn(&PathPoint) -> Option<u64>,
    ) -> Vec<Option<u64>> {
        self.rates(columns, |point| point.path(path).map_or(Some(0), &amount))
    }

    /// Percentiles of the durations of one kind that ended in it; `None` when none did, or nothing is known.
    pub(super) fn percentiles(&self, path: Path, kind: LatencyKind) -> Option<Percentiles> {
        let mut hist = Hist::default();
        self.points().for_each(|point| add(&mut hist, point, path, kind));
        percentiles(&hist)
    }

    /// Their 99th percentile per column, ns, oldest first; `None` where none ended.
    pub(super) fn p99s(&self, columns: usize, path: Path, kind: LatencyKind) -> Vec<Option<u64>> {
        let Some(grid) = Grid::new(self, columns) else { return vec![None; columns] };
        let mut out = vec![None; columns];
        let mut hist = Hist::default();
        let mut current = None;
        for point in self.points() {
            let at = grid.at(point.at_ns);
            if current != Some(at) {
                if let Some(done) = current {
                    out[done] = percentiles(&hist).map(|p| p.p99);
                }
                (hist, current) = (Hist::default(), Some(at));
            }
            add(&mut hist, point, path, kind);
        }
        if let Some(done) = current {
            out[done] = percentiles(&hist).map(|p| p.p99);
        }
        out
    }
}

/// Columns at multiples of their own length, so that they do not move with every point.
struct Grid {
    column_ns: u64,
    /// Number of the first column, counted from the begin of tracing; before it, negative.
    first: i64,
    columns: usize,
}

impl Grid {
    fn new(window: &Window<'_>, columns: usize) -> Option<Self> {
        let column_ns = window.length_ns / u64::try_from(columns).ok().filter(|n| *n > 0)?;
        let last = window.now_ns.saturating_sub(1).checked_div(column_ns)?;
        let first = i64::try_from(last).ok()? + 1 - i64::try_from(columns).ok()?;
        Some(Self { column_ns, first, columns })
    }

    /// The column of a moment, the nearest when it lies outside.
    fn at(&self, ns: u64) -> usize {
        let number = i64::try_from(ns.saturating_sub(1) / self.column_ns).unwrap_or(i64::MAX);
        usize::try_from(number - self.first).unwrap_or(0).min(self.columns - 1)
    }

    /// The columns a time lies in, and how much of it in each, ns.
    fn parts(&self, begin: u64, end: u64) -> impl Iterator<Item = (usize, u64)> {
        let (column_ns, first) = (self.column_ns, self.first);
        (self.at(begin + 1)..=self.at(end)).filter_map(move |at| {
            let from = u64::try_from(first + at as i64).ok()? * column_ns;
            let ns = end.min(from + column_ns).saturating_sub(begin.max(from));
            (ns > 0).then_some((at, ns))
        })
    }
}

fn add(hist: &mut Hist, point: &Point, path: Path, kind: LatencyKind) {
    let wanted = point.latency.iter().filter(|latency| (latency.path, latency.kind) == (path, kind));
    for (bucket, count) in wanted.flat_map(|latency| &latency.buckets) {
        if let Some(sum) = hist.buckets.get_mut(usize::from(*bucket)) {
            *sum += count;
            hist.count += count;
        }
    }
}

/// Within the bounds of the buckets: the points do not keep the smallest and the largest value.
fn percentiles(hist: &Hist) -> Option<Percentiles> {
    let lowest = hist.buckets.iter().position(|n| *n > 0)?;
    let highest = hist.buckets.iter().rposition(|n| *n > 0)?;
    let (low, high) = bucket_bounds(highest);
    let max = if highest == HIST_BUCKETS - 1 { low } else { high };
    let hist = Hist { min_inverted: !bucket_bounds(lowest).0, max, ..*hist };
    Some(Percentiles {
        count: hist.count,
        min: hist.min()?,
        p50: hist.percentile(500)?,
        p90: hist.percentile(900)?,
        p99: hist.percentile(990)?,
        p999: hist.percentile(999)?,
        max,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::Snapshot;
    use crate::timeline::LatencyPoint;

    const QUARTER: u64 = 250_000_000;

    /// Points of a quarter second each with so many bytes.
    fn shown(bytes: &[u64]) -> Shown {
        let mut shown = Shown::default();
        for (i, bytes) in (1..).zip(bytes) {
            let path =
                PathPoint { bytes: *bytes, requested_bytes: *bytes, ..PathPoint::nothing(Path::Sendfile) };
            shown.timeline.push(Point {
                at_ns: i * QUARTER,
                interval_ns: QUARTER,
                paths: vec![path],
                ..Point::default()
            });
            shown.snapshot = Snapshot { duration_ns: i * QUARTER, ..Snapshot::default() };
        }
        shown
    }

    fn rates(shown: &Shown, length_ns: u64, columns: usize) -> Vec<Option<u64>> {
        Window::new(shown, length_ns).path_rates(columns, Path::Sendfile, |path| Some(path.bytes))
    }

    #[test]
    fn columns_hold_rates_over_exactly_their_points() {
        let shown = shown(&[10, 10, 20, 20, 30, 30, 40, 40]);
        assert_eq!(rates(&shown, 4 * QUARTER, 2), [Some(120), Some(160)]);
        assert_eq!(rates(&shown, 12 * QUARTER, 6), [None, None, Some(40), Some(80), Some(120), Some(160)]);
    }

    #[test]
    fn columns_shorter_than_a_point_show_its_rate() {
        let shown = shown(&[10, 20]);
        assert_eq!(rates(&shown, 2 * QUARTER, 4), [Some(40), Some(40), Some(80), Some(80)]);
        assert_eq!(rates(&shown, 2 * QUARTER, 0), []);
    }

    #[test]
    fn no_byte_is_shown_twice_when_columns_cut_points() {
        let shown = shown(&[7; 40]);
        for columns in [3, 7, 11, 39] {
            let rates = rates(&shown, 30 * QUARTER, columns);
            assert!(rates.iter().flatten().all(|rate| (27..=28).contains(rate)), "{rates:?}");
        }
    }

    #[test]
    fn the_cursor_hides_what_comes_after_it() {
        let mut shown = shown(&[10, 10, 99, 99]);
        shown.snapshot.duration_ns = 2 * QUARTER;
        assert_eq!(rates(&shown, 2 * QUARTER, 2), [Some(40), Some(40)]);
        assert_eq!(Window::new(&shown, 2 * QUARTER).sent().map(|sent| sent.bytes), Some(20));
    }

    #[test]
    fn an_unknown_part_is_no_zero() {
        let shown = shown(&[10, 10]);
        let window = Window::new(&shown, 2 * QUARTER);
        assert_eq!(window.path_rates(2, Path::Sendfile, |_| None), [None, None]);
        assert_eq!(Window::new(&Shown::default(), QUARTER).sent(), None);
    }

    #[test]
    fn percentiles_are_of_the_window_only() {
        let mut shown = shown(&[1, 1]);
        let latency = |bucket| LatencyPoint {
            path: Path::MsgZerocopy,
            kind: LatencyKind::Release,
            buckets: vec![(bucket, 10)],
        };
        let mut points: Vec<Point> = shown.timeline.points().cloned().collect();
        points[0].latency = vec![latency(200)];
        points[1].latency = vec![latency(100)];
        shown.timeline = Timeline::default();
        points.into_iter().for_each(|point| shown.timeline.push(point));
        let p = Window::new(&shown, QUARTER).percentiles(Path::MsgZerocopy, LatencyKind::Release).unwrap();
        let (low, high) = bucket_bounds(100);
        assert!(p.count == 10 && (low..=high).contains(&p.p50) && (low..=high).contains(&p.p99), "{p:?}");
        let both = Window::new(&shown, 2 * QUARTER);
        assert_eq!(both.percentiles(Path::MsgZerocopy, LatencyKind::Release).map(|p| p.count), Some(20));
        let trend = both.p99s(2, Path::MsgZerocopy, LatencyKind::Release);
        assert!(trend[0] > trend[1] && trend[1].is_some(), "{trend:?}");
    }
}
