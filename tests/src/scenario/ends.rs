//! Scenarios about the ends of sends: late readers, peers that stop or die, senders that die or close at once.

use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::row::{Row, Setup};
use super::table::{HEALTHY_CARD, K64, LOCAL_DELIVERY, VMXNET3, row};
use super::{Bench, Procedure};
use crate::expect::ZERO_COPY;
use crate::findings::blame;
use crate::fixture::Link;
use crate::fixture::netns::Netns;
use crate::misuse::{attached, read_report};
use crate::process::Running;
use crate::report::Verdict;
use crate::stat_json::{PathFigures, Stat};
use crate::truth::SendPath::{MsgZerocopy, Sendfile};
use crate::truth::Sent;

/// The rows: the first packets are lost and sent again, and each byte counts once all the same.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("veth_sent_again",         Link::Veth, MsgZerocopy, (16, K64),  &[Setup::Blink],               LOCAL_DELIVERY),
    row("veth_sent_again_sendfile", Link::Veth, Sendfile,   (16, K64),  &[Setup::Blink],               ZERO_COPY),
    row("vmxnet3_sent_again",      VMXNET3,    MsgZerocopy, (16, K64),  &[Setup::Blink],               HEALTHY_CARD),
];

/// The scenarios that are no row.
pub(super) const ALL: &[Procedure] = &[
    ("ends_read_late", read_late),
    ("ends_closed_at_once", closed_at_once),
    ("ends_peer_stops", |bench| stopped_peer(bench, false)),
    ("ends_all_killed", |bench| stopped_peer(bench, true)),
];

const PATH: &str = "msg_zerocopy";

fn verdict(wrong: Vec<String>) -> Verdict {
    if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) }
}

fn start_sink(bench: &Bench, netns: &Netns) -> anyhow::Result<(Running, String)> {
    let mut sink = netns.start(bench.app("sink").args(["--listen", "127.0.0.1:0"]))?;
    let to = format!("127.0.0.1:{}", sink.first_line(Duration::from_secs(10))?);
    Ok((sink, to))
}

/// Runs a sender under `zcscope stat` to its end.
fn under_stat(bench: &Bench, args: &[&str]) -> anyhow::Result<(Sent, Stat)> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let (_sink, to) = start_sink(bench, &netns)?;
    let mut command = bench.stat();
    command.args(["--json", "-o"]).arg(files.path().join("stat.json")).arg("--").arg(&bench.this);
    command.args(["app", "send", PATH, "--to", &to]).args(args);
    let output = netns.start(&mut command)?.finish(Duration::from_secs(60))?;
    let sent = serde_json::from_str(output.stdout.trim())
        .with_context(|| format!("the traced sender ended badly: {}", output.complaint()))?;
    Ok((sent, read_report(files.path())?))
}

/// What must hold however sends end: nothing lost, and every byte is somewhere.
fn whole(stat: &Stat, figures: &PathFigures) -> Vec<String> {
    let mut wrong = Vec::new();
    if stat.lost.total > 0 {
        wrong.push(format!("{} events were lost: {:?}", stat.lost.total, stat.lost.by_cause));
    }
    let open = figures.in_flight.as_ref().map_or(0, |open| open.bytes);
    if let (Some(copied), Some(zerocopied)) = (figures.copied_bytes, figures.zerocopied_bytes)
        && copied + zerocopied + open != figures.bytes
    {
        wrong.push(format!(
            "{copied} copied + {zerocopied} zero-copied + {open} in flight is not {}",
            figures.bytes
        ));
    }
    wrong
}

