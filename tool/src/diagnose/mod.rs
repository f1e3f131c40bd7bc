//! Findings: what a snapshot means, with evidence, severity and what to do. Pure: a snapshot (which carries the facts
//! of the host) in, a list out. Every finding is a row of [`rules::RULES`].

mod bounces;
mod completions;
mod copies;
mod cost;
mod files;
mod flow;
mod limits;
mod links;
mod network;
mod receive;
pub mod rules;
mod told;
mod wanted;
pub mod words;

use serde::{Deserialize, Serialize};
use zcscope_common::Path;

use crate::model::snapshot::{PathFigures, Snapshot};

pub use self::wanted::wanted;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Zero-copy does not happen, or the application is misled.
    Critical,
    /// Some of the gain is lost.
    Warning,
    /// By design, or small.
    #[default]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// Stable id: that of a rule.
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
    /// Id of the finding that explains this one, and stands before it.
    pub explained_by: Option<&'static str>,
    /// What it is about: paths and devices; empty is all of them.
    pub about: About,
}

/// What a finding is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Paths.
    pub paths: Vec<Path>,
    /// Devices by name.
    pub devices: Vec<String>,
    /// Copies that the application is told of, all of them: they explain no silence.
    pub told: bool,
}

/// All findings: the most severe first, then those about most bytes; but one that explains another stands before it.
#[must_use]
pub fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let mut all: Vec<Finding> = rules::RULES.iter().flat_map(|rule| rule.apply(snapshot)).collect();
    all.sort_by(|a, b| (a.severity, b.bytes, &a.id).cmp(&(b.severity, a.bytes, &b.id)));
    links::arrange(all)
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
mod blame_tests;
#[cfg(test)]
mod rules_tests;
#[cfg(test)]
#[path = "tests.rs"]
mod tests;
