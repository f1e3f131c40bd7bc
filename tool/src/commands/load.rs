//! The verb `load`: generates bounded load on one send path and reports what the application was told, beside what
//! the kernel did.

mod args;
mod live;
mod traced;

use std::io::Write;
use std::os::fd::AsFd;

pub use self::args::Args;
pub use self::traced::run_traced;
use super::{Failure, Outcome, place};
use crate::load::interrupt::Interrupt;
use crate::load::result::Completions;
use crate::load::{LoadError, text};
use crate::report::beside::{self, Told};

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Usage(text) => Failure::Usage(text),
            LoadError::Failed(text) => Failure::Failed(text),
        }
    }
}

/// Runs it.
///
/// # Errors
/// See [`Failure`]: wrong arguments, no sink, or a connection that broke (the report is still printed).
pub fn run(args: Args) -> Outcome {
    if args.repair() {
        return place::repair();
    }
    let (json, trace) = (args.json(), args.trace());
    // First: a signal must not find devices borrowed and nobody to give them back.
    let interrupt = Interrupt::new().map_err(anyhow::Error::from)?;
    let placed = args.open_place()?;
    let plan = args.plan(placed.as_ref())?;
    let mut live = live::Live::on_stderr();
    let mut load = || run_traced(&plan, trace, Some(interrupt.as_fd()), &mut live);
    let (mut report, kernel) = match &placed {
        Some(placed) => placed.place.enter(load)??,
        None => load()?,
    };
    live.clear();
    let unknown = plan.setup.verify.is_some() && placed.is_none() && plan.peer.is_none();
    if unknown && !report.never_began() {
        eprintln!("--verify: only the sink knows whether all was right; look there or use --control");
    }
    if let Some(placed) = placed {
        placed.close_into(&mut report, plan.setup.verify.is_some());
    }
    let text = if json {
        serde_json::to_string(&report).map_err(anyhow::Error::from)? + "\n"
    } else {
        let told = report.completions.as_ref().map(told);
        text::render(&report, &kernel.map(|snapshot| beside::render(&snapshot, told)).unwrap_or_default())
    };
    write_out(&text)?;
    match report.error {
        Some(error) => Err(Failure::Failed(error)),
        None => Ok(0),
    }
}

const fn told(completions: &Completions) -> Told {
    Told {
        sends: completions.sends,
        bytes: completions.bytes,
        copied: completions.told_copied,
        copied_bytes: completions.told_copied_bytes,
    }
}

/// Writes to stdout; a reader that has gone is no failure.
pub(super) fn write_out(text: &str) -> Result<(), Failure> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Failed(format!("cannot write the report: {error}")))
        }
        _ => Ok(()),
    }
}