/// Notifications are queued at once and read late: the two latencies are far apart, and the later one is what the
/// application measured itself, within the 6 % of a histogram and some scheduling.
fn read_late(bench: &Bench) -> anyhow::Result<Verdict> {
    let args = ["--calls", "40", "--size", "20000", "--pause", "5", "--read-late", "300"];
    let (mut sent, stat) = under_stat(bench, &args)?;
    let Some(figures) = stat.of_process(sent.pid, PATH) else {
        return Ok(verdict(vec!["the sender is not in the report".into()]));
    };
    let mut wrong = whole(&stat, figures);
    let total = stat.paths.iter().find(|path| path.path == PATH).and_then(|path| path.completions.as_ref());
    let Some(ends) = total else {
        if !stat.misses("completion") {
            wrong.push("completions are not known".into());
        }
        return Ok(verdict(wrong));
    };
    wrong.extend(blame::of_procedure("ends_read_late", &stat));
    sent.read_ns.sort_unstable();
    let median = sent.read_ns.get(sent.read_ns.len().div_ceil(2).saturating_sub(1)).copied().unwrap_or(0);
    match ends.app_read_latency_ns.and_then(|latency| latency.p50) {
        Some(p50) if p50.abs_diff(median) <= median / 16 + 10_000_000 => {}
        p50 => {
            wrong.push(format!("half of the sends were read of within {p50:?} ns, the sender says {median}"));
        }
    }
    match ends.latency_ns.and_then(|latency| latency.p50) {
        Some(p50) if p50 < 150_000_000 => {}
        p50 => wrong.push(format!("half of the buffers were held for {p50:?} ns over loopback")),
    }
    if ends.sends != sent.zerocopy_sends || ends.told_sends != Some(sent.completions) {
        wrong.push(format!("{} sends ended and {:?} were told of", ends.sends, ends.told_sends));
    }
    Ok(verdict(wrong))
}

/// The connection is closed after the last call: the sends end all the same, and nobody is told.
fn closed_at_once(bench: &Bench) -> anyhow::Result<Verdict> {
    let args =
        ["--calls", "40", "--size", "20000", "--read-late", "0", "--close-at-once", "--connections", "1"];
    let (sent, stat) = under_stat(bench, &args)?;
    let Some(figures) = stat.of_process(sent.pid, PATH) else {
        return Ok(verdict(vec!["the sender is not in the report".into()]));
    };
    let mut wrong = whole(&stat, figures);
    wrong.extend(blame::of_procedure("ends_closed_at_once", &stat));
    if let Some(ends) = &figures.completions {
        let open = figures.in_flight.as_ref().map_or(0, |open| open.sends);
        if ends.sends + open != sent.zerocopy_sends {
            wrong.push(format!(
                "{} sends ended, {open} are open, {} were made",
                ends.sends, sent.zerocopy_sends
            ));
        }
        if ends.told_sends.is_some_and(|told| told != 0) {
            wrong.push(format!("{:?} sends were told of, but the sender never asked", ends.told_sends));
        }
    }
    Ok(verdict(wrong))
}

/// A peer that reads nothing: what it has no room for stays in flight. When both ends are killed, it ends.
fn stopped_peer(bench: &Bench, all_die: bool) -> anyhow::Result<Verdict> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let (mut sink, to) = start_sink(bench, &netns)?;
    kill(Pid::from_raw(sink.pid() as i32), Signal::SIGSTOP)?;
    let name = bench.this.file_name().unwrap_or_default().to_string_lossy();
    let comm: String = name.chars().take(15).collect();
    let tracer = attached(bench, &netns, files.path(), &["-c", &comm])?;
    let mut command = bench.app("send");
    command.args([PATH, "--calls", "400", "--size", "65536", "--send-buffer", "4194304", "--to", &to]);
    let mut sender = netns.start(&mut command)?;
    std::thread::sleep(Duration::from_millis(1500));
    let pid = sender.pid();
    if all_die {
        sender.kill();
        sink.kill();
        std::thread::sleep(Duration::from_millis(1000));
    }
    kill(Pid::from_raw(tracer.pid() as i32), Signal::SIGINT)?;
    tracer.finish(Duration::from_secs(20))?;
    let stat = read_report(files.path())?;
    let Some(figures) = stat.of_process(pid, PATH) else {
        return Ok(verdict(vec!["the sender is not in the report".into()]));
    };
    let mut wrong = whole(&stat, figures);
    let Some(open) = figures.in_flight.as_ref() else {
        if !stat.misses("completion") {
            wrong.push("sends in flight are not known".into());
        }
        return Ok(verdict(wrong));
    };
    match all_die {
        true if open.sends > 0 => wrong.push(format!("{} sends are in flight between the dead", open.sends)),
        false if open.bytes < 1 << 20 => {
            wrong.push(format!("only {} bytes wait for a stopped peer", open.bytes));
        }
        _ => {}
    }
    if all_die && figures.unsent_bytes == Some(0) {
        wrong.push("bytes of a connection that was reset count as sent".into());
    }
    Ok(verdict(wrong))
}
