//! The verb `record`: traces as `stat` does, into a file.

use std::path::PathBuf;
use std::time::Duration;

use super::stat::trace::{self, Ending, Keep, Plan};
use super::trace_args::TraceArgs;
use super::{Failure, Outcome};
use crate::probe::Probe;
use crate::record::{LEAST_BYTES, Options, Recorder, Summary};
use crate::units::{bytes, duration, parse_duration, parse_size, percent};

/// Nothing is read more often.
const LEAST_INTERVAL: Duration = Duration::from_millis(50);

/// Arguments of `record`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// File to write; a recording of this name is replaced, nothing else.
    #[arg(short = 'o', long, value_name = "FILE", default_value = "zcscope.zcr")]
    output: PathBuf,
    /// Record for this long (500ms, 10s, 2m); without it until Ctrl-C, or until CMD ends.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Time between two frames, at least 50ms.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_interval)]
    interval: Duration,
    /// What FILE and FILE.1 may take together, at least 4M; the oldest frames go first.
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = parse_max_size)]
    max_size: u64,
    /// Create this file once everything is attached; it is removed at the end.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// What to trace.
    #[command(flatten)]
    trace: TraceArgs,
    /// Trace exactly this command and what it starts, and exit with its status.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    if interval < LEAST_INTERVAL {
        return Err(format!("{text} is too short: a frame costs a reading of all maps; 50ms is the least"));
    }
    Ok(interval)
}

fn parse_max_size(text: &str) -> Result<u64, String> {
    let size = parse_size(text)?;
    if size < LEAST_BYTES {
        return Err(format!("{text} is too small for two files: 4M is the least"));
    }
    Ok(size)
}

/// Runs it.
///
/// # Errors
/// See [`Failure`].
pub fn run(args: Args) -> Outcome {
    let mut options = args.trace.options()?;
    options.filter.children = !args.command.is_empty();
    let mut probe = Probe::start(&options).map_err(|error| Failure::CannotTrace(error.to_string()))?;
    let Args { output, interval, max_size, command, .. } = args;
    let recording = Options { interval, max_bytes: max_size, command: command.clone() };
    let mut keep = Keep::alone(Recorder::create(&output, 0, &recording)?, interval);
    if command.is_empty() && args.duration.is_none() {
        eprintln!("zcscope: recording into {}; Ctrl-C ends it", output.display());
    }
    let plan = Plan { duration: args.duration, command: &command, ready_file: args.ready_file.as_deref() };
    let ending = trace::run(&mut probe, plan, &mut keep, |_| {})?;
    if let Ending::NotStarted(why) = &ending {
        let program = command.first().map_or("", String::as_str);
        eprintln!("zcscope: {program:?} cannot be started: {why}");
    }
    if let Some(summary) = keep.summary() {
        eprintln!("zcscope: {}", told(summary, &output.display().to_string()));
    }
    Ok(match ending.code() {
        0 if keep.failed() => 1,
        code => code,
    })
}

/// What was recorded, in one sentence.
pub(super) fn told(summary: &Summary, file: &str) -> String {
    let Summary { frames, dropped, bytes: size, span_ns, cpu_ns, rotated } = *summary;
    let rotated = if rotated { format!(" and {file}.1") } else { String::new() };
    let left_out = if dropped > 0 { format!(", {dropped} left out") } else { String::new() };
    format!(
        "{frames} frames{left_out} of {} are in {file}{rotated}: {} written for {} of one CPU; \
         `zcscope replay {file}` shows them",
        duration(span_ns),
        bytes(size),
        percent(cpu_ns, span_ns),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_and_sizes_have_a_least() {
        assert_eq!(parse_interval("50ms"), Ok(LEAST_INTERVAL));
        assert!(parse_interval("49ms").unwrap_err().contains("50ms is the least"));
        assert!(parse_interval("soon").is_err());
        assert!(
            parse_max_size("4M").is_ok() && parse_max_size("3M").unwrap_err().contains("4M is the least")
        );
    }

    #[test]
    fn what_was_recorded_is_told() {
        let summary = Summary {
            frames: 600,
            bytes: 1 << 20,
            span_ns: 600_000_000_000,
            cpu_ns: 600_000_000,
            ..Summary::default()
        };
        let text = told(&summary, "x.zcr");
        assert!(text.starts_with("600 frames of 10m00s are in x.zcr: 1.00 MiB written for 0.1"), "{text}");
        let text = told(&Summary { dropped: 3, rotated: true, ..summary }, "x.zcr");
        assert!(text.contains("3 left out") && text.contains("x.zcr and x.zcr.1"), "{text}");
    }
}
