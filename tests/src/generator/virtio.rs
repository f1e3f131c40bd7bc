//! The generator on cards without scatter-gather: it must say that everything is copied, why, and never call it
//! zero-copy. (`matrix_cable_virtio_net` checks that no such cell is ranked.)

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::fixture::{Fixture, Link, nic};
use crate::process::{self, Output};
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] =
    &[("load_cable_virtio", over_cable), ("load_interface_virtio", through_interface)];

const DRIVER: &str = "virtio_net";
const NO_CARDS: &str = "there are no two virtio_net cards";
/// Bytes of one run: little, because guests are emulated.
const BYTES: u64 = 2 << 20;
const PATIENCE: Duration = Duration::from_secs(300);

/// What is used of the report `zcscope.load/1`.
#[derive(Debug, Deserialize)]
struct Load {
    bytes: u64,
    device: Option<Device>,
    kernel: Option<Kernel>,
}

#[derive(Debug, Deserialize)]
struct Device {
    name: String,
    verified: bool,
}

#[derive(Debug, Deserialize)]
struct Kernel {
    paths: Vec<Path>,
}

#[derive(Debug, Deserialize)]
struct Path {
    path: String,
    requested_bytes: Option<u64>,
    copied_bytes: Option<u64>,
    copies: Option<Vec<Copy>>,
}

#[derive(Debug, Deserialize)]
struct Copy {
    reason: String,
    dev: Option<String>,
}

/// Two cards borrowed for the run: `msg_zerocopy` as text, which must say COPIED, `sendfile` as JSON.
fn over_cable(bench: &Bench) -> anyhow::Result<Verdict> {
    let names = nic::of_driver(DRIVER);
    let [first, second, ..] = names.as_slice() else { return Ok(Verdict::Skipped(NO_CARDS.into())) };
    let (cable, bytes) = (format!("{first},{second}"), BYTES.to_string());
    let run = |path: &str, json: Option<&str>| -> anyhow::Result<Output> {
        let mut command = Command::new(&bench.zcscope);
        command.args(["load", path, "--cable", &cable, "--bytes", &bytes]).args(json);
        let output = process::start(&mut command)?.finish(PATIENCE)?;
        ensure!(output.code == 0, "{path}: exit code {}: {}", output.code, output.complaint());
        Ok(output)
    };
    let text = run("msg_zerocopy", None)?.stdout;
    let heading = text.lines().next().unwrap_or_default();
    ensure!(heading.contains("(COPIED"), "it is headed {heading:?}");
    ensure!(text.contains("no_scatter_gather"), "it does not say why: {text}");
    let device = judge("sendfile", &run("sendfile", Some("--json"))?)?;
    ensure!(&device == first, "it went through {device}");
    ensure!(nic::of_driver(DRIVER) == names, "the cards were not given back");
    Ok(Verdict::Ok)
}

/// `-i DEV --to HOST`, as between two hosts: the counters prove the way, the kernel says what became of the bytes.
fn through_interface(bench: &Bench) -> anyhow::Result<Verdict> {
    if nic::of_driver(DRIVER).len() < 2 {
        return Ok(Verdict::Skipped(NO_CARDS.into()));
    }
    let fixture = Fixture::build(Link::Cable(DRIVER), false)?;
    let files = tempfile::tempdir()?;
    let ready = files.path().join("sink");
    let mut command = Command::new(&bench.zcscope);
    command
        .args(["sink", "--listen", &format!("{}:0", fixture.address), "--once", "--ready-file"])
        .arg(&ready);
    let mut sink = fixture.sink.start(&mut command)?;
    let address = || std::fs::read_to_string(&ready).unwrap_or_default().trim().to_owned();
    let listens = || !address().is_empty() || !sink.is_alive();
    ensure!(process::wait_until(Duration::from_secs(20), listens), "the sink does not listen");
    let (to, bytes) = (address(), BYTES.to_string());
    let mut command = Command::new(&bench.zcscope);
    command.args(["load", "msg_zerocopy", "--to", &to, "-i", &fixture.device, "--bytes", &bytes, "--json"]);
    let output = fixture.sender.start(&mut command)?.finish(PATIENCE)?;
    ensure!(output.code == 0, "exit code {}: {}", output.code, output.complaint());
    let device = judge("msg_zerocopy", &output)?;
    ensure!(device == fixture.device, "it went through {device}");
    Ok(Verdict::Ok)
}

/// Every byte copied, for want of scatter-gather and for nothing else; the device that was proven to be used.
fn judge(path: &str, output: &Output) -> anyhow::Result<String> {
    let load: Load = serde_json::from_str(&output.stdout)
        .with_context(|| format!("no report: {:?}; {}", output.stdout, output.complaint()))?;
    ensure!(load.bytes == BYTES, "{path}: {} bytes sent", load.bytes);
    let kernel = load.kernel.context("not traced")?;
    let seen = kernel.paths.iter().find(|seen| seen.path == path).context("no such path seen")?;
    let all = Some(BYTES);
    ensure!((seen.requested_bytes, seen.copied_bytes) == (all, all), "{path}: {seen:?}");
    let device = load.device.context("the report names no device")?;
    ensure!(device.verified, "{path}: {device:?}");
    let copies = seen.copies.as_deref().unwrap_or_default();
    let right = |copy: &Copy| {
        copy.reason == "no_scatter_gather" && copy.dev.as_ref().is_none_or(|dev| *dev == device.name)
    };
    ensure!(!copies.is_empty() && copies.iter().all(right), "{path}: {copies:?}");
    Ok(device.name)
}
