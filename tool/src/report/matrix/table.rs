//! A matrix as text for a terminal of 80 columns or more: facts, banners, a block per size, break-even, the plot.

use std::fmt::Write as _;

use super::answers::{self, Answer};
use super::{Screen, facts, plot};
use crate::matrix::result::{CellReport, Copied, MatrixReport};
use crate::matrix::stats::Estimate;
use crate::matrix::verdict::COPIED_LIMIT;
use crate::units::{NOT_APPLICABLE, UNKNOWN, count_short, duration, exact, percent, size};

/// From this width on all columns are shown.
const ROOMY: usize = 120;

/// The whole report, with a newline at the end.
#[must_use]
pub fn render(report: &MatrixReport, screen: Screen) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (name, value) in facts::facts(report) {
        lines.extend(wrap(&format!("{name:<11}"), &value, screen.columns));
    }
    for banner in report.banners() {
        lines.extend(wrap("", &banner, screen.columns).iter().map(|line| screen.alarm(line)));
    }
    lines.extend(blocks(report, screen));
    lines.extend(unavailable(report, screen));
    lines.extend(break_even(report, screen));
    lines.extend(plot::plots(report, screen));
    lines.iter().fold(String::new(), |mut out, line| {
        let _ = writeln!(out, "{}", screen.plain(line.trim_end()));
        out
    })
}

/// One column: heading, width, text of a cell.
struct Column {
    heading: &'static str,
    width: usize,
    text: fn(&CellReport) -> String,
}

const NARROW: &[Column] = &[
    Column { heading: "Gbit/s", width: 17, text: |cell| interval(cell.gbit_s) },
    Column { heading: "CPU-s/GB", width: 20, text: |cell| interval(cell.machine_s_per_gb) },
    Column { heading: "p99", width: 8, text: |cell| time(cell.latency_p99_ns) },
];

const WIDE: &[Column] = &[
    Column { heading: "Gbit/s", width: 17, text: |cell| interval(cell.gbit_s) },
    Column { heading: "CPU-s/GB", width: 20, text: |cell| interval(cell.machine_s_per_gb) },
    Column { heading: "thread", width: 7, text: |cell| figure(cell.thread_s_per_gb) },
    Column { heading: "csw/GB", width: 7, text: |cell| count(cell.switches_per_gb) },
    Column { heading: "sys/GB", width: 7, text: |cell| count(cell.syscalls_per_gb) },
    Column { heading: "p50", width: 8, text: |cell| time(cell.latency_p50_ns) },
    Column { heading: "p99", width: 8, text: |cell| time(cell.latency_p99_ns) },
    Column { heading: "p99.9", width: 8, text: |cell| time(cell.latency_p999_ns) },
];

/// A block per size (and streams and depth): what may be ranked, cheapest first, then what may not.
fn blocks(report: &MatrixReport, screen: Screen) -> Vec<String> {
    let columns = if screen.columns >= ROOMY { WIDE } else { NARROW };
    let name_width = report.cells.iter().map(|cell| cell.name().chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    let mut rest = report.cells.as_slice();
    while let Some(first) = rest.first() {
        let group = |cell: &CellReport| (cell.key.size, cell.key.streams, cell.key.depth);
        let end = rest.iter().position(|cell| group(cell) != group(first)).unwrap_or(rest.len());
        let (block, after) = rest.split_at(end);
        rest = after;
        let title = format!(
            "{} a send, {}",
            size(first.key.size),
            answers::group((first.key.streams, Some(first.key.depth)))
        );
        lines.push(String::new());
        lines.push(title);
        let headings = columns.iter().map(|column| format!("{:>1$}", column.heading, column.width));
        let unranked = if columns.len() == NARROW.len() { "" } else { "[95 % interval]" };
        lines.push(format!("{unranked:<name_width$}{}", headings.collect::<String>()));
        for cell in ranked(block) {
            // A figure too wide for its column still stands apart from the one before.
            let texts =
                columns.iter().map(|column| format!(" {:>1$}", (column.text)(cell), column.width - 1));
            lines.push(format!("{:<name_width$}{}", cell.name(), texts.collect::<String>()));
            lines.extend(remarks(cell, screen));
        }
    }
    lines
}

/// Baselines and zero-copy cells by their CPU cost, then those that were copied, unproven or failed.
pub(super) fn ranked(block: &[CellReport]) -> Vec<&CellReport> {
    use crate::matrix::verdict::Verdict;
    let cost =
        |cell: &CellReport| cell.machine_s_per_gb.or(cell.thread_s_per_gb).map_or(f64::MAX, |e| e.median);
    let class = |cell: &CellReport| match cell.verdict {
        Verdict::Baseline | Verdict::ZeroCopy { .. } => 0,
        Verdict::Unproven => 1,
        Verdict::Copied { .. } => 2,
        Verdict::Failed => 3,
    };
    let mut cells: Vec<&CellReport> = block.iter().collect();
    cells.sort_by(|a, b| class(a).cmp(&class(b)).then(cost(a).total_cmp(&cost(b))));
    cells
}

fn remarks(cell: &CellReport, screen: Screen) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(n) = cell.enobufs.filter(|n| *n > 0) {
        lines.push(format!("      ENOBUFS {}", exact(n)));
    }
    if let Some(text) = disagreement(cell) {
        lines.extend(wrap("      ", &text, screen.columns));
    }
    let runs = || cell.runs.iter().chain(&cell.proof);
    let failed = runs().filter(|run| run.error.is_some()).count();
    for error in &cell.errors {
        let first = format!("      {failed} of {} runs failed: ", runs().count());
        lines.extend(wrap("      ", &format!("{}{error}", first.trim_start()), screen.columns));
    }
    let missing = cell.proof.as_ref().and_then(|run| run.kernel_missing.as_ref());
    if let Some(why) = missing {
        lines.extend(wrap("      ", &format!("the kernel's copies are not known: {why}"), screen.columns));
    }
    lines
}

