//! The kernel's ledger beside what the application of a load was told: as JSON, and as a small table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::json::{LostDoc, MissingDoc};
use super::json_path::{PathDoc, paths};
use crate::model::reason::fix_for;
use crate::model::snapshot::{CopyFigures, PathFigures, Snapshot};
use crate::units::{UNKNOWN, bytes, bytes_or_unknown, exact, percent, percent_or_unknown};

/// Reasons shown per path.
const TOP: usize = 3;

/// The kernel's ledger in `zcscope.load/1`, in the words of `zcscope.stat/1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelDoc {
    /// Back end in words.
    pub backend: String,
    /// Fact -> `backend:function` that feeds it.
    pub sources: BTreeMap<String, String>,
    /// Facts that cannot be known here.
    pub missing: Vec<MissingDoc>,
    /// What was lost.
    pub lost: LostDoc,
    /// The sends of the load, per path.
    pub paths: Vec<PathDoc>,
}

impl KernelDoc {
    /// Of a snapshot that holds nothing but the load.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        let session = &snapshot.session;
        let missing = session.missing.iter();
        Self {
            backend: session.backend.clone(),
            sources: session.sources.clone(),
            missing: missing.map(|m| MissingDoc { fact: m.fact.clone(), why: m.why.clone() }).collect(),
            lost: LostDoc { total: snapshot.lost.total, by_cause: snapshot.lost.by_cause.clone() },
            paths: paths(&snapshot.paths, session),
        }
    }
}

/// What the application was told about the ends of its sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Sends that ended.
    pub sends: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of those, sends it was told were copied.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
}

/// The table, a few lines with a newline at the end of each. `told` is `None` where the kernel tells nothing.
#[must_use]
pub fn render(snapshot: &Snapshot, told: Option<Told>) -> String {
    let mut out = format!("\n  what the kernel did ({})\n", snapshot.session.backend);
    out.push_str(
        "    to see it costs the sender: rates and CPU time above include that, those of --no-trace do not\n",
    );
    if snapshot.paths.is_empty() {
        out.push_str("    no send of this load was seen\n");
    }
    for path in &snapshot.paths {
        for line in path_lines(path, told.filter(|_| path.path.has_completion())) {
            let _ = writeln!(out, "    {}", line.trim_end());
        }
    }
    if snapshot.lost.total > 0 {
        let _ =
            writeln!(out, "    LOST {} events: these figures are not complete", exact(snapshot.lost.total));
    }
    out
}

fn path_lines(path: &PathFigures, told: Option<Told>) -> Vec<String> {
    let name = path.path.name();
    let Some(ledger) = path.ledger else {
        return vec![format!(
            "{name}: {} in {} calls, never asked for zero-copy: all copied from user memory",
            bytes(path.bytes),
            exact(path.calls)
        )];
    };
    let row = |who: &str, sends: [String; 2], copied: [String; 2]| {
        let [ended, flagged] = sends;
        let [amount, share] = copied;
        format!("{who:<20}{ended:>12}{flagged:>12}{amount:>14}{share:>9}")
    };
    let mut lines = vec![row(
        name,
        ["sends ended", "as copied"].map(Into::into),
        ["bytes copied", "share"].map(Into::into),
    )];
    lines.push(match told {
        Some(t) => row(
            "application told",
            [exact(t.sends), exact(t.copied)],
            [bytes(t.copied_bytes), percent(t.copied_bytes, t.bytes)],
        ),
        None => row("application told", ["nothing".into(), "-".into()], ["-".into(), "-".into()]),
    });
    let requested = ledger.requested_bytes;
    let ends = |sends: Option<u64>| sends.map_or_else(|| UNKNOWN.into(), exact);
    let completions = path.completions.as_deref();
    let ended = if path.path.has_completion() {
        [ends(completions.map(|c| c.sends)), ends(completions.map(|c| c.kernel_copied))]
    } else {
        ["-".into(), "-".into()]
    };
    let share = |part: Option<u64>| [bytes_or_unknown(part), percent_or_unknown(part, Some(requested))];
    let none = || ["".to_owned(), "".to_owned()];
    lines.push(row("kernel did", ended, share(ledger.copied_bytes)));
    lines.push(row("  of it silently", none(), share(ledger.silent_copied_bytes)));
    lines.push(row("  zero-copied", none(), share(ledger.zerocopied_bytes)));
    if let Some(open) = path.in_flight.filter(|open| open.sends > 0) {
        lines.push(row("  still in flight", none(), share(Some(open.bytes))));
    }
    if ledger.clone_copied_bytes.is_some_and(|n| n > 0) {
        lines.push(row("  clones copied", none(), share(ledger.clone_copied_bytes)));
    }
    let mut fixes: Vec<String> = Vec::new();
    for copy in path.copies.iter().take(TOP) {
        lines.push(copy_line(copy));
        let fix = fix_for(copy.kind.reason, copy.kind.dev.as_deref());
        if !fixes.contains(&fix) {
            lines.extend(fix.lines().map(|step| format!("  fix: {step}")));
            fixes.push(fix);
        }
    }
    lines
}

fn copy_line(copy: &CopyFigures) -> String {
    let kind = &copy.kind;
    let dev = kind.dev.as_deref().map(|dev| format!(" on {dev}")).unwrap_or_default();
    let inferred = if kind.inferred { " (inferred)" } else { "" };
    format!(
        "{}: {} in {} copies, {}{dev}{inferred}",
        kind.reason.name(),
        bytes(copy.bytes),
        exact(copy.count),
        kind.site
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{empty, full, sparse};
    use super::*;

    #[test]
    fn told_and_done_stand_in_one_table() {
        let told = Told { sends: 1_447, bytes: 94_830_592, copied: 336, copied_bytes: 22_020_096 };
        insta::assert_snapshot!("beside_full", render(&full(), Some(told)));
    }

    #[test]
    fn unknown_figures_are_not_zero() {
        let text = render(&sparse(), None);
        assert!(text.contains("n/a") && text.contains("nothing"), "{text}");
        assert!(render(&empty(), None).contains("no send of this load was seen"));
    }

    #[test]
    fn the_document_has_the_agreed_keys() {
        let value = serde_json::to_value(KernelDoc::of(&full())).unwrap();
        for key in ["sources", "missing", "lost", "paths"] {
            assert!(!value[key].is_null(), "{key}");
        }
    }
}
