//! Findings: what a snapshot means, with evidence, severity and what to do. Pure: a snapshot in, a list out.

mod bounces;
mod completions;
mod copies;
mod cost;
mod files;
mod limits;
mod receive;
mod told;

use crate::model::snapshot::{PathFigures, Snapshot};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Zero-copy does not happen, or the application is misled.
    Critical,
    /// Some of the gain is lost.
    Warning,
    /// By design, or small.
    Info,
}

impl Severity {
    /// The name in JSON and on screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

/// One thing worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable id: the name of a reason, or one of [`OTHER_IDS`].
    pub id: String,
    /// How much it matters.
    pub severity: Severity,
    /// One sentence.
    pub title: String,
    /// What was seen.
    pub evidence: Vec<String>,
    /// What to do, one step each; commands where there are any.
    pub fix: Vec<String>,
    /// Bytes concerned, 0 where the finding is not about bytes.
    pub bytes: u64,
}

/// Ids of findings that are no reasons.
pub const OTHER_IDS: [&str; 14] = [
    "silent_copies",
    "told_zerocopy_but_copied",
    "told_copied_but_not",
    "merged_range",
    "failed_send",
    "told_disagrees",
    "told_more_than_copied",
    "enobufs",
    "optmem_near",
    "memlock_near",
    "sendfile_possible",
    "page_cache_miss",
    "lost_ends",
    "lost",
];

/// All findings, the most severe first, then those about most bytes.
#[must_use]
pub fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let mut all = copies::by_reason(snapshot);
    for path in &snapshot.paths {
        all.extend(copies::silent(path));
        all.extend(told::disagreements(path));
        all.extend(told::told_more_than_copied(path));
        all.extend(completions::slow_reader(path));
        all.extend(completions::delayed_ack(path));
        all.extend(completions::lost_ends(path));
        all.extend(cost::small_send(snapshot, path));
        all.extend(cost::frag_limit(path));
        all.extend(cost::mixed_socket(path));
        all.extend(receive::not_mapped(path));
    }
    all.extend(limits::refusals(snapshot));
    all.extend(limits::optmem_near(snapshot));
    all.extend(limits::memlock_near(snapshot));
    all.extend(files::sendfile_possible(snapshot));
    all.extend(files::page_cache_miss(snapshot));
    all.extend(bounces::dma_bounce(snapshot));
    all.extend(lost(snapshot));
    add_files(&mut all, files::splice_copy_read(snapshot));
    all.sort_by(|a, b| (a.severity, b.bytes, &a.id).cmp(&(b.severity, a.bytes, &b.id)));
    all
}

/// The files behind `splice_copy_read`: a finding of their own, unless their copies already made one.
fn add_files(all: &mut Vec<Finding>, files: Option<Finding>) {
    let Some(files) = files else { return };
    match all.iter_mut().find(|finding| finding.id == files.id) {
        Some(same) => same.evidence.extend(files.evidence),
        None => all.push(files),
    }
}

fn lost(snapshot: &Snapshot) -> Option<Finding> {
    if snapshot.lost.total == 0 {
        return None;
    }
    let evidence = snapshot.lost.by_cause.iter().map(|(cause, n)| format!("{cause}: {n}")).collect();
    Some(Finding {
        id: "lost".into(),
        severity: Severity::Warning,
        title: format!("{} events could not be counted where they belong", snapshot.lost.total),
        evidence,
        fix: vec!["trace less: -p PID, -i DEV, -P PORT or --path PATH".into()],
        bytes: 0,
    })
}

/// Bytes asked for without a copy, 0 on paths that never asked.
fn requested(path: &PathFigures) -> u64 {
    path.ledger.map_or(0, |ledger| ledger.requested_bytes)
}

/// Steps of a fix from the reason table.
fn steps(fix: &str) -> Vec<String> {
    fix.lines().map(str::to_owned).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
