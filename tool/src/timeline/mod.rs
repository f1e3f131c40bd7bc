//! The past in small: one point per snapshot, with what moved since the one before. Pure.
//!
//! A snapshot says how things stand, a [`Point`] what happened in between; charts, heat maps and the list of events
//! are made of points alone, live as in a replay.

pub mod events;
mod point;

pub use events::Event;
pub use point::{CopyPoint, LatencyPoint, PathPoint, Point};

use std::collections::VecDeque;

/// How far back the live screen remembers, ns.
pub const SPAN_NS: u64 = 600 * 1_000_000_000;
/// Points kept at most; beyond, every two neighbours become one.
const MAX_POINTS: usize = 4_800;

/// Points, oldest first.
#[derive(Clone, Debug)]
pub struct Timeline {
    points: VecDeque<Point>,
    span_ns: u64,
}

impl Default for Timeline {
    fn default() -> Self {
        Self::new(SPAN_NS)
    }
}

impl Timeline {
    /// Remembers the last `span_ns`; `u64::MAX` for a whole recording.
    #[must_use]
    pub const fn new(span_ns: u64) -> Self {
        Self { points: VecDeque::new(), span_ns }
    }

    /// Adds the newest point and forgets what is older than the span.
    pub fn push(&mut self, point: Point) {
        let oldest = point.at_ns.saturating_sub(self.span_ns);
        self.points.push_back(point);
        while self.points.front().is_some_and(|point| point.at_ns < oldest) {
            self.points.pop_front();
        }
        if self.points.len() > MAX_POINTS {
            self.halve();
        }
    }

    fn halve(&mut self) {
        let mut old = std::mem::take(&mut self.points).into_iter();
        while let Some(mut first) = old.next() {
            if let Some(second) = old.next() {
                first.append(&second);
            }
            self.points.push_back(first);
        }
    }

    /// All points, oldest first, to keep.
    pub fn into_points(self) -> impl Iterator<Item = Point> {
        self.points.into_iter()
    }

    /// All points, oldest first.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = &Point> + ExactSizeIterator {
        self.points.iter()
    }

    /// Times of the oldest and the newest point, ns since tracing began.
    #[must_use]
    pub fn range_ns(&self) -> Option<(u64, u64)> {
        Some((self.points.front()?.at_ns, self.points.back()?.at_ns))
    }

    /// What moved in points of `from_ns < at_ns <= to_ns`, together; `None` when there is no point.
    #[must_use]
    pub fn sum(&self, from_ns: u64, to_ns: u64) -> Option<Point> {
        let first = self.points.partition_point(|point| point.at_ns <= from_ns);
        let end = self.points.partition_point(|point| point.at_ns <= to_ns);
        let mut wanted = self.points.range(first..end.max(first));
        let mut sum = wanted.next()?.clone();
        wanted.for_each(|point| sum.append(point));
        Some(sum)
    }

    /// The time up to `to_ns`, cut into `columns` equal parts of `column_ns`, oldest first. A part without points is
    /// `None`: nothing is known of it.
    #[must_use]
    pub fn columns(&self, to_ns: u64, column_ns: u64, columns: usize) -> Vec<Option<Point>> {
        let start = |i: usize| to_ns.saturating_sub(column_ns.saturating_mul((columns - i) as u64));
        (0..columns)
            .map(|i| (start(i + 1) > start(i)).then(|| self.sum(start(i), start(i + 1))).flatten())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use zcscope_common::Path;

    use super::*;

    fn point(second: u64, bytes: u64) -> Point {
        let path = PathPoint { bytes, ..PathPoint::nothing(Path::Copy) };
        Point {
            at_ns: second * 1_000_000_000,
            interval_ns: 1_000_000_000,
            paths: vec![path],
            ..Point::default()
        }
    }

    fn bytes(point: &Point) -> u64 {
        point.paths.iter().map(|path| path.bytes).sum()
    }

    #[test]
    fn columns_cover_the_time_once() {
        let mut timeline = Timeline::default();
        (1..=10).for_each(|second| timeline.push(point(second, second)));
        let columns = timeline.columns(10_000_000_000, 2_000_000_000, 6);
        let sums: Vec<_> = columns.iter().map(|column| column.as_ref().map(bytes)).collect();
        assert_eq!(sums, [None, Some(3), Some(7), Some(11), Some(15), Some(19)]);
        assert_eq!(columns[5].as_ref().map(|point| point.interval_ns), Some(2_000_000_000));
    }

    #[test]
    fn old_points_go_and_a_long_recording_is_thinned_without_losing_a_byte() {
        let mut timeline = Timeline::new(3_000_000_000);
        (1..=10).for_each(|second| timeline.push(point(second, 1)));
        assert_eq!(timeline.range_ns(), Some((7_000_000_000, 10_000_000_000)));
        let mut long = Timeline::new(u64::MAX);
        (1..=20_000).for_each(|second| long.push(point(second, 1)));
        assert!(long.points().len() <= MAX_POINTS);
        assert_eq!(long.points().map(bytes).sum::<u64>(), 20_000);
        assert_eq!(long.sum(0, u64::MAX).map(|point| point.interval_ns), Some(20_000_000_000_000));
    }
}
