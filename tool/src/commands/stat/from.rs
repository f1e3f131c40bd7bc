//! `stat --from`: the report of a recording, the same as the live one.

use std::path::Path;

use super::{Args, report};
use crate::commands::{Failure, Outcome};
use crate::record::Recording;
use crate::units::clock;

/// Reports the moment asked for, or the end.
///
/// # Errors
/// The recording cannot be read, or has nothing at that time; the report cannot be written.
pub(super) fn run(file: &Path, args: &Args) -> Outcome {
    let mut recording = Recording::open(file)?;
    let (oldest, newest) = recording.range_ns().unwrap_or_default();
    let at = args.at.map_or(newest, |at| u64::try_from(at.as_nanos()).unwrap_or(u64::MAX));
    let snapshot = recording.at(at).ok_or_else(|| nothing_at(file, at, oldest))?;
    recording.notes().iter().for_each(|note| eprintln!("zcscope: {}: {note}", file.display()));
    if args.at.is_none() && snapshot.duration_ns < newest {
        eprintln!(
            "zcscope: the report is of {}: what came after it cannot be read",
            clock(snapshot.duration_ns)
        );
    }
    let args = Args { command: recording.about().command.clone(), ..args.clone() };
    report(&snapshot, &args)?.tell()
}

fn nothing_at(file: &Path, at: u64, oldest: u64) -> Failure {
    let file = file.display();
    if at < oldest {
        return Failure::Usage(format!("{file} begins at {}; choose a later --at", clock(oldest)));
    }
    Failure::Failed(format!("no snapshot of {file} up to {} can be read: they are damaged", clock(at)))
}
