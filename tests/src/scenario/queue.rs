//! Runs scenarios side by side: most of a row's time is waiting, above all for the kernel to let go of the programs
//! that were attached. Rows share nothing but network cards; what must be alone runs after all others.

use std::sync::{Condvar, Mutex, PoisonError};

/// What a task keeps others from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Namespaces of its own, and nothing else.
    Nothing,
    /// The cards of this driver.
    Cards(&'static str),
    /// The whole machine.
    Alone,
}

/// One scenario to run.
pub(super) struct Task<'a> {
    pub(super) needs: Needs,
    pub(super) run: Box<dyn FnOnce() + Send + 'a>,
}

/// What waits and what is taken.
struct State<'a> {
    waiting: Vec<Task<'a>>,
    taken: Vec<Needs>,
}

/// Runs all tasks, `jobs` at a time, in about their order.
pub(super) fn run(tasks: Vec<Task<'_>>, jobs: usize) {
    let (alone, waiting): (Vec<_>, Vec<_>) = tasks.into_iter().partition(|task| task.needs == Needs::Alone);
    let state = Mutex::new(State { waiting, taken: Vec::new() });
    let changed = Condvar::new();
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| work(&state, &changed));
        }
    });
    for task in alone {
        (task.run)();
    }
}

/// One worker: takes the first task nothing stands in the way of, until none is left.
fn work(state: &Mutex<State<'_>>, changed: &Condvar) {
    let mut guard = state.lock().unwrap_or_else(PoisonError::into_inner);
    while !guard.waiting.is_empty() {
        let free = |task: &Task<'_>| task.needs == Needs::Nothing || !guard.taken.contains(&task.needs);
        let Some(index) = guard.waiting.iter().position(free) else {
            guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let Task { needs, run } = guard.waiting.remove(index);
        guard.taken.push(needs);
        drop(guard);
        run();
        guard = state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = guard.taken.iter().position(|taken| *taken == needs) {
            guard.taken.swap_remove(index);
        }
        changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn all_run_and_what_is_shared_is_used_by_one_at_a_time() {
        let (ran, using, others) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
        let needs = [Needs::Nothing, Needs::Cards("a"), Needs::Alone].into_iter().cycle().take(21);
        let task = |needs| Task {
            needs,
            run: Box::new(|| {
                others.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(1));
                ran.fetch_add(1, Ordering::SeqCst);
                others.fetch_sub(1, Ordering::SeqCst);
            }),
        };
        let counted = |needs: Needs| {
            let task = task(needs);
            let (using, others) = (&using, &others);
            Task {
                needs,
                run: Box::new(move || {
                    let shared = needs != Needs::Nothing;
                    assert!(!shared || using.fetch_add(1, Ordering::SeqCst) == 0);
                    assert!(needs != Needs::Alone || others.load(Ordering::SeqCst) == 0);
                    (task.run)();
                    shared.then(|| using.fetch_sub(1, Ordering::SeqCst));
                }),
            }
        };
        run(needs.map(counted).collect(), 3);
        assert_eq!(ran.load(Ordering::SeqCst), 21);
    }
}
