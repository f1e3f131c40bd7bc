//! Sends that are open when something happens: zcscope attaches, the peer resets the connection, the sender gives it
//! up. What was never sent is known to the byte, and what was accepted before tracing began is in no ledger.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Bench, Procedure};
use crate::fixture::netns::Netns;
use crate::misuse::{attached, read_report};
use crate::process::{Running, wait_until};
use crate::report::Verdict;
use crate::stat_json::{PathFigures, Stat};
use crate::truth::Stalled;

/// The scenarios.
pub(super) const ALL: &[Procedure] = &[
    ("waiting_before_attach", before_attach),
    ("waiting_peer_reset", |bench| broken(bench, "reset")),
    ("waiting_closed_by_force", |bench| broken(bench, "abort")),
];

const PATH: &str = "msg_zerocopy";
/// Sends accepted before zcscope attaches.
const BEFORE: u64 = 10;

/// A sender that is stuck, its peer, and the signs between it and us.
struct Stuck<'a> {
    sender: Running,
    sink: Running,
    files: &'a Path,
}

impl<'a> Stuck<'a> {
    /// Starts both; the sender has connected to a peer that sleeps, and made its first calls.
    fn start(bench: &Bench, netns: &Netns, files: &'a Path, words: &[&str]) -> anyhow::Result<Self> {
        let mut sink = netns.start(bench.app("sink").args(["--listen", "127.0.0.1:0", "--limit", "90"]))?;
        let to = format!("127.0.0.1:{}", sink.first_line(Duration::from_secs(10))?);
        signal(&sink, Signal::SIGSTOP)?;
        let mut command = bench.app("stall");
        command.args(["--to", &to]).args(words);
        for name in ["ready", "go", "stalled"] {
            command.arg(format!("--{name}")).arg(files.join(format!("stuck-{name}")));
        }
        let mut stuck = Stuck { sender: netns.start(&mut command)?, sink, files };
        stuck.wait_for("ready")?;
        Ok(stuck)
    }

    fn wait_for(&mut self, sign: &str) -> anyhow::Result<()> {
        let file = self.files.join(format!("stuck-{sign}"));
        if !wait_until(Duration::from_secs(30), || file.exists() || !self.sender.is_alive()) || !file.exists()
        {
            let said = self.sender.first_line(Duration::from_millis(10)).unwrap_or_else(|e| e.to_string());
            anyhow::bail!("the sender gave no sign that it is {sign}: {said}");
        }
        Ok(())
    }

    /// Lets the sender make its other calls and waits until all stands still.
    fn go(&mut self) -> anyhow::Result<()> {
        std::fs::write(self.files.join("stuck-go"), b"")?;
        self.wait_for("stalled")
    }

    /// The sender's counters after its end.
    fn end(self) -> anyhow::Result<Stalled> {
        let output = self.sender.finish(Duration::from_secs(60))?;
        serde_json::from_str(output.stdout.trim())
            .with_context(|| format!("the sender ended badly: {}", output.complaint()))
    }
}

fn signal(process: &Running, signal: Signal) -> anyhow::Result<()> {
    Ok(kill(Pid::from_raw(process.pid().cast_signed()), signal)?)
}

/// Ends the tracer and reads its report.
fn report(bench: &Bench, tracer: Running, files: &Path, name: &str) -> anyhow::Result<Stat> {
    signal(&tracer, Signal::SIGINT)?;
    let output = tracer.finish(Duration::from_secs(30))?;
    ensure!(output.code == 0, "zcscope ended with {}: {}", output.code, output.complaint());
    if let Some(directory) = &bench.keep {
        std::fs::copy(files.join("stat.json"), directory.join(format!("{name}.json")))?;
    }
    read_report(files)
}

