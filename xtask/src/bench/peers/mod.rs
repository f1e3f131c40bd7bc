//! `cargo xtask bench peers`: the load generator beside iperf3, on the loopback device of a network namespace of its
//! own. Same path, same block size, one buffer per stream, the kernel's own send buffer, both receivers read.
//! Interleaved: each cell is run by both in turns, in alternating order, and all cells once before any is run again.

mod measure;
mod table;

use anyhow::Result;
use serde::Serialize;

use self::measure::{Bench, Sample, Side};
use super::arena::Common;
use super::spread::{Spread, spread};
use super::{report, sheet};
use crate::tools;

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
    #[command(flatten)]
    common: Common,
    /// Seconds of one run.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
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
struct Outcome {
    rounds: u32,
    seconds: u32,
    rows: Vec<Row>,
}

/// The task.
pub(super) fn run(args: &Args) -> Result<u8> {
    let arena = match args.common.enter(tools::PEERS, [5, 3])? {
        Ok(arena) => arena,
        Err(code) => return Ok(code),
    };
    let seconds = if arena.quick { 1 } else { args.seconds };
    let rounds = arena.rounds;
    let cells = cells(arena.quick, &measure::congestion_controls()?);
    let estimate = f64::from(rounds * 2 * u32::try_from(cells.len())?) * (f64::from(seconds) + 0.3);
    eprintln!("{} cells, {rounds} rounds, about {:.0} min", cells.len(), (estimate / 60.0).ceil());
    // Before the first run, which is work of our own.
    let machine = arena.machine(&["iperf3"])?;
    let bench = Bench { zcscope: arena.zcscope.clone(), seconds };
    let outcome = Outcome { rounds, seconds, rows: compare(&bench, &cells, rounds)? };
    let command = arena.command("peers", &format!(" --seconds {seconds}"));
    report::publish(&args.common, "peers", &machine, &command, &outcome, &table::sheets(&outcome))?;
    Ok(0)
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
                sheet::size(cell.size),
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
    Figures {
        gbit_s: spread(samples, |sample| sample.gbit_s),
        sender_s_per_gb: spread(samples, |sample| sample.sender_s_per_gb),
        both_s_per_gb: spread(samples, |sample| sample.both_s_per_gb),
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
