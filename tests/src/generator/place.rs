//! The load generator's network: `-i` refuses what would not leave through the device, `--veth` and `--cable` make the
//! two ends and give everything back, also after a signal, a failure, or `kill -9`.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use crate::fixture::netns::Netns;
use crate::fixture::nic;
use crate::process::{self, Output, Running, wait_until};
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};

/// Bytes of one run: little, because guests are emulated.
const BYTES: u64 = 8 << 20;
/// A run that somebody ends.
const LONG: &[&str] = &["--duration", "60s", "--no-trace", "--json"];
const SOON: Duration = Duration::from_secs(30);

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] = &[
    ("load_device_refusals", refusals),
    ("load_veth", veth),
    ("load_cable_term", |bench| cable_of_veth(bench, "-TERM")),
    ("load_cable_hup", |bench| cable_of_veth(bench, "-HUP")),
    ("load_interface_down", device_down),
    ("load_cable_nic", cable_of_nics),
    ("load_cable_kill", killed),
];

/// What is used of the report `zcscope.load/1`.
#[derive(Debug, Deserialize)]
struct Load {
    bytes: u64,
    ended_by: String,
    error: Option<String>,
    device: Option<Device>,
    place: Option<Place>,
    completions: Option<Completions>,
    kernel: Option<Kernel>,
}

#[derive(Debug, Deserialize)]
struct Device {
    name: String,
    verified: bool,
}

#[derive(Debug, Deserialize)]
struct Place {
    wire: String,
    functional_only: bool,
    sink: Option<Sink>,
}

