//! The rows of the view: every send path in use with the stages of a send's life, what is known of each, and why not.

use zcscope_common::{HIST_BUCKETS, Hist, LatencyKind, Path, bucket_bounds};

use crate::model::snapshot::{Session, Snapshot};
use crate::timeline::Timeline;

/// One path and one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    pub(super) path: Path,
    pub(super) kind: LatencyKind,
}

/// Name and meaning of a stage, the figure that explains it, and the facts it rests on: for sends with notifications
/// on the error queue, and for those of io_uring.
struct Words {
    kind: LatencyKind,
    name: &'static str,
    meaning: &'static str,
    topic: &'static str,
    facts: [&'static [&'static str]; 2],
}

/// In the order of rows.
const WORDS: [Words; 5] = [
    Words {
        kind: LatencyKind::Release,
        name: "held",
        meaning: "accepted until released: how long the buffer is held",
        topic: "latency_ns",
        facts: [&["completion"], &["uring_completion", "uring_release"]],
    },
    Words {
        kind: LatencyKind::Queue,
        name: "+ queued",
        meaning: "released until the notification is queued",
        topic: "queue_latency_ns",
        facts: [&["completion", "queue_latency"], &["uring_completion", "uring_release", "queue_latency"]],
    },
    Words {
        kind: LatencyKind::Read,
        name: "+ read",
        meaning: "queued until the application reads the notification",
        topic: "read_latency_ns",
        facts: [&["told", "read_latency"], &["uring_told", "read_latency"]],
    },
    Words {
        kind: LatencyKind::AppRead,
        name: "= told",
        meaning: "accepted until the application knows: when it may use the buffer again",
        topic: "app_read_latency_ns",
        facts: [&["told", "app_read_latency"], &["uring_told", "app_read_latency"]],
    },
    Words {
        kind: LatencyKind::SendCall,
        name: "in call",
        meaning: "time inside the send call, waiting for room included",
        topic: "send_ns",
        facts: [&["send_time"], &["send_time"]],
    },
];

const fn is_uring(path: Path) -> bool {
    matches!(path, Path::UringSendZc | Path::UringSendZcFixed | Path::UringSendmsgZc)
}

impl Stage {
    fn words(self) -> &'static Words {
        WORDS.iter().find(|words| words.kind == self.kind).unwrap_or(&WORDS[0])
    }

    pub(super) fn name(self) -> &'static str {
        self.words().name
    }

    pub(super) fn meaning(self) -> &'static str {
        self.words().meaning
    }

    /// Id of what explains it.
    pub(super) fn topic(self) -> &'static str {
        self.words().topic
    }

    /// Why nothing can be known of it here; `None` when it can.
    pub(super) fn why_unknown(self, session: &Session) -> Option<&str> {
        let facts = self.words().facts[usize::from(is_uring(self.path))];
        let missing = |fact: &&str| session.missing.iter().find(|missing| missing.fact == **fact);
        facts.iter().find_map(missing).map(|missing| missing.why.as_str())
    }

    /// All of it since tracing began; `None` while nothing was measured.
    pub(super) fn all(self, snapshot: &Snapshot) -> Option<&Hist> {
        let mut known = snapshot.latency.iter().filter(|of| (of.path, of.kind) == (self.path, self.kind));
        known.next().map(|of| of.hist.as_ref()).filter(|hist| hist.count > 0)
    }
}

/// Every row, in an order that never changes for a path in use.
pub(super) fn stages(snapshot: &Snapshot) -> Vec<Stage> {
    let sending = snapshot.paths.iter().map(|figures| figures.path).filter(|path| !path.receives());
    let of = |path: Path| {
        let has = move |words: &&Words| words.kind == LatencyKind::SendCall || path.has_completion();
        WORDS.iter().filter(has).map(move |words| Stage { path, kind: words.kind })
    };
    sending.flat_map(of).collect()
}

