//! One run after the other, and nothing lost when one fails.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::place::Place;
use super::progress::Progress;
use super::truth::{Mark, Truth};
use crate::commands::how_args::{HowArgs, Sends};
use crate::load::LoadError;
use crate::load::control::client::Target;
use crate::load::engine::{self, Plan, Watcher};
use crate::load::paths::{PathEntry, Setup};
use crate::load::pattern::Poison;
use crate::load::place::SinkChild;
use crate::load::result::EndedBy;
use crate::load::sink::Rules;
use crate::load::warmup::WarmUp;
use crate::matrix::measure::{self, Place as At};
use crate::matrix::plan::{self, Key};
use crate::matrix::result::Repetition;

/// How long a sink outlives the run it was started for, should we not get to end it.
const SINK_SLACK: Duration = Duration::from_secs(60);

/// One cell while it is measured.
pub(super) struct Cell {
    pub(super) entry: &'static PathEntry,
    pub(super) key: Key,
    /// Whether the kernel ignores `MSG_ZEROCOPY`, because `SO_ZEROCOPY` is left unset.
    pub(super) ignored: bool,
    /// A traced run; in no figure, because tracing costs time.
    pub(super) proof: Option<Repetition>,
    pub(super) runs: Vec<Repetition>,
}

impl Cell {
    /// Whether there is something to see of it: a path that never asks for zero-copy has no ledger, and one that asks in
    /// vain has none either.
    pub(super) fn is_provable(&self) -> bool {
        self.entry.path.wants_zerocopy() && !self.ignored
    }
}

/// Marks the kernel's totals when the measuring begins, with every connection at rest.
struct Begins<'a> {
    truth: Option<&'a mut Truth>,
    path: zcscope_common::Path,
    before: Option<Result<Mark, String>>,
}

impl Watcher for Begins<'_> {
    fn measuring(&mut self) {
        self.before = self.truth.as_mut().map(|truth| truth.mark(self.path));
    }
}

/// What all runs share.
pub(super) struct Bench<'a> {
    pub(super) place: &'a Place,
    /// While it is there, runs are traced, and slower.
    pub(super) truth: Option<Truth>,
    pub(super) stop: BorrowedFd<'a>,
    /// How our own sink receives.
    pub(super) rules: Rules,
    pub(super) device: Option<String>,
    /// How every cell is sent.
    pub(super) how: &'a HowArgs,
    /// Control port of a sink that is not ours.
    pub(super) peer: Option<Target>,
    /// Whether that sink checks every byte.
    pub(super) verify: Option<Poison>,
    pub(super) duration: Duration,
    pub(super) bytes: Option<u64>,
    pub(super) warm_up: Duration,
    pub(super) progress: Progress,
    /// Congestion control the runs really had.
    pub(super) seen_cc: Option<String>,
    /// How a sink that was asked really received.
    pub(super) seen_sink: Option<String>,
}

impl Bench<'_> {
    /// Runs every cell that asks for zero-copy once, to see what the kernel copies. False when it was interrupted.
    pub(super) fn prove(&mut self, cells: &mut [Cell], truth: Truth) -> bool {
        self.truth = Some(truth);
        let warm_up = std::mem::take(&mut self.warm_up);
        let whole = self.prove_each(cells);
        (self.truth, self.warm_up) = (None, warm_up);
        whole
    }

    fn prove_each(&mut self, cells: &mut [Cell]) -> bool {
        self.progress.proof();
        for (place, cell) in cells.iter_mut().filter(|cell| cell.is_provable()).enumerate() {
            self.progress.run(&cell.key);
            let run = self.run(cell, At { round: 0, place: place as u64 });
            if self.interrupted() {
                return false;
            }
            cell.proof = Some(run);
            self.progress.ended();
        }
        true
    }

    /// Runs `rounds` rounds over `cells`, numbered from `first`. False when it was interrupted.
    pub(super) fn rounds(&mut self, cells: &mut [Cell], seed: u64, first: u64, rounds: u64) -> bool {
        for round in first..first + rounds {
            self.progress.round(round, first + rounds);
            for (place, index) in plan::round(cells.len(), seed, round).into_iter().enumerate() {
                let cell = &mut cells[index];
                self.progress.run(&cell.key);
                let run = self.run(cell, At { round, place: place as u64 });
                if self.interrupted() {
                    // Cut short: no run of what was asked for.
                    return false;
                }
                cell.runs.push(run);
                self.progress.ended();
            }
        }
        true
    }

    fn interrupted(&self) -> bool {
        let mut fds = [PollFd::new(self.stop, PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    fn run(&mut self, cell: &Cell, at: At) -> Repetition {
        match self.try_run(cell, at) {
            Ok(run) => run,
            Err(error) => measure::failed(at, error),
        }
    }

    fn try_run(&mut self, cell: &Cell, at: At) -> Result<Repetition, String> {
        let path = cell.entry.path;
        let own = self.place.own_sink().map_err(|error| error.to_string())?;
        let rules = Rules { tls: path == zcscope_common::Path::Ktls, ..self.rules };
        let longest = self.duration + self.warm_up + SINK_SLACK;
        let sink = own.map(|(command, ip)| SinkChild::start(command, ip, rules, longest));
        let sink = sink.transpose().map_err(|error| format!("cannot start the sink: {error:#}"))?;
        let targets = match (&sink, self.place) {
            (Some(sink), _) => vec![sink.address],
            (None, Place::Sink(targets)) => targets.clone(),
            (None, _) => Vec::new(),
        };
        let plan = self.plan(cell, targets).map_err(|error| error.to_string())?;
        let mut begins = Begins { truth: self.truth.as_mut(), path, before: None };
        let load = engine::run_watched(&plan, Some(self.stop), &mut begins);
        let before = begins.before;
        let load = load.map_err(|error| error.to_string())?;
        // A run that broke off may have left the sink waiting.
        let whole = load.error.is_none() && load.ended_by != EndedBy::Signal;
        let sink = sink.filter(|_| whole).map(|sink| sink.finish(false)).transpose();
        let sink = sink.map_err(|error| error.to_string())?;
        let kernel = self.truth.as_mut().zip(before).map(|(truth, before)| truth.since(before?, path));
        if self.seen_cc.is_none() {
            self.seen_cc.clone_from(&load.cc);
        }
        if self.seen_sink.is_none() {
            self.seen_sink = load.peer.as_ref().map(|peer| peer.mode.clone());
        }
        Ok(measure::repetition(at, &load, sink.as_ref(), kernel))
    }

    /// What the generator shall do for one run.
    fn plan(&self, cell: &Cell, targets: Vec<SocketAddr>) -> Result<Plan, LoadError> {
        let Key { size, depth, streams, .. } = cell.key;
        let how = self.how.plan(Sends { size, depth, streams })?;
        Ok(Plan {
            path: cell.entry,
            targets,
            device: self.device.clone(),
            setup: Setup { verify: self.verify, ..how.setup },
            duration: self.duration,
            bytes: self.bytes,
            peer: self.peer.clone(),
            warm_up: if self.warm_up.is_zero() { WarmUp::None } else { WarmUp::For(self.warm_up) },
            ..how
        })
    }
}
