//! What the generator says when the machine has too little for what was asked: descriptors at either end, another CPU.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::fixture::netns::Netns;
use crate::process::{Output, wait_until};
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] = &[
    ("load_few_descriptors", few_descriptors),
    ("load_few_descriptors_in_paths", few_descriptors_in_paths),
    ("sink_few_descriptors", few_descriptors_of_the_sink),
    ("load_other_core", other_core),
];

const SOON: Duration = Duration::from_secs(30);

/// What is used of the report `zcscope.load/1`.
#[derive(Debug, Deserialize)]
struct Load {
    bytes: u64,
    ended_by: String,
    error: Option<String>,
    knobs: Knobs,
    per_stream: Vec<Stream>,
}

#[derive(Debug, Deserialize)]
struct Knobs {
    placement: String,
}

#[derive(Debug, Deserialize)]
struct Stream {
    cpu: Option<u64>,
    incoming_cpu: Option<u64>,
}

/// A command that may have so many descriptors open.
fn limited(program: &Path, descriptors: u64) -> Command {
    let mut command = Command::new("sh");
    // Soft and hard.
    let limit = format!("ulimit -n {descriptors} && exec \"$@\"");
    command.args(["-c", &limit, "sh"]).arg(program);
    command
}

/// A `zcscope sink` in `netns`, and where it listens.
fn sink(
    netns: &Netns,
    mut command: Command,
    files: &Path,
) -> anyhow::Result<(crate::process::Running, String)> {
    let ready = files.join("sink");
    command
        .args(["sink", "--listen", "127.0.0.1:0", "--duration", "60s", "--json", "--ready-file"])
        .arg(&ready);
    let mut sink = netns.start(&mut command)?;
    let address = || std::fs::read_to_string(&ready).unwrap_or_default().trim().to_owned();
    ensure!(wait_until(SOON, || !address().is_empty() || !sink.is_alive()), "the sink does not listen");
    ensure!(!address().is_empty(), "the sink ended: {}", sink.finish(SOON)?.complaint());
    let address = address();
    Ok((sink, address))
}

/// The last line of stderr, where it is all there is of a failure.
fn sentence(output: &Output) -> anyhow::Result<&str> {
    ensure!(output.code == 1, "exit code {}: {}", output.code, output.complaint());
    ensure!(!output.stderr.contains("panicked"), "it panicked: {}", output.complaint());
    output.stderr.lines().last().context("it says nothing")
}

/// More connections than descriptors: one sentence, before anything is sent.
fn few_descriptors(bench: &Bench) -> anyhow::Result<Verdict> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let (_sink, to) = sink(&netns, Command::new(&bench.zcscope), files.path())?;
    let mut load = limited(&bench.zcscope, 64);
    load.args(["load", "copy", "--to", &to, "--streams", "100", "--bytes", "1M", "--no-trace"]);
    let output = netns.start(&mut load)?.finish(SOON)?;
    let said = sentence(&output)?;
    for words in ["of 100 connections fit", "64 open descriptors", "ulimit -Hn", "--streams"] {
        ensure!(said.contains(words), "it says {said:?}, without {words:?}");
    }
    ensure!(output.stdout.is_empty(), "a report of nothing: {}", output.stdout);
    Ok(Verdict::Ok)
}

/// Enough for the connections, not for what each path opens besides: the report is marked, and says what to do.
fn few_descriptors_in_paths(bench: &Bench) -> anyhow::Result<Verdict> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let (_sink, to) = sink(&netns, Command::new(&bench.zcscope), files.path())?;
    for path in ["sendfile", "splice", "uring_send"] {
        let mut load = limited(&bench.zcscope, 64);
        load.args(["load", path, "--to", &to, "--streams", "40", "--bytes", "40M", "--no-trace", "--json"]);
        let output = netns.start(&mut load)?.finish(SOON)?;
        if output.stderr.contains("io_uring is not allowed") {
            continue;
        }
        let said = sentence(&output)?;
        ensure!(said.contains("ulimit -n") && said.contains("--streams"), "{path} says {said:?}");
        let load: Load = serde_json::from_str(&output.stdout).context("no report")?;
        ensure!(load.ended_by == "error" && load.error.is_some(), "{path}: {load:?}");
        ensure!(load.bytes < 40 << 20, "{path}: all {} bytes went", load.bytes);
    }
    Ok(Verdict::Ok)
}

/// A sink that cannot take all connections says so, once, and goes on with those it has.
fn few_descriptors_of_the_sink(bench: &Bench) -> anyhow::Result<Verdict> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let (sink, to) = sink(&netns, limited(&bench.zcscope, 32), files.path())?;
    let mut load = Command::new(&bench.zcscope);
    load.args(["load", "copy", "--to", &to, "--streams", "60", "--duration", "1s"]);
    load.args(["--warm-up", "none", "--no-trace"]);
    netns.start(&mut load)?.finish(SOON)?;
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(sink.pid().cast_signed()),
        nix::sys::signal::Signal::SIGINT,
    )?;
    let output = sink.finish(SOON)?;
    let said: Vec<_> = output.stderr.lines().filter(|line| line.contains("cannot be taken in")).collect();
    let [line] = said.as_slice() else { anyhow::bail!("said {} times: {}", said.len(), output.stderr) };
    ensure!(line.contains("ulimit -Hn"), "{line:?}");
    #[derive(Deserialize)]
    struct Sink {
        bytes: u64,
    }
    let report: Sink = serde_json::from_str(&output.stdout).context("no report")?;
    ensure!(report.bytes > 0, "those it has were not received");
    Ok(Verdict::Ok)
}

/// `--other-core` keeps every thread on a CPU that does not handle its acknowledgements; `--same-core` on that one.
fn other_core(bench: &Bench) -> anyhow::Result<Verdict> {
    if std::thread::available_parallelism()?.get() < 2 {
        return Ok(Verdict::Skipped("one CPU has no other".into()));
    }
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let (_sink, to) = sink(&netns, Command::new(&bench.zcscope), files.path())?;
    for (flag, name) in [("--other-core", "other_core"), ("--same-core", "same_core")] {
        let mut load = Command::new(&bench.zcscope);
        load.args(["load", "copy", "--to", &to, "--streams", "2", "--duration", "2s", flag]);
        load.args(["--warm-up", "500ms", "--no-trace", "--json"]);
        let mut load = netns.start(&mut load)?;
        // After the warm-up each sending thread is held on one CPU.
        let held = wait_until(SOON, || threads_on_one_cpu(load.pid()) == 2 || !load.is_alive());
        ensure!(held && load.is_alive(), "{flag}: the threads were never held on a CPU");
        let output = load.finish(SOON)?;
        ensure!(output.code == 0, "exit code {}: {}", output.code, output.complaint());
        let load: Load = serde_json::from_str(&output.stdout).context("no report")?;
        ensure!(load.knobs.placement == name, "placement {:?}", load.knobs.placement);
        ensure!(load.per_stream.len() == 2, "{:?}", load.per_stream);
        let told = |stream: &Stream| stream.cpu.is_some() && stream.incoming_cpu.is_some();
        ensure!(load.per_stream.iter().all(told), "{flag}: {:?}", load.per_stream);
    }
    Ok(Verdict::Ok)
}

/// Threads of a process that may run on one CPU only.
fn threads_on_one_cpu(pid: u32) -> usize {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let single = |thread: std::fs::DirEntry| {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        list.is_some_and(|list| list.trim().parse::<u32>().is_ok())
    };
    threads.flatten().map(single).filter(|single| *single).count()
}
