//! The verb `replay`: a recording in the dashboard. Needs no rights and no kernel support.

use std::path::PathBuf;
use std::time::Duration;

use super::screen::ScreenActions;
use super::screen_args::ScreenArgs;
use super::{Failure, Outcome};
use crate::model::snapshot::Snapshot;
use crate::record::Recording;
use crate::tui;
use crate::units::parse_duration;

/// Arguments of `replay`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Recording of `zcscope record`.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Begin here, since tracing began (90s, 2m).
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    from: Option<Duration>,
    /// How fast to begin: 0.25 to 64; the keys of the screen change it.
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_speed)]
    speed: f64,
    #[command(flatten)]
    screen: ScreenArgs,
}

fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed| (0.25..=64.0).contains(speed));
    speed.ok_or_else(|| format!("{text:?} is no speed from 0.25 to 64"))
}

/// Runs it.
///
/// # Errors
/// [`Failure::Usage`] when standard output is no terminal, [`Failure::Failed`] when the recording cannot be read.
pub fn run(args: &Args) -> Outcome {
    let options = args.screen.options()?;
    let recording = Recording::open(&args.file)?;
    if tui::require_terminal().is_err() {
        let report = format!("zcscope stat --from {}", args.file.display());
        return Err(Failure::Usage(format!(
            "the dashboard needs a terminal; `{report}` reports without one"
        )));
    }
    show(recording, &args.file.display().to_string(), args.from.unwrap_or_default(), args.speed, &options)?;
    Ok(0)
}

/// Shows a recording until the user quits. What is wrong with it is told when the screen is gone.
///
/// # Errors
/// Those of the terminal.
pub(super) fn show(
    mut recording: Recording,
    name: &str,
    from: Duration,
    speed: f64,
    options: &tui::Options,
) -> Result<(), Failure> {
    let timeline = recording.take_timeline();
    let from_ns = u64::try_from(from.as_nanos()).unwrap_or(u64::MAX);
    let replay = tui::Replay { archive: &mut recording, timeline, from_ns, speed };
    tui::run(tui::Source::Replay(replay), &mut ScreenActions::replay(), options)?;
    recording.notes().iter().for_each(|note| eprintln!("zcscope: {name}: {note}"));
    Ok(())
}

impl tui::Archive for Recording {
    fn at(&mut self, ns: u64) -> Option<Snapshot> {
        Recording::at(self, ns)
    }

    fn range_ns(&self) -> Option<(u64, u64)> {
        Recording::range_ns(self)
    }

    fn after(&self, ns: u64) -> Option<u64> {
        Recording::after(self, ns)
    }

    fn before(&self, ns: u64) -> Option<u64> {
        Recording::before(self, ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds() {
        assert_eq!(parse_speed("0.5"), Ok(0.5));
        assert!(parse_speed("0").is_err() && parse_speed("fast").is_err() && parse_speed("NaN").is_err());
    }
}
