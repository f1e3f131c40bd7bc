//! zcscope's own load generator and sink, as traced programs: three counts of the same bytes must agree.

pub(crate) mod doctor;
pub(crate) mod engine;
pub(crate) mod limits;
pub(crate) mod matrix;
pub(crate) mod matrix_even;
pub(crate) mod paths;
pub(crate) mod place;
pub(crate) mod recording;
pub(crate) mod selftest;
pub(crate) mod sink;
pub(crate) mod verified;
pub(crate) mod virtio;
pub(crate) mod weight;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::findings::blame;
use crate::fixture::netns::Netns;
use crate::process::{Output, Running, wait_until};
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};
use crate::stat_json::{PathFigures, Stat};

/// Bytes of one run.
const BYTES: u64 = 8 << 20;

/// What a load says of a path that this kernel does not have.
const NOT_HERE: [&str; 3] = ["does not have this request", "cannot send bundles", "has no TLS sockets"];

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] = &[
    ("load_copy", |bench| one_path(bench, "copy", "copy")),
    ("load_msg_zerocopy", |bench| one_path(bench, "msg_zerocopy", "msg_zerocopy")),
    ("load_sendfile", |bench| one_path(bench, "sendfile", "sendfile")),
];

/// All procedures about the generator.
pub(crate) fn all() -> impl Iterator<Item = &'static Procedure> {
    [
        ALL,
        paths::ALL,
        engine::ALL,
        sink::ALL,
        matrix::ALL,
        matrix_even::ALL,
        place::ALL,
        recording::ALL,
        verified::ALL,
        doctor::ALL,
        limits::ALL,
        virtio::ALL,
        weight::ALL,
        selftest::ALL,
    ]
    .into_iter()
    .flatten()
}

/// Those that need what only guests have (network cards, kernel TLS), or show that another kernel counts the same. The
/// others test our own program more than the kernel: one kernel is enough, and guests are slow.
const IN_GUESTS: [&str; 17] = [
    "verified_instructions",
    "selftest",
    "load_cable_virtio",
    "load_interface_virtio",
    "load_cable_nic",
    "load_cable_kill",
    "load_splice",
    "load_uring_fixed",
    "load_ktls",
    "load_ktls_sendfile",
    "sink_tls",
    "matrix_cable_vmxnet3",
    "matrix_cable_virtio_net",
    "verified_cable",
    "doctor_vmxnet3",
    "doctor_vmxnet3_tap",
    "doctor_virtio",
];

/// Whether a scenario is one of the generator's that one kernel is enough for.
pub(crate) fn is_once(name: &str) -> bool {
    all().any(|(own, _)| *own == name) && !IN_GUESTS.contains(&name)
}

/// What is used of the report `zcscope.load/1`.
#[derive(Debug, Deserialize)]
struct Load {
    bytes: u64,
    acked_bytes: u64,
    /// Calls that took at least one byte.
    calls: u64,
    completions: Option<LoadCompletions>,
}

#[derive(Debug, Deserialize)]
struct LoadCompletions {
    sends: u64,
    notifications: u64,
    told_copied: u64,
    outstanding: u64,
}

/// What is used of the report `zcscope.sink/1`.
#[derive(Debug, Deserialize)]
struct Sink {
    bytes: u64,
}

