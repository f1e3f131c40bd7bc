//! `zcscope selftest` and `stat --fail-if`: verdicts with an exit code, right on this kernel, and nothing left behind.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::fixture::netns::Netns;
use crate::kernel::{self, Since};
use crate::process::{self, wait_until};
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] =
    &[("selftest", right), ("selftest_killed", killed), ("stat_fail_if_forms", fail_if_forms)];

const PATIENCE: Duration = Duration::from_secs(300);

/// What is used of the document `zcscope.selftest/1`.
#[derive(Debug, Deserialize)]
struct Selftest {
    schema: String,
    right: usize,
    wrong: usize,
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    name: String,
    verdict: String,
    why: Option<String>,
    complaints: Vec<String>,
    sent_bytes: u64,
    observed: Option<Observed>,
}

#[derive(Debug, Deserialize)]
struct Observed {
    bytes: u64,
    requested_bytes: Option<u64>,
    copied_bytes: Option<u64>,
}

fn selftest(bench: &Bench, more: &[&str]) -> Command {
    let mut command = Command::new(&bench.zcscope);
    command.arg("selftest").args(more);
    if let Some(backend) = bench.backend {
        command.args(["--backend", backend.name()]);
    }
    command
}

fn impossible(bench: &Bench) -> Option<Verdict> {
    let blind = bench.traces_by_tracepoint() && !kernel::has(Since::SendTracepoint);
    blind.then(|| Verdict::Skipped("before Linux 6.16 tracepoints do not see sends".into()))
}

/// Every row that this kernel can show is right; what is skipped says why.
fn right(bench: &Bench) -> anyhow::Result<Verdict> {
    if let Some(skipped) = impossible(bench) {
        return Ok(skipped);
    }
    let output = process::start(&mut selftest(bench, &["--json"]))?.finish(PATIENCE)?;
    if let Some(directory) = &bench.keep {
        std::fs::write(directory.join("selftest.json"), &output.stdout)?;
    }
    let report: Selftest = serde_json::from_str(&output.stdout)
        .with_context(|| format!("no report: {:?}; {}", output.stdout, output.complaint()))?;
    let mut wrong = Vec::new();
    for row in &report.rows {
        match row.verdict.as_str() {
            "right" => {
                let seen = row.observed.as_ref().context("nothing observed")?;
                if row.sent_bytes == 0 || seen.bytes != row.sent_bytes {
                    wrong.push(format!("{}: {} of {} bytes", row.name, seen.bytes, row.sent_bytes));
                }
                if row.name == "zerocopy_lo" && seen.copied_bytes != seen.requested_bytes {
                    wrong.push(format!("{} is right, and not copied: {seen:?}", row.name));
                }
            }
            "skipped" if row.why.as_ref().is_some_and(|why| why.len() > 20) => {}
            _ => wrong.push(format!("{} is {}: {}", row.name, row.verdict, row.complaints.join("; "))),
        }
    }
    if report.schema != "zcscope.selftest/1" || report.wrong > 0 || report.right < 6 || output.code != 0 {
        wrong.push(format!(
            "{}: {} right, {} wrong, exit code {}: {}",
            report.schema,
            report.right,
            report.wrong,
            output.code,
            output.complaint()
        ));
    }
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// `kill -9` in the middle: its sink dies with it, and the host's devices are what they were.
fn killed(bench: &Bench) -> anyhow::Result<Verdict> {
    if let Some(skipped) = impossible(bench) {
        return Ok(skipped);
    }
    let links = || process::run(Command::new("ip").args(["-o", "link"])).map(|output| output.stdout);
    let before = links()?;
    let mut running = process::start(&mut selftest(bench, &["--json"]))?;
    let mut family = BTreeSet::new();
    // A sink is there most of the time once it has attached.
    let found = wait_until(Duration::from_secs(60), || {
        family = children(running.pid());
        !family.is_empty() || !running.is_alive()
    });
    ensure!(found && !family.is_empty(), "it never had a child");
    running.kill();
    let gone = || family.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists());
    ensure!(wait_until(Duration::from_secs(10), gone), "children live on: {family:?}");
    ensure!(links()? == before, "devices were\n{before}and are\n{}", links()?);
    Ok(Verdict::Ok)
}

/// The children of a process, by any of its threads.
fn children(pid: u32) -> BTreeSet<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return BTreeSet::new() };
    let of = |thread: std::fs::DirEntry| {
        std::fs::read_to_string(thread.path().join("children")).unwrap_or_default()
    };
    let lists: Vec<String> = threads.flatten().map(of).collect();
    lists.iter().flat_map(|list| list.split_whitespace()).filter_map(|pid| pid.parse().ok()).collect()
}

/// Every form of a check: what holds is exit code 1 with the finding, what does not 0, what is not known here 3.
fn fail_if_forms(bench: &Bench) -> anyhow::Result<Verdict> {
    if let Some(skipped) = impossible(bench) {
        return Ok(skipped);
    }
    let netns = Netns::new()?;
    let mut forms = vec![
        ("reason:loopback", 1, "fix: "),
        ("reason:optmem,finding:lost,p99>1h", 0, ""),
        ("p50>1ns", 1, "p50 is "),
        ("lost>0,told_copied>=100%", 1, "told_copied is "),
        ("finding:loopback", 1, "local peers"),
    ];
    if bench.traces_by_tracepoint() {
        forms.push(("reason:header_pull", 3, "no verdict"));
    }
    let mut wrong = Vec::new();
    for (check, code, words) in forms {
        let mut sink = netns.start(bench.app("sink").args(["--listen", "127.0.0.1:0"]))?;
        let to = format!("127.0.0.1:{}", sink.first_line(Duration::from_secs(10))?);
        let mut command = bench.stat();
        command.args(["--json", "-o", "/dev/null", "--fail-if", check, "--"]).arg(&bench.this);
        command.args(["app", "send", "msg_zerocopy", "--calls", "50", "--size", "10000", "--to", &to]);
        let begun = Instant::now();
        let output = netns.start(&mut command)?.finish(PATIENCE)?;
        if output.code != code || !output.stderr.contains(words) {
            wrong.push(format!(
                "{check}: exit code {}, expected {code} with {words:?} after {:?}: {}",
                output.code,
                begun.elapsed(),
                output.stderr
            ));
        }
    }
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}