/// What is shown when nobody has chosen: how long buffers are held, where most is known of it.
pub(super) fn first_choice(snapshot: &Snapshot, rows: &[Stage]) -> usize {
    let rank = |row: &Stage| {
        let held = match row.kind {
            LatencyKind::Release => 3,
            LatencyKind::AppRead => 2,
            LatencyKind::SendCall => 1,
            _ => 0,
        };
        row.all(snapshot).map_or((0, 0), |hist| (held, hist.count))
    };
    // Of equals the first.
    (0..rows.len()).rev().max_by_key(|at| rank(&rows[*at])).unwrap_or(0)
}

/// Durations of each row that ended in `from_ns < t <= to_ns`; in the order of the rows. Smallest and largest values
/// are known to a bucket only, and never beyond those since tracing began.
pub(super) fn in_window(
    timeline: &Timeline,
    (from_ns, to_ns): (u64, u64),
    rows: &[Stage],
    snapshot: &Snapshot,
) -> Vec<Hist> {
    let mut sums = vec![Hist::default(); rows.len()];
    let points = timeline.points().rev().skip_while(|point| point.at_ns > to_ns);
    for point in points.take_while(|point| point.at_ns > from_ns) {
        for of in &point.latency {
            let row = rows.iter().position(|row| (row.path, row.kind) == (of.path, of.kind));
            let Some(sum) = row.and_then(|row| sums.get_mut(row)) else { continue };
            for (bucket, n) in &of.buckets {
                let bucket = usize::from(*bucket).min(HIST_BUCKETS - 1);
                sum.buckets[bucket] += n;
                sum.count += n;
            }
        }
    }
    for (sum, row) in sums.iter_mut().zip(rows) {
        limit(sum, row.all(snapshot));
    }
    sums
}

/// Sets the smallest and the largest value from the buckets in use.
fn limit(sum: &mut Hist, all: Option<&Hist>) {
    let used = |at: &usize| sum.buckets[*at] > 0;
    let (first, last) = ((0..HIST_BUCKETS).find(used), (0..HIST_BUCKETS).rev().find(used));
    let (Some(first), Some(last)) = (first, last) else { return };
    let (least, most) = (all.and_then(Hist::min).unwrap_or(0), all.map_or(u64::MAX, |all| all.max));
    sum.min_inverted = !bucket_bounds(first).0.max(least);
    sum.max = (bucket_bounds(last).1 - 1).min(most);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixtures_timeline;

    #[test]
    fn the_window_of_everything_is_everything() {
        let shown = fixtures_timeline::after(12);
        let rows = stages(&shown.snapshot);
        assert_eq!(rows.len(), 1 + 5 + 1 + 5);
        let sums = in_window(&shown.timeline, (0, u64::MAX), &rows, &shown.snapshot);
        for (row, sum) in rows.iter().zip(&sums) {
            let Some(all) = row.all(&shown.snapshot) else { continue };
            // The first snapshot is no interval.
            assert!(sum.count <= all.count && sum.count * 100 > all.count * 95, "{row:?}");
            assert!(sum.min() >= all.min() && sum.max <= all.max, "{row:?}");
            assert!(sum.percentile(500).is_some());
        }
        let nothing = in_window(&shown.timeline, (0, 0), &rows, &shown.snapshot);
        assert!(nothing.iter().all(|sum| sum.count == 0 && sum.min().is_none()));
    }

    #[test]
    fn what_cannot_be_known_says_why() {
        let snapshot = fixtures_timeline::after(12).snapshot;
        let stage = |path, kind| Stage { path, kind }.why_unknown(&snapshot.session);
        let why = stage(Path::UringSendZcFixed, LatencyKind::Release);
        assert!(why.is_some_and(|why| why.contains("io_uring")));
        assert_eq!(stage(Path::MsgZerocopy, LatencyKind::Release), None);
        assert_eq!(stage(Path::UringSendZcFixed, LatencyKind::SendCall), None);
    }
}
