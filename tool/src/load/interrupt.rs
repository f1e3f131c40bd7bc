//! Ctrl-C, SIGTERM and a closed terminal as something to poll for, so that a run ends early and still reports.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Holds back SIGINT, SIGTERM and SIGHUP while it lives; its descriptor becomes readable when one has come.
/// Make it before any thread is started: threads inherit which signals are held back.
pub struct Interrupt {
    fd: SignalFd,
    mask_before: SigSet,
}

impl Interrupt {
    /// Begins to hold the signals back.
    ///
    /// # Errors
    /// The kernel gives no signal descriptor.
    pub fn new() -> std::io::Result<Self> {
        let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        let mask_before = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let fd = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { fd, mask_before })
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        // Take what came, or it would be delivered now and kill us before the report is out.
        while matches!(self.fd.read_signal(), Ok(Some(_))) {}
        let _ = self.mask_before.thread_set_mask();
    }
}
