//! Where sending threads wait for what to do next, and all begin it at the same moment.
//!
//! Unlike a barrier it works with as many threads as there turn out to be.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A board with the current order of type `T`.
pub(super) struct Orders<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    /// Orders given so far.
    given: u64,
    order: Option<T>,
    /// Threads that wait for the next one.
    waiting: usize,
}

impl<T: Copy> Orders<T> {
    /// An empty board.
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { given: 0, order: None, waiting: 0 }), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until an order is given that comes after number `seen`, and takes it.
    pub(super) fn next(&self, seen: &mut u64) -> T {
        let mut state = self.state();
        state.waiting += 1;
        self.changed.notify_all();
        loop {
            match state.order {
                Some(order) if state.given > *seen => {
                    *seen = state.given;
                    return order;
                }
                _ => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Sleeps until `count` threads wait.
    pub(super) fn wait_ready(&self, count: usize) {
        drop(self.changed.wait_while(self.state(), |state| state.waiting < count));
    }

    /// Gives an order to everybody, also to those who come later.
    pub(super) fn give(&self, order: T) {
        let mut state = self.state();
        state.given += 1;
        state.order = Some(order);
        state.waiting = 0;
        drop(state);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    #[test]
    fn nobody_begins_before_the_order_and_everybody_gets_each_one() {
        let (orders, sum) = (Orders::new(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut seen = 0;
                    loop {
                        match orders.next(&mut seen) {
                            0 => break,
                            n => sum.fetch_add(n, SeqCst),
                        };
                    }
                });
            }
            for (order, before, after) in [(1, 0, 3), (10, 3, 33)] {
                orders.wait_ready(3);
                assert_eq!(sum.load(SeqCst), before);
                orders.give(order);
                orders.wait_ready(3);
                assert_eq!(sum.load(SeqCst), after);
            }
            orders.give(0);
        });
    }
}
