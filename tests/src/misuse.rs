//! Misuse and accidents: zcscope must answer with the right exit code and one sentence, and leave nothing behind.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bpf;
use crate::fixture::netns::Netns;
use crate::guarded;
use crate::process::{self, Output, Running, wait_until};
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};
use crate::truth::Sent;

/// User and group of a child without privileges.
const NOBODY: u32 = 65534;
/// Above the largest process id the kernel gives out.
const NO_SUCH_PID: &str = "4194305";

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] = &[
    ("misuse_not_root", not_root),
    ("misuse_no_btf", |bench| wrong_request(bench, &["--duration", "1s", "--btf", "/dev/null"], 3)),
    ("misuse_unknown_device", |bench| wrong_request(bench, &["--duration", "1s", "-i", "nosuch0"], 2)),
    ("misuse_unknown_pid", |bench| wrong_request(bench, &["--duration", "1s", "-p", NO_SUCH_PID], 2)),
    ("misuse_unknown_netns", |bench| {
        wrong_request(bench, &["--duration", "1s", "--netns", "nosuch-namespace"], 2)
    }),
    ("misuse_unknown_cgroup", |bench| wrong_request(bench, &["--duration", "1s", "--cgroup", "/no/such"], 2)),
    ("misuse_unknown_path", unknown_path),
    ("misuse_unwritable_report", |bench| {
        wrong_request(bench, &["--duration", "1s", "--json", "-o", "/nosuch/dir/report.json"], 1)
    }),
    ("misuse_no_such_command", no_such_command),
    ("accident_killed", killed),
    ("accident_interrupted", interrupted),
    ("accident_terminated", terminated),
    ("accident_attached_late", attached_late),
    ("stat_exit_status", exit_status),
    ("stat_exit_status_signal", exit_status_signal),
    ("stat_fail_if", fail_if),
    ("stat_nothing_sent", nothing_sent),
    ("sink_port_in_use", port_in_use),
    ("load_sink_killed", sink_killed),
    ("load_no_sink", no_sink),
];

/// Complaints about a failure that should be `code` and one sentence.
fn refusal(output: &Output, code: i32) -> Verdict {
    let mut wrong = Vec::new();
    if output.code != code {
        wrong.push(format!("exit code {}, expected {code}", output.code));
    }
    let lines: Vec<_> = output.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    if output.stderr.contains("panicked") {
        wrong.push("it panicked".into());
    }
    match lines.as_slice() {
        [line] if line.starts_with("zcscope: ") && line.len() > 30 => {}
        _ => wrong.push(format!("standard error is not one sentence: {:?}", output.stderr)),
    }
    verdict(wrong)
}

fn verdict(wrong: Vec<String>) -> Verdict {
    if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) }
}

fn wrong_request(bench: &Bench, args: &[&str], code: i32) -> anyhow::Result<Verdict> {
    Ok(refusal(&process::run(bench.stat().args(args))?, code))
}

/// An unprivileged user cannot trace; the program is first made reachable for that user.
fn not_root(bench: &Bench) -> anyhow::Result<Verdict> {
    let files = tempfile::tempdir()?;
    let program = files.path().join("zcscope");
    std::fs::copy(&bench.zcscope, &program).context("cannot copy zcscope")?;
    for path in [files.path(), &program] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    let mut command = Command::new(&program);
    command.args(["stat", "--duration", "1s"]).uid(NOBODY).gid(NOBODY).current_dir("/");
    Ok(refusal(&process::run(&mut command)?, 3))
}

/// The argument parser answers; it may take several lines, but it lists what exists.
fn unknown_path(bench: &Bench) -> anyhow::Result<Verdict> {
    let output = process::run(bench.stat().args(["--duration", "1s", "--path", "carrier_pigeon"]))?;
    let mut wrong = Vec::new();
    if output.code != 2 {
        wrong.push(format!("exit code {}, expected 2", output.code));
    }
    if !output.stderr.contains("msg_zerocopy") {
        wrong.push(format!("the message lists no paths: {}", output.complaint()));
    }
    Ok(verdict(wrong))
}

