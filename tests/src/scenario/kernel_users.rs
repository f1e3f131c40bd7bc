//! The kernel itself as a sender of pages: a disk over TCP (NVMe), whose both ends are kernel threads. The peer of each
//! connection says how many bytes arrived.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Bench, Procedure};
use crate::findings::blame;
use crate::fixture::nvme::{self, Nvme};
use crate::misuse::read_report;
use crate::process::{self, wait_until};
use crate::report::Verdict;
use crate::stat_json::Stat;

/// The scenarios.
pub(super) const ALL: &[Procedure] = &[("kernel_nvme_tcp", nvme_tcp)];

/// Blocks of 256 KiB written and read.
const BLOCKS: u32 = 16;
const BLOCK: u64 = 256 << 10;

/// Bytes received by each end of the disk's connections: (local, remote) address -> bytes.
type Received = BTreeMap<(String, String), u64>;

fn received() -> anyhow::Result<Received> {
    let filter = "( sport = :4420 or dport = :4420 )";
    let output = process::run(Command::new("ss").args(["-tinH", filter]))?;
    ensure!(output.code == 0, "ss failed: {}", output.complaint());
    Ok(parse(&output.stdout))
}

/// Two lines a socket: state, queues and addresses; and its figures.
fn parse(text: &str) -> Received {
    let mut all = Received::new();
    let mut ends = None;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["ESTAB", _, _, local, remote, ..] = words.as_slice() {
            ends = Some(((*local).to_owned(), (*remote).to_owned()));
        }
        let bytes = words.iter().find_map(|word| word.strip_prefix("bytes_received:")?.parse().ok());
        if let Some(bytes) = bytes
            && let Some(ends) = ends.take()
        {
            all.insert(ends, bytes);
        }
    }
    all
}

fn nvme_tcp(bench: &Bench) -> anyhow::Result<Verdict> {
    if !nvme::is_possible() {
        return Ok(Verdict::Skipped("the kernel has no NVMe over TCP, or its modules are not loaded".into()));
    }
    let (disk, files) = (Nvme::new()?, tempfile::tempdir()?);
    let ready = files.path().join("ready");
    let mut command = bench.stat();
    command.args(["--duration", "60s", "--json", "-o"]).arg(files.path().join("stat.json"));
    let mut tracer = process::start(command.arg("--ready-file").arg(&ready))?;
    if !wait_until(Duration::from_secs(30), || ready.exists() || !tracer.is_alive()) || !ready.exists() {
        tracer.kill();
        anyhow::bail!("zcscope did not become ready: {}", tracer.finish(Duration::from_secs(5))?.complaint());
    }
    let before = received()?;
    disk.transfer(true, BLOCKS)?;
    disk.transfer(false, BLOCKS)?;
    let after = received()?;
    kill(Pid::from_raw(tracer.pid().cast_signed()), Signal::SIGINT)?;
    tracer.finish(Duration::from_secs(30))?;
    if let Some(directory) = &bench.keep {
        std::fs::copy(files.path().join("stat.json"), directory.join("kernel_nvme_tcp.json"))?;
    }
    let stat = read_report(files.path())?;
    let mut wrong = compare(&stat, &before, &after);
    wrong.extend(blame::of_procedure("kernel_nvme_tcp", &stat));
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// Every byte that arrived on the connection of the data was sent by the path `kernel`, and none was copied.
fn compare(stat: &Stat, before: &Received, after: &Received) -> Vec<String> {
    let mut wrong = Vec::new();
    if stat.lost.total > 0 {
        wrong.push(format!("{} events were lost: {:?}", stat.lost.total, stat.lost.by_cause));
    }
    // The other connection is for control, and may be used at any time.
    let arrived = after.iter().map(|(ends, bytes)| (ends, bytes - before.get(ends).unwrap_or(&0)));
    let data: Vec<_> = arrived.filter(|(_, bytes)| *bytes >= u64::from(BLOCKS) * BLOCK).collect();
    if data.len() != 2 {
        wrong.push(format!("the link is not as expected: {data:?} arrived"));
    }
    for ((local, remote), bytes) in data {
        let ours = stat.sockets.iter().filter(|socket| (&socket.local, &socket.remote) == (remote, local));
        let sent: u64 = ours.flat_map(|s| &s.paths).filter(|f| f.path == "kernel").map(|f| f.bytes).sum();
        if sent != bytes {
            wrong.push(format!("{sent} bytes were sent from {remote}, but {bytes} arrived at {local}"));
        }
    }
    let Some(total) = stat.paths.iter().find(|figures| figures.path == "kernel") else {
        wrong.push("the path `kernel` is not in the report".into());
        return wrong;
    };
    let ledger = (total.copied_bytes, total.zerocopied_bytes);
    if !stat.misses("copy") && ledger != (Some(0), Some(total.bytes)) {
        wrong.push(format!("(copied, zero-copied) {ledger:?} of {} bytes on loopback", total.bytes));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    const SS: &str = "ESTAB 0 0 127.0.0.1:36086 127.0.0.1:4420 \n\t cubic bytes_sent:9 bytes_received:45888 x\n\
                      ESTAB 0 0 127.0.0.1:4420 127.0.0.1:36086\n\t cubic rto:1\n";

    #[test]
    fn received_bytes_are_read_per_socket() {
        let seen = parse(SS);
        assert_eq!(seen, Received::from([(("127.0.0.1:36086".into(), "127.0.0.1:4420".into()), 45888)]));
    }

    #[test]
    fn a_byte_too_few_and_a_copied_one_are_complaints() {
        use crate::stat_json::{PathFigures, Socket};
        let ends = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let bytes = u64::from(BLOCKS) * BLOCK + 1;
        let after = Received::from([(ends("a", "b"), bytes), (ends("b", "a"), bytes)]);
        let figures = |bytes, copied| PathFigures {
            path: "kernel".into(),
            bytes,
            copied_bytes: Some(copied),
            zerocopied_bytes: Some(bytes - copied),
            ..PathFigures::default()
        };
        let socket = |local: &str, remote: &str, bytes| Socket {
            local: local.into(),
            remote: remote.into(),
            paths: vec![figures(bytes, 0)],
            ..Socket::default()
        };
        let wrong = |sent, copied| {
            let sockets = vec![socket("a", "b", bytes), socket("b", "a", sent)];
            let stat = Stat { sockets, paths: vec![figures(bytes + sent, copied)], ..Stat::default() };
            compare(&stat, &Received::new(), &after).len()
        };
        assert_eq!((wrong(bytes, 0), wrong(bytes - 1, 0), wrong(bytes, 5)), (0, 1, 1));
    }
}