fn verdict(wrong: Vec<String>) -> anyhow::Result<Verdict> {
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

fn same(wrong: &mut Vec<String>, what: &str, reported: Option<u64>, expected: u64) {
    if reported.is_some_and(|reported| reported != expected) {
        wrong.push(format!("{what}: {}, expected {expected}", reported.unwrap_or_default()));
    }
}

/// What every one of these reports must show: nothing lost, calls and bytes exact, no send open, the sum whole.
fn whole(stat: &Stat, all: &Stalled) -> Result<PathFigures, Vec<String>> {
    let Some(figures) = stat.of_process(all.pid, PATH) else {
        return Err(vec!["the sender is not in the report".into()]);
    };
    let mut wrong = Vec::new();
    same(&mut wrong, "events lost", Some(stat.lost.total), 0);
    same(&mut wrong, "bytes", Some(figures.bytes), all.bytes);
    let failed = u64::from(!all.error.is_empty());
    same(&mut wrong, "calls", Some(figures.calls), all.calls + failed);
    if failed > 0 {
        same(&mut wrong, &all.error, Some(figures.errors.get(&all.error).copied().unwrap_or(0)), 1);
    }
    let ends = figures.completions.as_ref();
    same(&mut wrong, "sends ended", ends.map(|ends| ends.sends), all.calls);
    same(&mut wrong, "sends in flight", figures.in_flight.as_ref().map(|open| open.sends), 0);
    if ends.is_none() && !stat.misses("completion") {
        wrong.push("completions are not known".into());
    }
    if let (Some(copied), Some(zerocopied)) = (figures.copied_bytes, figures.zerocopied_bytes) {
        same(&mut wrong, "copied and zero-copied bytes", Some(copied + zerocopied), all.bytes);
    }
    if wrong.is_empty() { Ok(figures.clone()) } else { Err(wrong) }
}

/// Sends wait behind what the peer has no room for when zcscope attaches: they are counted as such and in no other
/// figure; those made later are whole.
fn before_attach(bench: &Bench) -> anyhow::Result<Verdict> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let before = BEFORE.to_string();
    let words =
        ["--prefill", "8388608", "--before", &before, "--calls", "5", "--size", "16384", "--end", "finish"];
    let mut stuck = Stuck::start(bench, &netns, files.path(), &words)?;
    let tracer = attached(bench, &netns, files.path(), &["-p", &stuck.sender.pid().to_string()])?;
    stuck.go()?;
    signal(&stuck.sink, Signal::SIGCONT)?;
    let all = stuck.end()?;
    let stat = report(bench, tracer, files.path(), "waiting_before_attach")?;
    let mut wrong = Vec::new();
    same(&mut wrong, "sends the application was told of", Some(all.completions), all.before + all.calls);
    match whole(&stat, &all) {
        Err(complaints) => wrong.extend(complaints),
        Ok(figures) => {
            let ends = figures.completions.as_ref();
            same(&mut wrong, "sends from before the trace", ends.map(|ends| ends.before_attach), all.before);
            same(&mut wrong, "copied bytes on loopback", figures.copied_bytes, all.bytes);
            let told = ends.and_then(|ends| ends.told_sends);
            same(&mut wrong, "sends told of", told, all.calls);
        }
    }
    verdict(wrong)
}

/// The connection breaks while sends wait: all of them end, and the bytes behind what TCP sent count as never sent.
fn broken(bench: &Bench, end: &str) -> anyhow::Result<Verdict> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let words = ["--calls", "96", "--size", "65536", "--end", end];
    let mut stuck = Stuck::start(bench, &netns, files.path(), &words)?;
    let tracer = attached(bench, &netns, files.path(), &["-p", &stuck.sender.pid().to_string()])?;
    stuck.go()?;
    if end == "reset" {
        stuck.sink.kill();
    }
    let all = stuck.end()?;
    let stat = report(bench, tracer, files.path(), &format!("waiting_{end}"))?;
    let mut wrong = Vec::new();
    if all.unsent == 0 || all.unsent >= all.bytes {
        wrong.push(format!("the link is not as expected: {} of {} bytes wait", all.unsent, all.bytes));
    }
    match whole(&stat, &all) {
        Err(complaints) => wrong.extend(complaints),
        Ok(figures) => {
            same(&mut wrong, "bytes never sent", figures.unsent_bytes, all.unsent);
            let told = figures.completions.as_ref().and_then(|ends| ends.told_sends);
            same(&mut wrong, "sends told of", told, all.completions);
            // What was delivered on this host was copied; what never left was not.
            let most = all.bytes - all.unsent;
            if figures.copied_bytes.is_some_and(|copied| copied > most || copied == 0) {
                wrong.push(format!("{:?} bytes were copied of {most} that left", figures.copied_bytes));
            }
        }
    }
    verdict(wrong)
}
