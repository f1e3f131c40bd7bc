//! The verb `stat`.

use super::{Failure, Outcome};

/// Arguments of `stat`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

/// Runs it.
///
/// # Errors
/// See [`Failure`].
pub fn run(_args: Args) -> Outcome {
    Err(Failure::Failed("stat is not built yet".into()))
}
