//! `cargo xtask bench scale`: what watching costs when there is much to watch, what it holds, what it loses; and
//! whether a send costs more when there are more sockets.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::arena::{Arena, Common};
use super::many::{Crowd, Done};
use super::process::Usage;
use super::report;
use super::sheet::{Sheet, count};
use super::spread::{Spread, spread};
use super::statistics::{Costs, Statistics};
use super::tracer::{Backend, Running, Stat, Tracer};
use crate::tools;

/// Traffic, in words.
const SITUATIONS: [(&str, Option<Crowd>); 5] = [
    ("nothing", None),
    (
        "10,000 sockets, each sends 1 KiB a second",
        Some(Crowd::Hold { processes: 2, sockets: 5_000, pause_us: 200, reads: false }),
    ),
    (
        "the same, and what comes is read",
        Some(Crowd::Hold { processes: 2, sockets: 5_000, pause_us: 200, reads: true }),
    ),
    (
        "64 processes, each sends 1,000 times a second",
        Some(Crowd::Hold { processes: 64, sockets: 1, pause_us: 1_000, reads: true }),
    ),
    ("100,000 short connections", Some(Crowd::Churn { connections: 100_000 })),
];
/// Situations of the comparison of costs: sockets per process.
const SOCKETS: [u32; 2] = [5, 5_000];
const PROCESSES: u32 = 2;
/// How long each is watched.
const TIME: Duration = Duration::from_secs(5);
const TIME_QUICK: Duration = Duration::from_secs(2);
const COST_TIME: Duration = Duration::from_secs(2);
/// The comparison of costs is short and noisy.
const COST_ROUNDS: u32 = 3;
/// Budgets: CPU of `top` with 10,000 sockets, percent of a core; resident memory, kernel maps, MiB.
const CPU_PERCENT: f64 = 2.0;
const RSS_MIB: f64 = 32.0;
const MAPS_MIB: f64 = 16.0;
/// Every socket sends once a second in the situations that have many.
const REVISIT: Duration = Duration::from_millis(1_500);
/// Longer than a tick.
const SETTLE: Duration = Duration::from_secs(1);
const MIB: f64 = (1 << 20) as f64;

/// All of it.
#[derive(Clone, Debug, Serialize)]
struct Outcome {
    rounds: u32,
    seconds: f64,
    situations: Vec<Situation>,
    costs: Vec<CostRow>,
}

/// One kind of traffic.
#[derive(Clone, Debug, Serialize)]
struct Situation {
    traffic: &'static str,
    top_percent: Spread,
    stat_percent: Spread,
    top_rss_mib: Spread,
    stat_rss_mib: Spread,
    /// Of `stat`; the kernel side is the same.
    maps_mib: Spread,
    /// What was lost of it, by cause, in all rounds.
    lost: BTreeMap<String, u64>,
    /// The same while all of its sockets ended at once.
    lost_at_end: BTreeMap<String, u64>,
}

/// The cost of a send with so many sockets.
#[derive(Clone, Debug, Serialize)]
struct CostRow {
    sockets: u32,
    /// Programs of sending, ns per send, from the kernel's statistics.
    send_ns: Spread,
    /// CPU of a send and its receive without tracing and traced, ns.
    plain_ns: Spread,
    traced_ns: Spread,
    added_ns: Spread,
}

/// One tracer over one situation.
#[derive(Clone, Debug, Default)]
struct Watched {
    percent: f64,
    rss_mib: f64,
    maps_mib: f64,
    lost: BTreeMap<String, u64>,
    lost_at_end: BTreeMap<String, u64>,
}

/// What was measured with so many sockets.
#[derive(Default)]
struct Compared {
    plain: Vec<Done>,
    traced: Vec<Done>,
    costs: Vec<Costs>,
}

