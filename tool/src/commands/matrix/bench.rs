//! One run after the other, and nothing lost when one fails.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::place::Place;
use super::progress::Progress;
use super::sink::{Room, RunSink};
use super::truth::Truth;
use crate::load::LoadError;
use crate::load::engine::{self, Plan};
use crate::load::paths::{PathEntry, Setup};
use crate::load::result::{EndedBy, LoadReport};
use crate::load::sink::Mode;
use crate::load::sink::result::SinkReport;
use crate::matrix::measure::{self, Place as At};
use crate::matrix::plan::{self, Key};
use crate::matrix::result::Repetition;

/// How long a sink outlives the run it was started for, should we not get to end it.
const SINK_SLACK: Duration = Duration::from_secs(60);

/// Bytes of buffers each connection rotates through: one hot buffer would stay in the cache and flatter the copy.
pub(super) const WORKING_SET: usize = 16 << 20;

/// One cell while it is measured.
pub(super) struct Cell {
    pub(super) entry: &'static PathEntry,
    pub(super) key: Key,
    pub(super) runs: Vec<Repetition>,
}

/// What all runs share.
pub(super) struct Bench<'a> {
    pub(super) place: &'a Place,
    pub(super) room: &'a Room,
    pub(super) truth: Option<Truth>,
    pub(super) stop: BorrowedFd<'a>,
    pub(super) mode: Mode,
    pub(super) device: Option<String>,
    pub(super) cc: Option<String>,
    pub(super) duration: Duration,
    pub(super) bytes: Option<u64>,
    pub(super) warm_up: Duration,
    pub(super) progress: Progress,
    /// Congestion control the runs really had.
    pub(super) seen_cc: Option<String>,
}

impl Bench<'_> {
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
        if !self.warm_up.is_zero() {
            self.send(cell, self.warm_up)?;
        }
        let path = cell.entry.path;
        let before = self.truth.as_mut().map(|truth| truth.mark(path)).transpose()?;
        let (load, sink) = self.send(cell, self.duration)?;
        let kernel = self.truth.as_mut().zip(before).map(|(truth, before)| truth.since(before, path));
        // A path that never asks for zero-copy has no ledger.
        let kernel = kernel.filter(|_| path.wants_zerocopy());
        if self.seen_cc.is_none() {
            self.seen_cc.clone_from(&load.cc);
        }
        Ok(measure::repetition(at, &load, sink.as_ref(), kernel))
    }

    /// Sends for `duration` to a fresh sink of our own, or to the one there is.
    fn send(&self, cell: &Cell, duration: Duration) -> Result<(LoadReport, Option<SinkReport>), String> {
        let own = self.place.own_sink().map_err(|error| error.to_string())?;
        let sink =
            own.map(|(command, ip)| RunSink::start(command, ip, self.mode, duration + SINK_SLACK, self.room));
        let sink = sink.transpose().map_err(|error| format!("cannot start the sink: {error}"))?;
        let targets = match (&sink, self.place) {
            (Some(sink), _) => vec![sink.address],
            (None, Place::Sink(targets)) => targets.clone(),
            (None, _) => Vec::new(),
        };
        let plan = self.plan(cell, targets, duration).map_err(|error| error.to_string())?;
        let report = engine::run(&plan, Some(self.stop), |_| {}).map_err(|error| error.to_string())?;
        // A run that broke off may have left the sink waiting.
        let whole = report.error.is_none() && report.ended_by != EndedBy::Signal;
        let sink = sink.filter(|_| whole).map(RunSink::finish).transpose();
        Ok((report, sink.map_err(|error| error.to_string())?))
    }

    /// What the generator shall do for one run. The only place that knows its knobs.
    fn plan(&self, cell: &Cell, targets: Vec<SocketAddr>, duration: Duration) -> Result<Plan, LoadError> {
        let small =
            |n: u64| usize::try_from(n).map_err(|_| LoadError::Usage(format!("{n} is too large here")));
        Ok(Plan {
            path: cell.entry,
            targets,
            device: self.device.clone(),
            cc: self.cc.clone(),
            setup: Setup {
                size: small(cell.key.size)?,
                depth: small(cell.key.depth)?,
                working_set: WORKING_SET,
                ..Setup::default()
            },
            streams: small(cell.key.streams)?,
            duration,
            bytes: self.bytes,
            pin: true,
        })
    }
}
