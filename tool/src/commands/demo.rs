//! The verb `demo`.

use super::{Failure, Outcome};

/// Arguments of `demo`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

/// Runs it.
///
/// # Errors
/// See [`Failure`].
pub fn run(_args: Args) -> Outcome {
    Err(Failure::Failed("demo is not built yet".into()))
}
