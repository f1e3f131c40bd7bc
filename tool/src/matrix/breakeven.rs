//! Break-even: the smallest size at which a zero-copy path beats `copy`, with an interval, or why there is none.

use serde::{Deserialize, Serialize};

use super::plan::{Group, Key};
use super::random::Random;
use super::result::{CellReport, Class};
use super::stats::{self, Estimate, MIN_REPETITIONS, Order, central_ranks};
use super::verdict::Verdict;

/// The path all others are compared with.
pub const BASELINE: &str = "copy";
/// What sends a file without [`FROM_FILE`]: read it, then write what was read.
const FILE_BASELINE: &str = "read_write";
/// Paths whose bytes are in a file. `copy` finds its bytes in memory already, so it is not all they save.
const FROM_FILE: [&str; 2] = ["sendfile", "splice"];
/// Resamples of one interval.
const RESAMPLES: usize = 2000;

/// Where one zero-copy path begins to pay, for one number of streams and one depth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BreakEven {
    /// Name of the path.
    pub path: String,
    /// Name of the path it is compared with.
    pub baseline: String,
    /// Connections.
    pub streams: u64,
    /// Most sends outstanding per connection; absent when that follows from the size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<u64>,
    /// Whether it holds only for traffic that stays on this host, and says nothing about a NIC.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub functional_only: bool,
    /// By CPU seconds of the whole machine per GB: the first answer.
    pub machine_s_per_gb: Outcome,
    /// By throughput.
    pub gbit_s: Outcome,
    /// Sizes left out because they were copied.
    pub copied_sizes: Vec<u64>,
}

/// Where, or why nowhere. All sizes are those that were run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It beats the baseline: the intervals do not overlap. With 95 %, the truth lies above `above` and not above `high`.
    At {
        /// The smallest size run at which it does, bytes per send.
        size: u64,
        /// The largest size run below the 95 % interval; absent when nothing smaller was run: it may be lower still.
        #[serde(skip_serializing_if = "Option::is_none")]
        above: Option<u64>,
        /// Upper end of the interval; absent when it is beyond the largest size.
        #[serde(skip_serializing_if = "Option::is_none")]
        high: Option<u64>,
        /// Larger sizes at which the runs scatter more than the paths differ.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        not_separable_at: Vec<u64>,
        /// Larger sizes at which it is worse again.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        worse_at: Vec<u64>,
    },
    /// Worse at every size.
    None {
        /// The largest size.
        up_to: u64,
    },
    /// At no size better, and not at all of them worse: the runs scatter more than the paths differ.
    NotSeparable {
        /// Sizes at which it is worse.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        worse_at: Vec<u64>,
    },
    /// Not zero-copy here at any size.
    Copied,
    /// Nobody knows whether it was zero-copy.
    Unproven,
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

/// Of every path that asks for zero-copy; of those that send files also against reading and writing them, where that was
/// run. With `functional_only` both ends are on this host.
#[must_use]
pub fn break_even(cells: &[CellReport], functional_only: bool, seed: u64) -> Vec<BreakEven> {
    let mut asked: Vec<Question<'_>> = Vec::new();
    for baseline in [BASELINE, FILE_BASELINE] {
        for cell in cells.iter().filter(|cell| cell.class != Class::Copies) {
            let question = Question { path: &cell.key.path, baseline, group: cell.key.group() };
            if question.is_fair(cells) && !asked.contains(&question) {
                asked.push(question);
            }
        }
    }
    asked.into_iter().map(|question| question.answer(cells, functional_only, seed)).collect()
}

/// Two paths to compare, within cells that have the rest in common.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Question<'a> {
    path: &'a str,
    baseline: &'static str,
    group: Group,
}

impl Question<'_> {
    fn is_fair(&self, cells: &[CellReport]) -> bool {
        self.baseline == BASELINE
            || FROM_FILE.contains(&self.path) && self.of(self.baseline, cells).next().is_some()
    }

    fn of<'c>(&self, path: &str, cells: &'c [CellReport]) -> impl Iterator<Item = &'c CellReport> {
        let group = self.group;
        cells.iter().filter(move |cell| cell.key.path == path && cell.key.group() == group)
    }

    fn answer(&self, cells: &[CellReport], functional_only: bool, seed: u64) -> BreakEven {
        let mut mine: Vec<&CellReport> = self.of(self.path, cells).collect();
        mine.sort_unstable_by_key(|cell| cell.key.size);
        let copied = mine.iter().filter(|cell| matches!(cell.verdict, Verdict::Copied { .. }));
        let copied_sizes: Vec<u64> = copied.map(|cell| cell.key.size).collect();
        let seed = seed ^ mine.first().map_or(0, |cell| cell.key.seed(seed));
        let outcome = |metric: Metric| {
            let pair = |cell: &&CellReport| {
                let other = self.of(self.baseline, cells).find(|other| other.key.size == cell.key.size)?;
                Pair::of(cell, other, metric)
            };
            let pairs =
                || mine.iter().filter(|cell| cell.is_zero_copy()).filter_map(pair).collect::<Vec<_>>();
            refusal(&mine).unwrap_or_else(|| find(&pairs(), &copied_sizes, metric.better, seed))
        };
        BreakEven {
            path: self.path.to_owned(),
            baseline: self.baseline.to_owned(),
            streams: self.group.0,
            depth: self.group.1,
            functional_only,
            machine_s_per_gb: outcome(CPU),
            gbit_s: outcome(RATE),
            copied_sizes,
        }
    }
}

