//! Measures a matrix from the arguments to the report.

use std::hash::{BuildHasher, Hasher};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use zcscope_common::Path;

use super::args::{CellDuration, MeasureArgs};
use super::bench::{Bench, Cell};
use super::place::Place;
use super::progress::Progress;
use super::truth::Truth;
use super::{output, setting};
use crate::commands::how_args::Sends;
use crate::commands::{Failure, Outcome};
use crate::host::cpu::CpuTime;
use crate::load::LoadError;
use crate::load::control::client::Target;
use crate::load::interrupt::Interrupt;
use crate::load::paths::{self, PathEntry};
use crate::matrix::breakeven::refinements;
use crate::matrix::knobs::Knobs;
use crate::matrix::plan::{self, Key};
use crate::matrix::result::{CellReport, Class, MATRIX_SCHEMA, MatrixReport, Setting, Unavailable};
use crate::matrix::{document, verdict::Verdict};
use crate::units::{counted, duration};

/// Most steps of a refinement; each halves what is not known.
const REFINE_STEPS: u64 = 3;

/// Runs it.
///
/// # Errors
/// See [`Failure`]. Single runs that fail are marked in the report and end nothing.
pub(super) fn run(args: &MeasureArgs) -> Outcome {
    output::check(args)?;
    let knobs = knobs(args)?;
    for entry in &args.paths.0 {
        entry.check_poison(args.peer.verify(), knobs.so_zerocopy).map_err(Failure::Usage)?;
    }
    let (entries, unavailable) = sort_out(&args.paths.0);
    if entries.is_empty() {
        let why: Vec<_> = unavailable.iter().map(|u| format!("{}: {}", u.path, u.why)).collect();
        return Err(Failure::Usage(format!("no path can be used here: {}", why.join("; "))));
    }
    // Before the first thread: threads inherit which signals are held back.
    let interrupt = Interrupt::new().map_err(anyhow::Error::from)?;
    let place = Place::new(args)?;
    let peer = asked(args, &place)?;
    let session = Session { args, knobs, entries, interrupt: &interrupt, place: &place, peer };
    let mut report = place.at_near_end(|| session.measure())?;
    report.unavailable = unavailable;
    output::write(&report, args)?;
    if report.cells.iter().all(|cell| cell.verdict == Verdict::Failed) {
        return Err(Failure::Failed(nothing_came(&report)));
    }
    Ok(0)
}

fn nothing_came(report: &MatrixReport) -> String {
    let first = report.cells.iter().find_map(|cell| cell.errors.first());
    match (first, &report.partial) {
        (Some(error), _) => format!("no run succeeded: {error}"),
        (None, Some(why)) => format!("no run was finished: {why}"),
        (None, None) => "no run succeeded".into(),
    }
}

/// How all cells are sent. What no cell could be sent with is refused here, before the first one.
fn knobs(args: &MeasureArgs) -> Result<Knobs, LoadError> {
    let mut knobs = Knobs::default();
    for streams in &args.streams {
        // Size and depth take no part in this.
        let plan = args.how.plan(Sends { size: 1, depth: 1, streams: *streams })?;
        plan.check_threads()?;
        knobs = Knobs::of(&plan);
    }
    Ok(knobs)
}

/// The control port to ask for every run. Only a sink that is not ours has one.
fn asked(args: &MeasureArgs, place: &Place) -> Result<Option<Target>, Failure> {
    let peer = args.peer.target(args.family())?;
    if peer.is_some() && !matches!(place, Place::Sink(_)) {
        return Err(Failure::Usage("--control asks the sink of --to; name it".into()));
    }
    let strange = peer.is_none() && matches!(place, Place::Sink(_));
    if strange && (args.peer.verify().is_some() || !args.peer.can_tell_the_sink()) {
        return Err(Failure::Usage(
            "--verify and --sink-mode need a sink that can be told: use --control beside --to".into(),
        ));
    }
    Ok(peer)
}

