//! `cargo xtask bench start`: from exec to the first complete frame of `top`, and to `stat` being attached.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use super::arena::{Arena, Common};
use super::report;
use super::sheet::Sheet;
use super::spread::Spread;
use super::terminal::Terminal;
use super::tracer::{PATIENCE, Stat};
use crate::tools;

/// Budget of a first frame, ms.
const BUDGET_MS: f64 = 300.0;

/// All of it, ms.
#[derive(Clone, Debug, Serialize)]
struct Outcome {
    rounds: u32,
    /// Of `top`.
    first_frame_ms: Spread,
    /// Of `stat`: all programs are attached and it says so.
    ready_ms: Spread,
}

/// The task.
pub(super) fn run(common: &Common) -> Result<u8> {
    let arena = match common.enter(&[tools::program("setsid", "util-linux")], [10, 3])? {
        Ok(arena) => arena,
        Err(code) => return Ok(code),
    };
    let machine = arena.machine(&[])?;
    let (mut frames, mut ready) = (Vec::new(), Vec::new());
    for round in 0..arena.rounds {
        for top in [round % 2 == 0, round % 2 == 1] {
            if top { &mut frames } else { &mut ready }.push(once(&arena, top)?.as_secs_f64() * 1e3);
        }
    }
    let outcome =
        Outcome { rounds: arena.rounds, first_frame_ms: Spread::of(frames), ready_ms: Spread::of(ready) };
    let command = arena.command("start", "");
    report::publish(common, "start", &machine, &command, &outcome, &[sheet(&outcome)])?;
    Ok(0)
}

/// One start.
fn once(arena: &Arena, top: bool) -> Result<Duration> {
    if !top {
        let begin = Instant::now();
        let mut stat = Stat::start(&arena.zcscope, &[])?;
        let took = begin.elapsed();
        stat.child.interrupt(PATIENCE)?;
        return Ok(took);
    }
    let mut terminal = Terminal::start("zcscope top", &arena.zcscope, &["top"])?;
    let took = terminal.until_frame(PATIENCE)?;
    terminal.send("q")?;
    terminal.program.wait_end(PATIENCE)?;
    Ok(took)
}

fn sheet(outcome: &Outcome) -> Sheet {
    let mut sheet = Sheet::new("", &["from exec to", "ms", "budget"]);
    sheet.row([
        "first complete frame of `top`".into(),
        outcome.first_frame_ms.text(0),
        format!("{BUDGET_MS:.0}"),
    ]);
    sheet.row(["`stat` attached".into(), outcome.ready_ms.text(0), "-".into()]);
    sheet.notes.push(format!(
        "Medians and ranges of {} starts of each, in turns, files in the page cache.",
        outcome.rounds
    ));
    sheet
}
