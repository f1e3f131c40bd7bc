//! The last minutes of a live screen, in memory: one snapshot a second at most, and within a limit of bytes.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::source::Archive;
use crate::model::snapshot::{PathFigures, Snapshot};
use crate::timeline::SPAN_NS;

/// Nearest two snapshots may stand, ns. A tick that comes a little early still counts.
const SPACING_NS: u64 = 950_000_000;
/// What all snapshots together may take, as estimated.
const LIMIT_BYTES: usize = 8 << 20;
/// What a snapshot takes at least.
const BASE_BYTES: usize = 4 << 10;

/// Snapshots, oldest first.
#[derive(Debug)]
pub(super) struct Past {
    frames: VecDeque<Frame>,
    bytes: usize,
    limit: usize,
}

#[derive(Debug)]
struct Frame {
    snapshot: Snapshot,
    bytes: usize,
}

impl Frame {
    fn at_ns(&self) -> u64 {
        self.snapshot.duration_ns
    }
}

impl Default for Past {
    fn default() -> Self {
        Self { frames: VecDeque::new(), bytes: 0, limit: LIMIT_BYTES }
    }
}

impl Past {
    /// Keeps this snapshot, unless one nearly as new is kept already; then forgets what is too old or too much.
    pub(super) fn push(&mut self, snapshot: &Snapshot) {
        let newest = self.frames.back().map(|frame| &frame.snapshot);
        if newest.is_some_and(|newest| snapshot.duration_ns < newest.duration_ns + SPACING_NS) {
            return;
        }
        let bytes = estimate(snapshot, newest);
        self.bytes += bytes;
        self.frames.push_back(Frame { snapshot: snapshot.clone(), bytes });
        let oldest = snapshot.duration_ns.saturating_sub(SPAN_NS);
        while self.frames.front().is_some_and(|frame| frame.at_ns() < oldest) {
            self.bytes -= self.frames.pop_front().map_or(0, |frame| frame.bytes);
        }
        if self.bytes > self.limit {
            self.thin();
        }
    }

    /// Drops every second snapshot of the older three quarters, so that the past grows coarser, not shorter.
    fn thin(&mut self) {
        let old = self.frames.len() * 3 / 4;
        let mut index = 0;
        self.frames.retain(|_| {
            index += 1;
            index > old || index % 2 == 1
        });
        self.bytes = self.frames.iter().map(|frame| frame.bytes).sum();
        // Snapshots of very many sockets: fewer than a handful may fit.
        while self.bytes > self.limit && self.frames.len() > 1 {
            self.bytes -= self.frames.pop_front().map_or(0, |frame| frame.bytes);
        }
    }
}

impl Archive for Past {
    fn at(&mut self, ns: u64) -> Option<Snapshot> {
        let behind = self.frames.partition_point(|frame| frame.at_ns() <= ns);
        Some(self.frames.get(behind.checked_sub(1)?)?.snapshot.clone())
    }

    fn range_ns(&self) -> Option<(u64, u64)> {
        Some((self.frames.front()?.at_ns(), self.frames.back()?.at_ns()))
    }

    fn after(&self, ns: u64) -> Option<u64> {
        self.frames.get(self.frames.partition_point(|frame| frame.at_ns() <= ns)).map(Frame::at_ns)
    }

    fn before(&self, ns: u64) -> Option<u64> {
        let behind = self.frames.partition_point(|frame| frame.at_ns() < ns);
        self.frames.get(behind.checked_sub(1)?).map(Frame::at_ns)
    }
}

/// About what the snapshot takes; sockets it shares with the one before take nothing.
fn estimate(snapshot: &Snapshot, before: Option<&Snapshot>) -> usize {
    let paths = |paths: &[PathFigures]| {
        paths.iter().map(|path| size_of::<PathFigures>() + path.copies.len() * 48).sum::<usize>()
    };
    let before: HashSet<_> = before.into_iter().flat_map(|b| &b.sockets).map(Arc::as_ptr).collect();
    let own = snapshot.sockets.iter().filter(|socket| !before.contains(&Arc::as_ptr(socket)));
    let sockets: usize = own.map(|socket| 320 + paths(&socket.paths)).sum();
    let processes: usize = snapshot.processes.iter().map(|process| 160 + paths(&process.paths)).sum();
    let devices: usize = snapshot.devices.iter().map(|device| 64 + paths(&device.paths)).sum();
    let history = snapshot.history.at_ns.len() * 8 * (2 + snapshot.history.bytes_per_s.len());
    let histograms: usize = snapshot.latency.iter().map(|figures| size_of_val(&*figures.hist)).sum();
    let pointers = snapshot.sockets.len() * size_of::<usize>();
    BASE_BYTES + pointers + paths(&snapshot.paths) + sockets + processes + devices + history + histograms
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(ns: u64) -> Snapshot {
        Snapshot { duration_ns: ns, ..Snapshot::default() }
    }

    fn filled(seconds: u64, limit: usize) -> Past {
        let mut past = Past { limit, ..Past::default() };
        (0..seconds * 4).for_each(|quarter| past.push(&at(quarter * SECOND / 4)));
        past
    }

    #[test]
    fn one_a_second_found_by_time() {
        let mut past = filled(20, LIMIT_BYTES);
        assert_eq!(past.range_ns(), Some((0, 19 * SECOND)));
        assert_eq!(past.at(5 * SECOND + 1).map(|s| s.duration_ns), Some(5 * SECOND));
        assert_eq!(past.at(5 * SECOND).map(|s| s.duration_ns), Some(5 * SECOND));
        assert_eq!((past.before(5 * SECOND), past.after(5 * SECOND)), (Some(4 * SECOND), Some(6 * SECOND)));
        assert_eq!((past.before(0), past.after(19 * SECOND)), (None, None));
        assert!(Past::default().at(1).is_none());
    }

    #[test]
    fn ten_minutes_and_no_more() {
        let past = filled(900, usize::MAX);
        assert_eq!(past.range_ns(), Some((299 * SECOND, 899 * SECOND)));
    }

    #[test]
    fn when_full_the_past_grows_coarser_not_shorter() {
        let past = filled(400, BASE_BYTES * 50);
        assert!(past.bytes <= past.limit && past.frames.len() >= 25, "{}", past.frames.len());
        assert_eq!(past.range_ns(), Some((0, 399 * SECOND)));
        assert_eq!(past.before(399 * SECOND), Some(398 * SECOND));
        let tiny = filled(10, 1);
        assert_eq!(tiny.range_ns(), Some((9 * SECOND, 9 * SECOND)), "the newest stays whatever it takes");
    }
}