/// The code is a failure's, or a shell's for a command that cannot be started; the sentence names the command.
fn no_such_command(bench: &Bench) -> anyhow::Result<Verdict> {
    let output = process::run(bench.stat().args(["--", "/nosuch/program"]))?;
    if ![1, 126, 127].contains(&output.code) {
        return Ok(verdict(vec![format!("exit code {}, expected 1, 126 or 127", output.code)]));
    }
    if !output.stderr.contains("/nosuch/program") {
        return Ok(verdict(vec![format!("standard error does not name the program: {:?}", output.stderr)]));
    }
    Ok(refusal(&output, output.code))
}

/// A tracer started for a long time, and attached.
pub(crate) fn attached(bench: &Bench, netns: &Netns, files: &Path, args: &[&str]) -> anyhow::Result<Running> {
    let ready = files.join("ready");
    let mut command = bench.stat();
    command.args(["--duration", "60s", "--json", "-o"]).arg(files.join("stat.json"));
    command.arg("--ready-file").arg(&ready).args(args);
    let mut tracer = netns.start(&mut command)?;
    if !wait_until(Duration::from_secs(30), || ready.exists() || !tracer.is_alive()) || !ready.exists() {
        tracer.kill();
        let output = tracer.finish(Duration::from_secs(5))?;
        bail!("zcscope did not become ready: {}", output.complaint());
    }
    Ok(tracer)
}

/// A sender of the reference application and its sink, going on for some seconds.
struct Traffic {
    sink: Running,
    sender: Running,
    bytes: u64,
}

impl Traffic {
    fn start(bench: &Bench, netns: &Netns, calls: u64) -> anyhow::Result<Self> {
        let mut sink = netns.start(bench.app("sink").args(["--listen", "127.0.0.1:0"]))?;
        let to = format!("127.0.0.1:{}", sink.first_line(Duration::from_secs(10))?);
        let mut command = bench.app("send");
        command.args(["msg_zerocopy", "--size", "3000", "--pause", "5", "--to", &to]);
        let sender = netns.start(command.args(["--calls", &calls.to_string()]))?;
        Ok(Traffic { sink, sender, bytes: calls * 3000 })
    }

    /// The sender's own counters, after its end.
    fn end(self) -> anyhow::Result<Sent> {
        let output = self.sender.finish(Duration::from_secs(30))?;
        drop(self.sink);
        let sent: Sent = serde_json::from_str(output.stdout.trim())
            .with_context(|| format!("the traced sender ended badly: {}", output.complaint()))?;
        if sent.bytes != self.bytes {
            bail!("the traced sender sent {} of {} bytes", sent.bytes, self.bytes);
        }
        Ok(sent)
    }
}

/// `kill -9` of the tracer leaves no program in the kernel, and the traced program does not notice.
fn killed(bench: &Bench) -> anyhow::Result<Verdict> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let traffic = Traffic::start(bench, &netns, 400)?;
    let pid = traffic.sender.pid().to_string();
    let mut tracer = attached(bench, &netns, files.path(), &["-p", &pid])?;
    let programs = bpf::programs_of(tracer.pid());
    let mut wrong = Vec::new();
    if programs.is_empty() {
        wrong.push("a ready zcscope holds no kernel program".into());
    }
    tracer.kill();
    // The kernel frees programs and links after a grace period.
    if !wait_until(Duration::from_secs(10), || bpf::loaded_programs().is_disjoint(&programs)) {
        let left: Vec<_> = bpf::loaded_programs().intersection(&programs).copied().collect();
        wrong.push(format!("kernel programs {left:?} are left 10 s after the kill"));
    }
    traffic.end()?;
    Ok(verdict(wrong))
}

/// Ctrl-C ends the time early and still reports.
fn interrupted(bench: &Bench) -> anyhow::Result<Verdict> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    // The kernel keeps 15 bytes of a program's name.
    let name = bench.this.file_name().unwrap_or_default().to_string_lossy();
    let comm: String = name.chars().take(15).collect();
    let tracer = attached(bench, &netns, files.path(), &["-c", &comm])?;
    let sent = Traffic::start(bench, &netns, 20)?.end()?;
    kill(Pid::from_raw(tracer.pid() as i32), Signal::SIGINT)?;
    let output = tracer.finish(Duration::from_secs(10))?;
    let mut wrong = Vec::new();
    if output.code != 0 {
        wrong.push(format!("exit code {} after Ctrl-C: {}", output.code, output.complaint()));
    }
    let stat = read_report(files.path())?;
    match stat.of_process(sent.pid, "msg_zerocopy") {
        Some(figures) if figures.bytes == sent.bytes => {}
        other => wrong.push(format!("bytes: {:?}, expected {}", other.map(|f| f.bytes), sent.bytes)),
    }
    Ok(verdict(wrong))
}

