//! The comparison as tables: one for each path and congestion control.

use super::super::sheet::{Sheet, size};
use super::{Figures, Outcome, Row, Spread};

const HEAD: [&str; 8] = ["size", "streams", "Gbit/s", "iperf3", "ratio", "CPU-s/GB", "iperf3", "ratio"];

/// The tables; what must be said stands below the last one.
pub(super) fn sheets(outcome: &Outcome) -> Vec<Sheet> {
    let mut sheets: Vec<Sheet> = Vec::new();
    for row in &outcome.rows {
        let cell = &row.cell;
        let peer = cell.flag.map_or("iperf3".to_owned(), |flag| format!("iperf3 {flag}"));
        let title = format!("`{}` beside `{peer}`, {}", cell.path, cell.cc);
        if sheets.last().is_none_or(|sheet| sheet.title != title) {
            sheets.push(Sheet::new(title, &HEAD));
        }
        let (rate, cpu) = (columns(row, |f| f.gbit_s, 1), columns(row, |f| f.both_s_per_gb, 3));
        let cells = [size(cell.size), cell.streams.to_string()].into_iter().chain(rate).chain(cpu);
        if let Some(sheet) = sheets.last_mut() {
            sheet.row(cells);
        }
    }
    if let Some(sheet) = sheets.last_mut() {
        sheet.notes.push(format!(
            "Medians and ranges of {} interleaved runs of {} s each; CPU time of both processes, sender and receiver, \
             per GB that arrived. Above 1 in Gbit/s and below 1 in CPU-s/GB is better for zcscope.",
            outcome.rounds, outcome.seconds
        ));
    }
    sheets
}

/// Both sides and their ratio.
fn columns(row: &Row, figure: fn(&Figures) -> Spread, digits: usize) -> [String; 3] {
    let (ours, theirs) = (figure(&row.zcscope), figure(&row.iperf3));
    [ours.text(digits), theirs.text(digits), format!("{:.2}", ours.median / theirs.median)]
}
