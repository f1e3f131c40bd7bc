//! Which cells a matrix has, and the order of its runs: every round runs every cell once, in an order of its own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::random::Random;
use crate::load::knobs::default_depth;

/// What distinguishes a cell.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// Name of the send path.
    pub path: String,
    /// Bytes per send.
    pub size: u64,
    /// Connections.
    pub streams: u64,
    /// Most sends outstanding per connection.
    pub depth: u64,
    /// Whether that follows from the size, so that every size has as many bytes in flight.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub depth_by_size: bool,
}

/// Most sends outstanding per connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// So many.
    Fixed(u64),
    /// As many as the load takes by itself for a size: equal bytes in flight.
    BySize,
}

impl Depth {
    /// For sends of `size` bytes.
    #[must_use]
    pub fn of(self, size: u64) -> u64 {
        match self {
            Depth::Fixed(depth) => depth,
            Depth::BySize => default_depth(size).into(),
        }
    }
}

/// Cells that differ in size and path only: streams, and the depth where it does not follow from the size.
pub type Group = (u64, Option<u64>);

impl Key {
    /// What it is compared within.
    #[must_use]
    pub fn group(&self) -> Group {
        (self.streams, (!self.depth_by_size).then_some(self.depth))
    }

    /// The key of another path and size in the same group.
    #[must_use]
    pub fn sibling(path: &str, size: u64, (streams, depth): Group) -> Self {
        let rule = depth.map_or(Depth::BySize, Depth::Fixed);
        Self { path: path.into(), size, streams, depth: rule.of(size), depth_by_size: depth.is_none() }
    }

    /// A number that is the same for the same cell, to seed what belongs to it (FNV-1a).
    #[must_use]
    pub fn seed(&self, seed: u64) -> u64 {
        let numbers = [seed, self.size, self.streams, self.depth];
        let bytes = self.path.bytes().chain(numbers.into_iter().flat_map(u64::to_le_bytes));
        bytes
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

/// All combinations, grouped by depth, streams and size, paths innermost and in the order given.
#[must_use]
pub fn cells(paths: &[&str], sizes: &[u64], streams: &[u64], depths: &[Depth]) -> Vec<Key> {
    let mut cells = Vec::new();
    for &depth in depths {
        for &streams in streams {
            for &size in sizes {
                let depth = match depth {
                    Depth::Fixed(depth) => Some(depth),
                    Depth::BySize => None,
                };
                cells.extend(paths.iter().map(|path| Key::sibling(path, size, (streams, depth))));
            }
        }
    }
    cells
}

/// The order of one round over `cells` cells, as indices. A seed and a round always give the same order.
#[must_use]
pub fn round(cells: usize, seed: u64, round: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..cells).collect();
    // Far apart, so that rounds do not share a stretch of numbers.
    let mut random = Random::seeded(Random::seeded(seed ^ (round << 32)).next());
    random.shuffle(&mut order);
    order
}

/// Time beside sending that one run takes: connecting, the last acknowledgements, the sink's start and end.
const BESIDE: Duration = Duration::from_millis(80);
/// How long a matrix with `--cell-duration auto` may take.
const AUTO_TOTAL: Duration = Duration::from_secs(600);
/// Shortest and longest run of it. Machine CPU time comes in ticks of 10 ms: half a second of two CPUs is 100 of them.
const AUTO: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(5)];

/// How long each run may send when nobody said: as long as all of them fit into ten minutes.
#[must_use]
pub fn auto_duration(runs: u64, warm_up: Duration) -> Duration {
    let each = AUTO_TOTAL.as_secs_f64() / runs.max(1) as f64;
    let left = each - (warm_up + BESIDE).as_secs_f64();
    Duration::from_secs_f64(left.clamp(AUTO[0].as_secs_f64(), AUTO[1].as_secs_f64()))
}

/// How long `runs` runs take, about.
#[must_use]
pub fn estimate(runs: u64, each: Duration, warm_up: Duration) -> Duration {
    (each + warm_up + BESIDE) * u32::try_from(runs).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_combination_is_a_cell() {
        let cells = cells(&["copy", "sendfile"], &[1, 2, 3], &[1, 4], &[Depth::Fixed(16)]);
        assert_eq!(cells.len(), 12);
        assert_eq!(cells.iter().collect::<BTreeSet<_>>().len(), 12);
        assert_eq!((cells[0].path.as_str(), cells[1].path.as_str()), ("copy", "sendfile"));
        assert_eq!((cells[0].size, cells[2].size), (1, 2));
    }

    #[test]
    fn depth_by_size_keeps_the_bytes_in_flight_and_the_group() {
        let cells = cells(&["copy"], &[16 << 10, 64 << 10], &[2], &[Depth::BySize]);
        let in_flight: Vec<u64> = cells.iter().map(|key| key.size * key.depth).collect();
        assert_eq!(in_flight, [1 << 20, 1 << 20]);
        assert!(cells.iter().all(|key| key.group() == (2, None)));
        assert_eq!(Key::sibling("copy", 64 << 10, (2, None)), cells[1]);
    }

    #[test]
    fn rounds_are_complete_different_and_come_back_from_the_seed() {
        let orders: Vec<_> = (0..4).map(|n| round(20, 99, n)).collect();
        for order in &orders {
            assert_eq!(order.iter().copied().collect::<BTreeSet<_>>(), (0..20).collect());
        }
        assert_eq!(orders.iter().collect::<BTreeSet<_>>().len(), 4, "{orders:?}");
        assert_eq!(round(20, 99, 2), orders[2]);
        assert_ne!(round(20, 98, 2), orders[2]);
    }

    #[test]
    fn interleaving_keeps_no_cell_in_one_place() {
        // Over many rounds every cell is about as often early as late: drift hits all alike.
        let rounds = 400;
        let mut places = [0_usize; 10];
        for n in 0..rounds {
            for (place, cell) in round(10, 5, n).into_iter().enumerate() {
                places[cell] += place;
            }
        }
        let means = places.map(|sum| sum as f64 / rounds as f64);
        assert!(means.iter().all(|mean| (4.0..5.0).contains(mean)), "{means:?}");
    }

    #[test]
    fn cells_have_seeds_of_their_own() {
        let seeds: BTreeSet<u64> =
            cells(&["copy", "sendfile"], &[1, 2], &[1, 2], &[Depth::Fixed(1), Depth::Fixed(2)])
                .iter()
                .map(|key| key.seed(1))
                .collect();
        assert_eq!(seeds.len(), 16);
    }

    #[test]
    fn automatic_runs_fit_into_ten_minutes_unless_too_many() {
        let warm_up = Duration::from_millis(200);
        assert_eq!(auto_duration(10, warm_up), Duration::from_secs(5));
        let each = auto_duration(325, warm_up);
        assert!(estimate(325, each, warm_up) <= Duration::from_secs(601) && each > Duration::from_secs(1));
        assert_eq!(auto_duration(100_000, warm_up), Duration::from_millis(500));
        assert_eq!(estimate(10, Duration::from_secs(2), warm_up), Duration::from_millis(22_800));
    }
}
