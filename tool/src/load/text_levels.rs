//! The levels of an open loop as a table.

use std::fmt::Write;

use super::result::{Latency, Level, OpenLoop};
use crate::units::{duration, exact};

/// The table, with an empty line before it.
#[must_use]
pub(super) fn render(open_loop: &OpenLoop) -> String {
    let mut out = String::from(
        "\n  messages at fixed rates; times from when each was due, and (raw) from when it was sent\n",
    );
    if let Some(max) = open_loop.max_per_s {
        let _ = writeln!(out, "  maximum measured: {} messages/s", exact(max.round() as u64));
    }
    let _ = writeln!(
        out,
        "  {:<10}{:>12}{:>12}  {:<15}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "level", "due/s", "sent/s", "until", "p50", "p90", "p99", "p99.9", "max"
    );
    for level in &open_loop.levels {
        for line in lines(level) {
            let _ = writeln!(out, "  {}", line.trim_end());
        }
    }
    out
}

fn lines(level: &Level) -> Vec<String> {
    let rows = [
        ("accepted", Some(&level.accepted_ns)),
        ("accepted (raw)", Some(&level.accepted_raw_ns)),
        ("ended", level.ended_ns.as_ref()),
        ("ended (raw)", level.ended_raw_ns.as_ref()),
    ];
    let mut lines: Vec<String> = Vec::new();
    for (until, latency) in rows {
        let Some(latency) = latency else { continue };
        let first = if lines.is_empty() {
            let per_s = |rate: f64| exact(rate.round() as u64);
            format!("{:<10}{:>12}{:>12}", level.asked, per_s(level.rate_per_s), per_s(level.sent_per_s))
        } else {
            " ".repeat(34)
        };
        lines.push(format!("{first}  {until:<15}{}", figures(latency)));
    }
    if !level.kept {
        lines.push(match level.offered - level.sent.min(level.offered) {
            0 => "NOT KEPT: the messages were sent slower than they were due".into(),
            left => format!(
                "NOT KEPT: {} of {} messages could not be sent in time; times from when they were due are lower bounds",
                exact(left),
                exact(level.offered)
            ),
        });
    }
    lines
}

fn figures(latency: &Latency) -> String {
    let Some(l) = latency.figures else { return format!("{:>9}", "-") };
    [l.p50, l.p90, l.p99, l.p999, l.max].map(|ns| format!("{:>9}", duration(ns))).concat()
}

#[cfg(test)]
mod tests {
    use super::super::result::LatencyFigures;
    use super::*;

    fn level() -> Level {
        let figures =
            LatencyFigures { min: 1, p50: 20_000, p90: 30_000, p99: 40_000, p999: 41_000, max: 1_200_000 };
        Level {
            asked: "10,000/s".into(),
            rate_per_s: 10_000.0,
            offered: 50_000,
            sent: 50_000,
            sent_per_s: 10_000.2,
            kept: true,
            accepted_ns: Latency { count: 50_000, figures: Some(figures) },
            ..Level::default()
        }
    }

    #[test]
    fn a_level_that_was_kept() {
        let text = render(&OpenLoop { max_per_s: None, levels: vec![level()] });
        assert!(text.contains("10,000/s        10,000      10,000  accepted         20.0 µs"), "{text}");
        assert!(!text.contains("ended") && !text.contains("NOT KEPT"), "{text}");
    }

    #[test]
    fn a_level_that_was_not_kept_says_so() {
        let level = Level { sent: 12_000, kept: false, ..level() };
        let text = render(&OpenLoop { max_per_s: Some(2_400.4), levels: vec![level] });
        assert!(text.contains("NOT KEPT: 38,000 of 50,000"), "{text}");
        assert!(text.contains("maximum measured: 2,400 messages/s"), "{text}");
    }
}
