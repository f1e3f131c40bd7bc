//! When the demo ends: a signal, or its time is up.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

/// Why reading stopped although nothing went wrong. Travels as an error through the dashboard, which restores the
/// terminal on the way.
#[derive(Debug, thiserror::Error)]
#[error("the demo has ended")]
pub(super) struct Ended;

/// Knows whether the demo should end.
pub(super) struct Ending {
    signalled: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Ending {
    /// Watches for SIGINT, SIGTERM and SIGHUP from now on.
    ///
    /// # Errors
    /// Out of descriptors or threads.
    pub(super) fn new() -> io::Result<Ending> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handlers = {
            let _context = runtime.enter();
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal)
        };
        let [interrupt, terminate, hangup] = handlers;
        let (mut interrupt, mut terminate, mut hangup) = (interrupt?, terminate?, hangup?);
        let signalled = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&signalled);
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                        _ = hangup.recv() => {}
                    }
                    flag.store(true, Ordering::Relaxed);
                }
            });
        })?;
        Ok(Ending { signalled, deadline: None })
    }

    /// Starts the clock; setting up is not part of the time asked for.
    pub(super) fn start_clock(&mut self, duration: Option<Duration>) {
        self.deadline = duration.and_then(|time| Instant::now().checked_add(time));
    }

    /// Fails with [`Ended`] once it is time.
    pub(super) fn check(&self) -> Result<(), Ended> {
        let late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if late || self.signalled.load(Ordering::Relaxed) { Err(Ended) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test for both, because a signal is the whole process's.
    #[test]
    fn ends_when_the_time_is_up_and_not_before_or_at_a_signal() {
        let mut ending = Ending::new().unwrap();
        assert!(ending.check().is_ok());
        ending.start_clock(Some(Duration::from_secs(3600)));
        assert!(ending.check().is_ok());
        ending.start_clock(Some(Duration::ZERO));
        assert!(ending.check().is_err());
        ending.start_clock(None);
        assert!(ending.check().is_ok());

        nix::sys::signal::raise(nix::sys::signal::Signal::SIGHUP).unwrap();
        let start = Instant::now();
        while ending.check().is_ok() && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(ending.check().is_err());
    }
}