#[derive(Debug, Deserialize)]
struct Sink {
    bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Completions {
    sends: u64,
    told_copied: u64,
}

#[derive(Debug, Deserialize)]
struct Kernel {
    paths: Vec<KernelPath>,
}

#[derive(Debug, Deserialize)]
struct KernelPath {
    path: String,
    requested_bytes: Option<u64>,
    copied_bytes: Option<u64>,
}

fn load(bench: &Bench, arguments: &[&str]) -> Command {
    let mut command = Command::new(&bench.zcscope);
    command.arg("load").args(arguments);
    command
}

fn report(output: &Output) -> anyhow::Result<Load> {
    serde_json::from_str(&output.stdout)
        .with_context(|| format!("no report: {:?}; {}", output.stdout, output.complaint()))
}

/// A namespace that plays a host with two veth pairs: p0-p1 with addresses and a route, q0-q1 with an address.
fn host() -> anyhow::Result<Netns> {
    let host = Netns::new()?;
    for pair in ["p", "q"] {
        host.ip(&format!("link add {pair}0 type veth peer name {pair}1"))?;
        host.ip(&format!("link set {pair}0 up"))?;
        host.ip(&format!("link set {pair}1 up"))?;
    }
    host.ip("address add 10.7.0.1/24 dev p0")?;
    host.ip("address add 2001:db8:7::1/64 dev p0 nodad")?;
    host.ip("address add 10.8.0.1/24 dev q0")?;
    host.ip("route add 10.9.0.0/16 via 10.7.0.5 metric 9")?;
    Ok(host)
}

/// What of a device there is to see and stays.
fn look(host: &Netns, device: &str) -> anyhow::Result<String> {
    let mut seen = String::new();
    for what in ["-o -4 address", "-o -6 address", "-4 route", "-6 route", "-o link"] {
        seen += &host.ip(&format!("{what} show dev {device}"))?;
    }
    // These two come and go by themselves.
    Ok(seen.replace(" tentative", "").replace(" linkdown", ""))
}

/// Waits until the device looks like this again.
fn comes_back(host: &Netns, device: &str, before: &str) -> anyhow::Result<()> {
    if wait_until(Duration::from_secs(6), || look(host, device).is_ok_and(|now| now == before)) {
        return Ok(());
    }
    bail!("{device} was\n{before}and is\n{}", look(host, device).unwrap_or_default())
}

/// Wrong settings are a sentence and exit code 2, before anything is sent.
fn refusals(bench: &Bench) -> anyhow::Result<Verdict> {
    let host = host()?;
    let mut wrong = Vec::new();
    let mut refused = |arguments: &[&str], words: &[&str]| -> anyhow::Result<()> {
        let output =
            host.start(&mut load(bench, &[&["copy", "--no-trace"], arguments].concat()))?.finish(SOON)?;
        let said = words.iter().all(|word| output.stderr.contains(word));
        if output.code != 2 || !said {
            wrong.push(format!("{arguments:?}: exit code {}, {}", output.code, output.complaint()));
        }
        Ok(())
    };
    refused(&["--to", "10.8.0.1:9", "-i", "p0"], &["address of this host", "--cable", "--veth"])?;
    refused(&["--to", "10.8.0.2:9", "-i", "p0"], &["leaves through q0, not p0"])?;
    refused(&["--to", "10.66.0.2:9", "-i", "p0"], &["no route to 10.66.0.2"])?;
    refused(&["--to", "[2001:db8:8::1]:9", "-i", "p0"], &["no route to 2001:db8:8::1"])?;
    refused(&["--cable", "p0,nosuch0"], &["nosuch0"])?;
    refused(&["--cable", "lo,p0"], &["loopback"])?;
    host.ip("link set q0 down")?;
    refused(&["--to", "10.8.0.2:9", "-i", "q0"], &["q0 is down"])?;
    host.ip("route add default via 10.7.0.5")?;
    // What a bound socket would send to its gateway.
    refused(&["--to", "127.0.0.1:9", "-i", "p0"], &["address of this host"])?;
    refused(&["--cable", "p0,p1"], &["p0 carries a default route"])?;
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// A veth pair of its own: everything arrives, all of it copied, and the report says what that is worth.
fn veth(bench: &Bench) -> anyhow::Result<Verdict> {
    let bytes = BYTES.to_string();
    let host = host()?;
    let mut command = load(bench, &["msg_zerocopy", "--veth", "--bytes", &bytes, "--json"]);
    let output = host.start(&mut command)?.finish(SOON)?;
    ensure!(output.code == 0, "exit code {}: {}", output.code, output.complaint());
    let load = report(&output)?;
    let place = load.place.context("the report names no place")?;
    let device = load.device.context("the report names no device")?;
    ensure!((place.wire.as_str(), place.functional_only) == ("veth", true), "{place:?}");
    ensure!(device.verified, "{device:?}");
    ensure!(load.bytes == BYTES, "{} bytes sent", load.bytes);
    let received = place.sink.context("the sink gave no report")?.bytes;
    ensure!(received == BYTES, "{received} bytes received");
    let told = load.completions.context("no completions")?;
    ensure!(told.sends > 0 && told.told_copied == told.sends, "{told:?}");
    ensure!(
        host.ip("link show").is_ok_and(|links| !links.contains("zc0")),
        "the pair is in the host's namespace"
    );
    Ok(Verdict::Ok)
}

/// Starts a long run over a cable and waits until the ports are away.
fn start_long(bench: &Bench, host: Option<&Netns>, cable: &str) -> anyhow::Result<Running> {
    let mut command = load(bench, &[&["copy", "--cable", cable], LONG].concat());
    let mut running = match host {
        Some(host) => host.start(&mut command)?,
        None => process::start(&mut command)?,
    };
    let ports: Vec<&str> = cable.split(',').collect();
    let link = |port: &str| {
        let mut ip = Command::new("ip");
        ip.args(["link", "show", "dev", port]);
        let shown = match host {
            Some(host) => host.enter(|| process::run(&mut ip)),
            None => process::run(&mut ip),
        };
        shown.is_ok_and(|output| output.code == 0)
    };
    let away = wait_until(SOON, || !running.is_alive() || ports.iter().all(|port| !link(port)));
    ensure!(away && running.is_alive(), "the ports were not borrowed");
    // Let some bytes go.
    std::thread::sleep(Duration::from_millis(700));
    Ok(running)
}

/// Two ends of a veth pair as ports: a signal ends the run early, and both are again what they were.
fn cable_of_veth(bench: &Bench, signal: &str) -> anyhow::Result<Verdict> {
    let host = host()?;
    let before = [look(&host, "p0")?, look(&host, "p1")?];
    let running = start_long(bench, Some(&host), "p0,p1")?;
    host.command("kill", &[signal, &running.pid().to_string()])?;
    let output = running.finish(SOON)?;
    ensure!(output.code == 0, "exit code {}: {}", output.code, output.complaint());
    let load = report(&output)?;
    ensure!(load.ended_by == "signal" && load.bytes > 0, "{load:?}");
    comes_back(&host, "p0", &before[0])?;
    comes_back(&host, "p1", &before[1])?;
    Ok(Verdict::Ok)
}

/// The device is set down in the middle: one sentence, exit code 1, and what was sent until then is reported.
fn device_down(bench: &Bench) -> anyhow::Result<Verdict> {
    let (near, far) = (Netns::new()?, Netns::new()?);
    near.ip(&format!("link add p0 type veth peer name p1 netns {}", far.path()))?;
    for (netns, device, address) in [(&near, "p0", "10.7.0.1/24"), (&far, "p1", "10.7.0.2/24")] {
        netns.ip(&format!("address add {address} dev {device}"))?;
        netns.ip(&format!("link set {device} up"))?;
    }
    let mut sink = Command::new(&bench.zcscope);
    sink.args(["sink", "--listen", "10.7.0.2:9", "--duration", "1m"]);
    let _sink = far.start(&mut sink)?;
    let listens = || {
        let shown = far.command("cat", &["/proc/thread-self/net/tcp"]);
        shown.is_ok_and(|text| text.contains("0200070A:0009"))
    };
    ensure!(wait_until(SOON, listens), "the sink does not listen");
    let arguments = ["copy", "--to", "10.7.0.2:9", "-i", "p0", "--duration", "6s", "--no-trace", "--json"];
    let running = near.start(&mut load(bench, &arguments))?;
    ensure!(wait_until(SOON, || sent(&near, "p0") > BYTES), "nothing is sent");
    near.ip("link set p0 down")?;
    let output = running.finish(SOON)?;
    let load = report(&output)?;
    ensure!(output.code == 1, "exit code {}: {}", output.code, output.complaint());
    let error = load.error.unwrap_or_default();
    ensure!(load.ended_by == "error" && error.contains("p0"), "{:?}: {error}", load.ended_by);
    ensure!(load.bytes > 0, "nothing was sent before");
    Ok(Verdict::Ok)
}

/// Bytes the device has sent, from its line in `/proc/net/dev`.
fn sent(netns: &Netns, device: &str) -> u64 {
    let text = netns.command("cat", &["/proc/self/net/dev"]).unwrap_or_default();
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(device)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().nth(8)?.parse().ok()).unwrap_or(0)
}

/// The two ports of the emulated cable, in the first namespace.
pub(super) fn ports() -> Option<(String, String)> {
    let mut found = nic::of_driver("vmxnet3").into_iter();
    Some((found.next()?, found.next()?))
}

const NO_CABLE: &str = "no cable of two vmxnet3 ports here";

/// A real device for a while: with addresses, a route and a sysctl of its own.
struct Port<'a>(&'a str);