/// `zcscope stat -- zcscope load PATH` against `zcscope sink`, over loopback, two streams; the kernel calls the path
/// `traced`. A load that says that this kernel does not have the path is skipped.
pub(crate) fn one_path(bench: &Bench, path: &str, traced: &str) -> anyhow::Result<Verdict> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let (sink, to) = start_sink(bench, &netns, files.path())?;
    let report = files.path().join("stat.json");
    let mut command = bench.stat();
    command.args(["--json", "-o"]).arg(&report).arg("--").arg(&bench.zcscope);
    command.args(["load", path, "--to", &to, "--size", "64K", "--bytes", &BYTES.to_string()]);
    command.args(["--streams", "2", "--json", "--no-trace"]);
    let output = netns.start(&mut command)?.finish(Duration::from_secs(60))?;
    if output.code != 0 && NOT_HERE.iter().any(|words| output.stderr.contains(words)) {
        return Ok(Verdict::Skipped(output.complaint()));
    }
    if output.code != 0 {
        bail!("exit code {}: {}", output.code, output.complaint());
    }
    let load: Load = json_of(&output)?;
    let sink: Sink = json_of(&sink.finish(Duration::from_secs(20))?)?;
    let stat: Stat = serde_json::from_str(&std::fs::read_to_string(&report)?)?;
    let mut wrong = compare(traced, &load, &sink, &stat);
    if ALL.iter().any(|(name, _)| name.strip_prefix("load_") == Some(path)) {
        wrong.extend(blame::of_procedure(&format!("load_{path}"), &stat));
    }
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

fn start_sink(bench: &Bench, netns: &Netns, files: &std::path::Path) -> anyhow::Result<(Running, String)> {
    let ready = files.join("sink");
    let mut command = Command::new(&bench.zcscope);
    command.args(["sink", "--listen", "127.0.0.1:0", "--once", "--json", "--ready-file"]).arg(&ready);
    let mut sink = netns.start(&mut command)?;
    let address = || std::fs::read_to_string(&ready).unwrap_or_default().trim().to_owned();
    if !wait_until(Duration::from_secs(10), || !address().is_empty() || !sink.is_alive())
        || address().is_empty()
    {
        sink.kill();
        bail!("the sink does not listen: {}", sink.finish(Duration::from_secs(1))?.complaint());
    }
    let address = address();
    Ok((sink, address))
}

fn json_of<T: serde::de::DeserializeOwned>(output: &Output) -> anyhow::Result<T> {
    serde_json::from_str(&output.stdout)
        .with_context(|| format!("no report: {:?}; {}", output.stdout, output.complaint()))
}

fn compare(path: &str, load: &Load, sink: &Sink, stat: &Stat) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut wrong_sealed = None;
    let mut same = |what: &str, one: u64, other: u64| {
        if one != other {
            wrong.push(format!("{what}: {one}, expected {other}"));
        }
    };
    same("bytes load says it sent", load.bytes, BYTES);
    same("bytes acknowledged", load.acked_bytes, load.bytes);
    if path != "ktls" {
        same("bytes at the sink", sink.bytes, load.bytes);
    } else if sink.bytes <= load.bytes {
        wrong_sealed =
            Some(format!("{} bytes at the sink, expected {} and TLS records", sink.bytes, load.bytes));
    }
    same("events lost", stat.lost.total, 0);
    let figures: Vec<&PathFigures> = stat.paths.iter().filter(|figures| figures.path == path).collect();
    same("bytes of the path", figures.iter().map(|f| f.bytes).sum(), load.bytes);
    let others = stat.paths.iter().filter(|figures| figures.path != path);
    same("calls of other paths", others.map(|figures| figures.calls).sum(), 0);
    same("bytes of all paths", stat.paths.iter().map(|f| f.bytes).sum(), load.bytes);
    let one_entry_per_call = matches!(path, "copy" | "msg_zerocopy");
    for figures in figures {
        if one_entry_per_call {
            let failed: u64 = figures.errors.values().sum();
            same("calls that took bytes", figures.calls.saturating_sub(failed), load.calls);
        }
        let (Some(told), Some(seen)) = (&load.completions, &figures.completions) else { continue };
        same("completions that never came", told.outstanding, 0);
        same("completed sends", seen.sends, told.sends);
        if path == "msg_zerocopy" {
            same("notifications", seen.notifications.unwrap_or(0), told.notifications);
        }
        same("sends told copied", seen.told_copied.unwrap_or(0), told.told_copied);
    }
    wrong.extend(wrong_sealed);
    wrong
}
