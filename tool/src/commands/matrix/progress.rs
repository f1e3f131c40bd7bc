//! What a matrix says on stderr while it runs: one line that is redrawn on a terminal, a line per round elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::matrix::plan::Key;
use crate::units::{duration, size};

/// The line.
pub(super) struct Progress {
    terminal: bool,
    begun: Instant,
    done: u64,
    total: u64,
    expected: Duration,
}

impl Progress {
    /// For `total` runs that should take `expected`.
    pub(super) fn new(total: u64, expected: Duration) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { terminal, begun: Instant::now(), done: 0, total, expected }
    }

    /// More runs than thought.
    pub(super) fn extend(&mut self, runs: u64, expected: Duration) {
        self.total += runs;
        self.expected += expected;
    }

    /// The traced runs begin.
    pub(super) fn proof(&self) {
        if !self.terminal {
            eprintln!("traced runs, {} of {} runs done", self.done, self.total);
        }
    }

    /// A round begins.
    pub(super) fn round(&self, round: u64, rounds: u64) {
        if !self.terminal {
            eprintln!("round {} of {rounds}, {} of {} runs done", round + 1, self.done, self.total);
        }
    }

    /// A run begins.
    pub(super) fn run(&self, key: &Key) {
        if !self.terminal {
            return;
        }
        let left = duration(u64::try_from(self.left().as_nanos()).unwrap_or(u64::MAX));
        let line = format!(
            "[{}/{}] {} {}, {} x depth {}; {left} left",
            self.done + 1,
            self.total,
            key.path,
            size(key.size),
            key.streams,
            key.depth
        );
        let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
    }

    /// A run has ended.
    pub(super) fn ended(&mut self) {
        self.done += 1;
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        if self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }

    /// By what the runs so far took; before the first, by the plan.
    fn left(&self) -> Duration {
        match u32::try_from(self.done) {
            Ok(done) if done > 0 => {
                let open = u32::try_from(self.total.saturating_sub(self.done)).unwrap_or(u32::MAX);
                self.begun.elapsed() / done * open
            }
            _ => self.expected,
        }
    }
}
