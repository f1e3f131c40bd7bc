//! The verb `load`.

use super::{Failure, Outcome};

/// Arguments of `load`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

/// Runs it.
///
/// # Errors
/// See [`Failure`].
pub fn run(_args: Args) -> Outcome {
    Err(Failure::Failed("load is not built yet".into()))
}
