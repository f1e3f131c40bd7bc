//! One row of the table: build the link, send under zcscope, compare.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use super::Bench;
use crate::expect::{self, Expect};
use crate::fixture::sysctl::Sysctl;
use crate::fixture::{Fixture, Link, nic};
use crate::kernel::{self, Since};
use crate::process::{Running, wait_until};
use crate::report::Verdict;
use crate::stat_json::Stat;
use crate::truth::{Received, SendPath, Sent};

/// Something about a scenario that is not plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// Over IPv6.
    Ipv6,
    /// `ethtool -K` on the sender's device.
    Offload(&'static str),
    /// After the handshake, frames reach nobody: the device transmits, no one receives.
    BlackHole,
    /// A packet socket in the sender's namespace hears all devices.
    TapAny,
    /// A packet socket bound to the sender's device.
    TapDevice,
    /// The same, deaf to outgoing packets.
    TapIncomingOnly,
    /// A packet socket in the sink's namespace.
    TapAtSink,
    /// `MSG_ZEROCOPY` without `SO_ZEROCOPY`.
    WithoutSoZerocopy,
    /// `net.core.optmem_max` too small, and no reading of notifications between the calls.
    Optmem(&'static str),
    /// An unprivileged sender with so many bytes of locked memory.
    Memlock(&'static str),
    /// Milliseconds between two calls.
    Pause(&'static str),
    /// After each call, one by this path on the same connection.
    And(SendPath),
    /// So many connections, one after another, each with all the calls.
    Connections(&'static str),
    /// The sender is a grandchild: `sh -c`.
    ViaShell,
    /// A second sender runs at the same time and is not traced.
    Bystander,
}

/// One scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) link: Link,
    pub(crate) path: SendPath,
    pub(crate) calls: u32,
    pub(crate) size: u32,
    pub(crate) setup: &'static [Setup],
    pub(crate) expect: Expect,
}

impl Row {
    fn has(&self, setup: Setup) -> bool {
        self.setup.contains(&setup)
    }

    fn connections(&self) -> &'static str {
        let wanted = self.setup.iter().find_map(|setup| match setup {
            Setup::Connections(number) => Some(*number),
            _ => None,
        });
        wanted.unwrap_or("1")
    }

    /// Why this kernel or machine cannot run it.
    fn impossible(&self) -> Option<String> {
        if let Link::Cable(driver) = self.link
            && nic::of_driver(driver).len() < 2
        {
            return Some(format!("there are no two {driver} cards"));
        }
        self.setup.iter().find_map(|setup| match setup {
            Setup::Ipv6 if !kernel::has_ipv6() => Some("no IPv6".into()),
            Setup::Offload(_) if !kernel::has_program("ethtool") => Some("ethtool is not installed".into()),
            Setup::BlackHole if !kernel::has(Since::CopyOnDelivery) => {
                Some("before Linux 6.17 a veth copies what it transmits".into())
            }
            _ => None,
        })
    }
}

/// Runs one row.
pub(crate) fn run(row: &Row, bench: &Bench) -> anyhow::Result<Verdict> {
    if let Some(why) = row.impossible() {
        return Ok(Verdict::Skipped(why));
    }
    let fixture = Fixture::build(row.link, row.has(Setup::Ipv6))?;
    let mut stage = Stage::set(row, bench, &fixture)?;
    let files = tempfile::tempdir()?;

    let (sink, to) = start_sink(bench, &fixture, row.connections())?;
    let sender = sender_command(row, bench, to, files.path());
    let report_file = files.path().join("stat.json");
    let mut running = fixture.sender.start(&mut traced(row, bench, &sender, &report_file))?;
    if row.has(Setup::BlackHole)
        && let Err(error) = blind(&fixture, files.path())
    {
        let said = running.first_line(Duration::from_millis(10)).unwrap_or_else(|e| e.to_string());
        return Err(error.context(said));
    }
    let output = running.finish(Duration::from_secs(90))?;
    if output.code != 0 {
        bail!("exit code {}: {}", output.code, output.complaint());
    }
    let sent = counters(&output.stdout).with_context(|| format!("the sender said {}", output.complaint()))?;
    let received = if row.has(Setup::BlackHole) { None } else { Some(end_sink(sink)?) };
    stage.clear();

    let mut wrong = expect::truth(&row.expect, &sent, received);
    if !bench.truth_only {
        let text = std::fs::read_to_string(&report_file).context("zcscope wrote no report")?;
        if let Some(directory) = &bench.keep {
            std::fs::write(directory.join(format!("{}.json", row.name)), &text)?;
            std::fs::write(directory.join(format!("{}.app.json", row.name)), &output.stdout)?;
        }
        let stat: Stat = serde_json::from_str(&text).context("the report is not of the schema")?;
        wrong.extend(expect::report(&row.expect, &sent, &fixture.device, &stat, bench.backend));
    }
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// The sender's counters, one line per path.
pub(super) fn counters(stdout: &str) -> anyhow::Result<Vec<Sent>> {
    let lines: Result<Vec<Sent>, _> = stdout.lines().map(serde_json::from_str).collect();
    let sent = lines.with_context(|| format!("the sender printed {stdout:?}"))?;
    anyhow::ensure!(!sent.is_empty(), "the sender printed nothing");
    Ok(sent)
}

/// What stands around the traced sender, taken down when dropped.
struct Stage {
    _sysctl: Option<Sysctl>,
    around: Vec<Running>,
}

impl Stage {
    fn set(row: &Row, bench: &Bench, fixture: &Fixture) -> anyhow::Result<Self> {
        let mut stage = Stage { _sysctl: None, around: Vec::new() };
        for setup in row.setup {
            let device = fixture.device.as_str();
            match setup {
                Setup::Offload(setting) => fixture.offload(setting)?,
                Setup::Optmem(bytes) => {
                    stage._sysctl = Some(Sysctl::set(&fixture.sender, "net/core/optmem_max", bytes)?);
                }
                Setup::TapAny => stage.tap(bench, fixture, &[])?,
                Setup::TapDevice => stage.tap(bench, fixture, &["-i", device])?,
                Setup::TapIncomingOnly => stage.tap(bench, fixture, &["-i", device, "--ignore-outgoing"])?,
                Setup::TapAtSink => {
                    let tap = fixture.sink.start(&mut bench.app("tap"))?;
                    stage.ready(tap)?;
                }
                Setup::Bystander => stage.bystander(bench, fixture)?,
                _ => {}
            }
        }
        Ok(stage)
    }

    fn tap(&mut self, bench: &Bench, fixture: &Fixture, args: &[&str]) -> anyhow::Result<()> {
        let tap = fixture.sender.start(bench.app("tap").args(args))?;
        self.ready(tap)
    }

    fn ready(&mut self, mut tap: Running) -> anyhow::Result<()> {
        tap.first_line(Duration::from_secs(10))?;
        self.around.push(tap);
        Ok(())
    }

    fn bystander(&mut self, bench: &Bench, fixture: &Fixture) -> anyhow::Result<()> {
        let (sink, to) = start_sink(bench, fixture, "1")?;
        let mut command = bench.app("send");
        command.args(["msg_zerocopy", "--calls", "100000", "--size", "3000", "--pause", "1", "--to"]);
        let sender = fixture.sender.start(command.arg(to.to_string()))?;
        self.around.extend([sink, sender]);
        Ok(())
    }

    fn clear(&mut self) {
        self.around.clear();
    }
}

fn start_sink(bench: &Bench, fixture: &Fixture, connections: &str) -> anyhow::Result<(Running, SocketAddr)> {
    let listen = SocketAddr::new(fixture.address, 0);
    let mut command = bench.app("sink");
    command.args(["--listen", &listen.to_string(), "--connections", connections]);
    let mut sink = fixture.sink.start(&mut command)?;
    let port = sink.first_line(Duration::from_secs(10))?.parse().context("the sink printed no port")?;
    Ok((sink, SocketAddr::new(fixture.address, port)))
}

fn end_sink(sink: Running) -> anyhow::Result<Received> {
    let output = sink.finish(Duration::from_secs(20))?;
    let last = output.stdout.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("the sink printed {last:?}; {}", output.complaint()))
}

/// The sender's command line, as words.
fn sender_command(row: &Row, bench: &Bench, to: SocketAddr, files: &Path) -> Vec<String> {
    let mut words: Vec<String> = vec![bench.this.display().to_string()];
    let mut push = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
    push(&["app", "send", row.path.name(), "--to", &to.to_string()]);
    push(&["--calls", &row.calls.to_string(), "--size", &row.size.to_string()]);
    for setup in row.setup {
        match setup {
            Setup::WithoutSoZerocopy => push(&["--without-so-zerocopy"]),
            Setup::Optmem(_) => push(&["--no-retry"]),
            Setup::Memlock(bytes) => push(&["--no-retry", "--memlock", bytes]),
            Setup::And(path) => push(&["--and", path.name()]),
            Setup::Connections(number) => push(&["--connections", number]),
            Setup::Pause(milliseconds) => push(&["--pause", milliseconds]),
            Setup::BlackHole => {
                push(&["--user-timeout", "700", "--send-buffer", "4194304"]);
                push(&["--connected-file", &files.join("connected").display().to_string()]);
                push(&["--go-file", &files.join("go").display().to_string()]);
            }
            _ => {}
        }
    }
    words
}

/// The command to start: the sender under `zcscope stat`, or alone.
fn traced(row: &Row, bench: &Bench, sender: &[String], report: &Path) -> Command {
    let mut words = sender.to_vec();
    if row.has(Setup::ViaShell) {
        // A second command keeps the shell from replacing itself with the first one.
        words = vec!["sh".into(), "-c".into(), format!("{}; true", sender.join(" "))];
    }
    if bench.truth_only {
        let mut command = Command::new(words.first().map_or("false", String::as_str));
        command.args(words.get(1..).unwrap_or_default());
        return command;
    }
    let mut command = bench.stat();
    command.args(["--json", "-o"]).arg(report).arg("--").args(words);
    command
}

/// Between connect and the first send, the peer's hardware address becomes nobody's.
fn blind(fixture: &Fixture, files: &Path) -> anyhow::Result<()> {
    let connected = files.join("connected");
    if !wait_until(Duration::from_secs(20), || connected.exists()) {
        bail!("the sender did not connect within 20 s");
    }
    fixture.blind_peer()?;
    std::fs::write(files.join("go"), b"")?;
    Ok(())
}
