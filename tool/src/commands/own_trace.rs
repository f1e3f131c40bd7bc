//! A trace of what this very process sends, read when everything has ended: what the generator's verbs share.

use std::time::{Duration, Instant};

use crate::model::Model;
use crate::model::snapshot::{Session, Snapshot};
use crate::probe::{Options, Probe};

/// Time the kernel's last events get to be counted, and how often that is looked at.
const DRAIN: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(10);

/// The trace, from when it began to count.
pub(super) struct OwnTrace {
    probe: Probe,
    model: Model,
}

impl OwnTrace {
    /// Attaches, and counts from now on.
    ///
    /// # Errors
    /// One sentence: no rights, no kernel types, nothing to attach to.
    pub(super) fn start(options: &Options) -> Result<Self, String> {
        let probe = Probe::start(options).map_err(|error| error.to_string())?;
        Ok(Self::of(probe))
    }

    /// A trace that counts already.
    pub(super) fn of(probe: Probe) -> Self {
        let model = Model::new(probe.session());
        Self { probe, model }
    }

    /// Host, kernel, back end, and what is missing.
    pub(super) fn session(&self) -> Session {
        self.probe.session()
    }

    /// The state when no send is open any more, and no connection unless they may be (`connected`), or after a while.
    ///
    /// # Errors
    /// The kernel's maps cannot be read.
    pub(super) fn settled(&mut self, connected: bool) -> Result<Snapshot, String> {
        let patience = Instant::now() + DRAIN;
        loop {
            let snapshot = self.snapshot()?;
            let open = snapshot.paths.iter().filter_map(|path| path.in_flight).any(|open| open.sends > 0);
            let settled = !open && (connected || snapshot.sockets.iter().all(|socket| !socket.alive));
            if settled || Instant::now() >= patience {
                return Ok(snapshot);
            }
            std::thread::sleep(TICK);
        }
    }

    fn snapshot(&mut self) -> Result<Snapshot, String> {
        self.model.absorb(self.probe.read().map_err(|error| format!("{error:#}"))?);
        Ok(self.model.snapshot())
    }
}
