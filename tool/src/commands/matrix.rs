//! The verb `matrix`: paths x sizes (x streams x depth) in one command, interleaved, with intervals, the kernel's
//! truth beside every cell, and where zero-copy begins to pay. `matrix diff` compares two results.

mod args;
mod bench;
mod diff;
mod output;
mod place;
mod progress;
mod run;
mod setting;
mod truth;

use super::Outcome;

/// Arguments of `matrix`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    measure: Box<args::MeasureArgs>,
}

/// What else can be done with a matrix.
#[derive(Debug, clap::Subcommand)]
enum What {
    /// Compare two results cell by cell; exit code 1 when something got worse.
    Diff(diff::DiffArgs),
}

/// Runs it.
///
/// # Errors
/// See [`super::Failure`].
pub fn run(args: Args) -> Outcome {
    match args.what {
        Some(What::Diff(args)) => diff::run(&args),
        None => run::run(&args.measure),
    }
}
