//! The verb `stat`: traces for a time, or for the life of one command, and reports once.

mod fail_if;
mod output;
mod trace;

use std::path::PathBuf;
use std::time::Duration;

use self::fail_if::{Check, Judged};
use self::output::Destination;
use self::trace::{Ending, Plan, Tracer};
use super::trace_args::TraceArgs;
use super::{Failure, Outcome};
use crate::diagnose::{Finding, findings};
use crate::model::snapshot::Snapshot;
use crate::probe::Probe;
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
    let mut options = args.trace.options()?;
    options.filter.children = !args.command.is_empty();
    let probe = Probe::start(&options).map_err(|error| Failure::CannotTrace(error.to_string()))?;
    run_with(probe, &args)
}

/// Runs it with anything that traces.
fn run_with(mut tracer: impl Tracer, args: &Args) -> Outcome {
    let ready_file = args.ready_file.as_deref();
    let plan = Plan { duration: args.duration, command: &args.command, ready_file };
    let mut judged = Ok(Verdict::default());
    let ending = trace::run(&mut tracer, plan, |snapshot| {
        let findings = findings(snapshot);
        judged =
            write_report(snapshot, &findings, args).map(|()| Verdict::of(&args.fail_if, snapshot, &findings));
    })?;
    if let Ending::NotStarted(why) = &ending {
        let program = args.command.first().map_or("", String::as_str);
        eprintln!("zcscope: {program:?} cannot be started: {why}");
    }
    let verdict = judged?;
    for sentence in &verdict.violated {
        eprintln!("zcscope: {sentence}");
    }
    match (ending.code(), verdict.unknown.is_empty()) {
        (0, _) if !verdict.violated.is_empty() => Ok(1),
        (0, false) => Err(Failure::CannotTrace(verdict.unknown.join("; "))),
        (code, _) => Ok(code),
    }
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
    Destination::of(args.output.as_deref(), !args.command.is_empty()).write(&text)
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
}

#[cfg(test)]
#[path = "stat/tests.rs"]
mod tests;
