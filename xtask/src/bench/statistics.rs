//! The kernel's run-time statistics of every program over one run of traffic, asked from `examples/runtime.rs`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::arena::{Arena, dependent};
use super::process::{Background, Conversation};
use super::tracer::PATIENCE;

/// Programs that run less often than this per send are none of its cost.
const RARE: f64 = 0.000_5;
/// Programs of a send call.
const SENDING: [&str; 2] = ["tp_tcp_sendmsg_locked", "tp_sock_send_length"];
/// Programs of receiving.
const RECEIVING: [&str; 2] = ["tp_sock_recv_length", "tp_sys_exit"];

/// Counters of one program since it was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counter {
    runs: f64,
    ns: f64,
}

/// What `examples/runtime.rs` answers.
#[derive(Debug, Deserialize)]
struct Answer {
    programs: Vec<Row>,
    empty: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    name: String,
    runs: f64,
    ns: f64,
}

/// One program over one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cost {
    pub(super) runs_per_send: f64,
    /// ns per run as the kernel tells it.
    pub(super) raw_ns: f64,
    /// ns per run of the empty program.
    pub(super) empty_ns: f64,
}

/// All programs over one run.
#[derive(Clone, Debug)]
pub(super) struct Costs {
    /// By name.
    pub(super) programs: BTreeMap<String, Cost>,
}

impl Cost {
    /// ns per run, without what taking the time costs. Never less than nothing.
    pub(super) fn net_ns(&self) -> f64 {
        (self.raw_ns - self.empty_ns).max(0.0)
    }

    /// The same per send.
    pub(super) fn net_ns_per_send(&self) -> f64 {
        self.net_ns() * self.runs_per_send
    }
}

impl Costs {
    /// All programs that are not of receiving, ns per send.
    pub(super) fn send_ns(&self) -> f64 {
        self.programs.iter().filter(|(name, _)| !receives(name)).map(|(_, cost)| cost.net_ns_per_send()).sum()
    }

    /// Those that only a send call runs, without the ones that see packets, ns per send.
    pub(super) fn plain_send_ns(&self) -> f64 {
        let programs = SENDING.iter().filter_map(|name| self.programs.get(*name));
        programs.map(Cost::net_ns_per_send).sum()
    }

    /// The programs of receiving, ns per run: they run once a receive.
    pub(super) fn receive_ns(&self) -> f64 {
        self.programs.iter().filter(|(name, _)| receives(name)).map(|(_, cost)| cost.net_ns()).sum()
    }
}

/// Whether a program belongs to receiving.
pub(super) fn receives(name: &str) -> bool {
    RECEIVING.contains(&name)
}

/// All programs of zcscope, attached and timed by the kernel.
pub(super) struct Statistics {
    program: Background,
    pipes: Conversation,
}

/// Programs that do nothing, at every tracepoint a trace here uses; gone when dropped.
pub(super) struct Floor {
    _program: Background,
    _pipes: Conversation,
}

impl Floor {
    /// Starts it and waits until they stand there.
    pub(super) fn start(arena: &Arena) -> Result<Self> {
        let mut command = dependent(arena.example("runtime")?);
        let (program, mut pipes) = Background::conversing("examples/runtime", command.arg("--floor"))?;
        // "ready"
        pipes.line()?;
        Ok(Self { _program: program, _pipes: pipes })
    }
}

impl Statistics {
    /// Attaches them, with an empty program at every tracepoint.
    pub(super) fn start(arena: &Arena) -> Result<Self> {
        let mut command = dependent(arena.example("runtime")?);
        let (program, mut pipes) = Background::conversing("examples/runtime", command.arg("--empty"))?;
        // "ready"
        pipes.line()?;
        Ok(Self { program, pipes })
    }

    /// What they cost while this traffic runs, which tells how many sends it made.
    pub(super) fn over(mut self, traffic: impl FnOnce() -> Result<f64>) -> Result<Costs> {
        let before = self.counters()?;
        let sends = traffic()?;
        let after = self.counters()?;
        drop(self.pipes);
        self.program.wait_end(PATIENCE)?;
        Ok(costs(&before, &after, sends))
    }

    fn counters(&mut self) -> Result<Answer> {
        serde_json::from_str(&self.pipes.ask()?).context("examples/runtime answered no JSON")
    }
}

/// What ran between two answers.
fn between(before: &[Row], after: &[Row]) -> BTreeMap<String, Counter> {
    let old: BTreeMap<&str, Counter> =
        before.iter().map(|row| (row.name.as_str(), Counter { runs: row.runs, ns: row.ns })).collect();
    let difference = |row: &Row| {
        let old = old.get(row.name.as_str()).copied().unwrap_or_default();
        Counter { runs: row.runs - old.runs, ns: row.ns - old.ns }
    };
    after.iter().map(|row| (row.name.clone(), difference(row))).collect()
}

fn costs(before: &Answer, after: &Answer, sends: f64) -> Costs {
    let programs = between(&before.programs, &after.programs);
    let empty = between(&before.empty, &after.empty);
    let per_run = |counter: &Counter| counter.ns / counter.runs;
    // A place that is hardly passed says little; the busiest one does for a program that has no empty neighbour.
    let busiest = empty.values().max_by(|a, b| a.runs.total_cmp(&b.runs)).map_or(0.0, per_run);
    let programs = programs.into_iter().filter(|(_, counter)| counter.runs / sends >= RARE);
    let cost = |name: &str, counter: &Counter| Cost {
        runs_per_send: counter.runs / sends,
        raw_ns: per_run(counter),
        empty_ns: empty.get(name).filter(|empty| empty.runs > 0.0).map_or(busiest, per_run),
    };
    Costs { programs: programs.map(|(name, counter)| (name.clone(), cost(&name, &counter))).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(&str, f64, f64)]) -> Vec<Row> {
        rows.iter().map(|(name, runs, ns)| Row { name: (*name).into(), runs: *runs, ns: *ns }).collect()
    }

    #[test]
    fn the_cost_of_taking_the_time_is_taken_off() {
        let before = Answer { programs: rows(&[("tp_a", 100.0, 1e6)]), empty: rows(&[("tp_a", 100.0, 1e6)]) };
        let after = Answer {
            programs: rows(&[
                ("tp_a", 1_100.0, 1e6 + 90_000.0),
                ("tp_b", 500.0, 15_000.0),
                ("tp_sock_recv_length", 10.0, 1_500.0),
                ("rare", 0.0, 0.0),
            ]),
            empty: rows(&[("tp_a", 1_100.0, 1e6 + 40_000.0), ("tp_sock_recv_length", 10.0, 500.0)]),
        };
        let costs = costs(&before, &after, 1_000.0);
        assert_eq!(costs.programs.len(), 3);
        let a = costs.programs["tp_a"];
        assert_eq!((a.runs_per_send, a.raw_ns, a.empty_ns, a.net_ns()), (1.0, 90.0, 40.0, 50.0));
        // No empty program stands beside it: that of the busiest place. It took less: nothing, not less than nothing.
        assert_eq!((costs.programs["tp_b"].empty_ns, costs.programs["tp_b"].net_ns()), (40.0, 0.0));
        assert_eq!((costs.send_ns(), costs.receive_ns()), (50.0, 100.0));
    }
}
