//! `cargo xtask bench peers`: the load generator beside iperf3, on the loopback device of a network namespace of its
//! own. Same path, same block size, one buffer per stream, the kernel's own send buffer, both receivers read.
//! Interleaved: each cell is run by both in turns, in alternating order, and all cells once before any is run again.

mod machine;
mod measure;
mod table;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use self::measure::{Bench, Sample, Side};
use super::Spread;
use crate::{sh, tools};

/// What is compared, with iperf3's flag for it.
const PATHS: [(&str, Option<&str>); 2] = [("copy", None), ("sendfile", Some("-Z"))];
const CONGESTION_CONTROLS: [&str; 2] = ["cubic", "bbr"];
const SIZES: [u32; 4] = [16 << 10, 64 << 10, 128 << 10, 1 << 20];
const STREAMS: [u32; 2] = [1, 2];
/// What `--quick` keeps: enough to see that everything works.
const QUICK_SIZES: [u32; 2] = [64 << 10, 1 << 20];

/// Arguments of `bench peers`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Runs of each side in each cell.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Seconds of one run.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// One congestion control, two sizes, one stream, three short rounds.
    #[arg(long)]
    quick: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Put the tables into docs/benchmarks.md.
    #[arg(long)]
    write: bool,
    /// Take this zcscope instead of building one.
    #[arg(long, value_name = "FILE")]
    zcscope: Option<PathBuf>,
    /// We are in the network namespace already.
    #[arg(long, hide = true)]
    inside: bool,
}

/// One combination to compare.
#[derive(Clone, Debug, Serialize)]
struct Cell {
    path: &'static str,
    #[serde(skip)]
    flag: Option<&'static str>,
    cc: &'static str,
    size: u32,
    streams: u32,
}

/// One cell with what both sides did.
#[derive(Clone, Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    cell: Cell,
    zcscope: Figures,
    iperf3: Figures,
}

/// Median and range of each figure.
#[derive(Clone, Copy, Debug, Serialize)]
struct Figures {
    gbit_s: Spread,
    sender_s_per_gb: Spread,
    both_s_per_gb: Spread,
}

/// The whole comparison.
#[derive(Clone, Debug, Serialize)]
struct Report {
    schema: &'static str,
    machine: machine::Machine,
    command: String,
    rounds: u32,
    seconds: u32,
    rows: Vec<Row>,
}

/// The task.
pub(super) fn run(args: &Args) -> Result<u8> {
    if !args.inside {
        return enter(args);
    }
    let zcscope = args.zcscope.clone().context("no zcscope given")?;
    let (rounds, seconds) = if args.quick { (3, 1) } else { (args.rounds, args.seconds) };
    let cells = cells(args.quick, &measure::congestion_controls()?);
    let estimate = f64::from(rounds * 2 * u32::try_from(cells.len())?) * (f64::from(seconds) + 0.3);
    eprintln!("{} cells, {rounds} rounds, about {:.0} min", cells.len(), (estimate / 60.0).ceil());
    // Before the first run, which is work of our own.
    let machine = machine::Machine::ask(&zcscope)?;
    let bench = Bench { zcscope, seconds };
    let rows = compare(&bench, &cells, rounds)?;
    let flags =
        if args.quick { " --quick".to_owned() } else { format!(" --rounds {rounds} --seconds {seconds}") };
    let report = Report {
        schema: "zcscope.peers/1",
        machine,
        command: format!("cargo xtask bench peers{flags}"),
        rounds,
        seconds,
        rows,
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", table::text(&report));
    }
    if args.write {
        table::write(&report)?;
    }
    Ok(0)
}

/// Builds what is compared and starts this task again in a network namespace of its own.
fn enter(args: &Args) -> Result<u8> {
    if !sh::is_root() {
        bail!("a network namespace needs root; run the whole bench as root");
    }
    tools::need(tools::PEERS)?;
    let zcscope = match &args.zcscope {
        Some(file) => std::fs::canonicalize(file).with_context(|| format!("no file {}", file.display()))?,
        None => {
            sh::run(&mut sh::cargo(&["build", "--release", "-p", "zcscope"]))?;
            sh::workspace().join("target/release/zcscope")
        }
    };
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", r#"ip link set dev lo up && exec "$@""#, "sh"]);
    command.arg(std::env::current_exe()?).args(["bench", "peers", "--inside", "--zcscope"]).arg(zcscope);
    command.args(["--rounds", &args.rounds.to_string(), "--seconds", &args.seconds.to_string()]);
    for (flag, wanted) in [("--quick", args.quick), ("--json", args.json), ("--write", args.write)] {
        if wanted {
            command.arg(flag);
        }
    }
    let status = command.status().context("cannot run unshare")?;
    Ok(u8::try_from(status.code().unwrap_or(2)).unwrap_or(2))
}

fn cells(quick: bool, available: &[String]) -> Vec<Cell> {
    let controls = CONGESTION_CONTROLS.iter().copied().filter(|cc| available.iter().any(|a| a == cc));
    let controls: Vec<_> = controls.take(if quick { 1 } else { usize::MAX }).collect();
    let sizes: &[u32] = if quick { &QUICK_SIZES } else { &SIZES };
    let streams = if quick { &STREAMS[..1] } else { &STREAMS[..] };
    let mut cells = Vec::new();
    for (path, flag) in PATHS {
        for &cc in &controls {
            for &streams in streams {
                cells.extend(sizes.iter().map(|&size| Cell { path, flag, cc, size, streams }));
            }
        }
    }
    cells
}

/// All rounds over all cells.
fn compare(bench: &Bench, cells: &[Cell], rounds: u32) -> Result<Vec<Row>> {
    let mut samples: Vec<[Vec<Sample>; 2]> = cells.iter().map(|_| Default::default()).collect();
    for round in 0..rounds {
        for (cell, samples) in cells.iter().zip(&mut samples) {
            let order =
                if round % 2 == 0 { [Side::Zcscope, Side::Iperf3] } else { [Side::Iperf3, Side::Zcscope] };
            for side in order {
                let sample = bench.measure(side, cell)?;
                samples[usize::from(side == Side::Iperf3)].push(sample);
            }
            let last = |side: usize| samples[side].last().map_or(0.0, |sample: &Sample| sample.gbit_s);
            eprintln!(
                "round {} {:<8} {:<5} {:>5} x{}: {:6.1} beside {:6.1} Gbit/s",
                round + 1,
                cell.path,
                cell.cc,
                table::size(cell.size),
                cell.streams,
                last(0),
                last(1)
            );
        }
    }
    let rows = cells.iter().zip(samples);
    Ok(rows
        .map(|(cell, [ours, theirs])| Row {
            cell: cell.clone(),
            zcscope: figures(&ours),
            iperf3: figures(&theirs),
        })
        .collect())
}

fn figures(samples: &[Sample]) -> Figures {
    let of = |figure: fn(&Sample) -> f64| Spread::of(samples.iter().map(figure).collect());
    Figures {
        gbit_s: of(|sample| sample.gbit_s),
        sender_s_per_gb: of(|sample| sample.sender_s_per_gb),
        both_s_per_gb: of(|sample| sample.both_s_per_gb),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_cells_are_there_where_the_kernel_has_both_controls() {
        let both = ["reno", "cubic", "bbr"].map(String::from);
        assert_eq!(cells(false, &both).len(), 32);
        assert_eq!(cells(true, &both).len(), 4);
        assert_eq!(cells(false, &both[..2]).len(), 16);
    }
}
