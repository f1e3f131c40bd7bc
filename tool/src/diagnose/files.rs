//! Findings about files: servers that copy what sendfile would lend, files that cannot lend their pages, and files that
//! had to be read from disk first.

use zcscope_common::{Path, Reason};

use super::{Finding, Severity, steps};
use crate::model::reason::info;
use crate::model::sample::FileSample;
use crate::model::snapshot::{PathFigures, Snapshot};
use crate::units::{bytes, percent};

/// Less is configuration and logs, not content.
const MIN_BYTES: u64 = 1 << 20;
/// Rows named in one finding.
const TOP: usize = 3;

/// Processes that read files and send about as much plainly: the bytes are most likely the same.
pub(super) fn sendfile_possible(snapshot: &Snapshot) -> Option<Finding> {
    let plain = |path: &&PathFigures| matches!(path.path, Path::Copy | Path::UringSend);
    let mut rows: Vec<_> = snapshot
        .file_reads
        .as_ref()?
        .iter()
        .filter_map(|read| {
            let process = snapshot.processes.iter().find(|p| p.pid == read.pid)?;
            let sent: u64 = process.paths.iter().filter(plain).map(|p| p.bytes).sum();
            let both = sent.min(read.bytes);
            // Half of what it sends: otherwise files are not what it serves.
            (both >= MIN_BYTES && both.saturating_mul(2) >= sent).then_some((process, sent, read.bytes, both))
        })
        .collect();
    rows.sort_by_key(|(process, .., both)| (std::cmp::Reverse(*both), process.pid));
    let (first, ..) = rows.first()?;
    let who = match rows.len() {
        1 => format!("{} ({}) reads files and sends", first.comm, first.pid),
        n => format!("{n} processes read files and send"),
    };
    let evidence = rows.iter().take(TOP).map(|(process, sent, read, _)| {
        format!(
            "{} {}: {} read from files, {} sent plainly",
            process.pid,
            process.comm,
            bytes(*read),
            bytes(*sent)
        )
    });
    Some(Finding {
        id: "sendfile_possible".into(),
        // Nobody asked for zero-copy, and whether the bytes are the same is not known: advice, no fault.
        severity: Severity::Info,
        title: format!("{who} about as many bytes plainly: this server could use sendfile"),
        evidence: evidence.collect(),
        fix: vec![
            "sendfile(socket, file, &offset, count)  # or splice; nginx: sendfile on".into(),
            "only if the bytes go out as they stand in the file (no TLS in user space, no compression)"
                .into(),
        ],
        bytes: rows.iter().map(|(.., both)| both).sum(),
        ..Finding::default()
    })
}

/// Rows of files with the part of their bytes that `part` names, most first.
fn with_part(snapshot: &Snapshot, part: impl Fn(&FileSample) -> Option<u64>) -> Vec<(&FileSample, u64)> {
    let rows = snapshot.files.iter().flatten();
    let mut rows: Vec<_> =
        rows.filter_map(|row| Some((row.as_ref(), part(row)?))).filter(|(_, part)| *part > 0).collect();
    rows.sort_by_key(|(row, part)| (std::cmp::Reverse(*part), row.pid, row.inode));
    rows
}

fn named(rows: &[(&FileSample, u64)], what: &str) -> Vec<String> {
    let line = |(row, part): &(&FileSample, u64)| {
        let direct = if row.direct { ", O_DIRECT" } else { "" };
        format!(
            "{} {} {}: {} of {} {what} ({}{direct})",
            row.pid,
            row.comm,
            row.name,
            bytes(*part),
            bytes(row.bytes),
            row.filesystem
        )
    };
    rows.iter().take(TOP).map(line).collect()
}

/// A share of the bytes below which it is not what limits a server.
const SHARE_PERCENT: u64 = 1;

fn worth_telling(snapshot: &Snapshot, part: u64) -> bool {
    let all: u64 = snapshot.files.iter().flatten().map(|row| row.bytes).sum();
    part.saturating_mul(100) > all.saturating_mul(SHARE_PERCENT)
}

/// Files whose pages could not be lent.
pub(super) fn splice_copy_read(snapshot: &Snapshot) -> Option<Finding> {
    let rows = with_part(snapshot, |row| row.copy_read_bytes);
    let copied = rows.iter().map(|(_, part)| part).sum();
    worth_telling(snapshot, copied).then(|| Finding {
        id: Reason::SpliceCopyRead.name().into(),
        severity: Severity::Warning,
        title: format!("{}: {}", Reason::SpliceCopyRead.name(), info(Reason::SpliceCopyRead).meaning),
        evidence: named(&rows, "read into new pages"),
        fix: steps(info(Reason::SpliceCopyRead).fix),
        bytes: copied,
        ..Finding::default()
    })
}

/// Files that were not in the page cache: no copy, but the sender waited for the disk.
pub(super) fn page_cache_miss(snapshot: &Snapshot) -> Option<Finding> {
    let rows = with_part(snapshot, |row| row.cache_miss_bytes);
    let missed: u64 = rows.iter().map(|(_, part)| part).sum();
    let all: u64 = rows.iter().map(|(row, _)| row.bytes).sum();
    (missed >= MIN_BYTES && worth_telling(snapshot, missed)).then(|| Finding {
        id: "page_cache_miss".into(),
        severity: Severity::Info,
        title: format!(
            "{} of files sent were not in the page cache ({} of their bytes): the sender waited for the disk",
            bytes(missed),
            percent(missed, all)
        ),
        evidence: named(&rows, "not in the page cache"),
        fix: vec![
            "give the page cache more memory, or read the files beforehand: cat FILE > /dev/null".into(),
            "blockdev --setra SECTORS DISK  # read ahead further".into(),
        ],
        bytes: missed,
        ..Finding::default()
    })
}
