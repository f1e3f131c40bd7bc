//! `cargo xtask bench screen`: the time to draw a frame of every view, from a key to the changed screen, and what the
//! screen costs when nothing happens, with few and with many sockets.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::arena::{Arena, Common};
use super::many::Crowd;
use super::process::Usage;
use super::report;
use super::sheet::{Sheet, count};
use super::spread::{Spread, spread};
use super::terminal::Terminal;
use super::tracer::PATIENCE;
use crate::{sh, tools};

/// Sockets, and over how many processes: one process may open no more than 20,000 files on some hosts.
const CROWDS: [(u32, u32); 3] = [(1, 10), (1, 1_000), (2, 5_000)];
/// What the screen does when new sockets come is no idling.
const SETTLE: Duration = Duration::from_secs(2);
/// Between two keys; not a multiple of the screen's tick.
const BETWEEN_KEYS: Duration = Duration::from_millis(137);
/// How long it is left alone, and how many keys it gets; with `--quick` less.
const IDLE: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(2)];
const KEYS: [usize; 2] = [36, 9];
/// The last views.
const VIEWS: usize = 9;
/// Budgets.
const FRAME_MS: f64 = 5.0;
const KEY_MS: f64 = 50.0;
const IDLE_PERCENT: f64 = 1.0;

/// All of it.
#[derive(Clone, Debug, Serialize)]
struct Outcome {
    rounds: u32,
    keys: usize,
    idle_s: f64,
    frames: Vec<Frames>,
    live: Vec<Live>,
}

/// Frames of one view, ms.
#[derive(Clone, Debug, Serialize)]
struct Frames {
    view: String,
    sockets: u64,
    median_ms: Spread,
    p99_ms: Spread,
    worst_ms: f64,
}

/// The real program with so many sockets.
#[derive(Clone, Debug, Serialize)]
struct Live {
    sockets: u64,
    /// CPU of one core, percent.
    idle_percent: Spread,
    rss_mib: Spread,
    key_ms: Spread,
    key_p95_ms: f64,
}

/// What `examples/cost.rs frames` prints, a row.
#[derive(Clone, Debug, Deserialize)]
struct Drawn {
    view: String,
    sockets: u64,
    median_ns: f64,
    p99_ns: f64,
    worst_ns: f64,
}

/// One round of the real program.
struct Lived {
    idle_percent: f64,
    rss_mib: f64,
    keys_ms: Vec<f64>,
}

/// The task.
pub(super) fn run(common: &Common) -> Result<u8> {
    let arena = match common.enter(&[tools::program("setsid", "util-linux")], [2, 1])? {
        Ok(arena) => arena,
        Err(code) => return Ok(code),
    };
    let machine = arena.machine(&[])?;
    let (idle, keys) = (IDLE[usize::from(arena.quick)], KEYS[usize::from(arena.quick)]);
    let mut drawn: BTreeMap<(u64, usize), Vec<Drawn>> = BTreeMap::new();
    let mut lived: Vec<Vec<Lived>> = CROWDS.iter().map(|_| Vec::new()).collect();
    for _ in 0..arena.rounds {
        let printed = sh::text(arena.example("cost")?, &["frames"])?;
        let rows: Vec<Drawn> = serde_json::from_str(&printed).context("examples/cost printed no JSON")?;
        for (n, row) in rows.into_iter().enumerate() {
            drawn.entry((row.sockets, n)).or_default().push(row);
        }
        for (crowd, lived) in CROWDS.iter().zip(&mut lived) {
            let live = live(&arena, *crowd, idle, keys)?;
            eprintln!("{:>6} sockets: idle {:.1} %", crowd.0 * crowd.1, live.idle_percent);
            lived.push(live);
        }
    }
    let outcome = Outcome {
        rounds: arena.rounds,
        keys,
        idle_s: idle.as_secs_f64(),
        frames: drawn.into_values().filter_map(|rows| frames(&rows)).collect(),
        live: CROWDS.iter().zip(&lived).map(|(crowd, lived)| summary(*crowd, lived)).collect(),
    };
    let command = arena.command("screen", "");
    report::publish(common, "screen", &machine, &command, &outcome, &sheets(&outcome))?;
    Ok(0)
}

