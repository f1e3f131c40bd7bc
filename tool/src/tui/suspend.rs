//! Stopping as Ctrl-Z does: by the default action of SIGTSTP, which the kernel leaves out where nobody could ever
//! continue the process (no job control, no shell above).
#![allow(unsafe_code, reason = "sigaction, to let the default action of SIGTSTP happen once")]

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, raise, sigaction};
use nix::unistd::Pid;

/// Whom to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// This process: somebody sent it the signal.
    Self_,
    /// The whole job, as the terminal does on Ctrl-Z: a script around this process stops with it.
    Job,
}

/// Stops, and returns when continued. Where a stop is not possible it returns at once.
pub(super) fn stop(whom: Whom) -> nix::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action runs no code of ours; the action that was there is put back below.
    let before = unsafe { sigaction(Signal::SIGTSTP, &default) }?;
    let stopped = match whom {
        Whom::Self_ => raise(Signal::SIGTSTP),
        Whom::Job => kill(Pid::from_raw(0), Signal::SIGTSTP),
    };
    // SAFETY: this action was installed before by code that owns its handler for the life of the process.
    unsafe { sigaction(Signal::SIGTSTP, &before) }?;
    stopped
}