impl<'a> Port<'a> {
    fn dressed(name: &'a str) -> anyhow::Result<Self> {
        let port = Port(name);
        ip(&format!("link set {name} up"))?;
        ip(&format!("address add 10.7.0.1/24 dev {name}"))?;
        ip(&format!("address add 2001:db8:7::1/64 dev {name} nodad"))?;
        ip(&format!("route add 10.9.0.0/16 via 10.7.0.5 dev {name} metric 9"))?;
        std::fs::write(format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"), "2")?;
        Ok(port)
    }

    fn look(&self) -> anyhow::Result<String> {
        let name = self.0;
        let mut seen = std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"))?;
        for what in ["-o -4 address", "-o -6 address", "-4 route", "-6 route", "-o link"] {
            seen += &ip(&format!("{what} show dev {name}"))?;
        }
        Ok(seen.replace(" tentative", "").replace(" linkdown", ""))
    }

    fn comes_back(&self, before: &str) -> anyhow::Result<()> {
        if wait_until(Duration::from_secs(10), || self.look().is_ok_and(|now| now == before)) {
            return Ok(());
        }
        bail!("{} was\n{before}and is\n{}", self.0, self.look().unwrap_or_default())
    }
}

impl Drop for Port<'_> {
    fn drop(&mut self) {
        let name = self.0;
        let _ = ip(&format!("address flush dev {name}"));
        let _ = ip(&format!("link set {name} down"));
        let _ = std::fs::write(format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"), "0");
    }
}

fn ip(arguments: &str) -> anyhow::Result<String> {
    let output = process::run(Command::new("ip").args(arguments.split_whitespace()))?;
    ensure!(output.code == 0, "`ip {arguments}` failed: {}", output.complaint());
    Ok(output.stdout)
}

/// Over a real cable nothing is copied, and the ports are again what they were.
fn cable_of_nics(bench: &Bench) -> anyhow::Result<Verdict> {
    let Some((near, far)) = ports() else { return Ok(Verdict::Skipped(NO_CABLE.into())) };
    let port = Port::dressed(&near)?;
    let before = port.look()?;
    let (cable, bytes) = (format!("{near},{far}"), BYTES.to_string());
    let mut command = load(bench, &["msg_zerocopy", "--cable", &cable, "--bytes", &bytes, "--json"]);
    let output = process::start(&mut command)?.finish(Duration::from_secs(300))?;
    if let Some(directory) = &bench.keep {
        std::fs::write(directory.join("load_cable_nic.json"), &output.stdout)?;
    }
    ensure!(output.code == 0, "exit code {}: {}", output.code, output.complaint());
    let load = report(&output)?;
    let device = load.device.context("the report names no device")?;
    ensure!(device.name == near && device.verified, "{device:?}");
    let place = load.place.context("the report names no place")?;
    ensure!((place.wire.as_str(), place.functional_only) == ("cable", false), "{place:?}");
    let received = place.sink.context("the sink gave no report")?.bytes;
    ensure!(load.bytes == BYTES && received == BYTES, "{} bytes sent, {received} received", load.bytes);
    let kernel = load.kernel.context("not traced")?;
    let path = kernel.paths.iter().find(|path| path.path == "msg_zerocopy").context("no such path seen")?;
    ensure!(path.requested_bytes == Some(BYTES), "{path:?}");
    // Some drivers pull headers: a few bytes.
    ensure!(path.copied_bytes.is_some_and(|copied| copied * 100 < BYTES), "{path:?}");
    port.comes_back(&before)?;
    Ok(Verdict::Ok)
}

/// After `kill -9` the ports come back bare; `--repair` gives them what they had, and so does the next start.
fn killed(bench: &Bench) -> anyhow::Result<Verdict> {
    let Some((near, far)) = ports() else { return Ok(Verdict::Skipped(NO_CABLE.into())) };
    let port = Port::dressed(&near)?;
    let before = port.look()?;
    let cable = format!("{near},{far}");
    let is_bare = || port.look().is_ok_and(|now| !now.contains("10.7.0.1"));

    start_long(bench, None, &cable)?.kill();
    ensure!(wait_until(Duration::from_secs(10), is_bare), "the kernel did not give {near} back");
    let repair = process::run(&mut load(bench, &["--repair"]))?;
    ensure!(repair.code == 0, "exit code {}: {}", repair.code, repair.complaint());
    ensure!(repair.stdout.contains(&near), "it did not say what it repaired: {:?}", repair.stdout);
    port.comes_back(&before)?;

    start_long(bench, None, &cable)?.kill();
    ensure!(wait_until(Duration::from_secs(10), is_bare), "the kernel did not give {near} back");
    let next = process::run(&mut load(bench, &["copy", "--cable", &cable, "--bytes", "64K", "--no-trace"]))?;
    ensure!(next.code == 0, "exit code {}: {}", next.code, next.complaint());
    ensure!(
        next.stderr.contains("repaired after a run that was killed"),
        "the next start did not say so: {}",
        next.complaint()
    );
    port.comes_back(&before)?;
    Ok(Verdict::Ok)
}