/// `top` with sockets that send nothing any more: left alone first, then driven by keys.
fn live(arena: &Arena, (processes, sockets): (u32, u32), idle: Duration, keys: usize) -> Result<Lived> {
    let mut terminal = Terminal::start("zcscope top", &arena.zcscope, &["top"])?;
    terminal.until_frame(PATIENCE)?;
    // Longer than all that follows; it is killed then.
    let _crowd = Crowd::idle(processes, sockets).start(arena, Duration::from_secs(300))?;
    std::thread::sleep(SETTLE);
    let before = Usage::of(terminal.program.id())?;
    std::thread::sleep(idle);
    let after = Usage::of(terminal.program.id())?;
    let mut keys_ms = Vec::new();
    for key in 0..keys {
        // 2, 3 ... 9, 1, 2 ...: always another view than the one shown.
        let view = (key + 1) % VIEWS + 1;
        std::thread::sleep(BETWEEN_KEYS);
        terminal.drain();
        let sent = terminal.send(&view.to_string())?;
        let tab = format!("[{view} ");
        let seen =
            terminal.until("the view asked for", PATIENCE, |screen| screen.contents().contains(&tab))?;
        keys_ms.push((seen - sent).as_secs_f64() * 1e3);
    }
    terminal.send("q")?;
    terminal.program.wait_end(PATIENCE)?;
    Ok(Lived {
        idle_percent: 100.0 * (after.cpu_s - before.cpu_s) / idle.as_secs_f64(),
        rss_mib: after.rss as f64 / f64::from(1 << 20),
        keys_ms,
    })
}

fn frames(rows: &[Drawn]) -> Option<Frames> {
    let first = rows.first()?;
    Some(Frames {
        view: first.view.clone(),
        sockets: first.sockets,
        median_ms: spread(rows, |row| row.median_ns / 1e6),
        p99_ms: spread(rows, |row| row.p99_ns / 1e6),
        worst_ms: rows.iter().map(|row| row.worst_ns / 1e6).fold(0.0, f64::max),
    })
}

fn summary((processes, sockets): (u32, u32), lived: &[Lived]) -> Live {
    let mut keys: Vec<f64> = lived.iter().flat_map(|lived| lived.keys_ms.iter().copied()).collect();
    keys.sort_by(f64::total_cmp);
    Live {
        sockets: u64::from(processes * sockets),
        idle_percent: spread(lived, |lived| lived.idle_percent),
        rss_mib: spread(lived, |lived| lived.rss_mib),
        key_p95_ms: percentile(&keys, 95),
        key_ms: Spread::of(keys),
    }
}

/// Of ascending values, the smallest that so many percent do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

fn sheets(outcome: &Outcome) -> Vec<Sheet> {
    let mut frames = Sheet::new(
        format!("Drawing a frame of 200x60, ms; the budget is {FRAME_MS:.0}"),
        &["view", "10 sockets", "p99", "1,000", "p99", "10,000", "p99", "worst"],
    );
    for view in
        outcome.frames.iter().filter(|row| row.sockets == outcome.frames.first().map_or(0, |row| row.sockets))
    {
        let rows: Vec<&Frames> = outcome.frames.iter().filter(|row| row.view == view.view).collect();
        let mut cells = vec![view.view.clone()];
        cells.extend(
            rows.iter().flat_map(|row| [row.median_ms, row.p99_ms]).map(|ms| format!("{:.2}", ms.median)),
        );
        cells.push(format!("{:.2}", rows.iter().map(|row| row.worst_ms).fold(0.0, f64::max)));
        frames.row(cells);
    }
    let head =
        ["sockets", "idle CPU, % of a core", "budget", "RSS MiB", "key to screen, ms", "p95", "budget"];
    let mut live = Sheet::new("`zcscope top` in a terminal of 120x40", &head);
    for row in &outcome.live {
        live.row([
            count(row.sockets),
            row.idle_percent.text(1),
            format!("{IDLE_PERCENT:.0}"),
            row.rss_mib.text(0),
            row.key_ms.text(1),
            format!("{:.1}", row.key_p95_ms),
            format!("{KEY_MS:.0}"),
        ]);
    }
    live.notes.push(format!(
        "Frames: medians over {} rounds of 200 frames each, and the worst of all, from made-up figures. Idle: the \
         sockets have sent once and stay open, {:.0} s a round. Keys: {} a round, each asks for another view, until that \
         view's tab is marked on the emulated screen.",
        outcome.rounds, outcome.idle_s, outcome.keys
    ));
    vec![frames, live]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let sorted: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!((percentile(&sorted, 95), percentile(&sorted, 100)), (19.0, 20.0));
        assert!(percentile(&[], 95).is_nan());
    }
}
