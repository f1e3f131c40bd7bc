//! A start line: threads report ready and wait; somebody counts them and lets all go at once.
//!
//! Unlike a barrier it works with as many threads as there turn out to be.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The start line.
#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ready: usize,
    open: bool,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports ready and sleeps until the gate opens.
    pub(super) fn pass(&self) {
        let mut state = self.state();
        state.ready += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| !state.open));
    }

    /// Sleeps until `count` threads are ready.
    pub(super) fn wait_ready(&self, count: usize) {
        drop(self.changed.wait_while(self.state(), |state| state.ready < count));
    }

    /// Lets everybody go, also those who come later.
    pub(super) fn open(&self) {
        self.state().open = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    #[test]
    fn nobody_passes_before_it_opens() {
        let (gate, passed) = (Gate::default(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    gate.pass();
                    passed.fetch_add(1, SeqCst);
                });
            }
            gate.wait_ready(3);
            assert_eq!(passed.load(SeqCst), 0);
            gate.open();
        });
        assert_eq!(passed.load(SeqCst), 3);
    }
}
