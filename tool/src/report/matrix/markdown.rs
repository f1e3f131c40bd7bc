//! A matrix as Markdown, to be put into a document as it is.

use std::fmt::Write as _;

use super::answers::{self, Answer};
use super::facts;
use super::table::{interval, ranked};
use crate::matrix::result::{CellReport, Copied, MatrixReport};
use crate::matrix::stats::Estimate;
use crate::units::{NOT_APPLICABLE, UNKNOWN, count_short, duration, percent, size};

/// The text, with a newline at the end.
#[must_use]
pub fn render(report: &MatrixReport) -> String {
    let mut out = String::new();
    for banner in report.banners() {
        let _ = writeln!(out, "> **{}**\n", cellular(&banner));
    }
    for (name, value) in facts::facts(report) {
        let value = if name == "command" { format!("`{value}`") } else { cellular(&value) };
        let _ = writeln!(out, "- {name}: {value}");
    }
    let _ = writeln!(out, "\nMedians and 95 % intervals.\n");
    let heading = [
        "size",
        "streams",
        "depth",
        "path",
        "Gbit/s",
        "CPU-s/GB machine",
        "thread",
        "csw/GB",
        "sys/GB",
        "p50",
        "p99",
        "p99.9",
        "copied by kernel",
        "told copied",
        "ENOBUFS",
    ];
    row(&mut out, &heading.map(str::to_owned));
    row(&mut out, &heading.map(|name| if name == "path" { "---" } else { "---:" }.to_owned()));
    for block in report.cells.chunk_by(|a, b| group(a) == group(b)) {
        for cell in ranked(block) {
            row(&mut out, &fields(cell));
        }
    }
    break_even(report, &mut out);
    if !report.unavailable.is_empty() {
        let _ = writeln!(out, "\nNot available here:\n");
        for missing in &report.unavailable {
            let _ = writeln!(out, "- `{}`: {}", missing.path, cellular(&missing.why));
        }
    }
    out
}

const fn group(cell: &CellReport) -> (u64, u64, u64) {
    (cell.key.size, cell.key.streams, cell.key.depth)
}

fn fields(cell: &CellReport) -> [String; 15] {
    let time =
        |e: Option<Estimate>| e.map_or_else(|| NOT_APPLICABLE.into(), |e| duration(e.median.round() as u64));
    let count =
        |e: Option<Estimate>| e.map_or_else(|| UNKNOWN.into(), |e| count_short(e.median.round() as u64));
    let share = |copied: Option<Copied>| {
        copied.map_or_else(|| NOT_APPLICABLE.into(), |c| percent(c.copied_bytes, c.requested_bytes))
    };
    let key = &cell.key;
    let errors = if cell.errors.is_empty() { String::new() } else { format!("; {}", cell.errors.join("; ")) };
    [
        size(key.size),
        key.streams.to_string(),
        key.depth.to_string(),
        cellular(&format!("{}{errors}", cell.name())),
        interval(cell.gbit_s),
        interval(cell.machine_s_per_gb),
        interval(cell.thread_s_per_gb),
        count(cell.switches_per_gb),
        count(cell.syscalls_per_gb),
        time(cell.latency_p50_ns),
        time(cell.latency_p99_ns),
        time(cell.latency_p999_ns),
        share(cell.kernel),
        share(cell.told),
        cell.enobufs.map_or_else(|| NOT_APPLICABLE.into(), |n| n.to_string()),
    ]
}

fn break_even(report: &MatrixReport, out: &mut String) {
    if report.break_even.is_empty() {
        return;
    }
    let _ =
        writeln!(out, "\nSmallest size that beats another path; in brackets where the truth lies, 95 %.\n");
    let heading = ["path", "against", "streams", "depth", "by CPU-s/GB", "by Gbit/s", ""];
    row(out, &heading.map(str::to_owned));
    row(out, &["---", "---", "---:", "---:", "---", "---", "---"].map(str::to_owned));
    for found in &report.break_even {
        let answer = Answer::of(report, found);
        let fields = [
            found.path.clone(),
            found.baseline.clone(),
            found.streams.to_string(),
            found.depth.map_or_else(|| "by size".into(), |depth| depth.to_string()),
            answer.cpu,
            answer.rate,
            answer.note.unwrap_or_default(),
        ];
        row(out, &fields);
    }
    let _ = writeln!(out, "\n{}", answers::scope(report));
}

fn row<const N: usize>(out: &mut String, fields: &[String; N]) {
    let _ = writeln!(out, "| {} |", fields.join(" | "));
}

/// Text that cannot end a cell or a line.
fn cellular(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
