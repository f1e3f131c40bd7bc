//! `doctor --prove`: what it predicts is what it then observes, on every kind of link and with every fault this machine
//! can have, and it is the right prediction.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use crate::fixture::sysctl::Sysctl;
use crate::fixture::{Fixture, Link, nic};
use crate::kernel;
use crate::process::{Output, Running, wait_until};
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};

/// Attaching takes a while on emulated processors.
const PATIENCE: Duration = Duration::from_secs(240);
const PORT: u16 = 9900;

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] = &[
    ("doctor_own_ends", own_ends),
    ("doctor_lo", |bench| prove(bench, Link::Lo, &[], "copied", "loopback", "zero_copy")),
    ("doctor_veth", |bench| prove(bench, Link::Veth, &[], "copied", "local_delivery", "zero_copy")),
    ("doctor_veth_tap", |bench| {
        prove(bench, Link::Veth, &[Fault::Tap], "copied", "local_delivery", "zero_copy")
    }),
    ("doctor_lo_tap", |bench| prove(bench, Link::Lo, &[Fault::Tap], "copied", "loopback", "zero_copy")),
    ("doctor_differs", differs),
    ("doctor_veth_sg_off_tap", |bench| {
        let faults = &[Fault::Offload("sg off"), Fault::Tap];
        prove(bench, Link::Veth, faults, "copied", "no_scatter_gather", "copied")
    }),
    ("doctor_veth_sg_off", |bench| {
        prove(bench, Link::Veth, &[Fault::Offload("sg off")], "copied", "no_scatter_gather", "copied")
    }),
    ("doctor_veth_tx_off", |bench| {
        prove(bench, Link::Veth, &[Fault::Offload("tx off")], "copied", "no_tx_checksum", "copied")
    }),
    ("doctor_veth_optmem", |bench| {
        prove(bench, Link::Veth, &[Fault::Optmem("500")], "refused", "optmem", "zero_copy")
    }),
    ("doctor_routed", |bench| {
        let reason =
            if kernel::has(kernel::Since::CopyOnDelivery) { "local_delivery" } else { "netns_forward" };
        prove(bench, Link::Routed, &[], "copied", reason, "zero_copy")
    }),
    ("doctor_vmxnet3", |bench| prove(bench, Link::Cable("vmxnet3"), &[], "zero_copy", "", "zero_copy")),
    ("doctor_vmxnet3_tap", |bench| {
        prove(bench, Link::Cable("vmxnet3"), &[Fault::Tap], "zero_copy", "packet_tap", "zero_copy")
    }),
    ("doctor_virtio", |bench| {
        prove(bench, Link::Cable("virtio_net"), &[], "copied", "no_scatter_gather", "copied")
    }),
];