/// Why a path has no break-even to look for.
fn refusal(cells: &[&CellReport]) -> Option<Outcome> {
    let any = |wanted: fn(&Verdict) -> bool| cells.iter().any(|cell| wanted(&cell.verdict));
    match () {
        () if any(|v| matches!(v, Verdict::ZeroCopy { .. })) => None,
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

/// The smallest size of `pairs` that is better, with what is known around it. Where it was `copied`, it does not pay.
fn find(pairs: &[Pair], copied: &[u64], better: Order, seed: u64) -> Outcome {
    let Some(largest) = pairs.last() else { return Outcome::NoBaseline };
    if pairs.iter().all(|pair| pair.order.is_none()) {
        return Outcome::TooFewRuns { needed: MIN_REPETITIONS as u64 };
    }
    let unclear = |pair: &&Pair| pair.order.is_none_or(|order| order == Order::NotSeparable);
    let worse = |pair: &&Pair| pair.order != Some(better) && !unclear(pair);
    let Some(first) = pairs.iter().position(|pair| pair.order == Some(better)) else {
        return match pairs.iter().all(|pair| worse(&pair)) {
            true => Outcome::None { up_to: largest.size },
            false => Outcome::NotSeparable { worse_at: sizes(pairs, worse) },
        };
    };
    let mut random = Random::seeded(seed);
    let starts = (0..RESAMPLES).map(|_| resampled(pairs, first, better, &mut random)).collect();
    let (low, high) = central_ranks(starts).unwrap_or((first, first));
    // The rounds pair up, so that it may look surer than the intervals of the two cells are.
    let (low, high) = (low.min(first), high.max(first));
    let smaller = pairs.iter().map(|pair| pair.size).chain(copied.iter().copied());
    Outcome::At {
        size: pairs[first].size,
        above: smaller.filter(|size| *size < pairs[low].size).max(),
        high: pairs.get(high).map(|pair| pair.size),
        not_separable_at: sizes(&pairs[first..], unclear),
        worse_at: sizes(&pairs[first..], worse),
    }
}

fn sizes(pairs: &[Pair], wanted: impl Fn(&&Pair) -> bool) -> Vec<u64> {
    pairs.iter().filter(wanted).map(|pair| pair.size).collect()
}

/// Index of the break-even near `first` in one resample: as far down as it stays better, or up to where it becomes
/// better; the number of pairs when it does nowhere.
fn resampled(pairs: &[Pair], first: usize, better: Order, random: &mut Random) -> usize {
    let verdicts: Vec<bool> = pairs.iter().map(|pair| pair.better(better, random)).collect();
    let from = (first..pairs.len()).find(|index| verdicts[*index]);
    let Some(mut at) = from else { return pairs.len() };
    while at > 0 && verdicts[at - 1] {
        at -= 1;
    }
    at
}

/// The size to run next to find a break-even more exactly: a round one between the largest size below it and it; `None`
/// when they are near.
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
    // Whole pages where there are any between, else quarters of a power of two.
    let page = middle.next_multiple_of(PAGE);
    let quarter = 1 << middle.ilog2().saturating_sub(2);
    let between = |round: &u64| below < *round && *round < size;
    [page, middle.next_multiple_of(quarter), middle].into_iter().find(between)
}

/// The cells to run next, path and baseline, to find every break-even more exactly; empty when all are found, or
/// nothing more can be.
#[must_use]
pub fn refinements(cells: &[CellReport], seed: u64) -> Vec<Key> {
    let mut wanted: Vec<Key> = Vec::new();
    for found in break_even(cells, false, seed) {
        let Some(size) = refine(cells, &found) else { continue };
        let key = |path: &str| Key::sibling(path, size, (found.streams, found.depth));
        wanted.extend([key(&found.baseline), key(&found.path)]);
    }
    wanted.sort_unstable();
    wanted.dedup();
    wanted.retain(|key| cells.iter().all(|cell| cell.key != *key));
    wanted
}

#[cfg(test)]
#[path = "breakeven_tests.rs"]
mod tests;
