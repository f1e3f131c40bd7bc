//! The verb `stat`: traces for a time, or for the life of one command, and reports once.

mod fail_if;
mod from;
pub(super) mod keep;
pub(super) mod output;
pub(super) mod trace;

use std::path::PathBuf;
use std::time::Duration;

use self::fail_if::{Check, Judged};
use self::output::Destination;
use self::trace::{Ending, Keep, Plan, Tracer};
use super::trace_args::TraceArgs;
use super::{Failure, Outcome};
use crate::diagnose::{Finding, findings};
use crate::model::snapshot::Snapshot;
use crate::probe::Probe;
use crate::record::{self, Recorder};
use crate::report::{json, table};
use crate::units::parse_duration;

/// Arguments of `stat`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Trace for this long (500ms, 10s, 2m); without it until Ctrl-C, or until CMD ends.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Report as JSON (schema zcscope.stat/1).
    #[arg(long)]
    pub json: bool,
    /// Write the report to this file, all at once. Default: stdout; with CMD, which keeps stdout, stderr.
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Create this file once everything is attached; it is removed at the end.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Exit with 1 when this holds at the end, with the sentence and the finding on stderr; with 3 when it is not
    /// known here. FIGURE OP VALUE ('copied>1%', 'silent>0', 'p99>5ms', 'lost>0'), reason:ID ('reason:optmem') or
    /// finding:ID; several with commas between, or repeated.
    #[arg(long, value_name = "CHECK", value_parser = fail_if::parse, value_delimiter = ',')]
    pub fail_if: Vec<Check>,
    /// Record into this file, too, for `replay` and `stat --from`.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Report what is in a recording, instead of tracing. Needs no rights.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["duration", "ready_file", "record", "TraceArgs", "command"])]
    pub from: Option<PathBuf>,
    /// With --from: report this moment, since tracing began (90s, 2m), instead of the end.
    #[arg(long, value_name = "TIME", requires = "from", value_parser = parse_duration)]
    pub at: Option<Duration>,
    /// What to trace.
    #[command(flatten)]
    pub trace: TraceArgs,
    /// Trace exactly this command and what it starts, and exit with its status.
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<String>,
}

/// Runs it.
///
/// # Errors
/// See [`Failure`].
#[allow(clippy::needless_pass_by_value, reason = "every verb takes its arguments the same way")]
pub fn run(args: Args) -> Outcome {
    if let Some(file) = &args.from {
        return from::run(file, &args);
    }
    let mut options = args.trace.options()?;
    options.filter.children = !args.command.is_empty();
    let probe = Probe::start(&options).map_err(|error| Failure::CannotTrace(error.to_string()))?;
    run_with(probe, &args)
}

/// Runs it with anything that traces.
fn run_with(mut tracer: impl Tracer, args: &Args) -> Outcome {
    let ready_file = args.ready_file.as_deref();
    let plan = Plan { duration: args.duration, command: &args.command, ready_file };
    let options = record::Options { command: args.command.clone(), ..record::Options::default() };
    let recorder = args.record.as_deref().map(|file| Recorder::create(file, 0, &options)).transpose()?;
    let mut keep = Keep::beside(recorder);
    let mut judged = Ok(Verdict::default());
    let ending = trace::run(&mut tracer, plan, &mut keep, |snapshot| {
        judged = report(snapshot, args);
    })?;
    if let Ending::NotStarted(why) = &ending {
        let program = args.command.first().map_or("", String::as_str);
        eprintln!("zcscope: {program:?} cannot be started: {why}");
    }
    let judged = judged?.tell();
    Ok(match ending.code() {
        0 if keep.failed() => 1,
        0 => judged?,
        own => own,
    })
}

/// Reports, and judges the checks.
fn report(snapshot: &Snapshot, args: &Args) -> Result<Verdict, Failure> {
    let findings = findings(snapshot);
    write_report(snapshot, &findings, args)?;
    Ok(Verdict::of(&args.fail_if, snapshot, &findings))
}

fn write_report(snapshot: &Snapshot, findings: &[Finding], args: &Args) -> Result<(), Failure> {
    let text = if args.json {
        let document = json::document(snapshot, findings, &args.command);
        let mut text = serde_json::to_string_pretty(&document)
            .map_err(|error| Failure::Failed(format!("the report cannot be written as JSON: {error}")))?;
        text.push('\n');
        text
    } else {
        table::render(snapshot, findings, &args.command)
    };
    // A recorded command is gone, and its standard output with it.
    let running = !args.command.is_empty() && args.from.is_none();
    Destination::of(args.output.as_deref(), running).write(&text)
}

/// What the checks came to.
#[derive(Default)]
struct Verdict {
    /// A sentence, and findings below it, of every check that failed.
    violated: Vec<String>,
    /// A sentence of every check that cannot be judged here.
    unknown: Vec<String>,
}

impl Verdict {
    fn of(checks: &[Check], snapshot: &Snapshot, findings: &[Finding]) -> Self {
        let mut verdict = Self::default();
        for check in checks {
            match check.judge(snapshot, findings) {
                Judged::Good => {}
                Judged::Violated(sentence) => verdict.violated.push(sentence),
                Judged::Unknown(sentence) => verdict.unknown.push(sentence),
            }
        }
        verdict
    }

    /// Says on standard error what failed; the exit code.
    ///
    /// # Errors
    /// Nothing failed, but something cannot be judged here.
    fn tell(self) -> Outcome {
        for sentence in &self.violated {
            eprintln!("zcscope: {sentence}");
        }
        match (self.violated.is_empty(), self.unknown.is_empty()) {
            (false, _) => Ok(1),
            (true, false) => Err(Failure::CannotTrace(self.unknown.join("; "))),
            (true, true) => Ok(0),
        }
    }
}

#[cfg(test)]
#[path = "stat/tests.rs"]
mod tests;