/// Those that can be used here, and why the others cannot.
fn sort_out(entries: &[&'static PathEntry]) -> (Vec<&'static PathEntry>, Vec<Unavailable>) {
    let (mut usable, mut unavailable) = (Vec::new(), Vec::new());
    for entry in entries {
        match (entry.available)() {
            Ok(()) => usable.push(*entry),
            Err(why) => unavailable.push(Unavailable { path: entry.name.into(), why }),
        }
    }
    (usable, unavailable)
}

/// One measurement.
struct Session<'a> {
    args: &'a MeasureArgs,
    knobs: Knobs,
    entries: Vec<&'static PathEntry>,
    interrupt: &'a Interrupt,
    place: &'a Place,
    peer: Option<Target>,
}

impl Session<'_> {
    /// All rounds, refinement, conclusion. At the near end.
    fn measure(&self) -> MatrixReport {
        let args = self.args;
        let seed = args.seed.unwrap_or_else(new_seed);
        let names: Vec<&str> = self.entries.iter().map(|entry| entry.name).collect();
        let keys = plan::cells(&names, &args.sizes.0, &args.streams, &args.depth);
        let mut cells: Vec<Cell> = keys.into_iter().filter_map(|key| self.cell(key)).collect();
        let runs = self.runs(&cells);
        let each = match args.cell_duration {
            CellDuration::Fixed(time) => time,
            CellDuration::Auto => plan::auto_duration(runs, args.warm_up),
        };
        let expected = plan::estimate(runs, each, args.warm_up);
        self.announce(cells.len(), each, expected, seed);
        let mut setting = setting::setting(self.place, args.dev.as_deref(), args.peer.rules(false).mode);
        setting.other_load = setting::other_load();
        let mut bench = Bench {
            place: self.place,
            truth: None,
            stop: self.interrupt.as_fd(),
            rules: args.peer.rules(false),
            device: args.dev.clone(),
            how: &args.how,
            peer: self.peer.clone(),
            verify: args.peer.verify(),
            seen_sink: None,
            duration: each,
            bytes: args.cell_bytes,
            warm_up: args.warm_up,
            progress: Progress::new(runs, expected),
            seen_cc: None,
        };
        let (begun, cpu) = (Instant::now(), CpuTime::read().ok());
        let proven = self.prove(&mut bench, &mut cells);
        let whole = proven.as_ref().map_or(true, |(_, whole)| *whole)
            && bench.rounds(&mut cells, seed, 0, args.repeat)
            && (!args.refine || self.refine(&mut bench, &mut cells, seed));
        bench.progress.clear();
        setting.steal = setting::steal_since(cpu);
        setting.cc = bench.seen_cc.take().or(setting.cc);
        setting.sink = bench.seen_sink.take().or(setting.sink);
        match proven {
            Ok((backend, _)) => setting.traced = Some(backend),
            Err(why) => setting.not_traced = Some(why),
        }
        let done: usize = cells.iter().map(|cell| cell.runs.len() + usize::from(cell.proof.is_some())).sum();
        let partial =
            (!whole).then(|| format!("ended by a signal after {done} of {} runs", runs.max(done as u64)));
        self.report(&cells, setting, Timing { seed, each, took: begun.elapsed(), partial })
    }

    fn cell(&self, key: Key) -> Option<Cell> {
        let entry = self.entries.iter().find(|entry| entry.name == key.path)?;
        let ignored = entry.path == Path::MsgZerocopy && !self.knobs.so_zerocopy;
        Some(Cell { entry, key, ignored, proof: None, runs: Vec::new() })
    }

    /// How many runs these cells take: all rounds, and the traced ones.
    fn runs(&self, cells: &[Cell]) -> u64 {
        let provable = cells.iter().filter(|cell| !self.args.no_trace && cell.is_provable()).count();
        cells.len() as u64 * self.args.repeat + provable as u64
    }

    /// Traces a run of every zero-copy cell, and nothing after: tracing costs zero-copy sends more than others, which
    /// would move the break-even. The back end, and whether it was not interrupted; or why there is no trace.
    fn prove(&self, bench: &mut Bench<'_>, cells: &mut [Cell]) -> Result<(String, bool), String> {
        let truth = Truth::start(self.args.no_trace, self.args.backend)?;
        Ok((truth.backend(), bench.prove(cells, truth)))
    }

    /// What is going to happen, before it does.
    fn announce(&self, cells: usize, each: Duration, expected: Duration, seed: u64) {
        let text = |time: Duration| duration(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let limit = if self.args.cell_bytes.is_some() { " at most" } else { "" };
        let traced = if self.args.no_trace { "" } else { ", and one traced where zero-copy is asked for" };
        eprintln!(
            "{} x {}{traced}, {}{limit} each: about {}{limit}; seed {seed}",
            counted(cells as u64, "cell"),
            counted(self.args.repeat, "run"),
            text(each),
            text(expected)
        );
        if self.args.refine {
            eprintln!("--refine adds rounds for sizes between, {REFINE_STEPS} times at most");
        }
    }

    /// Runs sizes between those that bracket a break-even. False when it was interrupted.
    fn refine(&self, bench: &mut Bench<'_>, cells: &mut Vec<Cell>, seed: u64) -> bool {
        let repeat = self.args.repeat;
        for step in 1..=REFINE_STEPS {
            let wanted = refinements(&reports(cells, seed), seed);
            if wanted.is_empty() {
                return true;
            }
            let mut more: Vec<Cell> = wanted.into_iter().filter_map(|key| self.cell(key)).collect();
            let runs = self.runs(&more);
            bench.progress.extend(runs, plan::estimate(runs, bench.duration, bench.warm_up));
            let whole = self.prove(bench, &mut more).map_or(true, |(_, whole)| whole)
                && bench.rounds(&mut more, seed, step * repeat, repeat);
            cells.append(&mut more);
            if !whole {
                return false;
            }
        }
        true
    }

    fn report(&self, cells: &[Cell], setting: Setting, timing: Timing) -> MatrixReport {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut cells = reports(cells, timing.seed);
        let order = |path: &str| self.entries.iter().position(|entry| entry.name == path);
        cells.sort_by_key(|cell| {
            let (streams, depth) = cell.key.group();
            (depth, streams, cell.key.size, order(&cell.key.path))
        });
        let mut report = MatrixReport {
            schema: MATRIX_SCHEMA.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            command: std::env::args().collect(),
            seed: timing.seed,
            partial: timing.partial,
            setting,
            repeat: self.args.repeat,
            cell_duration_ns: ns(timing.each),
            cell_bytes: self.args.cell_bytes,
            warm_up_ns: ns(self.args.warm_up),
            working_set_bytes: self.args.how.working_set(),
            knobs: self.knobs.clone(),
            duration_ns: ns(timing.took),
            cells,
            unavailable: Vec::new(),
            break_even: Vec::new(),
        };
        document::conclude(&mut report);
        report
    }
}

/// How the measurement went in time.
struct Timing {
    seed: u64,
    each: Duration,
    took: Duration,
    partial: Option<String>,
}

fn reports(cells: &[Cell], seed: u64) -> Vec<CellReport> {
    let report = |cell: &Cell| {
        let (key, runs) = (cell.key.clone(), cell.runs.clone());
        let report = document::cell(key, class(cell.entry), runs, cell.proof.clone(), seed);
        if cell.ignored { report.surely_copied() } else { report }
    };
    cells.iter().map(report).collect()
}

const fn class(entry: &PathEntry) -> Class {
    match entry.class {
        paths::Class::Copies => Class::Copies,
        paths::Class::Told => Class::Told,
        paths::Class::Untold => Class::Untold,
    }
}

/// A number nobody chose: the standard library seeds its hash tables with one.
fn new_seed() -> u64 {
    let seed = std::collections::hash_map::RandomState::new().build_hasher().finish();
    // Short enough to be typed again.
    seed & 0xffff_ffff
}
