//! What tracers do to traffic, as tables.

use super::super::sheet::Sheet;
use super::super::tracer::Tracer;
use super::{Effect, Outcome, Row};

const TRACERS: [Tracer; 3] = [Tracer::Stat, Tracer::Top, Tracer::Bpftrace];

pub(super) fn sheets(outcome: &Outcome, guest: bool) -> Vec<Sheet> {
    let backend = outcome.backend.name();
    let mut rate = Sheet::new(
        format!("Throughput, {backend}"),
        &["traffic", "Gbit/s", "with `stat`", "ratio", "with `top`", "ratio", "with bpftrace", "ratio"],
    );
    let mut cpu = Sheet::new(
        format!("CPU time of the sender, {backend}"),
        &[
            "traffic",
            "CPU-s/GB",
            "`stat`",
            "`top`",
            "bpftrace",
            "ns per send",
            "`stat` adds",
            "`top` adds",
            "bpftrace adds",
        ],
    );
    let mut beside = Sheet::new(
        format!("CPU time of the sender beside that without a tracer, {backend}"),
        &["traffic", "with `stat`", "with `top`", "with bpftrace", "bpftrace adds / `stat` adds"],
    );
    for row in &outcome.rows {
        rate.row(rates(row));
        cpu.row(times(row));
        beside.row(cpu_ratios(row));
    }
    beside.notes.push(format!(
        "Medians and ranges of {} rounds of {} ms, each of which had all four; ratios and differences are taken round by \
         round.",
        outcome.rounds, outcome.ms
    ));
    if guest {
        beside.notes.push(
            "The guest's only processor is emulated, and its clock counts instructions, 4 ns each: times do not depend \
             on what the host does besides, but they know no caches and no cheap or dear instructions. So only ratios \
             mean something, as ratios of instructions. Sender and receiver share the processor."
                .into(),
        );
    }
    vec![rate, cpu, beside]
}

fn effect(row: &Row, tracer: Tracer) -> Option<&Effect> {
    row.tracers.get(tracer.name())
}

fn rates(row: &Row) -> Vec<String> {
    let mut cells = vec![row.traffic.clone(), row.gbit_s.text(2)];
    for effect in TRACERS.iter().filter_map(|tracer| effect(row, *tracer)) {
        cells.extend([effect.gbit_s.text(2), format!("{:.2}", effect.rate_ratio.median)]);
    }
    cells
}

fn times(row: &Row) -> Vec<String> {
    let of = |tracer: Tracer| effect(row, tracer).map(|effect| effect.s_per_gb.text(3)).unwrap_or_default();
    let mut cells = vec![row.traffic.clone(), of(Tracer::Nothing)];
    cells.extend(TRACERS.map(of));
    cells.push(row.ns_per_send.text(0));
    cells.extend(
        TRACERS.map(|tracer| effect(row, tracer).map(|effect| effect.added_ns.text(0)).unwrap_or_default()),
    );
    cells
}

fn cpu_ratios(row: &Row) -> Vec<String> {
    let ratio = |tracer| effect(row, tracer).map(|effect| effect.cpu_ratio.text(2)).unwrap_or_default();
    let added = |tracer| effect(row, tracer).map_or(f64::NAN, |effect| effect.added_ns.median);
    let mut cells = vec![row.traffic.clone()];
    cells.extend(TRACERS.map(ratio));
    cells.push(times_as_much(added(Tracer::Bpftrace), added(Tracer::Stat)));
    cells
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
