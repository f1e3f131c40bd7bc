//! The verb `top`.

use super::{Failure, Outcome};

/// Arguments of `top`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

/// Runs it.
///
/// # Errors
/// See [`Failure`].
pub fn run(_args: Args) -> Outcome {
    Err(Failure::Failed("top is not built yet".into()))
}
