//! What one tick costs with 10,000 sockets: the model (CPU time) and a frame of the screen (wall time).
//! `cargo run --release -p zcscope --example cost`; the budgets are 2 % of a core at 4 Hz and 5 ms.
//! With `frames` it prints JSON for `cargo xtask bench screen`: every view, with 10, 1,000 and 10,000 sockets.

use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use zcscope::model::sample::{Sample, SocketSample};
use zcscope::model::snapshot::Session;
use zcscope::model::{self, Model};
use zcscope::tui;
use zcscope_common::{FlowCounters, Path};

#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use the rest")]
#[path = "../src/tui/fixtures.rs"]
mod fixtures;

const SOCKETS: u64 = 10_000;
const TICKS: u64 = 20;

/// CPU time of this thread: other work on the machine does not count.
fn cpu_time() -> anyhow::Result<Duration> {
    Ok(nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// Counters at `tick` seconds, of which the first `active` sockets move.
fn sample(tick: u64, active: u64) -> Sample {
    let socket = |id: u64| {
        let sends = if id <= active { tick } else { 1 };
        let flow = FlowCounters {
            calls: sends,
            bytes: sends * 65_536,
            zc_sends: sends,
            completed_sends: sends,
            completed_bytes: sends * 65_536,
            ..FlowCounters::default()
        };
        SocketSample {
            id,
            cookie: None,
            pid: (id % 50) as u32 + 1,
            comm: "sender".into(),
            local: ([192, 0, 2, 1], 40_000).into(),
            remote: ([192, 0, 2, 2], 443).into(),
            dev: Some("eth0".into()),
            netns: 1,
            cgroup: 0,
            uid: 0,
            gauges: zcscope_common::Gauges::default(),
            flows: vec![(Path::MsgZerocopy, flow)],
        }
    };
    let sockets = (1..=SOCKETS).map(socket).collect();
    Sample { at_ns: tick * 1_000_000_000, sockets, ..Sample::default() }
}

fn model_cost(active: u64) -> anyhow::Result<()> {
    let mut model = Model::new(Session::default());
    model.absorb(sample(1, active));
    let (mut absorb, mut snapshot) = (Duration::ZERO, Duration::ZERO);
    for tick in 2..2 + TICKS {
        let sample = sample(tick, active);
        let start = cpu_time()?;
        model.absorb(sample);
        let middle = cpu_time()?;
        drop(model.snapshot());
        absorb += middle - start;
        snapshot += cpu_time()? - middle;
    }
    let ticks = TICKS as u32;
    println!(
        "model, {active} of {SOCKETS} active: absorb {:?}, snapshot {:?}",
        absorb / ticks,
        snapshot / ticks
    );
    Ok(())
}

/// Prints what frames of a view cost as it is after these intents.
fn frame_cost(name: &str, view: tui::View, intents: &[tui::Intent]) -> anyhow::Result<()> {
    let times = frame_times(SOCKETS, view, intents)?;
    println!("frame at 200x60, {name}: median {:?}, worst {:?}", times[100], times[199]);
    Ok(())
}

/// Draws 200 frames, each of another moment, so that nothing kept helps. Their times in ascending order.
fn frame_times(sockets: u64, view: tui::View, intents: &[tui::Intent]) -> anyhow::Result<Vec<Duration>> {
    let mut shown = tui::Shown::of(fixtures::many(sockets));
    let mut app = tui::App::new(tui::Theme::default());
    app.handle(tui::Intent::Show(view), &shown);
    intents.iter().for_each(|intent| app.handle(*intent, &shown));
    let mut terminal = Terminal::new(TestBackend::new(200, 60))?;
    let mut times = Vec::new();
    for _ in 0..200 {
        shown.snapshot.duration_ns += 1;
        let start = Instant::now();
        terminal.draw(|frame| tui::draw(frame, &app, &shown))?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times)
}

/// Every view with several numbers of sockets, as JSON.
fn frames() -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for sockets in [10, 1_000, SOCKETS] {
        for (view, name) in tui::View::names() {
            let times = frame_times(sockets, view, &[])?;
            let ns = |at: usize| times.get(at).map(|time| time.as_nanos() as u64);
            rows.push(serde_json::json!({
                "view": name, "sockets": sockets, "median_ns": ns(100), "p99_ns": ns(197), "worst_ns": ns(199),
            }));
        }
    }
    println!("{}", serde_json::Value::from(rows));
    Ok(())
}

fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).is_some_and(|word| word == "frames") {
        return frames();
    }
    for active in [0, SOCKETS / 10, SOCKETS] {
        model_cost(active)?;
    }
    use tui::Intent::{Group, Scroll, Sort, Tree};
    use tui::View::{Flows, Overview};
    frame_cost("overview", Overview, &[])?;
    frame_cost("flows", Flows, &[])?;
    frame_cost("flows, at the end", Flows, &[Scroll(isize::MAX)])?;
    frame_cost("flows, by copied bytes", Flows, &[Sort, Sort, Sort])?;
    frame_cost("flows, by process", Flows, &[Group])?;
    frame_cost("flows, by remote host as a tree", Flows, &[Group, Group, Group, Tree, Scroll(5_000)])
}
