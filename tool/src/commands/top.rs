//! The verb `top`: traces and shows it live.

use std::time::Duration;

use super::trace_args::TraceArgs;
use super::{Failure, Outcome};
use crate::model::Model;
use crate::model::snapshot::Snapshot;
use crate::probe::Probe;
use crate::tui;

/// Arguments of `top`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    trace: TraceArgs,
    /// End by itself after this time (90, 10s, 500ms, 5m).
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
    tui::run(&mut feed, &tui::Options { duration, ..tui::Options::default() })?;
    Ok(0)
}

/// A probe and the model it fills: the live source of snapshots.
pub(super) struct ProbeFeed {
    probe: Probe,
    model: Model,
}

impl ProbeFeed {
    /// Starts with an empty model.
    pub(super) fn new(probe: Probe) -> Self {
        let model = Model::new(probe.session());
        Self { probe, model }
    }
}

impl tui::Feed for ProbeFeed {
    fn next(&mut self) -> anyhow::Result<Snapshot> {
        self.model.absorb(self.probe.read()?);
        Ok(self.model.snapshot())
    }
}

/// A time with a unit; without one, seconds.
fn parse_duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let (number, seconds) = UNITS
        .iter()
        .find_map(|(unit, seconds)| text.strip_suffix(unit).map(|number| (number, *seconds)))
        .unwrap_or((text, 1.0));
    number
        .trim()
        .parse()
        .ok()
        .and_then(|n: f64| Duration::try_from_secs_f64(n * seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| format!("{text:?} is no time; write it as 10s, 500ms or 5m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5m"), Ok(Duration::from_secs(90)));
        for wrong in ["", "s", "-1s", "0", "ten", "inf", "nan"] {
            assert!(parse_duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
