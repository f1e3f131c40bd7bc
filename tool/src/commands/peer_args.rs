//! Arguments of every verb that sends: how the sink is asked, and whether it checks what comes.

use std::path::PathBuf;

use crate::load::control::client::Target;
use crate::load::control::token::Token;
use crate::load::pattern::Poison;
use crate::load::sink::{Mode, Rules};
use crate::load::{Family, LoadError, resolve};

/// How the sink is asked, and whether it checks what comes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PeerArgs {
    /// Ask the sink for the run at its control port, and report its figures, too (see `sink --control`).
    #[arg(long, value_name = "HOST:PORT")]
    control: Option<String>,
    /// File with the token the sink knows, readable by its owner only [default: the variable ZCSCOPE_TOKEN].
    #[arg(long, value_name = "FILE", requires = "control")]
    token_file: Option<PathBuf>,
    /// How the sink is to receive, where it can be told (--control, --cable, --veth) [default: as it was started].
    #[arg(long, value_name = "MODE", value_enum)]
    sink_mode: Option<Mode>,
    /// Send a pattern in which every byte carries its place, and overwrite each buffer as soon as the kernel is done
    /// with it. The sink checks: ask it with --control, or start it with --verify.
    #[arg(long)]
    verify: bool,
    /// Overwrite each buffer right after the send call, on purpose too early: the check must find it.
    #[arg(long, requires = "verify")]
    reuse_early: bool,
}

impl PeerArgs {
    /// The control port to ask.
    ///
    /// # Errors
    /// An address that is none, or a token that is missing or not safe.
    pub fn target(&self, family: Family) -> Result<Option<Target>, LoadError> {
        let Some(control) = &self.control else { return Ok(None) };
        let token = Token::find(self.token_file.as_deref())?;
        let mode = self.sink_mode.map(|mode| mode.name().to_owned());
        Ok(Some(Target { addresses: resolve(control, family)?, token, mode }))
    }

    /// Whether a sink mode, if one is asked for, reaches a sink that is not our own child.
    #[must_use]
    pub const fn can_tell_the_sink(&self) -> bool {
        self.sink_mode.is_none() || self.control.is_some()
    }

    /// How a sink that is started for this load receives; TLS records with `tls`.
    #[must_use]
    pub fn rules(&self, tls: bool) -> Rules {
        Rules { mode: self.sink_mode.unwrap_or_default(), verify: self.verify, tls }
    }

    /// When buffers are overwritten.
    #[must_use]
    pub const fn verify(&self) -> Option<Poison> {
        match (self.verify, self.reuse_early) {
            (false, _) => None,
            (true, false) => Some(Poison::AfterEnd),
            (true, true) => Some(Poison::TooEarly),
        }
    }
}
