//! `load --verify` on every path: each byte carries its place, buffers are overwritten as soon as the kernel is done
//! with them, and the sink compares. What is re-used too early must be found.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::NOT_HERE;
use super::place::ports;
use crate::process::{self, Output};
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};

/// Every send path of the generator.
const PATHS: [&str; 15] = [
    "copy",
    "read_write",
    "copy_iov",
    "mmap_write",
    "msg_zerocopy",
    "sendfile",
    "splice",
    "vmsplice",
    "uring_send",
    "uring_send_bundle",
    "uring_send_zc",
    "uring_send_zc_fixed",
    "uring_sendmsg_zc",
    "ktls",
    "ktls_sendfile",
];
/// Bytes of a run where the machine is real, and where it is emulated.
const BYTES: &str = "96M";
const FEW_BYTES: &str = "3M";
/// Enough for eight streams to wait for each other, small enough for every path.
const SOME_BYTES: &str = "32M";
/// A thread for each stream, and threads that serve four.
const TWO: &[&str] = &["--streams", "2"];
const EIGHT_ON_TWO: &[&str] = &["--streams", "8", "--threads", "2"];
const PATIENCE: Duration = Duration::from_secs(120);

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] = &[
    ("verified_veth", |bench| every_path(bench, &["--veth"], BYTES, TWO)),
    ("verified_threads", |bench| every_path(bench, &["--veth"], SOME_BYTES, EIGHT_ON_TWO)),
    ("verified_cable", cable),
    ("verified_reuse_early", reused_early),
];

/// What is used of the report `zcscope.load/1`.
#[derive(Debug, Deserialize)]
struct Load {
    bytes: u64,
    acked_bytes: u64,
    error: Option<String>,
    place: Option<Place>,
}

#[derive(Debug, Deserialize)]
struct Place {
    sink: Option<Sink>,
}

#[derive(Debug, Deserialize)]
struct Sink {
    bytes: u64,
    verified_bytes: Option<u64>,
    mismatches: Option<u64>,
}

fn load(bench: &Bench, path: &str, way: &[&str], more: &[&str]) -> anyhow::Result<Output> {
    let mut command = std::process::Command::new(&bench.zcscope);
    command.args(["load", path]).args(way).args(["--verify", "--no-trace", "--json"]).args(more);
    process::start(&mut command)?.finish(PATIENCE)
}

fn every_path(bench: &Bench, way: &[&str], bytes: &str, streams: &[&str]) -> anyhow::Result<Verdict> {
    let mut wrong = Vec::new();
    let mut done = 0;
    for path in PATHS {
        let output = load(bench, path, way, &[&["--bytes", bytes], streams].concat())?;
        if output.code != 0 && NOT_HERE.iter().any(|words| output.complaint().contains(words)) {
            println!("  {path}: {}", output.complaint());
            continue;
        }
        done += 1;
        if let Err(error) = whole(&output) {
            wrong.push(format!("{path}: {error:#}"));
        }
    }
    ensure!(done >= 10, "only {done} paths can be used here");
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// Every byte sent was compared and right.
fn whole(output: &Output) -> anyhow::Result<()> {
    ensure!(output.code == 0, "exit code {}: {}", output.code, output.complaint());
    let load: Load = super::json_of(output)?;
    let sink = load.place.and_then(|place| place.sink).context("the sink gave no report")?;
    ensure!(load.acked_bytes == load.bytes, "{} of {} bytes acknowledged", load.acked_bytes, load.bytes);
    ensure!(
        sink.bytes == load.bytes && sink.verified_bytes == Some(load.bytes) && sink.mismatches == Some(0),
        "{} bytes sent, {sink:?}",
        load.bytes
    );
    Ok(())
}

fn cable(bench: &Bench) -> anyhow::Result<Verdict> {
    let Some((near, far)) = ports() else {
        return Ok(Verdict::Skipped("there are no two vmxnet3 cards in this machine".into()));
    };
    every_path(bench, &["--cable", &format!("{near},{far}")], FEW_BYTES, TWO)
}

/// A buffer overwritten right after the call, while the kernel still holds it: the sink must find the poison, and the
/// load must fail with it.
fn reused_early(bench: &Bench) -> anyhow::Result<Verdict> {
    let mut wrong = Vec::new();
    for path in ["msg_zerocopy", "uring_send_zc"] {
        let output = load(bench, path, &["--veth"], &["--reuse-early", "--bytes", BYTES, "--size", "256K"])?;
        let load: Load = super::json_of(&output)?;
        let found = load.error.as_deref().is_some_and(|error| error.contains("wrong bytes"));
        if output.code != 1 || !found {
            wrong.push(format!("{path}: exit code {}, {:?}", output.code, load.error));
        }
    }
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}
