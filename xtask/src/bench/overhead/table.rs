//! What tracers do to traffic, as tables.

use super::super::sheet::Sheet;
use super::super::tracer::Tracer;
use super::{Effect, Outcome, Row};

/// Every tracer that may stand beside the traffic, with the heading of its column.
const COLUMNS: [(Tracer, &str); 4] = [
    (Tracer::Empty, "empty programs"),
    (Tracer::Stat, "`stat`"),
    (Tracer::Top, "`top`"),
    (Tracer::Bpftrace, "bpftrace"),
];

/// Columns of the tracers that took part.
struct Columns(Vec<(Tracer, &'static str)>);

impl Columns {
    fn of(outcome: &Outcome) -> Self {
        let took_part = |tracer: Tracer| outcome.rows.iter().any(|row| effect(row, tracer).is_some());
        Self(COLUMNS.into_iter().filter(|(tracer, _)| took_part(*tracer)).collect())
    }

    fn heads(&self, head: impl Fn(&str) -> Vec<String>) -> Vec<String> {
        self.0.iter().flat_map(|(_, name)| head(name)).collect()
    }

    fn cells(&self, row: &Row, cells: impl Fn(&Effect) -> Vec<String>) -> Vec<String> {
        self.0.iter().filter_map(|(tracer, _)| effect(row, *tracer)).flat_map(cells).collect()
    }
}

pub(super) fn sheets(outcome: &Outcome, guest: bool) -> Vec<Sheet> {
    let columns = Columns::of(outcome);
    let backend = outcome.backend.name();
    let mut sheets = [rates(outcome, &columns), times(outcome, &columns), ratios(outcome, &columns)];
    let titles =
        ["Throughput", "CPU time of the sender", "CPU time of the sender beside that without a tracer"];
    for (sheet, title) in sheets.iter_mut().zip(titles) {
        sheet.title = format!("{title}, {backend}");
    }
    let [.., last] = &mut sheets;
    last.notes.push(format!(
        "Medians and ranges of {} rounds of {} ms, each of which had all; ratios and differences are taken round by round.",
        outcome.rounds, outcome.ms
    ));
    if columns.0.iter().any(|(tracer, _)| *tracer == Tracer::Empty) {
        last.notes.push(
            "Empty programs: of two instructions, at the tracepoints that zcscope uses, and no zcscope. No tracer at these \
             places can cost less."
                .into(),
        );
    }
    if guest {
        last.notes.push(
            "The guest's only processor is emulated, and its clock counts instructions, 4 ns each: times do not depend \
             on what the host does besides, but they know no caches and no cheap or dear instructions. So only ratios \
             mean something, as ratios of instructions. Sender and receiver share the processor."
                .into(),
        );
    }
    sheets.into()
}

fn effect(row: &Row, tracer: Tracer) -> Option<&Effect> {
    row.tracers.get(tracer.name())
}

/// An untitled sheet of these columns and a row for every kind of traffic.
fn sheet(outcome: &Outcome, head: Vec<String>, cells: impl Fn(&Row) -> Vec<String>) -> Sheet {
    let head = std::iter::once("traffic".to_owned()).chain(head).collect();
    let mut sheet = Sheet { head, ..Sheet::default() };
    for row in &outcome.rows {
        sheet.row(std::iter::once(row.traffic.clone()).chain(cells(row)));
    }
    sheet
}

fn rates(outcome: &Outcome, columns: &Columns) -> Sheet {
    let mut head = vec!["Gbit/s".to_owned()];
    head.extend(columns.heads(|name| vec![format!("with {name}"), "ratio".to_owned()]));
    sheet(outcome, head, |row| {
        let mut cells = vec![row.gbit_s.text(2)];
        cells
            .extend(columns.cells(row, |effect| {
                vec![effect.gbit_s.text(2), format!("{:.2}", effect.rate_ratio.median)]
            }));
        cells
    })
}

fn times(outcome: &Outcome, columns: &Columns) -> Sheet {
    let mut head = vec!["CPU-s/GB".to_owned()];
    head.extend(columns.heads(|name| vec![name.to_owned()]));
    head.push("ns per send".to_owned());
    head.extend(
        columns.heads(|name| vec![format!("{name} add{}", if name.ends_with('s') { "" } else { "s" })]),
    );
    sheet(outcome, head, |row| {
        let plain = effect(row, Tracer::Nothing).map(|effect| effect.s_per_gb.text(3)).unwrap_or_default();
        let mut cells = vec![plain];
        cells.extend(columns.cells(row, |effect| vec![effect.s_per_gb.text(3)]));
        cells.push(row.ns_per_send.text(0));
        cells.extend(columns.cells(row, |effect| vec![effect.added_ns.text(0)]));
        cells
    })
}

fn ratios(outcome: &Outcome, columns: &Columns) -> Sheet {
    let mut head = columns.heads(|name| vec![format!("with {name}")]);
    head.push("bpftrace adds / `stat` adds".to_owned());
    let added = |row: &Row, tracer| effect(row, tracer).map_or(f64::NAN, |effect| effect.added_ns.median);
    sheet(outcome, head, |row| {
        let mut cells = columns.cells(row, |effect| vec![effect.cpu_ratio.text(2)]);
        cells.push(times_as_much(added(row, Tracer::Bpftrace), added(row, Tracer::Stat)));
        cells
    })
}

/// How many times as much one adds as the other; unknown where the noise was larger than what either adds.
fn times_as_much(one: f64, other: f64) -> String {
    if one > 0.0 && other > 0.0 { format!("{:.1}", one / other) } else { "-".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_no_ratio() {
        assert_eq!(times_as_much(900.0, 200.0), "4.5");
        assert_eq!([times_as_much(900.0, -2.0), times_as_much(f64::NAN, 2.0)], ["-", "-"]);
    }
}