/// The task.
pub(super) fn run(common: &Common) -> Result<u8> {
    let arena = match common.enter(&[tools::program("setsid", "util-linux")], [1, 1])? {
        Ok(arena) => arena,
        Err(code) => return Ok(code),
    };
    let machine = arena.machine(&[])?;
    let time = if arena.quick { TIME_QUICK } else { TIME };
    let mut watched: Vec<[Vec<Watched>; 2]> = SITUATIONS.iter().map(|_| Default::default()).collect();
    for round in 0..arena.rounds {
        for ((name, crowd), watched) in SITUATIONS.iter().zip(&mut watched) {
            for top in [round % 2 == 0, round % 2 == 1] {
                let seen = watch(&arena, *crowd, top, time)?;
                eprintln!(
                    "{name}: {} {:.1} %, {:.0} MiB",
                    ["stat", "top"][usize::from(top)],
                    seen.percent,
                    seen.rss_mib
                );
                watched[usize::from(top)].push(seen);
            }
        }
    }
    let costs = compare(&arena, if arena.quick { 1 } else { COST_ROUNDS * arena.rounds })?;
    let situations =
        SITUATIONS.iter().zip(&watched).map(|((name, _), watched)| situation(name, watched)).collect();
    let outcome = Outcome { rounds: arena.rounds, seconds: time.as_secs_f64(), situations, costs };
    let command = arena.command("scale", "");
    report::publish(common, "scale", &machine, &command, &outcome, &sheets(&outcome))?;
    Ok(0)
}

/// One tracer, started before the traffic, watched from when all sockets are there.
fn watch(arena: &Arena, crowd: Option<Crowd>, top: bool, time: Duration) -> Result<Watched> {
    let tracer = if top { Tracer::Top } else { Tracer::Stat };
    let running = tracer.start(arena, Backend::Tracepoint)?;
    let id = running.id().context("nobody watches")?;
    // Longer than all that follows; it is killed then.
    let traffic = crowd.map(|crowd| crowd.start(arena, 4 * time)).transpose()?;
    let (begin, before) = (Instant::now(), Usage::of(id)?);
    let traffic = match (crowd, traffic) {
        // Until all of them have been.
        (Some(Crowd::Churn { .. }), Some(traffic)) => traffic.end().map(|_| None)?,
        (_, traffic) => {
            std::thread::sleep(time);
            traffic
        }
    };
    let after = Usage::of(id)?;
    let percent = 100.0 * (after.cpu_s - before.cpu_s) / begin.elapsed().as_secs_f64();
    let mut watched = Watched { percent, rss_mib: after.rss as f64 / MIB, ..Watched::default() };
    let Running::Stat(stat) = running else {
        running.stop()?;
        return Ok(watched);
    };
    (watched.maps_mib, watched.lost) = held(stat)?;
    if let Some(traffic) = traffic {
        // A tracer of its own sees each socket once more, and then all of them end.
        let stat = Stat::start(&arena.zcscope, &[])?;
        std::thread::sleep(REVISIT);
        drop(traffic);
        std::thread::sleep(SETTLE);
        (_, watched.lost_at_end) = held(stat)?;
    }
    Ok(watched)
}

/// Ends it: memory of the kernel maps, MiB, and what was lost.
fn held(stat: Stat) -> Result<(f64, BTreeMap<String, u64>)> {
    held_in(&stat.report()?).context("the report lacks maps or losses")
}

fn held_in(report: &Value) -> Option<(f64, BTreeMap<String, u64>)> {
    let maps = report["maps"].as_array()?.iter();
    let bytes: Option<f64> = maps.map(|map| map["bytes"].as_f64()).sum();
    let lost = report["lost"]["by_cause"].as_object()?.iter();
    let lost: Option<_> = lost.map(|(cause, n)| Some((cause.clone(), n.as_u64()?))).collect();
    Some((bytes? / MIB, lost?))
}

/// `768 ring`
fn losses(lost: &BTreeMap<String, u64>) -> String {
    if lost.is_empty() {
        return "0".into();
    }
    lost.iter().map(|(cause, n)| format!("{} {cause}", count(*n))).collect::<Vec<_>>().join(", ")
}

/// Of all rounds.
fn sum<'a>(all: impl Iterator<Item = &'a BTreeMap<String, u64>>) -> BTreeMap<String, u64> {
    let mut sum = BTreeMap::new();
    for (cause, n) in all.flatten() {
        *sum.entry(cause.clone()).or_default() += n;
    }
    sum
}

/// A send with few and with many sockets, in turns.
fn compare(arena: &Arena, rounds: u32) -> Result<Vec<CostRow>> {
    let mut compared: [Compared; 2] = Default::default();
    for round in 0..rounds {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for n in order {
            let crowd = Crowd::Hold { processes: PROCESSES, sockets: SOCKETS[n], pause_us: 0, reads: true };
            compared[n].once(arena, crowd, round)?;
        }
    }
    Ok(SOCKETS.iter().zip(&compared).map(|(sockets, compared)| compared.row(PROCESSES * sockets)).collect())
}

