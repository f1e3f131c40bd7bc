//! The comparison as a table in the terminal and as Markdown between two markers of docs/benchmarks.md.

use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result};

use super::{Figures, Report, Row, Spread};
use crate::sh;

const FILE: &str = "docs/benchmarks.md";
const BEGIN: &str = "<!-- bench peers: begin -->\n";
const END: &str = "<!-- bench peers: end -->\n";

/// The table for a terminal.
pub(super) fn text(report: &Report) -> String {
    let mut out = format!("{}\n\n", report.machine.text());
    let _ = writeln!(
        out,
        "{:<8} {:<5} {:>5} {:>2}  {:^41}  {:^41}",
        "", "", "", "", "Gbit/s: zcscope, iperf3, ratio", "CPU-s/GB: zcscope, iperf3, ratio"
    );
    for row in &report.rows {
        let cell = &row.cell;
        let rate = pair(row, |figures| figures.gbit_s, 1);
        let cpu = pair(row, |figures| figures.both_s_per_gb, 3);
        let _ = writeln!(
            out,
            "{:<8} {:<5} {:>5} {:>2}  {rate}  {cpu}",
            cell.path,
            cell.cc,
            size(cell.size),
            cell.streams
        );
    }
    let _ = writeln!(out, "\n{}", explanation(report));
    out
}

fn pair(row: &Row, figure: fn(&Figures) -> Spread, digits: usize) -> String {
    let (ours, theirs) = (figure(&row.zcscope), figure(&row.iperf3));
    format!(
        "{:>17} {:>17} {:>5.2}",
        spread(&ours, digits),
        spread(&theirs, digits),
        ours.median / theirs.median
    )
}

/// `12.3 (11.0-13.1)`
fn spread(spread: &Spread, digits: usize) -> String {
    format!("{:.digits$} ({:.digits$}-{:.digits$})", spread.median, spread.min, spread.max)
}

fn explanation(report: &Report) -> String {
    format!(
        "Medians and ranges of {} interleaved runs of {} s each; CPU time of both processes, sender and receiver, per \
         GB that arrived. Above 1 in Gbit/s and below 1 in CPU-s/GB is better for zcscope.",
        report.rounds, report.seconds
    )
}

/// Replaces the section of the document.
pub(super) fn write(report: &Report) -> Result<()> {
    let path = sh::workspace().join(FILE);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {FILE}"))?;
    let text =
        replace(&text, &markdown(report)).with_context(|| format!("{FILE} lacks the markers {BEGIN:?}"))?;
    fs::write(&path, text).with_context(|| format!("cannot write {FILE}"))
}

/// `section` between the markers of `text`.
fn replace(text: &str, section: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{section}{END}{after}"))
}

fn markdown(report: &Report) -> String {
    let mut out = format!("\n{}\n\n```\n{}\n```\n", report.machine.text(), report.command);
    let mut title = String::new();
    for row in &report.rows {
        let cell = &row.cell;
        let peer = cell.flag.map_or("iperf3".to_owned(), |flag| format!("iperf3 {flag}"));
        let this = format!("`{}` beside `{peer}`, {}", cell.path, cell.cc);
        if this != title {
            let _ = write!(out, "\n**{this}**\n\n");
            out.push_str("| size | streams | Gbit/s | iperf3 | ratio | CPU-s/GB | iperf3 | ratio |\n");
            out.push_str("|---|---|---|---|---|---|---|---|\n");
            title = this;
        }
        let (rate, cpu) = (columns(row, |f| f.gbit_s, 1), columns(row, |f| f.both_s_per_gb, 3));
        let _ = writeln!(out, "| {} | {} | {rate} | {cpu} |", size(cell.size), cell.streams);
    }
    let _ = write!(out, "\n{}\n\n", explanation(report));
    out
}

fn columns(row: &Row, figure: fn(&Figures) -> Spread, digits: usize) -> String {
    let (ours, theirs) = (figure(&row.zcscope), figure(&row.iperf3));
    let ratio = ours.median / theirs.median;
    format!("{} | {} | {ratio:.2}", spread(&ours, digits), spread(&theirs, digits))
}

/// `64K`, `1M`
pub(super) fn size(bytes: u32) -> String {
    if bytes >= 1 << 20 { format!("{}M", bytes >> 20) } else { format!("{}K", bytes >> 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_is_replaced_and_nothing_else() {
        let text = format!("a\n{BEGIN}old\n{END}b\n");
        assert_eq!(replace(&text, "new\n").unwrap(), format!("a\n{BEGIN}new\n{END}b\n"));
        assert_eq!(replace("a", "new"), None);
    }

    #[test]
    fn figures_carry_their_range() {
        let spread = Spread::of(vec![1.0, 3.0, 2.0]);
        assert_eq!(super::spread(&spread, 1), "2.0 (1.0-3.0)");
        assert_eq!((size(16 << 10), size(1 << 20)), ("16K".into(), "1M".into()));
    }
}
