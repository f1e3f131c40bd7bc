//! When and how the application is told of its sends: acknowledgements that come late, and notifications that the
//! kernel merged although the sends had different flags.

use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::{Bench, Procedure};
use crate::expect;
use crate::findings::blame;
use crate::fixture::{Fixture, Link};
use crate::misuse::read_report;
use crate::process::Output;
use crate::report::Verdict;
use crate::scenario::table::LOOPBACK;
use crate::stat_json::Stat;
use crate::truth::Sent;

/// The scenarios.
pub(super) const ALL: &[Procedure] = &[
    ("notices_acks_late", |bench| acks(bench, "recv_delayed")),
    ("notices_acks_at_once", |bench| acks(bench, "recv")),
    ("notices_merged", |bench| merged(bench, [LARGE, SMALL])),
    ("notices_merged_told_first", |bench| merged(bench, [SMALL, LARGE])),
];

/// Fits into one packet: linearised as a whole, and flagged as copied.
const SMALL: u64 = 1000;
/// Does not: copied while segmenting, and not flagged.
const LARGE: u64 = 9000;

/// Runs `app paced` under zcscope against a sink that reads this way; the report and both commands' ends.
fn run(bench: &Bench, fixture: &Fixture, mode: &str, words: &[&str]) -> anyhow::Result<(Sent, Stat, Output)> {
    let listen = format!("{}:0", fixture.address);
    let mut sink = fixture.sink.start(bench.app("sink").args(["--listen", &listen, "--mode", mode]))?;
    let to = format!("{}:{}", fixture.address, sink.first_line(Duration::from_secs(10))?);
    let files = tempfile::tempdir()?;
    let mut command = bench.stat();
    command.args(["--json", "-o"]).arg(files.path().join("stat.json")).arg("--").arg(&bench.this);
    command.args(["app", "paced", "--to", &to]).args(words);
    let output = fixture.sender.start(&mut command)?.finish(Duration::from_secs(60))?;
    ensure!(output.code == 0, "exit code {}: {}", output.code, output.complaint());
    let sent = serde_json::from_str(output.stdout.trim()).context("the sender printed no counters")?;
    if let Some(directory) = &bench.keep {
        let name = format!("paced_{mode}_{}.json", words.join("_").replace("--", ""));
        std::fs::copy(files.path().join("stat.json"), directory.join(name))?;
    }
    Ok((sent, read_report(files.path())?, output))
}

fn verdict(wrong: Vec<String>) -> anyhow::Result<Verdict> {
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// Small sends, each waiting for the end of the one before: with late acknowledgements each takes 40 ms, and that is a
/// finding; else it is none. The ledger is the same.
fn acks(bench: &Bench, mode: &str) -> anyhow::Result<Verdict> {
    let fixture = Fixture::build(Link::Lo, false)?;
    let (sent, stat, _) = run(bench, &fixture, mode, &["--calls", "60", "--sizes", "200"])?;
    let mut wrong = expect::report(&LOOPBACK, std::slice::from_ref(&sent), "lo", &stat, bench.backend);
    if stat.misses("completion") {
        return verdict(wrong);
    }
    let late = mode == "recv_delayed";
    wrong.extend(blame::of_procedure(if late { "notices_acks_late" } else { "notices_acks_at_once" }, &stat));
    if stat.finds("delayed_ack") != late {
        let total = stat.paths.iter().find(|path| path.path == "msg_zerocopy");
        let ends = total.and_then(|path| path.completions.as_ref());
        let (times, delayed) = (ends.and_then(|e| e.latency_ns), ends.and_then(|e| e.delayed_acks));
        wrong.push(format!("delayed_ack is a finding: {}, {delayed:?} late, {times:?}", !late));
    }
    verdict(wrong)
}

/// Sends of these sizes in turn, until the application is told what the row means to show. TCP cuts a large send in
/// two when it is short of room at that moment; its rest is a small packet, which is flagged: then it was another row.
fn merged_as_meant(bench: &Bench, sizes: [u64; 2], calls: u64, told: u64) -> anyhow::Result<(Sent, Stat)> {
    let sizes = sizes.map(|size| size.to_string()).join(",");
    let words = ["--calls", &calls.to_string(), "--sizes", &sizes, "--pause", "5"];
    let mut said = Vec::new();
    for _ in 0..4 {
        let fixture = Fixture::build(Link::Veth, false)?;
        fixture.offload("sg off")?;
        let (sent, stat, _) = run(bench, &fixture, "recv", &words)?;
        if (sent.notifications, sent.told_copied) == (1, told) {
            return Ok((sent, stat));
        }
        said.push((sent.notifications, sent.told_copied));
    }
    bail!("the link is not as expected: (notifications, told copied) {said:?}, never (1, {told})")
}

/// Every second send is flagged as copied, all are, and all are told of by one notification, which has the flag of
/// the first one: the others that had another flag are told wrongly because they were merged.
fn merged(bench: &Bench, sizes: [u64; 2]) -> anyhow::Result<Verdict> {
    const CALLS: u64 = 20;
    if !crate::kernel::has_program("ethtool") {
        return Ok(Verdict::Skipped("ethtool is not installed".into()));
    }
    let told_first = sizes == [SMALL, LARGE];
    let told = if told_first { CALLS } else { 0 };
    let (sent, stat) = merged_as_meant(bench, sizes, CALLS, told)?;
    let name = if told_first { "notices_merged_told_first" } else { "notices_merged" };
    let mut wrong = blame::of_procedure(name, &stat);
    let Some(figures) = stat.of_process(sent.pid, "msg_zerocopy") else {
        return verdict(vec!["the sender is not in the report".into()]);
    };
    let mut same = |what: &str, reported: Option<u64>, expected: u64| {
        if reported != Some(expected) {
            wrong.push(format!("{what}: {reported:?}, expected {expected}"));
        }
    };
    same("events lost", Some(stat.lost.total), 0);
    same("bytes", Some(figures.bytes), sent.bytes);
    let ends = figures.completions.as_ref();
    if !stat.misses("completion") {
        same("sends ended", ends.map(|ends| ends.sends), CALLS);
        // A large send that TCP had to cut in two is flagged, too; that is seldom, and changes no sum below.
        let flagged = ends.and_then(|ends| ends.kernel_copied).unwrap_or(0);
        same("sends flagged", Some(flagged.clamp(CALLS / 2, CALLS / 2 + 2)), flagged);
        same("sends told copied", ends.and_then(|ends| ends.told_copied), told);
        same("copied bytes", figures.copied_bytes, sent.bytes);
        same("silent bytes", figures.silent_copied_bytes, LARGE * (CALLS - flagged));
        let disagreements = || ends.iter().filter_map(|ends| ends.disagreements.as_ref()).flatten();
        let of = |kind: &str| disagreements().filter(|d| d.kind == kind).map(|d| d.sends).sum::<u64>();
        // A flagged send that is told zero-copy was merged; one that is not flagged is told what its flag says.
        let wronged = if told_first { 0 } else { flagged };
        same("sends told wrongly by a merged range", Some(of("merged_range")), wronged);
        same("sends told zero-copy but copied", Some(of("told_zerocopy_but_copied")), wronged);
        same("sends told copied but not", Some(of("told_copied_but_not")), 0);
    }
    verdict(wrong)
}
