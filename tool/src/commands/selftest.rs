//! The verb `selftest`: does zcscope tell the truth on this kernel? Sends a little over links of its own whose outcome
//! is known beforehand, and compares what was seen of it with what the generator counted, to the byte. Namespaces
//! without a name hold everything, so nothing stays, however it ends.

mod judge;
mod observed;
mod output;
mod result;
mod rows;
mod stage;

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use self::observed::Totals;
use self::result::{RowReport, SELFTEST_SCHEMA, SelftestReport, Verdict};
use self::rows::{ROWS, Row};
use self::stage::{Cannot, Stage};
use super::own_trace::OwnTrace;
use super::{Failure, Outcome};
use crate::load::engine::{self, Plan};
use crate::load::interrupt::Interrupt;
use crate::load::paths::Setup;
use crate::load::result::{EndedBy, LoadReport};
use crate::load::warmup::WarmUp;
use crate::privilege;
use crate::probe::{Backend, Filter, Options};

/// Longest time one row may send; none takes a tenth of it.
const LONGEST: Duration = Duration::from_secs(5);
/// How long a connection into a black hole lives.
const HOLE_TIMEOUT: Duration = Duration::from_millis(700);

/// Arguments of `selftest`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Report as JSON (schema zcscope.selftest/1).
    #[arg(long)]
    json: bool,
    /// Only rows whose name contains this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Force one tracing back end.
    #[arg(long, value_enum, default_value_t, value_name = "BACKEND")]
    backend: Backend,
}

/// Runs it: 0 when everything seen was right, 1 when something was wrong.
///
/// # Errors
/// [`Failure::CannotTrace`] without rights, or on a kernel that cannot be traced.
pub fn run(args: &Args) -> Outcome {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| row.name.contains(&args.only)).collect();
    if rows.is_empty() {
        let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        return Err(Failure::Usage(format!(
            "no row is named {:?}; there are {}",
            args.only,
            names.join(", ")
        )));
    }
    privilege::can_make_namespaces().map_err(Failure::CannotTrace)?;
    // Before the first thread: threads inherit which signals are held back.
    let interrupt = Interrupt::new().map_err(anyhow::Error::from)?;
    let filter = Filter { pids: vec![std::process::id()], ..Filter::default() };
    let options = Options { filter, backend: args.backend, ..Options::default() };
    let mut trace = OwnTrace::start(&options).map_err(Failure::CannotTrace)?;
    let begun = Instant::now();
    let session = trace.session();
    let mut report = SelftestReport {
        schema: SELFTEST_SCHEMA.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        host: session.host,
        kernel: session.kernel,
        backend: session.backend,
        ..SelftestReport::default()
    };
    if !args.json {
        print!("{}", output::heading(&report));
    }
    for row in rows {
        if interrupted(interrupt.as_fd()) {
            report.interrupted = true;
            break;
        }
        let done = one_row(row, &mut trace, interrupt.as_fd());
        if !args.json {
            print!("{}", output::row(&done));
        }
        report.rows.push(done);
    }
    report.duration_ns = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
    report.count();
    if args.json {
        println!("{}", serde_json::to_string(&report).map_err(anyhow::Error::from)?);
    } else {
        print!("{}", output::summary(&report));
    }
    conclude(&report)
}

/// The exit code; a test of which nothing could be done proves nothing.
fn conclude(report: &SelftestReport) -> Outcome {
    match () {
        () if report.interrupted => {
            Err(Failure::Failed(format!("the selftest was interrupted after {} rows", report.rows.len())))
        }
        () if report.wrong > 0 => Ok(1),
        () if report.right == 0 => {
            let why = report.rows.iter().find_map(|row| row.why.clone()).unwrap_or_default();
            Err(Failure::CannotTrace(format!("no row of the selftest is possible: {why}")))
        }
        () => Ok(0),
    }
}

fn interrupted(stop: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(stop, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// One row from the stage to the verdict.
fn one_row(row: &'static Row, trace: &mut OwnTrace, stop: BorrowedFd<'_>) -> RowReport {
    let blank = RowReport::of(row);
    match send(row, trace, stop) {
        Ok((load, sink_bytes, seen)) => {
            let complaints = judge::complaints(row, &load, sink_bytes, &seen);
            let verdict = if complaints.is_empty() { Verdict::Right } else { Verdict::Wrong };
            RowReport {
                verdict,
                complaints,
                sent_bytes: load.bytes,
                observed: Some(seen.document()),
                ..blank
            }
        }
        Err(Cannot::Here(why)) => RowReport { verdict: Verdict::Skipped, why: Some(why), ..blank },
        Err(Cannot::Failed(why)) => RowReport { verdict: Verdict::Wrong, complaints: vec![why], ..blank },
    }
}

/// Sends the row's bytes: what the generator and the sink counted, and what was seen.
fn send(
    row: &'static Row,
    trace: &mut OwnTrace,
    stop: BorrowedFd<'_>,
) -> Result<(LoadReport, Option<u64>, Totals), Cannot> {
    row.impossible().map_or(Ok(()), |why| Err(Cannot::Here(why)))?;
    let entry = row.entry()?;
    let failed = |error: &dyn std::fmt::Display| Cannot::Failed(error.to_string());
    let stage = Stage::set(row)?;
    let sink = stage.start_sink()?;
    let before = trace.settled(true).map_err(Cannot::Failed)?;
    let plan = plan(row, entry, sink.address);
    let mut start = stage.start(row);
    let load = stage.enter(|| engine::run_watched(&plan, Some(stop), &mut start))?.map_err(|e| failed(&e))?;
    start.result()?;
    if load.ended_by == EndedBy::Signal {
        return Err(Cannot::Here("interrupted".into()));
    }
    let hole = row.is_hole();
    let sink = sink.finish(load.error.is_some()).ok().map(|sink| sink.bytes).filter(|_| !hole);
    let after = trace.settled(false).map_err(Cannot::Failed)?;
    let seen = Totals::of(&after, entry.path).since(&Totals::of(&before, entry.path));
    if let Some(why) = seen.not_known(&after, entry.path) {
        return Err(Cannot::Here(why));
    }
    Ok((load, sink, seen))
}

fn plan(row: &Row, entry: &'static crate::load::paths::PathEntry, to: std::net::SocketAddr) -> Plan {
    let (sends, size) = row.amount;
    let setup =
        Setup { size, depth: 16, so_zerocopy: !row.has(rows::Setup::SoZerocopyUnset), ..Setup::default() };
    Plan {
        path: entry,
        targets: vec![to],
        setup,
        duration: LONGEST,
        bytes: Some((sends * size) as u64),
        warm_up: WarmUp::None,
        // Every send leaves at once.
        nodelay: true,
        user_timeout: if row.is_hole() { HOLE_TIMEOUT } else { LONGEST },
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_shown_is_no_success() {
        let mut report = SelftestReport::default();
        assert_eq!(conclude(&report).unwrap_err().exit_code(), 3, "nothing was possible");
        report.right = 3;
        report.skipped = 4;
        assert_eq!(conclude(&report).unwrap(), 0);
        report.wrong = 1;
        assert_eq!(conclude(&report).unwrap(), 1);
        report.interrupted = true;
        assert_eq!(conclude(&report).unwrap_err().exit_code(), 1);
    }
}
