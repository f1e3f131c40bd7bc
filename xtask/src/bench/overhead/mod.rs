//! `cargo xtask bench overhead`: throughput and the sender's CPU time with nothing beside it, with `zcscope stat`,
//! with `zcscope top` on a screen, and with a bpftrace script that collects the same basic facts. Here by tracepoints,
//! and with programs that do nothing at the same places, which tells what no tracer there can do without;
//! with `--kernel` the same in a guest, by fentry or kprobes.

mod guest;
mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::arena::{Arena, Common};
use super::load::{Sample, Traffic};
use super::machine::Machine;
use super::report;
use super::spread::{Spread, differences, ratios, spread};
use super::tracer::{Backend, Tracer};
use crate::tools::{self, Program};

const TRAFFIC: [Traffic; 6] = [
    Traffic { path: "copy", size: 1 << 10 },
    Traffic { path: "copy", size: 4 << 10 },
    Traffic { path: "copy", size: 16 << 10 },
    Traffic { path: "copy", size: 64 << 10 },
    Traffic { path: "msg_zerocopy", size: 16 << 10 },
    Traffic { path: "msg_zerocopy", size: 64 << 10 },
];
const PROGRAMS: [Program; 2] =
    [tools::program("bpftrace", "bpftrace"), tools::program("setsid", "util-linux")];

/// How long one run takes, ms: here, and in a guest, where a second takes several.
const MS: u32 = 1_000;
const GUEST_MS: u32 = 300;

/// Arguments of `bench overhead`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// Milliseconds of one run [default: 1000, in a guest 300].
    #[arg(long, value_parser = clap::value_parser!(u32).range(100..=60_000))]
    ms: Option<u32>,
    /// Measure in a guest with this kernel (6.1 or 6.12) instead of here.
    #[arg(long, value_name = "SERIES")]
    kernel: Option<String>,
    /// How both zcscope and the script trace.
    #[arg(long, value_enum, default_value_t = Backend::Tracepoint, default_value_if("kernel", clap::builder::ArgPredicate::IsPresent, "fentry"))]
    backend: Backend,
}

/// All of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Outcome {
    rounds: u32,
    ms: u32,
    backend: Backend,
    rows: Vec<Row>,
}

/// One kind of traffic.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    /// Path and size.
    traffic: String,
    gbit_s: Spread,
    /// CPU time of the sender per send, ns.
    ns_per_send: Spread,
    tracers: BTreeMap<String, Effect>,
}

/// What a tracer does to it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Effect {
    gbit_s: Spread,
    s_per_gb: Spread,
    /// Throughput beside that without a tracer, round by round.
    rate_ratio: Spread,
    /// CPU time per byte in the same way.
    cpu_ratio: Spread,
    /// CPU ns a send takes more.
    added_ns: Spread,
}

impl Args {
    /// How long one run takes.
    fn ms(&self) -> u32 {
        self.ms.unwrap_or(if self.kernel.is_some() { GUEST_MS } else { MS })
    }
}

/// The samples of one tracer, by traffic.
type Samples = Vec<Vec<Sample>>;

/// The task.
pub(super) fn run(args: &Args) -> Result<u8> {
    if let Some(kernel) = args.kernel.as_deref().filter(|_| !args.common.inside) {
        return guest::run(args, kernel);
    }
    let arena = match args.common.enter(&PROGRAMS, [3, 1])? {
        Ok(arena) => arena,
        Err(code) => return Ok(code),
    };
    let machine = arena.machine(&["bpftrace"])?;
    let outcome = measure(&arena, args)?;
    hand_out(args, "overhead", &machine, &arena.command("overhead", &options(args)), &outcome)
}

fn hand_out(args: &Args, name: &str, machine: &Machine, command: &str, outcome: &Outcome) -> Result<u8> {
    report::publish(
        &args.common,
        name,
        machine,
        command,
        outcome,
        &table::sheets(outcome, args.kernel.is_some()),
    )?;
    Ok(0)
}

/// The options of a command that repeats this.
fn options(args: &Args) -> String {
    let kernel = args.kernel.as_ref().map(|kernel| format!(" --kernel {kernel}")).unwrap_or_default();
    format!("{kernel} --backend {} --ms {}", args.backend.name(), args.ms())
}

/// All rounds: in each every tracer is started once and sees all traffic, in alternating order.
fn measure(arena: &Arena, args: &Args) -> Result<Outcome> {
    let mut all: Vec<(Tracer, Samples)> =
        Tracer::all(args.backend).iter().map(|&tracer| (tracer, vec![Vec::new(); TRAFFIC.len()])).collect();
    for round in 0..arena.rounds {
        for (tracer, samples) in &mut all {
            one_round(arena, args, *tracer, round, samples)?;
        }
        all.reverse();
    }
    if arena.rounds % 2 == 1 {
        all.reverse();
    }
    let rows = TRAFFIC.iter().enumerate().map(|(n, traffic)| row(*traffic, &all, n)).collect();
    Ok(Outcome { rounds: arena.rounds, ms: args.ms(), backend: args.backend, rows })
}

fn one_round(arena: &Arena, args: &Args, tracer: Tracer, round: u32, samples: &mut Samples) -> Result<()> {
    let mut running = tracer.start(arena, args.backend)?;
    let mut rates = Vec::new();
    for (traffic, samples) in TRAFFIC.iter().zip(samples) {
        let sample = traffic.run(&arena.zcscope, Duration::from_millis(args.ms().into()))?;
        running.drain();
        rates.push(format!("{:6.2}", sample.gbit_s));
        samples.push(sample);
    }
    running.stop()?;
    eprintln!("round {} {:<8} Gbit/s {}", round + 1, tracer.name(), rates.join(" "));
    Ok(())
}

fn row(traffic: Traffic, all: &[(Tracer, Samples)], n: usize) -> Row {
    let of = |tracer: Tracer| -> &[Sample] {
        let samples = all.iter().find(|(other, _)| *other == tracer).map(|(_, samples)| samples);
        samples.and_then(|samples| samples.get(n)).map_or(&[], Vec::as_slice)
    };
    let plain = of(Tracer::Nothing);
    let effect = |tracer: Tracer| {
        let with = of(tracer);
        let effect = Effect {
            gbit_s: spread(with, |sample| sample.gbit_s),
            s_per_gb: spread(with, Sample::s_per_gb),
            rate_ratio: ratios(plain, with, |sample| sample.gbit_s),
            cpu_ratio: ratios(plain, with, Sample::s_per_gb),
            added_ns: differences(plain, with, Sample::ns_per_send),
        };
        (tracer.name().to_owned(), effect)
    };
    Row {
        traffic: traffic.name(),
        gbit_s: spread(plain, |sample| sample.gbit_s),
        ns_per_send: spread(plain, Sample::ns_per_send),
        tracers: all.iter().map(|(tracer, _)| effect(*tracer)).collect(),
    }
}
