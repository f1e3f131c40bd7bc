//! Files sent: sources, page cache, the copying alternative; and the life cycle of sockets: many short ones, and
//! those that pass from one process to another.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::row::Row;
use super::{Bench, Procedure};
use crate::findings::blame;
use crate::fixture::disk::Disk;
use crate::fixture::netns::Netns;
use crate::kernel;
use crate::process::Output;
use crate::report::Verdict;
use crate::stat_json::Stat;
use crate::truth::Sent;

/// The rows.
pub(super) const ROWS: &[Row] = &[];

/// Bytes of the file sent.
const FILE: u64 = 2 << 20;
/// What zcscope's maps may take in the kernel at their default sizes.
const MOST_MAP_BYTES: u64 = 16 << 20;
/// Tables that hold something only while a socket or a call lives.
const EMPTY_AFTER: &[&str] = &["SOCKS", "SPILL", "SENDS", "UNITS", "COPIES", "CALLS", "PARKED", "TALLIES"];

/// The procedures of this kind.
pub(super) const ALL: &[Procedure] = &[
    ("file_sendfile_cold", |bench| file(bench, "file_sendfile_cold", "sendfile", Source::Cold)),
    ("file_sendfile_warm", |bench| file(bench, "file_sendfile_warm", "sendfile", Source::Warm)),
    ("file_sendfile_direct", |bench| file(bench, "file_sendfile_direct", "sendfile", Source::Direct)),
    ("file_splice", |bench| file(bench, "file_splice", "splice", Source::Warm)),
    ("file_read_and_send", |bench| file(bench, "file_read_and_send", "copy", Source::Warm)),
    ("socket_handed_over", handed_over),
    ("sockets_short_10000", short_connections),
];

/// Where the bytes of the file are.
#[derive(Clone, Copy, PartialEq)]
enum Source {
    Cold,
    Warm,
    Direct,
}

/// Runs a part of the reference application under `zcscope stat`, and a sink for it.
fn traced(bench: &Bench, role: &[&str], connections: &str) -> anyhow::Result<(Output, Stat)> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let limit = ["--limit", "110", "--connections", connections];
    let mut sink = netns.start(bench.app("sink").args(["--listen", "127.0.0.1:0"]).args(limit))?;
    let to = format!("127.0.0.1:{}", sink.first_line(Duration::from_secs(10))?);
    let report = files.path().join("stat.json");
    let mut command = bench.stat();
    command.args(["--json", "-o"]).arg(&report).arg("--").arg(&bench.this).arg("app").args(role);
    let output = netns.start(command.args(["--to", &to]))?.finish(Duration::from_secs(110))?;
    anyhow::ensure!(output.code == 0, "exit code {}: {}", output.code, output.complaint());
    let text = std::fs::read_to_string(&report).context("zcscope wrote no report")?;
    if let Some(directory) = &bench.keep {
        std::fs::write(directory.join(format!("{}.json", role.join("_").replace('/', "+"))), &text)?;
    }
    Ok((output, serde_json::from_str(&text).context("the report is not of the schema")?))
}

