//! `cargo xtask bench probes`: what the kernel programs cost a send and a receive, in two ways that know nothing of
//! each other. The kernel's run-time statistics say what each program took; what taking the time adds is known from
//! programs of two instructions at the same tracepoints in the same run, and taken off. And the CPU time of the sending
//! thread, without tracing and traced, says what all of it together adds to a send.

mod table;

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::arena::{Arena, Common};
use super::load::{Sample, Traffic};
use super::report;
use super::spread::{Spread, differences, spread};
use super::statistics::{self, Cost, Costs, Floor, Statistics};
use super::tracer::{Backend, Tracer};

const TIME: Duration = Duration::from_secs(1);
const TRAFFIC: [Traffic; 4] = [
    Traffic { path: "copy", size: 1 << 10 },
    Traffic { path: "copy", size: 16 << 10 },
    Traffic { path: "copy", size: 64 << 10 },
    Traffic { path: "msg_zerocopy", size: 64 << 10 },
];

/// All of it.
#[derive(Clone, Debug, Serialize)]
struct Outcome {
    rounds: u32,
    rows: Vec<Row>,
}

/// One kind of traffic.
#[derive(Clone, Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    traffic: Traffic,
    /// Every program that ran, from the kernel's statistics.
    programs: Vec<Program>,
    /// All programs but those of receiving: ns per send, the statistics' own cost taken off.
    send_ns: Spread,
    /// The programs of receiving: ns per receive, in the same way.
    receive_ns: Spread,
    /// CPU time of the sender per send, ns, without tracing and traced, and by how much it grew, round by round.
    plain_ns: Spread,
    traced_ns: Spread,
    added_ns: Spread,
    /// By how much with programs of two instructions at the same tracepoints and nothing else: what attaching costs.
    floor_ns: Spread,
}

/// One program.
#[derive(Clone, Debug, Serialize)]
struct Program {
    name: String,
    receives: bool,
    runs_per_send: Spread,
    /// ns per run as the kernel tells it.
    raw_ns: Spread,
    /// ns per run of an empty program at the same place; of the busiest place where there is none.
    empty_ns: Spread,
    /// ns per run, less that.
    net_ns: Spread,
    /// The same per send.
    net_ns_per_send: Spread,
}

/// What was measured of one kind of traffic.
#[derive(Default)]
struct Measured {
    plain: Vec<Sample>,
    traced: Vec<Sample>,
    floor: Vec<Sample>,
    costs: Vec<Costs>,
}

/// The task.
pub(super) fn run(common: &Common) -> Result<u8> {
    let arena = match common.enter(&[], [5, 1])? {
        Ok(arena) => arena,
        Err(code) => return Ok(code),
    };
    let machine = arena.machine(&[])?;
    let mut measured: Vec<Measured> = TRAFFIC.iter().map(|_| Measured::default()).collect();
    for round in 0..arena.rounds {
        for (traffic, measured) in TRAFFIC.iter().zip(&mut measured) {
            measure(&arena, *traffic, round, measured)?;
        }
    }
    let rows = TRAFFIC.iter().zip(&measured).map(|(traffic, measured)| row(*traffic, measured)).collect();
    let outcome = Outcome { rounds: arena.rounds, rows };
    let command = arena.command("probes", "");
    report::publish(common, "probes", &machine, &command, &outcome, &table::sheets(&outcome))?;
    Ok(0)
}

/// One round of one kind of traffic: without tracing, traced, with programs that do nothing, and with statistics.
fn measure(arena: &Arena, traffic: Traffic, round: u32, measured: &mut Measured) -> Result<()> {
    let sides = [Tracer::Nothing, Tracer::Stat];
    let order = if round.is_multiple_of(2) { sides } else { [sides[1], sides[0]] };
    for side in order {
        let tracer = side.start(arena, Backend::Tracepoint)?;
        let sample = traffic.run(&arena.zcscope, TIME)?;
        tracer.stop()?;
        if side == Tracer::Nothing { &mut measured.plain } else { &mut measured.traced }.push(sample);
    }
    let floor = Floor::start(arena)?;
    measured.floor.push(traffic.run(&arena.zcscope, TIME)?);
    drop(floor);
    measured.costs.push(Statistics::start(arena)?.over(|| Ok(traffic.run(&arena.zcscope, TIME)?.sends))?);
    let last = |samples: &[Sample]| samples.last().map_or(f64::NAN, Sample::ns_per_send);
    eprintln!(
        "round {} {:<18} {:7.0} ns per send, traced {:7.0}",
        round + 1,
        traffic.name(),
        last(&measured.plain),
        last(&measured.traced)
    );
    Ok(())
}

fn row(traffic: Traffic, measured: &Measured) -> Row {
    let costs = &measured.costs;
    // A program that hardly ran in a round is not in it.
    let of = |figure: fn(&Cost) -> f64, name: &str| {
        Spread::of(costs.iter().filter_map(|costs| costs.programs.get(name)).map(figure).collect())
    };
    let mut names: Vec<&String> = costs.iter().flat_map(|costs| costs.programs.keys()).collect();
    names.sort();
    names.dedup();
    let mut programs: Vec<Program> = names
        .into_iter()
        .map(|name| Program {
            name: name.clone(),
            receives: statistics::receives(name),
            runs_per_send: of(|cost| cost.runs_per_send, name),
            raw_ns: of(|cost| cost.raw_ns, name),
            empty_ns: of(|cost| cost.empty_ns, name),
            net_ns: of(Cost::net_ns, name),
            net_ns_per_send: of(Cost::net_ns_per_send, name),
        })
        .collect();
    programs.sort_by(|a, b| b.net_ns_per_send.median.total_cmp(&a.net_ns_per_send.median));
    Row {
        traffic,
        programs,
        send_ns: spread(costs, Costs::send_ns),
        receive_ns: spread(costs, Costs::receive_ns),
        plain_ns: spread(&measured.plain, Sample::ns_per_send),
        traced_ns: spread(&measured.traced, Sample::ns_per_send),
        added_ns: differences(&measured.plain, &measured.traced, Sample::ns_per_send),
        floor_ns: differences(&measured.plain, &measured.floor, Sample::ns_per_send),
    }
}
