//! Reads the facts of the host again and again on a thread of its own: walking `/proc` must not hold up a screen.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{HostFacts, Wanted};
use crate::host::taps::TapReader;

/// Time between two readings. A finding shall stand on the screen within 5 s.
const EVERY: Duration = Duration::from_secs(3);

/// The thread, and what it read last. It ends when this is dropped.
#[derive(Debug)]
pub struct Watcher {
    wanted: Option<Sender<Vec<Wanted>>>,
    latest: Arc<Mutex<Arc<HostFacts>>>,
    asked: Option<Instant>,
}

impl Watcher {
    /// Starts the thread. Where none can be started, nothing is ever known.
    #[must_use]
    pub fn start() -> Watcher {
        let latest = Arc::<Mutex<Arc<HostFacts>>>::default();
        let (sender, receiver) = channel();
        let shared = Arc::clone(&latest);
        let thread = thread::Builder::new().name("facts".into()).spawn(move || serve(&receiver, &shared));
        Watcher { wanted: thread.is_ok().then_some(sender), latest, asked: None }
    }

    /// True when it is time to say what is wanted: nothing was asked for some seconds.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.asked.is_none_or(|at| at.elapsed() >= EVERY)
    }

    /// Asks for the facts of these connections; the answer comes with [`Watcher::latest`] some time later.
    pub fn ask(&mut self, wanted: Vec<Wanted>) {
        if wanted.is_empty() {
            return;
        }
        self.asked = Some(Instant::now());
        if let Some(sender) = &self.wanted {
            // The thread ends only with this sender.
            let _ = sender.send(wanted);
        }
    }

    /// Reads now, and waits for it.
    #[must_use]
    pub fn read_now(&self, wanted: &[Wanted]) -> Arc<HostFacts> {
        Arc::new(HostFacts::read(wanted, &self.latest(), &mut TapReader::default()))
    }

    /// What was read last; empty before the first reading.
    #[must_use]
    pub fn latest(&self) -> Arc<HostFacts> {
        Arc::clone(&self.latest.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn serve(wanted: &Receiver<Vec<Wanted>>, latest: &Mutex<Arc<HostFacts>>) {
    let mut taps = TapReader::default();
    while let Ok(wanted) = wanted.recv() {
        let before = Arc::clone(&latest.lock().unwrap_or_else(PoisonError::into_inner));
        let facts = Arc::new(HostFacts::read(&wanted, &before, &mut taps));
        *latest.lock().unwrap_or_else(PoisonError::into_inner) = facts;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_arrive_after_they_were_asked_for() {
        let mut watcher = Watcher::start();
        assert!(watcher.is_due());
        watcher.ask(Vec::new());
        assert!(watcher.is_due(), "nothing was asked for");
        assert_eq!(*watcher.latest(), HostFacts::default());
        let nowhere = "127.0.0.1:1".parse().unwrap();
        watcher.ask(vec![Wanted {
            id: 1,
            cookie: None,
            pid: std::process::id(),
            netns: 0,
            local: nowhere,
            remote: nowhere,
            dev: None,
        }]);
        assert!(!watcher.is_due());
        let arrived = (0..500).any(|_| {
            thread::sleep(Duration::from_millis(10));
            !watcher.latest().cpus.is_empty()
        });
        assert!(arrived);
    }
}
