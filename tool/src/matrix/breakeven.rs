//! Break-even: the smallest size at which a zero-copy path beats `copy`, with an interval, or why there is none.

use serde::{Deserialize, Serialize};

use super::plan::{Group, Key};
use super::random::Random;
use super::result::{CellReport, Class};
use super::stats::{self, Estimate, MIN_REPETITIONS, Order, central_ranks};
use super::verdict::Verdict;

/// The path all others are compared with.
pub const BASELINE: &str = "copy";
/// Resamples of one interval.
const RESAMPLES: usize = 2000;

/// Where one zero-copy path begins to pay, for one number of streams and one depth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BreakEven {
    /// Name of the path.
    pub path: String,
    /// Connections.
    pub streams: u64,
    /// Most sends outstanding per connection; absent when that follows from the size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<u64>,
    /// By CPU seconds of the whole machine per GB: the first answer.
    pub machine_s_per_gb: Outcome,
    /// By throughput.
    pub gbit_s: Outcome,
    /// Sizes left out because they were copied.
    pub copied_sizes: Vec<u64>,
}

/// Where, or why nowhere. Sizes are those that were run: the truth lies between the one below and this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// From this size on it beats the baseline: the intervals do not overlap.
    At {
        /// Bytes per send.
        size: u64,
        /// Lower end of the 95 % interval of that size.
        low: u64,
        /// Upper end; absent when it is beyond the largest size.
        #[serde(skip_serializing_if = "Option::is_none")]
        high: Option<u64>,
        /// Whether nothing smaller was run: the truth may be lower still.
        or_less: bool,
        /// The smallest larger size at which it is worse again.
        #[serde(skip_serializing_if = "Option::is_none")]
        worse_again_at: Option<u64>,
    },
    /// Worse at every size.
    None {
        /// The largest size.
        up_to: u64,
    },
    /// At no size better, and not at all of them worse: the runs scatter more than the paths differ.
    NotSeparable {
        /// The largest size at which it is worse.
        #[serde(skip_serializing_if = "Option::is_none")]
        worse_at: Option<u64>,
    },
    /// Not zero-copy here at any size.
    Copied,
    /// Nobody knows whether it was zero-copy.
    Unproven,
    /// Both ends on this host: no figure says anything about a NIC.
    FunctionalOnly,
    /// Not enough runs for a verdict.
    TooFewRuns {
        /// Runs it takes.
        needed: u64,
    },
    /// The baseline was not run, or failed.
    NoBaseline,
    /// No run of the path succeeded.
    Failed,
}

/// One figure and which way is better.
#[derive(Clone, Copy)]
struct Metric {
    estimate: fn(&CellReport) -> Option<Estimate>,
    value: fn(&super::result::Repetition) -> Option<f64>,
    better: Order,
}

const CPU: Metric = Metric {
    estimate: |cell| cell.machine_s_per_gb,
    value: |run| run.machine_s_per_gb,
    better: Order::Below,
};
const RATE: Metric =
    Metric { estimate: |cell| cell.gbit_s, value: |run| Some(run.gbit_s), better: Order::Above };

/// Of every path that asks for zero-copy. With `functional_only` there is no verdict.
#[must_use]
pub fn break_even(cells: &[CellReport], functional_only: bool, seed: u64) -> Vec<BreakEven> {
    let mut groups: Vec<(&str, Group)> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.class != Class::Copies) {
        let group = (cell.key.path.as_str(), cell.key.group());
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups.into_iter().map(|group| of_group(cells, group, functional_only, seed)).collect()
}

fn of_group(
    cells: &[CellReport],
    (path, group): (&str, Group),
    functional_only: bool,
    seed: u64,
) -> BreakEven {
    let mut mine: Vec<&CellReport> =
        cells.iter().filter(|cell| cell.key.path == path && cell.key.group() == group).collect();
    mine.sort_unstable_by_key(|cell| cell.key.size);
    let baseline = |cell: &CellReport| {
        cells.iter().find(|other| {
            other.key.path == BASELINE && other.key.size == cell.key.size && other.key.group() == group
        })
    };
    let copied = mine.iter().filter(|cell| matches!(cell.verdict, Verdict::Copied { .. }));
    let copied_sizes: Vec<u64> = copied.map(|cell| cell.key.size).collect();
    let outcome = |metric| match refusal(&mine, functional_only) {
        Some(refusal) => refusal,
        None => {
            let usable = mine.iter().filter(|cell| cell.is_zero_copy());
            let pairs: Vec<_> = usable.filter_map(|cell| Pair::of(cell, baseline(cell)?, metric)).collect();
            find(&pairs, metric.better, seed ^ mine.first().map_or(0, |cell| cell.key.seed(seed)))
        }
    };
    BreakEven {
        path: path.to_owned(),
        streams: group.0,
        depth: group.1,
        machine_s_per_gb: outcome(CPU),
        gbit_s: outcome(RATE),
        copied_sizes,
    }
}

/// Why a path has no break-even to look for. That it was copied is told even where nothing else may be.
fn refusal(cells: &[&CellReport], functional_only: bool) -> Option<Outcome> {
    let any = |wanted: fn(&Verdict) -> bool| cells.iter().any(|cell| wanted(&cell.verdict));
    match () {
        () if any(|v| matches!(v, Verdict::ZeroCopy { .. })) => {
            functional_only.then_some(Outcome::FunctionalOnly)
        }
        () if any(|v| matches!(v, Verdict::Copied { .. })) => Some(Outcome::Copied),
        () if any(|v| matches!(v, Verdict::Unproven)) => Some(Outcome::Unproven),
        () => Some(Outcome::Failed),
    }
}