/// SIGTERM is handed on to the traced command, and the report still comes.
fn terminated(bench: &Bench) -> anyhow::Result<Verdict> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let ready = files.path().join("command");
    let mut command = bench.stat();
    command.args(["--json", "-o"]).arg(files.path().join("stat.json"));
    command.args(["--", "sh", "-c", "touch $0; exec sleep 30"]).arg(&ready);
    let tracer = netns.start(&mut command)?;
    wait_until(Duration::from_secs(30), || ready.exists());
    kill(Pid::from_raw(tracer.pid() as i32), Signal::SIGTERM)?;
    let output = tracer.finish(Duration::from_secs(10))?;
    let mut wrong = Vec::new();
    if output.code != 143 {
        wrong.push(format!("exit code {}, expected 143: {}", output.code, output.complaint()));
    }
    read_report(files.path())?;
    Ok(verdict(wrong))
}

/// Attaching in the middle of traffic: sends from before are nobody's, and the ledger is whole all the same.
fn attached_late(bench: &Bench) -> anyhow::Result<Verdict> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let traffic = Traffic::start(bench, &netns, 2400)?;
    let mut command = bench.stat();
    command.args(["--duration", "1s", "--json", "-o"]).arg(files.path().join("stat.json"));
    command.args(["-p", &traffic.sender.pid().to_string()]);
    let output = netns.start(&mut command)?.finish(Duration::from_secs(30))?;
    let mut wrong = Vec::new();
    if output.code != 0 {
        wrong.push(format!("exit code {}: {}", output.code, output.complaint()));
    }
    let stat = read_report(files.path())?;
    let sent = traffic.end()?;
    if stat.lost.total > 0 {
        wrong.push(format!("{} events were lost: {:?}", stat.lost.total, stat.lost.by_cause));
    }
    let Some(figures) = stat.of_process(sent.pid, "msg_zerocopy") else {
        wrong.push("nothing was seen of a sender at work".into());
        return Ok(verdict(wrong));
    };
    if figures.calls == 0 || figures.calls >= sent.calls || figures.bytes != figures.calls * 3000 {
        wrong.push(format!("{} calls and {} bytes of {} calls", figures.calls, figures.bytes, sent.calls));
    }
    let open = figures.in_flight.as_ref().map_or(0, |open| open.sends);
    if let Some(ends) = figures.completions.as_ref().filter(|ends| ends.sends + open != figures.calls) {
        wrong.push(format!("{} sends ended, {open} are open, {} were made", ends.sends, figures.calls));
    }
    Ok(verdict(wrong))
}

pub(crate) fn read_report(files: &Path) -> anyhow::Result<crate::stat_json::Stat> {
    let text = std::fs::read_to_string(files.join("stat.json")).context("zcscope wrote no report")?;
    serde_json::from_str(&text).context("the report is not of the schema")
}

fn shell_under_stat(bench: &Bench, script: &str) -> anyhow::Result<Output> {
    let files = tempfile::tempdir()?;
    let mut command = bench.stat();
    command.args(["--json", "-o"]).arg(files.path().join("stat.json")).args(["--", "sh", "-c", script]);
    process::run(&mut command)
}

/// The exit code is the command's own, and so is standard output.
fn exit_status(bench: &Bench) -> anyhow::Result<Verdict> {
    let mut wrong = Vec::new();
    for code in [0, 7] {
        let output = shell_under_stat(bench, &format!("echo out; exit {code}"))?;
        if output.code != code {
            wrong.push(format!("exit code {}, expected {code}: {}", output.code, output.complaint()));
        }
        if output.stdout != "out\n" {
            wrong.push(format!("the command's standard output became {:?}", output.stdout));
        }
    }
    Ok(verdict(wrong))
}

/// A command that dies of a signal gives 128 + signal, as in a shell.
fn exit_status_signal(bench: &Bench) -> anyhow::Result<Verdict> {
    let output = shell_under_stat(bench, "kill -TERM $$")?;
    Ok(verdict(match output.code {
        143 => Vec::new(),
        code => vec![format!("exit code {code}, expected 143: {}", output.complaint())],
    }))
}

