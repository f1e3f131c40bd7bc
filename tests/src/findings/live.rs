//! Findings made live: while traffic flows, a trace of four seconds has the finding and nothing else to blame, `doctor`
//! foretells it where a fact of the host makes it, the screen shows it, and after its fix a second trace has it no more.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use super::blame::Wanted;
use super::live_table::{Fault, Fix, Live};
use super::screen;
use crate::fixture::Fixture;
use crate::fixture::disk::Disk;
use crate::fixture::sysctl::Sysctl;
use crate::kernel;
use crate::process::{self, Running};
use crate::report::Verdict;
use crate::scenario::Bench;
use crate::scenario::row::kernel_lacks;
use crate::stat_json::Stat;

/// Within this time of tracing a finding must be there.
const FIRST: &str = "4s";
/// Long enough to find it once more, if the fix does not work.
const AFTER: &str = "3s";
/// Seconds after which traffic ends in any case; attaching takes a while on emulated processors.
const LIMIT: &str = "240";
const PATIENCE: Duration = Duration::from_secs(90);
/// What a printed step begins with when it is a command, and no advice.
const COMMANDS: [&str; 6] = ["nsenter ", "ethtool ", "sysctl ", "kill ", "prlimit ", "ip "];

/// Makes the finding, checks it, mends it, checks again.
pub(crate) fn run(row: &Live, bench: &Bench) -> anyhow::Result<Verdict> {
    if let Some(why) = row.impossible(bench) {
        return Ok(Verdict::Skipped(why));
    }
    let built = Fixture::build(row.link, false).and_then(|f| Ok((Stage::set(row, bench, &f)?, f)));
    let (mut stage, fixture) = match built {
        Ok(built) => built,
        Err(error) => return kernel_lacks(&error).map(Verdict::Skipped).ok_or(error),
    };
    let mut wrong = Vec::new();

    let mut flow = stage.flow(bench, &fixture, row.sink, row.sender)?;
    let stat = flow.traced(bench, row.name, FIRST)?;
    wrong.extend(Wanted::only(&row.must_here(&stat)).beside(row.may).judge(&stat));
    if let Some(words) = row.on_screen {
        wrong.extend(screen::shows(bench, flow.sender.pid(), words)?);
    }
    if let Some(reason) = row.doctor {
        wrong.extend(foretold(bench, &fixture, &flow, Some(reason))?);
    }

    let flow = match row.fix {
        Fix::Printed(id) => {
            mend(&stat, id)?;
            flow
        }
        Fix::Sender(words) => {
            drop(flow);
            stage.flow(bench, &fixture, row.sink, words)?
        }
        Fix::Sink(sink) => {
            drop(flow);
            stage.flow(bench, &fixture, sink, row.sender)?
        }
        Fix::Setting(name, value) => {
            drop(flow);
            // The namespace goes with the scenario: nothing is put back.
            let file = Path::new("/proc/sys").join(name);
            fixture.sender.enter(|| Ok(std::fs::write(&file, value)?))?;
            stage.flow(bench, &fixture, row.sink, row.sender)?
        }
        Fix::Undo => {
            // A new connection: what the kernel counts of an old one stays with it.
            drop(flow);
            stage.undo(row, &fixture)?;
            stage.flow(bench, &fixture, row.sink, row.sender)?
        }
    };
    let mut flow = flow;
    let stat = flow.traced(bench, &format!("{}_mended", row.name), AFTER)?;
    wrong.extend(
        Wanted::only(&[]).beside(row.after).judge(&stat).iter().map(|w| format!("after the fix {w}")),
    );
    if let (Some(reason), Fix::Printed(_) | Fix::Undo) = (row.doctor, row.fix) {
        let still = foretold(bench, &fixture, &flow, None)?;
        wrong.extend(still.filter(|said| said.contains(reason)).map(|said| format!("after the fix {said}")));
    }
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// What stands around the traffic.
struct Stage {
    settings: Vec<Sysctl>,
    programs: Vec<OwnedFd>,
    taps: Vec<Running>,
    disk: Option<Disk>,
}

impl Stage {
    fn set(row: &Live, bench: &Bench, fixture: &Fixture) -> anyhow::Result<Self> {
        let mut stage = Stage { settings: Vec::new(), programs: Vec::new(), taps: Vec::new(), disk: None };
        for fault in row.faults {
            match fault {
                Fault::Offload(setting) => fixture.offload(setting)?,
                Fault::Sysctl(name, value) => {
                    stage.settings.push(Sysctl::set(&fixture.sender, name, value)?);
                }
                Fault::Tap => {
                    let mut command = bench.app("tap");
                    let mut tap =
                        fixture.sender.start(command.args(["-i", &fixture.device, "--limit", LIMIT]))?;
                    tap.first_line(Duration::from_secs(10))?;
                    stage.taps.push(tap);
                }
                Fault::Memlock | Fault::PacedByDefault => {}
                Fault::Xdp(mode) => stage.programs.push(fixture.xdp(*mode)?),
                Fault::TcPull => fixture.tc_pull(None)?,
                Fault::Loss(percent) => {
                    fixture.tc(&format!("qdisc add dev DEV root netem loss {percent}%"))?;
                }
                Fault::File(bytes) => {
                    let disk = Disk::new()?;
                    std::fs::write(disk.path().join("page.bin"), vec![7; *bytes])?;
                    stage.disk = Some(disk);
                }
            }
        }
        Ok(stage)
    }

    /// Takes back what no printed command can.
    fn undo(&mut self, row: &Live, fixture: &Fixture) -> anyhow::Result<()> {
        self.programs.clear();
        for fault in row.faults {
            match fault {
                Fault::TcPull => fixture.tc("qdisc del dev DEV clsact")?,
                Fault::Loss(_) => fixture.tc("qdisc del dev DEV root")?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A sink and a sender that goes on until it is dropped.
    fn flow(&self, bench: &Bench, fixture: &Fixture, sink: &[&str], sender: &[&str]) -> anyhow::Result<Flow> {
        let listen = format!("{}:0", fixture.address);
        let mut command = bench.app("sink");
        command.args(["--listen", &listen, "--limit", LIMIT]).args(sink);
        let mut sink = fixture.sink.start(&mut command)?;
        let to = format!("{}:{}", fixture.address, sink.first_line(Duration::from_secs(10))?);
        let mut command = Command::new(&bench.this);
        command.arg("app").args(sender).args(["--to", &to, "--limit", LIMIT]);
        if let Some(disk) = &self.disk {
            command.arg("--file").arg(disk.path().join("page.bin"));
        }
        let sender = fixture.sender.start(&mut command)?;
        Ok(Flow { sink, sender, to, began: Instant::now() })
    }
}

/// Traffic that goes on.
struct Flow {
    sink: Running,
    sender: Running,
    to: String,
    began: Instant,
}

impl Flow {
    /// What `zcscope stat --duration` reports of the sender, which must still be sending then.
    fn traced(&mut self, bench: &Bench, name: &str, time: &str) -> anyhow::Result<Stat> {
        let files = tempfile::tempdir()?;
        let report = files.path().join("stat.json");
        let mut command = bench.stat();
        command.args(["--duration", time, "--json", "-p", &self.sender.pid().to_string(), "-o"]).arg(&report);
        let output = process::start(&mut command)?.finish(PATIENCE)?;
        ensure!(output.code == 0, "exit code {}: {}", output.code, output.complaint());
        if !self.sender.is_alive() || !self.sink.is_alive() {
            let said = self.sender.first_line(Duration::from_millis(100)).unwrap_or_else(|e| e.to_string());
            bail!("the traffic ended after {:?}: {said}", self.began.elapsed());
        }
        if let Some(directory) = &bench.keep {
            std::fs::copy(&report, directory.join(format!("{name}.json")))?;
        }
        read(&report)
    }
}

fn read(report: &Path) -> anyhow::Result<Stat> {
    let text = std::fs::read_to_string(report).context("zcscope wrote no report")?;
    serde_json::from_str(&text).context("the report is not of the schema")
}

/// Runs the commands that a finding prints, as they stand there.
fn mend(stat: &Stat, id: &str) -> anyhow::Result<()> {
    let finding = stat.findings.iter().find(|finding| finding.id == id);
    let steps = &finding.with_context(|| format!("{id} is no finding, so it has no fix"))?.fix;
    let commands: Vec<_> =
        steps.iter().filter(|step| COMMANDS.iter().any(|begin| step.starts_with(begin))).collect();
    ensure!(!commands.is_empty(), "{id} prints no command: {steps:?}");
    for command in commands {
        let output = process::run(Command::new("sh").args(["-c", command]))?;
        ensure!(output.code == 0, "the fix {command:?} failed: {}", output.complaint());
    }
    Ok(())
}

/// What is used of the report `zcscope.doctor/1`.
#[derive(Debug, Deserialize)]
struct Doctor {
    routes: Vec<Route>,
}

#[derive(Debug, Deserialize)]
struct Route {
    send: Vec<Prediction>,
}

#[derive(Debug, Deserialize)]
struct Prediction {
    path: String,
    because: Option<Because>,
    #[serde(default)]
    also: Vec<Because>,
}

#[derive(Debug, Deserialize)]
struct Because {
    reason: String,
}

/// What `doctor` says without `reason` when it should foretell it; without one, all it says of `MSG_ZEROCOPY`.
fn foretold(
    bench: &Bench,
    fixture: &Fixture,
    flow: &Flow,
    reason: Option<&str>,
) -> anyhow::Result<Option<String>> {
    let mut command = Command::new(&bench.zcscope);
    let host = flow.to.rsplit_once(':').map_or(flow.to.as_str(), |(host, _)| host);
    command.args(["doctor", "--json", "--to", host, "-p", &flow.sender.pid().to_string()]);
    let output = process::start(&mut command)?.finish(PATIENCE)?;
    let report: Doctor = serde_json::from_str(&output.stdout)
        .with_context(|| format!("doctor: no report: {}", output.complaint()))?;
    let route = report.routes.first().with_context(|| format!("doctor: no route to {}", fixture.address))?;
    let path = route.send.iter().find(|prediction| prediction.path == "msg_zerocopy");
    let reasons: Vec<&str> = path
        .iter()
        .flat_map(|path| path.because.iter().chain(&path.also))
        .map(|because| because.reason.as_str())
        .collect();
    Ok(match reason {
        Some(reason) if reasons.contains(&reason) => None,
        Some(reason) => Some(format!("doctor does not foretell {reason}, but {reasons:?}")),
        None => Some(format!("doctor foretells {reasons:?}")),
    })
}

impl Live {
    /// Why this kernel or machine cannot run it.
    fn impossible(&self, bench: &Bench) -> Option<String> {
        let lacking = self.faults.iter().find_map(|fault| match fault {
            Fault::Offload(_) if !kernel::has_program("ethtool") => Some("ethtool is not installed".into()),
            Fault::TcPull | Fault::Loss(_) if !kernel::has_program("tc") => {
                Some("tc is not installed".into())
            }
            Fault::Memlock if !kernel::may_raise_limits() => {
                Some("raising a limit is not allowed here".into())
            }
            Fault::Memlock if !kernel::has_program("prlimit") => Some("prlimit is not installed".into()),
            Fault::PacedByDefault if !kernel::is_paced() => Some("no congestion control paces here".into()),
            Fault::File(_) if !kernel::has_disks() => Some("no disk can be made".into()),
            _ => None,
        });
        lacking.or_else(|| self.unseen(bench))
    }
}
