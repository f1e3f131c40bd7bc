//! The verb `top`: traces and shows it live.

use std::io::Write as _;
use std::time::Duration;

use super::screen::ScreenActions;
use super::screen_args::ScreenArgs;
use super::tables::Tables;
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
    #[command(flatten)]
    screen: ScreenArgs,
    /// Print a commented configuration with all defaults, and end.
    #[arg(long)]
    print_config: bool,
}

/// Runs it.
///
/// # Errors
/// [`Failure::Usage`] when standard output is no terminal, the configuration is wrong or the filter names nothing on this host,
/// [`Failure::CannotTrace`] when nothing can be traced here.
pub fn run(args: Args) -> Outcome {
    let Args { trace, duration, screen, print_config } = args;
    if print_config {
        return print_sample();
    }
    tui::require_terminal().map_err(|error| Failure::Usage(error.to_string()))?;
    let screen = screen.options()?;
    let options = trace.options()?;
    let probe = Probe::start(&options).map_err(|error| Failure::CannotTrace(error.to_string()))?;
    let mut feed = ProbeFeed::new(probe);
    tui::run(tui::Source::Live(&mut feed), &mut ScreenActions::live(), &tui::Options { duration, ..screen })?;
    Ok(0)
}

/// Prints the sample; a reader that has gone needs no more of it.
fn print_sample() -> Outcome {
    match std::io::stdout().lock().write_all(crate::config::sample().as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Failed(format!("the configuration cannot be printed: {error}")))
        }
        _ => Ok(0),
    }
}

/// A probe and the model it fills: the live source of snapshots.
pub(super) struct ProbeFeed {
    probe: Probe,
    model: Model,
    facts: Watcher,
    tables: Tables,
}

impl ProbeFeed {
    /// Starts with an empty model.
    pub(super) fn new(probe: Probe) -> Self {
        let model = Model::new(probe.session());
        Self { probe, model, facts: Watcher::start(), tables: Tables::default() }
    }
}

impl tui::Feed for ProbeFeed {
    fn next(&mut self) -> anyhow::Result<Snapshot> {
        let mut sample = self.probe.read()?;
        self.tables.add(&self.probe, &mut sample);
        self.model.absorb(sample);
        let mut snapshot = self.model.snapshot();
        super::add_facts(&mut self.facts, &mut snapshot);
        Ok(snapshot)
    }
}
