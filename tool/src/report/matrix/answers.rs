//! Break-even in words, for all forms.

use super::table::digits;
use crate::matrix::breakeven::{BreakEven, Outcome};
use crate::matrix::plan::Group;
use crate::matrix::result::{CellReport, MatrixReport};
use crate::matrix::stats::Estimate;
use crate::units::size;

/// A group in words.
pub(super) fn group((streams, depth): Group) -> String {
    let streams = if streams == 1 { "1 stream".to_owned() } else { format!("{streams} streams") };
    let depth = depth.map_or_else(|| "by size".to_owned(), |depth| depth.to_string());
    format!("{streams}, depth {depth}")
}

/// Both outcomes of one break-even with the figures they rest on.
pub(super) struct Answer {
    pub(super) cpu: String,
    pub(super) rate: String,
    /// What was left out.
    pub(super) note: Option<String>,
}

impl Answer {
    pub(super) fn of(report: &MatrixReport, found: &BreakEven) -> Self {
        let text = |told: &Outcome, figure| outcome(told, evidence(report, found, told, figure));
        Self {
            cpu: text(&found.machine_s_per_gb, |cell| cell.machine_s_per_gb),
            rate: text(&found.gbit_s, |cell| cell.gbit_s),
            note: left_out(found),
        }
    }

    /// On one line.
    pub(super) fn line(&self) -> String {
        let both = if self.cpu == self.rate {
            self.cpu.clone()
        } else {
            format!("CPU-s/GB {}; Gbit/s {}", self.cpu, self.rate)
        };
        [Some(both), self.note.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// Whose CPU time it is, and for which traffic the answers hold.
pub(super) fn scope(report: &MatrixReport) -> String {
    let whose = match report.setting.link.as_str() {
        "network" => "of the whole sending machine",
        _ => "of the whole machine, sender and receiver together",
    };
    let only = match report.setting.functional_only {
        Some(_) => "; all of it holds for traffic that stays on this host, and says nothing about a NIC",
        None => "",
    };
    format!("CPU-s/GB is that {whose}{only}.")
}

fn outcome(outcome: &Outcome, evidence: Option<String>) -> String {
    let evidence = evidence.map(|text| format!(": {text}")).unwrap_or_default();
    match outcome {
        Outcome::At { size: at, above, high, not_separable_at, worse_at } => {
            let interval = interval(*above, *high);
            let but = [("not separable at", not_separable_at), ("worse at", worse_at)];
            let but = but.into_iter().filter(|(_, sizes)| !sizes.is_empty());
            let but: String = but.map(|(what, sizes)| format!(", {what} {}", list(sizes))).collect();
            format!("{} ({interval}){evidence}{but}", size(*at))
        }
        Outcome::None { up_to } => format!("none up to {}{evidence}", size(*up_to)),
        Outcome::NotSeparable { worse_at } if worse_at.is_empty() => "not separable from noise".into(),
        Outcome::NotSeparable { worse_at } => {
            format!("worse at {}, else not separable from noise", list(worse_at))
        }
        Outcome::Copied => "copied: not zero-copy here".into(),
        Outcome::Unproven => "not shown to be zero-copy".into(),
        Outcome::TooFewRuns { needed } => format!("no verdict with fewer than {needed} runs"),
        Outcome::NoBaseline => "no verdict: nothing to compare with was run".into(),
        Outcome::Failed => "every run failed".into(),
    }
}

/// Where the truth lies: above the first size, and not above the second.
fn interval(above: Option<u64>, high: Option<u64>) -> String {
    match (above, high) {
        (Some(above), Some(high)) => format!("{}-{}", size(above), size(high)),
        (None, Some(high)) => format!("up to {}", size(high)),
        (Some(above), None) => format!("above {}", size(above)),
        (None, None) => "anywhere".into(),
    }
}

fn list(sizes: &[u64]) -> String {
    sizes.iter().map(|bytes| size(*bytes)).collect::<Vec<_>>().join(" ")
}

/// What path and baseline had at the size that decides: `25.4 against 31.4, -19 %`.
fn evidence(
    report: &MatrixReport,
    found: &BreakEven,
    outcome: &Outcome,
    figure: fn(&CellReport) -> Option<Estimate>,
) -> Option<String> {
    let (Outcome::At { size, .. } | Outcome::None { up_to: size }) = outcome else { return None };
    let median = |path: &str| {
        let mut cells = report.cells.iter().filter(|cell| cell.key.path == path && cell.key.size == *size);
        let cell = cells.find(|cell| cell.key.group() == (found.streams, found.depth))?;
        figure(cell).map(|estimate| estimate.median)
    };
    let (mine, theirs) = (median(&found.path)?, median(&found.baseline)?);
    let change = (mine / theirs - 1.0) * 100.0;
    let change = if change.abs() < 9.95 { format!("{change:+.1}") } else { format!("{change:+.0}") };
    Some(format!("{} against {}, {change} %", digits(mine), digits(theirs)))
}

fn left_out(found: &BreakEven) -> Option<String> {
    if found.machine_s_per_gb == Outcome::Copied {
        // All of them: that is said already.
        return None;
    }
    (!found.copied_sizes.is_empty()).then(|| format!("copied at {}", list(&found.copied_sizes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_tells_what_it_does_not_know() {
        let (four, sixty_four) = (Some(4 << 10), Some(64 << 10));
        assert_eq!(interval(four, sixty_four), "4K-64K");
        assert_eq!(interval(None, sixty_four), "up to 64K");
        assert_eq!(interval(four, None), "above 4K");
    }

    #[test]
    fn sizes_that_disagree_with_the_answer_are_told() {
        let at = |not_separable_at, worse_at| Outcome::At {
            size: 16 << 10,
            above: Some(4 << 10),
            high: Some(16 << 10),
            not_separable_at,
            worse_at,
        };
        assert_eq!(outcome(&at(vec![], vec![]), Some("2 against 3".into())), "16K (4K-16K): 2 against 3");
        let doubtful = outcome(&at(vec![64 << 10, 1 << 20], vec![256 << 10]), None);
        assert_eq!(doubtful, "16K (4K-16K), not separable at 64K 1M, worse at 256K");
        let unclear = Outcome::NotSeparable { worse_at: vec![1 << 10, 1 << 20] };
        assert_eq!(outcome(&unclear, None), "worse at 1K 1M, else not separable from noise");
    }
}