impl Compared {
    fn once(&mut self, arena: &Arena, crowd: Crowd, round: u32) -> Result<()> {
        for traced in [!round.is_multiple_of(2), round.is_multiple_of(2)] {
            let tracer = if traced { Tracer::Stat } else { Tracer::Nothing };
            let running = tracer.start(arena, Backend::Tracepoint)?;
            let done = crowd.start(arena, COST_TIME)?.end()?;
            running.stop()?;
            if traced { &mut self.traced } else { &mut self.plain }.push(done);
        }
        let statistics = Statistics::start(arena)?;
        let traffic = crowd.start(arena, COST_TIME)?;
        self.costs.push(statistics.over(|| Ok(traffic.end()?.sends))?);
        Ok(())
    }

    fn row(&self, sockets: u32) -> CostRow {
        CostRow {
            sockets,
            send_ns: spread(&self.costs, Costs::plain_send_ns),
            plain_ns: spread(&self.plain, Done::ns_per_send),
            traced_ns: spread(&self.traced, Done::ns_per_send),
            added_ns: super::spread::differences(&self.plain, &self.traced, Done::ns_per_send),
        }
    }
}

fn situation(traffic: &'static str, [stat, top]: &[Vec<Watched>; 2]) -> Situation {
    Situation {
        traffic,
        top_percent: spread(top, |seen| seen.percent),
        stat_percent: spread(stat, |seen| seen.percent),
        top_rss_mib: spread(top, |seen| seen.rss_mib),
        stat_rss_mib: spread(stat, |seen| seen.rss_mib),
        maps_mib: spread(stat, |seen| seen.maps_mib),
        lost: sum(stat.iter().map(|seen| &seen.lost)),
        lost_at_end: sum(stat.iter().map(|seen| &seen.lost_at_end)),
    }
}

fn sheets(outcome: &Outcome) -> Vec<Sheet> {
    let head = [
        "traffic",
        "`top`, % of a core",
        "RSS MiB",
        "`stat`, % of a core",
        "RSS MiB",
        "kernel maps MiB",
        "lost",
        "lost when all end at once",
    ];
    let mut situations = Sheet::new("Watching", &head);
    for row in &outcome.situations {
        situations.row([
            row.traffic.to_owned(),
            row.top_percent.text(1),
            row.top_rss_mib.text(0),
            row.stat_percent.text(1),
            row.stat_rss_mib.text(0),
            row.maps_mib.text(1),
            losses(&row.lost),
            losses(&row.lost_at_end),
        ]);
    }
    situations.notes.push(format!(
        "Budgets: {CPU_PERCENT:.0} % of a core with 10,000 sockets, {RSS_MIB:.0} MiB, {MAPS_MIB:.0} MiB of maps. {} \
         round(s) of {:.0} s, from when all sockets are there; the short connections until all have been.",
        outcome.rounds, outcome.seconds
    ));
    let head = ["sockets", "programs, ns per send", "CPU ns per send and receive", "traced", "added"];
    let mut costs = Sheet::new("A send on few and on many sockets", &head);
    for row in &outcome.costs {
        costs.row([
            count(row.sockets.into()),
            row.send_ns.text(1),
            row.plain_ns.text(0),
            row.traced_ns.text(0),
            row.added_ns.text(0),
        ]);
    }
    costs.notes.push(
        "Programs: those of sending, by the kernel's statistics, less their own price. Sends go round all sockets, so \
         that with many of them each finds its socket and its map entry out of the CPU's caches, traced or not."
            .into(),
    );
    vec![situations, costs]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_summed_up() {
        let report = serde_json::json!({
            "maps": [{"bytes": 1_048_576}, {"bytes": 524_288}], "lost": {"total": 3, "by_cause": {"ring": 3}},
        });
        let (mib, lost) = held_in(&report).unwrap();
        assert_eq!((mib, losses(&lost)), (1.5, "3 ring".into()));
        assert_eq!(losses(&sum([&lost, &lost].into_iter())), "6 ring");
        assert_eq!(held_in(&serde_json::json!({"maps": [{}]})), None);
    }
}
