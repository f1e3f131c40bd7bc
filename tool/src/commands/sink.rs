//! The verb `sink`.

use super::{Failure, Outcome};

/// Arguments of `sink`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

/// Runs it.
///
/// # Errors
/// See [`Failure`].
pub fn run(_args: Args) -> Outcome {
    Err(Failure::Failed("sink is not built yet".into()))
}
