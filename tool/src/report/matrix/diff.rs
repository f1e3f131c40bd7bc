//! What changed between two matrices, as text.

use std::fmt::Write as _;

use super::Screen;
use super::answers::group;
use super::table::digits;
use crate::matrix::diff::{CellDiff, Diff, FigureDiff, Judgement};
use crate::units::size;

/// Names of the judgements, in the order of the summary.
const NAMES: [&str; 5] = ["worse", "better", "same", "not separable", "refused"];

/// The text, with a newline at the end.
#[must_use]
pub fn render(diff: &Diff, threshold: f64, screen: Screen) -> String {
    let mut out = String::new();
    for note in &diff.notes {
        let _ = writeln!(out, "{note}");
    }
    let _ = writeln!(
        out,
        "A change counts from {:.1} % on, when the 95 % intervals do not overlap.\n",
        threshold * 100.0
    );
    let width = diff.cells.iter().map(|cell| title(cell).chars().count() + 2).max().unwrap_or(0);
    for cell in &diff.cells {
        let judgement = format!("{:<15}", cell.judgement.name());
        let shown = if cell.judgement == Judgement::Worse { screen.alarm(&judgement) } else { judgement };
        let _ = writeln!(out, "{shown}{:<width$}", title(cell));
        for line in details(cell) {
            let _ = writeln!(out, "{:<15}  {line}", "");
        }
    }
    for (key, which) in &diff.alone {
        let name = format!("{} {}, {}", key.path, size(key.size), group((key.streams, Some(key.depth))));
        let _ = writeln!(out, "{:<15}{name}: only in {which}", "-");
    }
    let counts: Vec<String> = NAMES.iter().map(|name| format!("{} {name}", diff.count(name))).collect();
    let _ = writeln!(out, "\n{}", counts.join(", "));
    out.lines().fold(String::new(), |mut text, line| {
        text.push_str(line.trim_end());
        text.push('\n');
        text
    })
}

fn title(cell: &CellDiff) -> String {
    format!("{} {}, {}", cell.key.path, size(cell.key.size), group((cell.key.streams, Some(cell.key.depth))))
}

fn details(cell: &CellDiff) -> Vec<String> {
    let refused = match &cell.judgement {
        Judgement::Refused(why) => Some(why.clone()),
        _ => None,
    };
    refused.into_iter().chain(cell.copied.clone()).chain(cell.figures.iter().map(figure)).collect()
}

fn figure(figure: &FigureDiff) -> String {
    let percent = |share: f64| format!("{:+.1} %", share * 100.0);
    let name = if figure.name == "gbit_s" { "Gbit/s" } else { "CPU-s/GB" };
    let interval = match figure.change.interval() {
        Some((low, high)) => format!(" [{} .. {}]", percent(low), percent(high)),
        None => " [?]".into(),
    };
    let (before, after) = (digits(figure.medians.0), digits(figure.medians.1));
    let change = percent(figure.change.median);
    format!("{name:<9}{before:>6} -> {after:<6} {change:>8}{interval:<22} {}", figure.judgement.name())
}
