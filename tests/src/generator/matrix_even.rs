//! `zcscope matrix`: where zero-copy begins to pay must follow from the runs of the same document. What is said is worked
//! out here again from the single runs, by the rules of the documents and with none of zcscope's code.
//!
//! On loopback whatever is found must agree; times are nobody's business there. Where the clock counts instructions, the
//! two cards on a wire must show a break-even, because there a copy costs what it costs on every run.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::fixture::netns::Netns;
use crate::fixture::nic;
use crate::process::{self, Output};
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] =
    &[("matrix_break_even_lo", loopback), ("matrix_break_even_instructions", cable)];

/// Runs of a cell: as few as have an interval. That of a median of five reaches from the least to the most of them.
const RUNS: usize = 5;
/// What CPU time of a machine is read in, s. No interval of it is narrower than one each way.
const TICK: f64 = 0.01;

/// What is used of `zcscope.matrix/1`.
#[derive(Debug, Deserialize)]
struct Matrix {
    cells: Vec<Cell>,
    break_even: Vec<BreakEven>,
}

#[derive(Debug, Deserialize)]
struct Cell {
    path: String,
    size: u64,
    verdict: String,
    kernel: Option<Copied>,
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Copied {
    requested_bytes: u64,
    copied_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Run {
    error: Option<String>,
    acked_bytes: u64,
    gbit_s: f64,
    machine_s_per_gb: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct BreakEven {
    path: String,
    baseline: String,
    #[serde(default)]
    functional_only: bool,
    machine_s_per_gb: Outcome,
    gbit_s: Outcome,
    copied_sizes: Vec<u64>,
}

/// Every key an outcome may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Outcome {
    outcome: String,
    size: Option<u64>,
    above: Option<u64>,
    high: Option<u64>,
    not_separable_at: Vec<u64>,
    worse_at: Vec<u64>,
    up_to: Option<u64>,
    needed: Option<u64>,
}

/// Middle and ends of what five runs showed.
#[derive(Clone, Copy, Debug)]
struct Figure {
    low: f64,
    median: f64,
    high: f64,
}

impl Figure {
    /// `None` unless every run of the cell has it.
    fn of(cell: &Cell, value: impl Fn(&Run) -> Option<f64>) -> Option<Self> {
        let good = cell.runs.iter().filter(|run| run.error.is_none());
        let mut values: Vec<f64> = good.filter_map(value).collect();
        values.sort_by(f64::total_cmp);
        let [low, _, median, _, high] = values.as_slice() else { return None };
        Some(Figure { low: *low, median: *median, high: *high })
    }

    fn machine(cell: &Cell) -> Option<Self> {
        let Figure { low, median, high } = Self::of(cell, |run| run.machine_s_per_gb)?;
        let bytes = Self::of(cell, |run| Some(run.acked_bytes as f64))?.median;
        let step = TICK / (bytes / 1e9);
        Some(Figure { low: low.min((median - step).max(0.0)), median, high: high.max(median + step) })
    }

    /// What less is better of, so that both figures can be judged alike.
    fn time_per_bit(cell: &Cell) -> Option<Self> {
        Self::of(cell, |run| Some(-run.gbit_s))
    }
}

/// Sizes at which a path is better and worse than its baseline, and those where nothing can be said.
#[derive(Debug, Default)]
struct Comparison {
    better: Vec<u64>,
    worse: Vec<u64>,
    unclear: Vec<u64>,
    /// Whether two intervals end at the same number, as whole ticks do: the last bit of a sum decides then.
    touches: bool,
}

impl Comparison {
    fn of(matrix: &Matrix, found: &BreakEven, figure: fn(&Cell) -> Option<Figure>) -> Self {
        let mut comparison = Self::default();
        for cell in matrix.cells.iter().filter(|cell| cell.path == found.path && cell.verdict == "zero_copy")
        {
            let same = |other: &&Cell| other.path == found.baseline && other.size == cell.size;
            let both = figure(cell).zip(matrix.cells.iter().find(same).and_then(figure));
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs();
            comparison.touches |= both.is_some_and(|(a, b)| near(a.high, b.low) || near(a.low, b.high));
            let sizes = match both {
                Some((mine, theirs)) if mine.high < theirs.low => &mut comparison.better,
                Some((mine, theirs)) if mine.low > theirs.high => &mut comparison.worse,
                _ => &mut comparison.unclear,
            };
            sizes.push(cell.size);
        }
        comparison
    }

    /// The outcome that follows. Where the truth lies is drawn by lot: taken over from `told`, once it is possible.
    fn outcome(mut self, matrix: &Matrix, told: &Outcome) -> Outcome {
        let Some(size) = self.better.iter().min().copied() else {
            return match self.unclear.is_empty() {
                true => Outcome { up_to: self.worse.into_iter().max(), ..named("none") },
                false => Outcome { worse_at: self.worse, ..named("not_separable") },
            };
        };
        let was_run = |size: &u64| matrix.cells.iter().any(|cell| cell.size == *size);
        self.unclear.retain(|other| *other > size);
        self.worse.retain(|other| *other > size);
        Outcome {
            size: Some(size),
            above: told.above.filter(|above| *above < size && was_run(above)),
            high: told.high.filter(|high| *high >= size && was_run(high)),
            not_separable_at: self.unclear,
            worse_at: self.worse,
            ..named("at")
        }
    }
}

fn named(outcome: &str) -> Outcome {
    Outcome { outcome: outcome.into(), ..Outcome::default() }
}

/// What is said of a path none of whose cells is zero-copy.
fn refusal(matrix: &Matrix, path: &str) -> Option<Outcome> {
    let any = |verdict: &str| matrix.cells.iter().any(|cell| cell.path == path && cell.verdict == verdict);
    let first = ["zero_copy", "copied", "unproven", "failed"].into_iter().find(|verdict| any(verdict))?;
    (first != "zero_copy").then(|| named(first))
}

/// Everything said in `break_even` that does not follow from the runs, or is not what the table says.
fn disagreements(matrix: &Matrix, table: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for found in &matrix.break_even {
        let name = format!("{} against {}", found.path, found.baseline);
        let judged = [
            ("CPU-s/GB", &found.machine_s_per_gb, Figure::machine as fn(&Cell) -> Option<Figure>),
            ("Gbit/s", &found.gbit_s, Figure::time_per_bit),
        ];
        for (metric, told, figure) in judged {
            let comparison = Comparison::of(matrix, found, figure);
            let touches = comparison.touches;
            let expected = refusal(matrix, &found.path).unwrap_or_else(|| comparison.outcome(matrix, told));
            if *told != expected && !touches {
                wrong.push(format!("{name} by {metric}: {told:?}, the runs say {expected:?}"));
            }
            if !is_printed(table, found, metric, told) {
                wrong.push(format!("{name} by {metric}: the table does not say {told:?}"));
            }
        }
        let copied = matrix.cells.iter().filter(|cell| cell.path == found.path && cell.verdict == "copied");
        let copied: Vec<u64> = copied.map(|cell| cell.size).collect();
        if found.copied_sizes != copied {
            wrong.push(format!("{name}: copied at {:?}, the cells say {copied:?}", found.copied_sizes));
        }
    }
    wrong
}

/// Whether the table has a break-even where it belongs: under its baseline, its path and its figure.
fn is_printed(table: &str, found: &BreakEven, metric: &str, told: &Outcome) -> bool {
    let heading = format!("Smallest size that beats {} ", found.baseline);
    let block = table.split_once(&heading).map_or("", |(_, rest)| rest);
    let block = block.split("\n\n").next().unwrap_or_default();
    let of_path = block.lines().skip_while(|line| line.split_whitespace().next() != Some(&found.path));
    let mut lines = of_path.take(2).filter(|line| line.contains(metric));
    match told.size.filter(|size| size % 1024 == 0) {
        Some(size) => lines.any(|line| line.contains(&format!("{metric:<10}{}K", size / 1024))),
        None => !lines.any(|line| line.contains(" against ")) || told.outcome == "none",
    }
}

/// Runs a matrix with its table on stdout and its document beside it.
fn measure(
    bench: &Bench,
    name: &str,
    args: &[&str],
    run: impl FnOnce(&mut Command) -> anyhow::Result<Output>,
) -> anyhow::Result<(Matrix, String)> {
    let files = tempfile::tempdir()?;
    let document = files.path().join("matrix.json");
    let mut command = Command::new(&bench.zcscope);
    command.args(["matrix", "--repeat", &RUNS.to_string(), "--seed", "7"]).args(args);
    command.arg("--json").arg(&document);
    if let Some(backend) = bench.backend {
        command.args(["--backend", backend.name()]);
    }
    let output = run(&mut command)?;
    ensure!(output.code == 0, "exit code {}: {}", output.code, output.complaint());
    let text = std::fs::read_to_string(&document)?;
    if let Some(directory) = &bench.keep {
        std::fs::write(directory.join(format!("{name}.json")), &text)?;
        std::fs::write(directory.join(format!("{name}.txt")), &output.stdout)?;
    }
    Ok((serde_json::from_str(&text).context("the document cannot be read")?, output.stdout))
}

fn verdict(wrong: Vec<String>) -> Verdict {
    if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) }
}

