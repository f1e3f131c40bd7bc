//! What is seen of a load while it runs, on stderr: one line that is redrawn on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crate::load::engine::{Progress, Stage, Watcher};
use crate::units::{bit_rate, duration, exact, percent};

/// Columns of the bar.
const BAR: usize = 20;
/// Time between two plain lines.
const PLAIN: Duration = Duration::from_secs(1);
/// Back to the first column, and clear the line.
const AGAIN: &str = "\r\x1b[K";

/// Draws the progress of one load.
pub(super) struct Live {
    terminal: bool,
    /// What was shown last.
    before: Progress,
    drawn: bool,
}

impl Live {
    /// On stderr, in the form that suits it.
    pub(super) fn on_stderr() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), before: Progress::default(), drawn: false }
    }

    /// Takes the redrawn line away, to make room for the report.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            write(AGAIN);
        }
    }
}

impl Watcher for Live {
    fn progress(&mut self, now: &Progress) {
        if now.stage != self.before.stage {
            self.before = Progress { stage: now.stage, ..Progress::default() };
        }
        if self.terminal {
            let text = format!("{} {}", bar(now), line(&self.before, now));
            write(&format!("{AGAIN}{}", fit(&text, columns())));
            self.drawn = true;
        } else if now.elapsed < self.before.elapsed + PLAIN {
            return;
        } else {
            write(&format!("{}\n", line(&self.before, now)));
        }
        self.before = *now;
    }
}

/// Nobody may be reading; that is no reason to fail.
fn write(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Columns of the terminal; 80 where it does not say.
fn columns() -> usize {
    crossterm::terminal::size().map_or(80, |(columns, _)| usize::from(columns))
}

/// What fits into one line: a line that wraps cannot be redrawn.
fn fit(text: &str, columns: usize) -> &str {
    text.char_indices().nth(columns).map_or(text, |(end, _)| &text[..end])
}

/// How much of the stage is done, by bytes where it ends by them.
fn bar(now: &Progress) -> String {
    let by_time = now.elapsed.as_secs_f64() / now.limit.as_secs_f64().max(1e-9);
    let done = now.goal.map_or(by_time, |goal| now.bytes as f64 / goal.max(1) as f64);
    let full = (done.clamp(0.0, 1.0) * BAR as f64).round() as usize;
    format!("[{}{}]", "#".repeat(full), ".".repeat(BAR - full))
}

fn line(before: &Progress, now: &Progress) -> String {
    let since = |now: u64, before: u64| now.saturating_sub(before);
    let span = now.elapsed.saturating_sub(before.elapsed).as_nanos().max(1) as f64;
    let gbit_s = since(now.bytes, before.bytes) as f64 * 8.0 / span;
    let mut line = format!("{:>5.1} s  {:>11}", now.elapsed.as_secs_f64(), bit_rate(gbit_s * 1e9));
    match now.stage {
        Stage::WarmUp => line.push_str("  warming up"),
        Stage::Maximum => line.push_str("  finding the maximum"),
        Stage::Level(index) => line.push_str(&format!("  level {}", index + 1)),
        Stage::Measure => {}
    }
    if now.ended > 0 {
        let (ended, copied) = (since(now.ended, before.ended), since(now.copied, before.copied));
        line.push_str(&format!(
            "  told copied {:>6}  p99 {:>7}",
            percent(copied, ended),
            duration(now.p99_ns)
        ));
    }
    if now.enobufs > before.enobufs {
        line.push_str(&format!("  ENOBUFS {}", exact(since(now.enobufs, before.enobufs))));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64, bytes: u64, ended: u64, copied: u64) -> Progress {
        let elapsed = Duration::from_millis(ms);
        let (stage, limit) = (Stage::Measure, Duration::from_secs(10));
        Progress { stage, elapsed, limit, bytes, ended, copied, p99_ns: 93_000, ..Progress::default() }
    }

    #[test]
    fn a_line_shows_the_last_interval_only() {
        let text = line(&at(1000, 1_000_000_000, 100, 100), &at(2000, 2_250_000_000, 200, 125));
        assert_eq!(text, "  2.0 s  10.0 Gbit/s  told copied 25.0 %  p99 93.0 µs");
    }

    #[test]
    fn a_line_never_wraps() {
        let busy =
            Progress { stage: Stage::Maximum, enobufs: 1_000_000, ..at(2000, 2_250_000_000, 200, 125) };
        let text = format!("{} {}", bar(&busy), line(&at(1000, 1_000_000_000, 100, 100), &busy));
        assert!(text.chars().count() > 80, "{text}");
        assert_eq!(fit(&text, 80).chars().count(), 80);
        assert_eq!(fit("93.0 µs", 7), "93.0 µs");
        assert_eq!(fit("93.0 µs", 6), "93.0 µ");
    }

    #[test]
    fn a_path_that_is_told_nothing_shows_no_share() {
        assert_eq!(line(&at(0, 0, 0, 0), &at(1000, 125_000_000, 0, 0)), "  1.0 s  1.00 Gbit/s");
        let warm = Progress { stage: Stage::WarmUp, enobufs: 3, ..at(1000, 125_000_000, 0, 0) };
        assert_eq!(line(&at(0, 0, 0, 0), &warm), "  1.0 s  1.00 Gbit/s  warming up  ENOBUFS 3");
    }

    #[test]
    fn the_bar_follows_the_bytes_where_they_end_the_run() {
        assert_eq!(bar(&at(5000, 1, 0, 0)), "[##########..........]");
        let by_bytes = Progress { goal: Some(100), ..at(1, 100, 0, 0) };
        assert_eq!(bar(&by_bytes), format!("[{}]", "#".repeat(20)));
        assert_eq!(bar(&at(20_000, 0, 0, 0)).len(), 22, "late is full, not longer");
    }
}
