//! Arguments of the verbs that open the screen.

use std::path::PathBuf;

use super::Failure;
use crate::{config, tui};

/// Its configuration.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ScreenArgs {
    /// Configuration of the screen, instead of the user's (~/.config/zcscope/config.toml).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ScreenArgs {
    /// The screen's options by the configuration and the environment.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the configuration is wrong.
    pub(super) fn options(&self) -> Result<tui::Options, Failure> {
        let config =
            config::load(self.config.as_deref()).map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(config.options(&tui::Environment::read()))
    }
}