/// Loopback, where nobody may rely on times: whatever they were, what is said must follow from them.
fn loopback(bench: &Bench) -> anyhow::Result<Verdict> {
    let netns = Netns::new()?;
    let paths = "copy,read_write,sendfile,msg_zerocopy";
    let args = ["--paths", paths, "--sizes", "4K,64K", "--cell-bytes", "4M", "--warm-up", "0"];
    let (matrix, table) = measure(bench, "matrix_break_even_lo", &args, |command| {
        netns.start(command)?.finish(Duration::from_secs(120))
    })?;
    let mut wrong = disagreements(&matrix, &table);
    let asked = [("msg_zerocopy", "copy"), ("sendfile", "copy"), ("sendfile", "read_write")];
    let found: Vec<_> =
        matrix.break_even.iter().map(|found| (found.path.as_str(), found.baseline.as_str())).collect();
    if found != asked {
        wrong.push(format!("break-even of {found:?}, expected {asked:?}"));
    }
    if !matrix.break_even.iter().all(|found| found.functional_only) {
        wrong.push("not marked as of one host".into());
    }
    Ok(verdict(wrong))
}

/// Two cards on a wire, and a clock that counts instructions: not copying does not pay at 64 bytes, and does at 256K.
fn cable(bench: &Bench) -> anyhow::Result<Verdict> {
    let names = nic::of_driver("vmxnet3");
    let [first, second, ..] = names.as_slice() else {
        return Ok(Verdict::Skipped("there are no two vmxnet3 cards in this machine".into()));
    };
    if std::env::var("ZCSCOPE_CLOCK").is_ok_and(|clock| clock == "instructions") {
        let cable = format!("{first},{second}");
        let paths = "copy,msg_zerocopy";
        let args = ["--cable", &cable, "--sink-mode", "trunc", "--paths", paths, "--sizes", "64,16K,256K"];
        let times = ["--cell-duration", "200ms", "--warm-up", "20ms", "--working-set", "256K"];
        let args = [&args[..], &times].concat();
        let (matrix, table) = measure(bench, "matrix_break_even_instructions", &args, |command| {
            process::start(command)?.finish(Duration::from_secs(300))
        })?;
        return Ok(verdict([disagreements(&matrix, &table), not_found(&matrix)].concat()));
    }
    Ok(Verdict::Skipped("times here depend on what else the machine does".into()))
}

/// Complains where `msg_zerocopy` has no break-even between 64 bytes and 256K by both figures, and about copied bytes.
fn not_found(matrix: &Matrix) -> Vec<String> {
    let [found] = matrix.break_even.as_slice() else { return vec![format!("{:?}", matrix.break_even)] };
    let mut wrong = Vec::new();
    let between = |told: &Outcome| told.outcome == "at" && told.above.is_some() && told.high.is_some();
    if found.functional_only || !between(&found.machine_s_per_gb) || !between(&found.gbit_s) {
        wrong.push(format!("no break-even: {found:?}"));
    }
    // The card copies what is in packets of a few bytes; that is no reason to fail.
    for cell in matrix.cells.iter().filter(|cell| cell.path == found.path && cell.size >= 16 << 10) {
        let few = |copied: Copied| copied.copied_bytes * 100 < copied.requested_bytes;
        if !cell.kernel.is_some_and(few) {
            wrong.push(format!("{} {}: {:?}", cell.path, cell.size, cell.kernel));
        }
    }
    wrong
}