/// A command that sends nothing gives an empty report, not an error.
fn nothing_sent(bench: &Bench) -> anyhow::Result<Verdict> {
    let files = tempfile::tempdir()?;
    let mut command = bench.stat();
    command.args(["--json", "-o"]).arg(files.path().join("stat.json")).args(["--", "true"]);
    let output = process::run(&mut command)?;
    let mut wrong = Vec::new();
    if output.code != 0 {
        wrong.push(format!("exit code {}: {}", output.code, output.complaint()));
    }
    let stat = read_report(files.path())?;
    if !stat.paths.is_empty() || !stat.processes.is_empty() {
        wrong.push(format!("the report has {:?} {:?}", stat.paths, stat.processes));
    }
    if guarded::init_is_guarded() && !stat.misses("skipped_events") {
        wrong.push("init is guarded here, and `skipped_events` is not listed as missing".into());
    }
    Ok(verdict(wrong))
}

/// `--fail-if` turns copied bytes into exit code 1, and lets a clean run pass.
fn fail_if(bench: &Bench) -> anyhow::Result<Verdict> {
    let mut wrong = Vec::new();
    for (path, code) in [("msg_zerocopy", 1), ("sendfile", 0)] {
        let netns = Netns::new()?;
        let mut sink = netns.start(bench.app("sink").args(["--listen", "127.0.0.1:0"]))?;
        let to = format!("127.0.0.1:{}", sink.first_line(Duration::from_secs(10))?);
        let mut command = bench.stat();
        command.args(["--fail-if", "copied>1%", "--"]).arg(&bench.this);
        command.args(["app", "send", path, "--calls", "10", "--size", "10000", "--to", &to]);
        let output = netns.start(&mut command)?.finish(Duration::from_secs(30))?;
        if output.code != code {
            wrong.push(format!("{path}: exit code {}, expected {code}: {}", output.code, output.complaint()));
        }
    }
    Ok(verdict(wrong))
}

/// `zcscope VERB ARGS`.
fn verb(bench: &Bench, args: &[&str]) -> Command {
    let mut command = Command::new(&bench.zcscope);
    command.args(args);
    command
}

/// `zcscope sink` on a fixed port (5777 is 0x1691) of an own namespace.
fn listening_sink(bench: &Bench, netns: &Netns) -> anyhow::Result<(Running, String)> {
    let address = "127.0.0.1:5777".to_owned();
    let mut sink = netns.start(&mut verb(bench, &["sink", "--listen", &address]))?;
    let answers = || netns.command("cat", &["/proc/thread-self/net/tcp"]).is_ok_and(|t| t.contains(":1691 "));
    if !wait_until(Duration::from_secs(10), || answers() || !sink.is_alive()) || !sink.is_alive() {
        let output = sink.finish(Duration::from_secs(1))?;
        bail!("zcscope sink does not listen: {}", output.complaint());
    }
    Ok((sink, address))
}

fn port_in_use(bench: &Bench) -> anyhow::Result<Verdict> {
    let netns = Netns::new()?;
    let (_sink, address) = listening_sink(bench, &netns)?;
    let second = netns.start(&mut verb(bench, &["sink", "--listen", &address]))?;
    Ok(refusal(&second.finish(Duration::from_secs(10))?, 1))
}

fn sink_killed(bench: &Bench) -> anyhow::Result<Verdict> {
    let netns = Netns::new()?;
    let (mut sink, address) = listening_sink(bench, &netns)?;
    let args = ["load", "msg_zerocopy", "--to", &address, "--size", "16K", "--duration", "8s"];
    let mut load = netns.start(&mut verb(bench, &args))?;
    wait_until(Duration::from_millis(1500), || !load.is_alive());
    if !load.is_alive() {
        let output = load.finish(Duration::from_secs(1))?;
        bail!("the load ended too early with exit code {}: {}", output.code, output.complaint());
    }
    sink.kill();
    Ok(refusal(&load.finish(Duration::from_secs(20))?, 1))
}

fn no_sink(bench: &Bench) -> anyhow::Result<Verdict> {
    let netns = Netns::new()?;
    let args = ["load", "copy", "--to", "127.0.0.1:5779", "--duration", "1s"];
    let load = netns.start(&mut verb(bench, &args))?;
    Ok(refusal(&load.finish(Duration::from_secs(20))?, 1))
}
