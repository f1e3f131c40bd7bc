//! The verbs. Each module holds its arguments and a `run` that returns the exit code of the process.

pub mod demo;
pub mod doctor;
pub mod explain;
pub mod how_args;
mod live_recording;
pub mod load;
pub mod matrix;
mod own_trace;
pub mod peer_args;
pub mod place;
pub mod record;
pub mod replay;
mod save;
mod screen;
mod screen_args;
mod screen_load;
pub mod selftest;
pub mod sink;
pub mod stat;
mod tables;
pub mod top;
pub mod trace_args;

use crate::diagnose;
use crate::host::facts::Watcher;
use crate::model::snapshot::Snapshot;

/// Puts the facts of the host into a snapshot, and asks for newer ones when it is time.
fn add_facts(watcher: &mut Watcher, snapshot: &mut Snapshot) {
    if watcher.is_due() {
        watcher.ask(diagnose::wanted(snapshot));
    }
    snapshot.host = watcher.latest();
}

/// The same for a last snapshot: with facts as they are now, and of what is gone, as they were.
fn add_last_facts(watcher: &Watcher, snapshot: &mut Snapshot) {
    let wanted = diagnose::wanted(snapshot);
    if !wanted.is_empty() {
        snapshot.host = watcher.read_now(&wanted);
    }
}

/// How a verb ends: an exit code (a traced command's own status, or 0), or a failure.
pub type Outcome = Result<u8, Failure>;

/// Why a verb could not do what was asked. The text is one sentence: what happened, why, what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Something went wrong, or a check failed: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// The request makes no sense here (unknown device, unknown pid): exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Tracing is not possible here: exit code 3.
    #[error("cannot trace here: {0}")]
    CannotTrace(String),
}

impl Failure {
    /// The exit code of the process.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Failure::Failed(_) => 1,
            Failure::Usage(_) => 2,
            Failure::CannotTrace(_) => 3,
        }
    }
}

impl From<crate::record::Error> for Failure {
    fn from(error: crate::record::Error) -> Self {
        Failure::Failed(error.to_string())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Failed(format!("{error:#}"))
    }
}
