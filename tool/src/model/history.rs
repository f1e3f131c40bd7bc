//! Throughput over the last ten minutes, one point per sample.

use std::collections::{BTreeMap, VecDeque};

use zcscope_common::Path;

use super::snapshot::History;

/// Ten minutes at four samples a second.
pub(super) const MAX_POINTS: usize = 2_400;

/// Points, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Points {
    at_ns: VecDeque<u64>,
    bytes_per_s: BTreeMap<Path, VecDeque<u64>>,
    copied_per_s: VecDeque<u64>,
}

impl Points {
    /// Adds one point; a path that is new had nothing before.
    pub(super) fn push(&mut self, at_ns: u64, rates: impl Iterator<Item = (Path, u64)>, copied_per_s: u64) {
        let before = self.at_ns.len();
        self.at_ns.push_back(at_ns);
        self.copied_per_s.push_back(copied_per_s);
        for (path, rate) in rates {
            let line = self.bytes_per_s.entry(path).or_default();
            line.resize(before, 0);
            line.push_back(rate);
        }
        for line in self.bytes_per_s.values_mut() {
            line.resize(before + 1, 0);
        }
        if self.at_ns.len() > MAX_POINTS {
            self.at_ns.pop_front();
            self.copied_per_s.pop_front();
            self.bytes_per_s.values_mut().for_each(|line| {
                line.pop_front();
            });
        }
    }

    /// All points.
    pub(super) fn history(&self) -> History {
        let list = |line: &VecDeque<u64>| line.iter().copied().collect::<Vec<u64>>();
        History {
            at_ns: list(&self.at_ns),
            bytes_per_s: self.bytes_per_s.iter().map(|(path, line)| (*path, list(line))).collect(),
            copied_per_s: list(&self.copied_per_s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_as_long_as_the_time_axis_and_bounded() {
        let mut points = Points::default();
        points.push(1, [(Path::Copy, 5)].into_iter(), 0);
        points.push(2, [(Path::Copy, 6), (Path::Sendfile, 7)].into_iter(), 1);
        points.push(3, [(Path::Sendfile, 8)].into_iter(), 2);
        let history = points.history();
        assert_eq!(history.at_ns, [1, 2, 3]);
        assert_eq!(history.bytes_per_s[&Path::Copy], [5, 6, 0]);
        assert_eq!(history.bytes_per_s[&Path::Sendfile], [0, 7, 8]);
        (4..5_000).for_each(|at| points.push(at, [(Path::Copy, at)].into_iter(), at));
        let history = points.history();
        assert_eq!(history.at_ns.len(), MAX_POINTS);
        assert_eq!(history.bytes_per_s[&Path::Sendfile].len(), MAX_POINTS);
        assert_eq!(history.copied_per_s.last(), Some(&4_999));
    }
}
