//! Recordings of real traffic: the report of a recording is the live report, byte for byte; a recorder that is killed
//! leaves what it had written.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::bail;

use super::start_sink;
use crate::fixture::netns::Netns;
use crate::process::{self, Output, wait_until};
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] =
    &[("record_equals_live", equals_live), ("record_killed", killed), ("record_disk_full", disk_full)];

const BYTES: u64 = 64 << 20;

/// `stat --record` of one run, then `stat --from`.
fn equals_live(bench: &Bench) -> anyhow::Result<Verdict> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let (recording, live) = (files.path().join("run.zcr"), files.path().join("live.json"));
    let mut stat = bench.stat();
    stat.args(["--json", "-o"]).arg(&live).arg("--record").arg(&recording).arg("--").arg(&bench.zcscope);
    let output = load(bench, &netns, files.path(), &mut stat)?;
    if output.code != 0 {
        bail!("exit code {}: {}", output.code, output.complaint());
    }
    let live = std::fs::read_to_string(&live)?;
    let mut wrong = Vec::new();
    if from(bench, &recording, &["--json"])?.stdout != live {
        wrong.push("the report of the recording is not the live one".to_owned());
    }
    if !live.contains(&format!("\"bytes\": {BYTES}")) {
        wrong.push(format!("{BYTES} bytes were sent, and the report does not have them"));
    }
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// `record` killed in the middle of a load: what had been written is there, and its end is said.
fn killed(bench: &Bench) -> anyhow::Result<Verdict> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let (recording, ready) = (files.path().join("run.zcr"), files.path().join("ready"));
    let mut record = Command::new(&bench.zcscope);
    record.args(["record", "--interval", "200ms", "-o"]).arg(&recording).arg("--ready-file").arg(&ready);
    let mut recorder = netns.start(&mut record)?;
    if !wait_until(Duration::from_secs(30), || ready.exists() || !recorder.is_alive()) || !ready.exists() {
        bail!("nothing is recorded: {}", recorder.finish(Duration::from_secs(1))?.complaint());
    }
    let output = load(bench, &netns, files.path(), &mut Command::new(&bench.zcscope))?;
    if output.code != 0 {
        bail!("exit code {}: {}", output.code, output.complaint());
    }
    // A block is closed after five seconds; the load may have been faster.
    let begin = std::fs::metadata(&recording)?.len();
    let written = || std::fs::metadata(&recording).is_ok_and(|meta| meta.len() > begin);
    if !wait_until(Duration::from_secs(30), written) {
        bail!("nothing reaches the file while the recorder runs");
    }
    recorder.kill();
    let report = from(bench, &recording, &["--json"])?;
    let said = report.stderr.contains("was not closed") || report.stderr.contains("was cut");
    let mut wrong = Vec::new();
    if report.code != 0 || !report.stdout.contains("zcscope.stat/1") || !said {
        wrong.push(format!("exit code {}: {}", report.code, report.complaint()));
    }
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// A recording that cannot even begin: one sentence, and the command is not started.
fn disk_full(bench: &Bench) -> anyhow::Result<Verdict> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let live = files.path().join("live.json");
    let mut stat = bench.stat();
    stat.args(["--json", "-o"]).arg(&live).args(["--record", "/dev/full", "--"]).arg(&bench.zcscope);
    let output = load(bench, &netns, files.path(), &mut stat)?;
    let mut wrong = Vec::new();
    if output.code != 1 || !output.stderr.contains("/dev/full cannot be written: No space left on device") {
        wrong.push(format!("exit code {}: {}", output.code, output.complaint()));
    }
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// Adds a load to the command, runs it against a sink in the namespace.
fn load(bench: &Bench, netns: &Netns, files: &Path, command: &mut Command) -> anyhow::Result<Output> {
    let (_sink, to) = start_sink(bench, netns, files)?;
    command.args(["load", "msg_zerocopy", "--to", &to, "--size", "64K", "--streams", "2", "--no-trace"]);
    command.args(["--bytes", &BYTES.to_string()]);
    netns.start(command)?.finish(Duration::from_secs(90))
}

fn from(bench: &Bench, recording: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut stat = Command::new(&bench.zcscope);
    stat.args(["stat", "--from"]).arg(recording).args(arguments);
    process::start(&mut stat)?.finish(Duration::from_secs(20))
}
