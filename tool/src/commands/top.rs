//! The verb `top`: traces and shows it live.

use std::time::Duration;

use super::screen::ScreenActions;
use super::trace_args::TraceArgs;
use super::{Failure, Outcome};
use crate::host::facts::Watcher;
use crate::model::Model;
use crate::model::snapshot::Snapshot;
use crate::probe::Probe;
use crate::tui;
use crate::units::parse_duration;

/// Arguments of `top`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    trace: TraceArgs,
    /// End by itself after this time.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    duration: Option<Duration>,
}

/// Runs it.
///
/// # Errors
/// [`Failure::Usage`] when standard output is no terminal or the filter names nothing on this host,
/// [`Failure::CannotTrace`] when nothing can be traced here.
pub fn run(args: Args) -> Outcome {
    tui::require_terminal().map_err(|error| Failure::Usage(error.to_string()))?;
    let Args { trace, duration } = args;
    let options = trace.options()?;
    let probe = Probe::start(&options).map_err(|error| Failure::CannotTrace(error.to_string()))?;
    let mut feed = ProbeFeed::new(probe);
    tui::run(
        tui::Source::Live(&mut feed),
        &mut ScreenActions,
        &tui::Options { duration, ..tui::Options::default() },
    )?;
    Ok(0)
}

/// A probe and the model it fills: the live source of snapshots.
pub(super) struct ProbeFeed {
    probe: Probe,
    model: Model,
    facts: Watcher,
}

impl ProbeFeed {
    /// Starts with an empty model.
    pub(super) fn new(probe: Probe) -> Self {
        let model = Model::new(probe.session());
        Self { probe, model, facts: Watcher::start() }
    }
}

impl tui::Feed for ProbeFeed {
    fn next(&mut self) -> anyhow::Result<Snapshot> {
        self.model.absorb(self.probe.read()?);
        let mut snapshot = self.model.snapshot();
        super::add_facts(&mut self.facts, &mut snapshot);
        Ok(snapshot)
    }
}
