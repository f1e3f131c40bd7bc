//! A matrix as CSV: one line per cell, behind facts, banners and break-even as comment lines (`#`).

use std::fmt::Write as _;

use super::answers::{self, Answer};
use super::facts;
use crate::matrix::result::{CellReport, Class, Copied, MatrixReport};
use crate::matrix::stats::Estimate;
use crate::matrix::verdict::{Source, Verdict};

/// Estimates that take three columns each: median, low, high.
type Figure = (&'static str, fn(&CellReport) -> Option<Estimate>);

const FIGURES: &[Figure] = &[
    ("gbit_s", |cell| cell.gbit_s),
    ("machine_s_per_gb", |cell| cell.machine_s_per_gb),
    ("thread_s_per_gb", |cell| cell.thread_s_per_gb),
    ("sink_s_per_gb", |cell| cell.sink_s_per_gb),
    ("switches_per_gb", |cell| cell.switches_per_gb),
    ("syscalls_per_gb", |cell| cell.syscalls_per_gb),
    ("latency_p50_ns", |cell| cell.latency_p50_ns),
    ("latency_p99_ns", |cell| cell.latency_p99_ns),
    ("latency_p999_ns", |cell| cell.latency_p999_ns),
];

/// The text, with a newline at the end. An empty field is not known.
#[must_use]
pub fn render(report: &MatrixReport) -> String {
    let mut out = String::new();
    for (name, value) in facts::facts(report) {
        let _ = writeln!(out, "# {name}: {}", one_line(&value));
    }
    for banner in report.banners() {
        let _ = writeln!(out, "# {}", one_line(&banner));
    }
    for missing in &report.unavailable {
        let _ = writeln!(out, "# not available: {}: {}", missing.path, one_line(&missing.why));
    }
    for found in &report.break_even {
        let group = answers::group((found.streams, found.depth));
        let answer = Answer::of(report, found).line();
        let _ = writeln!(out, "# break-even: {} against {}, {group}: {answer}", found.path, found.baseline);
    }
    let mut heading: Vec<String> =
        ["path", "class", "size", "streams", "depth", "verdict", "verdict_source"].map(Into::into).into();
    heading.extend(["kernel_copied_share", "told_copied_share"].map(Into::into));
    heading
        .extend(FIGURES.iter().flat_map(|(name, _)| ["", "_low", "_high"].map(|end| format!("{name}{end}"))));
    heading.extend(["enobufs", "runs", "failed_runs", "error"].map(Into::into));
    let _ = writeln!(out, "{}", heading.join(","));
    for cell in &report.cells {
        let _ = writeln!(out, "{}", line(cell));
    }
    out
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn line(cell: &CellReport) -> String {
    let (verdict, source) = verdict(cell.verdict);
    let share = |copied: Option<Copied>| number(copied.and_then(|copied| copied.share()));
    let key = &cell.key;
    let mut fields = vec![key.path.clone(), class(cell.class).into()];
    fields.extend([key.size, key.streams, key.depth].map(|n| n.to_string()));
    fields.extend([verdict.into(), source.into(), share(cell.kernel), share(cell.told)]);
    for (_, figure) in FIGURES {
        let estimate = figure(cell);
        fields.push(number(estimate.map(|e| e.median)));
        fields.push(number(estimate.and_then(|e| e.low)));
        fields.push(number(estimate.and_then(|e| e.high)));
    }
    fields.push(cell.enobufs.map(|n| n.to_string()).unwrap_or_default());
    fields.push(cell.runs.len().to_string());
    fields.push(cell.runs.iter().filter(|run| run.error.is_some()).count().to_string());
    fields.push(quoted(&cell.errors.join("; ")));
    fields.join(",")
}

const fn class(class: Class) -> &'static str {
    match class {
        Class::Copies => "copies",
        Class::Told => "told",
        Class::Untold => "untold",
    }
}

const fn verdict(verdict: Verdict) -> (&'static str, &'static str) {
    const fn by(source: Source) -> &'static str {
        match source {
            Source::Kernel => "kernel",
            Source::Told => "told",
            Source::Setting => "setting",
        }
    }
    match verdict {
        Verdict::Baseline => ("baseline", ""),
        Verdict::ZeroCopy { verdict_source } => ("zero_copy", by(verdict_source)),
        Verdict::Copied { verdict_source } => ("copied", by(verdict_source)),
        Verdict::Unproven => ("unproven", ""),
        Verdict::Failed => ("failed", ""),
    }
}

fn number(value: Option<f64>) -> String {
    value.map(|value| format!("{value:.6}")).map(|text| trim(&text).to_owned()).unwrap_or_default()
}

/// Without zeros that say nothing.
fn trim(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into()
    }
}