/// One size: both paths, and their runs of the same rounds.
struct Pair {
    size: u64,
    order: Option<Order>,
    /// Zero-copy, baseline.
    runs: Vec<(f64, f64)>,
}

impl Pair {
    fn of(cell: &CellReport, baseline: &CellReport, metric: Metric) -> Option<Self> {
        let (mine, theirs) = ((metric.estimate)(cell)?, (metric.estimate)(baseline)?);
        let good = |cell: &CellReport, round: u64| {
            let run = cell.runs.iter().find(|run| run.round == round && run.error.is_none())?;
            (metric.value)(run)
        };
        let rounds = cell.runs.iter().map(|run| run.round);
        let runs: Vec<_> = rounds.filter_map(|round| good(cell, round).zip(good(baseline, round))).collect();
        let enough = mine.interval().is_some() && theirs.interval().is_some();
        let order = enough.then(|| stats::compare(&mine, &theirs));
        Some(Self { size: cell.key.size, order, runs })
    }

    /// Whether the path is better in a resample of the rounds.
    fn better(&self, better: Order, random: &mut Random) -> bool {
        let drawn: Vec<_> = self.runs.iter().map(|_| self.runs[random.below(self.runs.len())]).collect();
        let median =
            |side: fn(&(f64, f64)) -> f64| stats::median(&drawn.iter().map(side).collect::<Vec<_>>());
        match (median(|run| run.0), median(|run| run.1)) {
            (Some(mine), Some(theirs)) => (mine < theirs) == (better == Order::Below) && mine != theirs,
            _ => false,
        }
    }
}

fn find(pairs: &[Pair], better: Order, seed: u64) -> Outcome {
    let Some(largest) = pairs.last() else { return Outcome::NoBaseline };
    if pairs.iter().all(|pair| pair.order.is_none()) {
        return Outcome::TooFewRuns { needed: MIN_REPETITIONS as u64 };
    }
    let worse = |pair: &&Pair| pair.order.is_some_and(|o| o != better && o != Order::NotSeparable);
    let Some(first) = pairs.iter().position(|pair| pair.order == Some(better)) else {
        return match pairs.iter().all(|pair| worse(&pair)) {
            true => Outcome::None { up_to: largest.size },
            false => Outcome::NotSeparable { worse_at: pairs.iter().rfind(worse).map(|pair| pair.size) },
        };
    };
    let mut random = Random::seeded(seed);
    let sizes = (0..RESAMPLES).map(|_| resampled(pairs, first, better, &mut random)).collect();
    let size = pairs[first].size;
    let (low, high) = central_ranks(sizes).unwrap_or((size, size));
    let worse_again_at = pairs[first..].iter().find(worse).map(|pair| pair.size);
    // The rounds pair up, so that it may look surer than the intervals of the two cells are.
    let high = (high != BEYOND).then_some(high.max(size));
    Outcome::At { size, low: low.min(size), high, or_less: first == 0, worse_again_at }
}

/// Larger than every size.
const BEYOND: u64 = u64::MAX;

/// The break-even near `first` in one resample: as far down as it stays better, or up to where it becomes better.
fn resampled(pairs: &[Pair], first: usize, better: Order, random: &mut Random) -> u64 {
    let verdicts: Vec<bool> = pairs.iter().map(|pair| pair.better(better, random)).collect();
    let from = (first..pairs.len()).find(|index| verdicts[*index]);
    let Some(mut at) = from else { return BEYOND };
    while at > 0 && verdicts[at - 1] {
        at -= 1;
    }
    pairs[at].size
}

/// The size to run next to find a break-even more exactly: between the largest size below it and it, a multiple of
/// 4 KiB where there is one; `None` when they are near.
#[must_use]
fn refine(cells: &[CellReport], found: &BreakEven) -> Option<u64> {
    const NEAR: f64 = 1.15;
    const PAGE: u64 = 4096;
    let Outcome::At { size, .. } = found.machine_s_per_gb else { return None };
    let sizes = cells
        .iter()
        .filter(|cell| cell.key.path == found.path)
        .filter(|cell| cell.key.group() == (found.streams, found.depth))
        .map(|cell| cell.key.size);
    let below = sizes.filter(|other| *other < size).max()?;
    if size as f64 <= below as f64 * NEAR {
        return None;
    }
    let middle = (below as f64 * size as f64).sqrt() as u64;
    let aligned = middle.next_multiple_of(PAGE);
    let middle = if aligned < size && middle > PAGE { aligned } else { middle };
    (below < middle && middle < size).then_some(middle)
}

/// The cells to run next, path and baseline, to find every break-even more exactly; empty when all are found, or
/// nothing more can be.
#[must_use]
pub fn refinements(cells: &[CellReport], functional_only: bool, seed: u64) -> Vec<Key> {
    let mut wanted: Vec<Key> = Vec::new();
    for found in break_even(cells, functional_only, seed) {
        let Some(size) = refine(cells, &found) else { continue };
        let key = |path: &str| Key::sibling(path, size, (found.streams, found.depth));
        wanted.extend([key(BASELINE), key(&found.path)]);
    }
    wanted.sort_unstable();
    wanted.dedup();
    wanted.retain(|key| cells.iter().all(|cell| cell.key != *key));
    wanted
}

#[cfg(test)]
#[path = "breakeven_tests.rs"]
mod tests;