fn counters(output: &Output) -> anyhow::Result<Vec<Sent>> {
    output.stdout.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn verdict(wrong: Vec<String>) -> anyhow::Result<Verdict> {
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

fn lost(stat: &Stat) -> Option<String> {
    (stat.lost.total > 0).then(|| format!("{} events were lost: {:?}", stat.lost.total, stat.lost.by_cause))
}

fn file(bench: &Bench, name: &str, path: &str, source: Source) -> anyhow::Result<Verdict> {
    if !kernel::has_disks() {
        return Ok(Verdict::Skipped("the temporary directory is in memory, and no disk can be made".into()));
    }
    let disk = Disk::new()?;
    let page = disk.path().join("page.bin");
    std::fs::write(&page, vec![7; FILE as usize])?;
    if source == Source::Direct && !takes_o_direct(&page) {
        return Ok(Verdict::Skipped("the filesystem of the temporary directory refuses O_DIRECT".into()));
    }
    let file = page.to_string_lossy();
    let flags: &[&str] = match source {
        Source::Cold => &["--cold"],
        Source::Warm => &[],
        Source::Direct => &["--direct"],
    };
    let role: Vec<&str> = [&["file", path, "--file", &file], flags].concat();
    let (output, stat) = traced(bench, &role, "1")?;
    let sent = counters(&output)?.pop().context("the sender printed nothing")?;
    let mut wrong: Vec<String> = lost(&stat).into_iter().collect();
    let Some(figures) = stat.of_process(sent.pid, path) else {
        return verdict(vec![format!("process {} has no path {path}", sent.pid)]);
    };
    if figures.bytes != FILE {
        wrong.push(format!("{} bytes of {FILE}", figures.bytes));
    }
    let copied = if source == Source::Direct { FILE } else { 0 };
    if figures.copied_bytes.is_some_and(|bytes| bytes != copied) {
        wrong.push(format!("copied bytes are {:?}, expected {copied}", figures.copied_bytes));
    }
    let reason: u64 =
        figures.copies.iter().filter(|c| c.reason == "splice_copy_read" && c.inferred).map(|c| c.bytes).sum();
    if reason != copied {
        wrong.push(format!("splice_copy_read has {reason} bytes, expected {copied}"));
    }
    wrong.extend(file_facts(&stat, &sent, source));
    wrong.extend(blame::of_procedure(name, &stat));
    verdict(wrong)
}

/// What the report says of the file itself.
fn file_facts(stat: &Stat, sent: &Sent, source: Source) -> Vec<String> {
    let mut wrong = Vec::new();
    let path = sent.path.name();
    if path == "copy" {
        let read: u64 = stat.file_reads.iter().filter(|r| r.pid == sent.pid).map(|r| r.bytes).sum();
        // The first chunk is read before its sender is known as one.
        if !stat.misses("file_reads") && (read > FILE || read + 65536 < FILE) {
            wrong.push(format!("{read} bytes were read from files, expected {FILE} less one call"));
        }
        return wrong;
    }
    if path == "splice" && stat.misses("splice_file") {
        return wrong;
    }
    let Some(file) = stat.files.iter().find(|f| f.pid == sent.pid && f.path == path) else {
        return vec!["the file is not in the report".into()];
    };
    if file.file != "page.bin" || file.filesystem.is_empty() || file.inode == 0 || file.bytes != FILE {
        wrong.push(format!("the file is {file:?}"));
    }
    if file.calls.is_some_and(|calls| calls != sent.calls) {
        wrong.push(format!("{:?} calls, expected {}", file.calls, sent.calls));
    }
    let missed = if source == Source::Cold { FILE } else { 0 };
    if file.cache_miss_bytes.is_some_and(|bytes| bytes != missed) {
        wrong.push(format!("{:?} bytes had to be read, expected {missed}", file.cache_miss_bytes));
    }
    let direct = source == Source::Direct;
    if file.direct != direct || file.copy_read_bytes.is_some_and(|bytes| (bytes == FILE) != direct) {
        wrong.push(format!("O_DIRECT is {} with {:?} bytes", file.direct, file.copy_read_bytes));
    }
    wrong
}

fn takes_o_direct(file: &Path) -> bool {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(file).is_ok()
}

/// Two processes send on one socket by turns: each has its own bytes, and its own ledger is whole.
fn handed_over(bench: &Bench) -> anyhow::Result<Verdict> {
    let (output, stat) = traced(bench, &["handover"], "1")?;
    let all = counters(&output)?;
    let mut wrong: Vec<String> = lost(&stat).into_iter().collect();
    for sent in &all {
        let Some(figures) = stat.of_process(sent.pid, "msg_zerocopy") else {
            wrong.push(format!("process {} has no path msg_zerocopy", sent.pid));
            continue;
        };
        if (figures.bytes, figures.calls) != (sent.bytes, sent.calls) {
            wrong.push(format!("{} calls, {} bytes of {sent:?}", figures.calls, figures.bytes));
        }
        if let (Some(copied), Some(zero)) = (figures.copied_bytes, figures.zerocopied_bytes)
            && (copied, zero) != (sent.bytes, 0)
        {
            wrong.push(format!("{copied} copied and {zero} zero-copied bytes of {} on loopback", sent.bytes));
        }
        let ended = figures.completions.as_ref().map(|c| c.sends);
        if !stat.misses("completion") && ended != Some(sent.zerocopy_sends) {
            wrong.push(format!("{ended:?} sends ended, expected {}", sent.zerocopy_sends));
        }
    }
    wrong.extend(blame::of_procedure("socket_handed_over", &stat));
    let told = stat.paths.iter().find(|f| f.path == "msg_zerocopy").and_then(|f| f.completions.clone());
    let completions: u64 = all.iter().map(|sent| sent.completions).sum();
    if told.and_then(|c| c.told_sends).is_some_and(|sends| sends != completions) {
        wrong.push(format!("the application was told of {completions} sends"));
    }
    verdict(wrong)
}

/// Thousands of connections leave nothing behind, and every byte is in the report.
fn short_connections(bench: &Bench) -> anyhow::Result<Verdict> {
    const CONNECTIONS: &str = "10000";
    let role =
        ["send", "copy", "--calls", "1", "--size", "100", "--connections", CONNECTIONS, "--limit", "110"];
    let (output, stat) = traced(bench, &role, CONNECTIONS)?;
    let sent = counters(&output)?.pop().context("the sender printed nothing")?;
    let mut wrong: Vec<String> = lost(&stat).into_iter().collect();
    let bytes = stat.of_process(sent.pid, "copy").map(|figures| figures.bytes);
    if bytes != Some(sent.bytes) || sent.bytes != 1_000_000 {
        wrong.push(format!("{bytes:?} bytes, expected {}", sent.bytes));
    }
    for map in stat.maps.iter().filter(|map| EMPTY_AFTER.contains(&map.name.as_str())) {
        // The last connection may be just ending.
        if map.entries.is_none_or(|entries| entries > 1) {
            wrong.push(format!("{:?} elements are left in {}", map.entries, map.name));
        }
    }
    wrong.extend(blame::of_procedure("sockets_short_10000", &stat));
    let memory: u64 = stat.maps.iter().map(|map| map.bytes).sum();
    if memory == 0 || memory > MOST_MAP_BYTES {
        wrong.push(format!("the maps take {memory} bytes, at most {MOST_MAP_BYTES} are allowed"));
    }
    verdict(wrong)
}