/// What is not as it should be at the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// A packet tap on the device.
    Tap,
    /// One with PACKET_IGNORE_OUTGOING.
    DeafTap,
    /// `ethtool -K`.
    Offload(&'static str),
    /// `net.core.optmem_max`.
    Optmem(&'static str),
}

/// What is used of the report `zcscope.doctor/1`.
#[derive(Debug, Deserialize)]
struct Doctor {
    routes: Vec<Route>,
    proof: Option<Proof>,
}

#[derive(Debug, Deserialize)]
struct Route {
    name: String,
    send: Vec<Prediction>,
}

#[derive(Debug, Deserialize)]
struct Prediction {
    path: String,
    verdict: String,
    because: Option<Because>,
    #[serde(default)]
    also: Vec<Because>,
    observed: Option<Observed>,
}

#[derive(Debug, Deserialize)]
struct Because {
    reason: String,
}

#[derive(Debug, Deserialize)]
struct Observed {
    agrees: Option<bool>,
    note: Option<String>,
    bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Proof {
    agrees: bool,
    tried: u64,
}

fn doctor(bench: &Bench, arguments: &[&str]) -> Command {
    let mut command = Command::new(&bench.zcscope);
    command.args(["doctor", "--prove", "--json"]).args(arguments);
    if let Some(backend) = bench.backend {
        command.args(["--backend", backend.name()]);
    }
    command
}

fn report(bench: &Bench, output: &Output, name: &str) -> anyhow::Result<Doctor> {
    if let Some(directory) = &bench.keep {
        std::fs::write(directory.join(format!("doctor_{name}.json")), &output.stdout)?;
    }
    serde_json::from_str(&output.stdout)
        .with_context(|| format!("no report: {:?}; {}", output.stdout, output.complaint()))
}

impl Doctor {
    /// Everything that was tried and was not as predicted.
    fn wrong(&self, code: i32) -> Vec<String> {
        let mut wrong = Vec::new();
        for (route, prediction) in self.routes.iter().flat_map(|r| r.send.iter().map(move |p| (r, p))) {
            let Some(observed) = &prediction.observed else { continue };
            if observed.agrees == Some(false) {
                let (path, verdict) = (&prediction.path, &prediction.verdict);
                wrong.push(format!("{}: {path} was predicted {verdict}: {:?}", route.name, observed.note));
            }
        }
        let agrees = self.proof.as_ref().is_some_and(|proof| proof.agrees);
        if agrees != wrong.is_empty() || (code == 0) != agrees {
            wrong.push(format!("exit code {code}, proof {:?}", self.proof));
        }
        wrong
    }
}

/// Without a word about where: loopback, and a veth pair of its own.
fn own_ends(bench: &Bench) -> anyhow::Result<Verdict> {
    let fixture = Fixture::build(Link::Lo, false)?;
    let output = fixture.sender.start(&mut doctor(bench, &[]))?.finish(PATIENCE)?;
    let report = report(bench, &output, "own_ends")?;
    let wrong = report.wrong(output.code);
    ensure!(report.routes.len() == 2, "{} routes", report.routes.len());
    ensure!(report.proof.is_some_and(|proof| proof.tried >= 8), "too little was tried");
    let links = fixture.sender.ip("link show")?;
    ensure!(!links.contains("zc0"), "a device stayed: {links}");
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// A tap that is deaf to what is sent, which the kernel does not show: the prediction is wrong, and the proof finds it.
fn differs(bench: &Bench) -> anyhow::Result<Verdict> {
    let fixture = Fixture::build(Link::Veth, false)?;
    let mut held = Held::default();
    held.cause(bench, &fixture, Fault::DeafTap)?;
    let to = std::net::SocketAddr::new(fixture.address, PORT).to_string();
    let _sink = held.sink(bench, &fixture, &to)?;
    let output = fixture.sender.start(&mut doctor(bench, &["--to", &to]))?.finish(PATIENCE)?;
    let report = report(bench, &output, "differs")?;
    let agrees = report.proof.as_ref().is_some_and(|proof| proof.agrees);
    ensure!(output.code == 1 && !agrees, "exit code {}, {:?}", output.code, report.proof);
    let wrong = report.wrong(0);
    ensure!(wrong.iter().any(|wrong| wrong.contains("msg_zerocopy")), "{wrong:?}");
    ensure!(output.stderr.contains("predictions"), "{}", output.complaint());
    Ok(Verdict::Ok)
}

fn prove(
    bench: &Bench,
    link: Link,
    faults: &[Fault],
    verdict: &str,
    reason: &str,
    files: &str,
) -> anyhow::Result<Verdict> {
    if let Some(why) = impossible(link, faults) {
        return Ok(Verdict::Skipped(why));
    }
    let fixture = Fixture::build(link, false)?;
    let mut held = Held::default();
    for fault in faults {
        held.cause(bench, &fixture, *fault)?;
    }
    let to = std::net::SocketAddr::new(fixture.address, PORT).to_string();
    let mut sink = held.sink(bench, &fixture, &to)?;
    let output = fixture.sender.start(&mut doctor(bench, &["--to", &to]))?.finish(PATIENCE)?;
    sink.kill();
    let report =
        report(bench, &output, &format!("{link:?}_{faults:?}").replace(|c: char| !c.is_alphanumeric(), "_"))?;
    let mut wrong = report.wrong(output.code);
    let route = report.routes.first().context("no route in the report")?;
    wrong.extend(right(route, "msg_zerocopy", verdict, reason));
    wrong.extend(right(route, "sendfile", files, if files == "copied" { reason } else { "" }));
    wrong.extend(right(route, "copy", "copies_by_design", ""));
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// What is wrong with the prediction of a path, or not observed.
fn right(route: &Route, path: &str, verdict: &str, reason: &str) -> Option<String> {
    let Some(prediction) = route.send.iter().find(|prediction| prediction.path == path) else {
        return Some(format!("nothing is predicted of {path}"));
    };
    let reasons = || prediction.because.iter().chain(&prediction.also).map(|because| because.reason.as_str());
    if prediction.verdict != verdict || (!reason.is_empty() && !reasons().any(|found| found == reason)) {
        return Some(format!("{path}: expected {verdict} {reason}, predicted {prediction:?}"));
    }
    match &prediction.observed {
        Some(observed) if observed.agrees == Some(true) && (observed.bytes > 0 || verdict == "refused") => {
            None
        }
        observed => Some(format!("{path} was not proven: {observed:?}")),
    }
}

fn impossible(link: Link, faults: &[Fault]) -> Option<String> {
    if let Link::Cable(driver) = link
        && nic::of_driver(driver).len() < 2
    {
        return Some(format!("there are no two {driver} cards"));
    }
    let needs_ethtool = faults.iter().any(|fault| matches!(fault, Fault::Offload(_)));
    (needs_ethtool && !kernel::has_program("ethtool")).then(|| "ethtool is not installed".into())
}

/// What lasts as long as the scenario.
#[derive(Default)]
struct Held {
    taps: Vec<Running>,
    settings: Vec<Sysctl>,
}

impl Held {
    /// A sink at the far end, once it listens.
    fn sink(&self, bench: &Bench, fixture: &Fixture, to: &str) -> anyhow::Result<Running> {
        let mut command = Command::new(&bench.zcscope);
        command.args(["sink", "--listen", to, "--duration", "5m"]);
        let mut sink = fixture.sink.start(&mut command)?;
        let listens = || {
            let table = fixture.sink.command("cat", &["/proc/thread-self/net/tcp"]);
            table.is_ok_and(|text| text.contains(&format!(":{PORT:04X}")))
        };
        if !wait_until(Duration::from_secs(20), || listens() || !sink.is_alive()) || !sink.is_alive() {
            bail!("the sink does not listen");
        }
        Ok(sink)
    }

    fn cause(&mut self, bench: &Bench, fixture: &Fixture, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::Offload(setting) => fixture.offload(setting)?,
            Fault::Optmem(value) => {
                self.settings.push(Sysctl::set(&fixture.sender, "net/core/optmem_max", value)?);
            }
            Fault::Tap | Fault::DeafTap => {
                let mut command = bench.app("tap");
                command.args(["-i", &fixture.device, "--limit", "300"]);
                command.args((fault == Fault::DeafTap).then_some("--ignore-outgoing"));
                let mut tap = fixture.sender.start(&mut command)?;
                tap.first_line(Duration::from_secs(10))?;
                self.taps.push(tap);
            }
        }
        Ok(())
    }
}