/// What the application was told, where that is not what the kernel did (by more than one in a hundred).
fn disagreement(cell: &CellReport) -> Option<String> {
    let (told, kernel) = (cell.told?, cell.kernel?);
    let differs = (told.share()? - kernel.share()?).abs() > COPIED_LIMIT;
    let percent = |copied: Copied| percent(copied.copied_bytes, copied.requested_bytes);
    differs.then(|| format!("told copied {}, but the kernel copied {}", percent(told), percent(kernel)))
}

fn unavailable(report: &MatrixReport, screen: Screen) -> Vec<String> {
    if report.unavailable.is_empty() {
        return Vec::new();
    }
    let rows =
        report.unavailable.iter().flat_map(|u| wrap(&format!("  {:<22}", u.path), &u.why, screen.columns));
    [String::new(), "Not available here".into()].into_iter().chain(rows).collect()
}

fn break_even(report: &MatrixReport, screen: Screen) -> Vec<String> {
    let groups = report.break_even.iter().any(|found| {
        let first = &report.break_even[0];
        (found.streams, found.depth) != (first.streams, first.depth)
    });
    let mut lines = Vec::new();
    for block in report.break_even.chunk_by(|a, b| a.baseline == b.baseline) {
        let baseline = &block[0].baseline;
        lines.push(String::new());
        lines.push(format!("Smallest size that beats {baseline} (where the truth lies, 95 %)"));
        for found in block {
            lines.extend(answer(&Answer::of(report, found), &found.path, screen));
            let group = groups.then(|| answers::group((found.streams, found.depth)));
            lines.extend(group.map(|group| format!("      {group}")));
        }
    }
    if !lines.is_empty() {
        lines.extend(wrap("  ", &answers::scope(report), screen.columns));
    }
    lines
}

/// One path: a line per figure, or one where both say the same.
fn answer(answer: &Answer, path: &str, screen: Screen) -> Vec<String> {
    let Answer { cpu, rate, note } = answer;
    let mut lines = if cpu == rate {
        wrap(&format!("  {path:<22}"), cpu, screen.columns)
    } else {
        let first = wrap(&format!("  {path:<22}CPU-s/GB  "), cpu, screen.columns);
        let second = wrap(&format!("  {:<22}Gbit/s    ", ""), rate, screen.columns);
        [first, second].concat()
    };
    lines.extend(note.iter().map(|note| format!("  {:<22}{note}", "")));
    lines
}

/// `57.1 [55.0-60.1]`; `?` where there is no interval.
pub(super) fn interval(estimate: Option<Estimate>) -> String {
    let Some(e) = estimate else { return UNKNOWN.into() };
    match e.interval() {
        Some((low, high)) => format!("{} [{}-{}]", digits(e.median), digits(low), digits(high)),
        None => format!("{} [?]", digits(e.median)),
    }
}

fn figure(estimate: Option<Estimate>) -> String {
    estimate.map_or_else(|| UNKNOWN.into(), |e| digits(e.median))
}

fn count(estimate: Option<Estimate>) -> String {
    estimate.map_or_else(|| UNKNOWN.into(), |e| count_short(e.median.round() as u64))
}

fn time(estimate: Option<Estimate>) -> String {
    estimate.map_or_else(|| NOT_APPLICABLE.into(), |e| duration(e.median.round() as u64))
}

/// Three significant digits, at most five columns below 100,000.
pub(super) fn digits(value: f64) -> String {
    match value.abs() {
        v if v >= 99.95 => format!("{value:.0}"),
        v if v >= 9.995 => format!("{value:.1}"),
        v if v >= 0.9995 => format!("{value:.2}"),
        v if v >= 0.0005 => format!("{value:.3}"),
        v if v > 0.0 => format!("{value:.1e}"),
        _ => "0".into(),
    }
}

/// `text` behind `first`, broken at spaces, the next lines indented as far.
pub(super) fn wrap(first: &str, text: &str, columns: usize) -> Vec<String> {
    let indent = first.chars().count();
    let mut lines = vec![first.to_owned()];
    let mut fresh = true;
    for word in text.split(' ') {
        let length = lines.last().map_or(0, |line| line.chars().count());
        if !fresh && length + 1 + word.chars().count() > columns {
            lines.push(" ".repeat(indent));
            fresh = true;
        }
        if let Some(line) = lines.last_mut() {
            if !fresh {
                line.push(' ');
            }
            line.push_str(word);
        }
        fresh = false;
    }
    lines
}
