//! The verdict: is zero-copy working here, now? One word, one sentence with figures, the reason, the fix. Pure: made of
//! what is shown, drawn by [`draw`] on whatever room there is.

mod answer;
mod lines;
mod scope;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use zcscope_common::Reason;

use super::{Scene, View, panel};
use crate::diagnose::{Finding, Severity};
use crate::model::reason::{self, ReasonKind};
use crate::model::sample::CopyKind;
use crate::model::snapshot::Snapshot;
use crate::tui::series::{Moved, Window};
use crate::tui::shown::Shown;
use crate::tui::totals::Totals;
use crate::units;
pub(in crate::tui) use answer::Answer;
pub(super) use lines::draw;
pub(in crate::tui) use lines::lines;
use scope::Scope;

/// What stands in the first lines of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::tui) struct Verdict {
    pub(in crate::tui) answer: Answer,
    /// A sentence with figures and the share of each path; empty when that says no more.
    pub(in crate::tui) long: String,
    /// A sentence with figures.
    pub(in crate::tui) sentence: String,
    /// The same for screens that hold only a few words.
    pub(in crate::tui) short: String,
    /// Why, or what else to know; empty when there is nothing to say.
    pub(in crate::tui) why: String,
    /// Steps that mend it.
    pub(in crate::tui) fix: Vec<String>,
}

/// The verdict over the window; over everything when nothing was asked for in it.
pub(in crate::tui) fn verdict(shown: &Shown, window: &Window<'_>) -> Verdict {
    let totals = Totals::of(&shown.snapshot.paths);
    let moved = window.sent().filter(|moved| moved.requested > 0);
    match (totals.bytes, totals.has_ledger) {
        (0, _) => waiting(shown),
        (bytes, false) => not_asked(shown, bytes),
        (_, true) => asked(shown, window, &totals, moved),
    }
}

fn waiting(shown: &Shown) -> Verdict {
    let received: u64 = shown.snapshot.paths.iter().map(|path| path.bytes).sum();
    let sentence = match received {
        0 => "nothing has been sent or received since tracing began".to_owned(),
        bytes => format!("nothing has been sent; {} received (view Receive)", units::bytes(bytes)),
    };
    with_finding(shown, Answer::Waiting, sentence, "nothing sent yet".to_owned())
}

fn not_asked(shown: &Shown, bytes: u64) -> Verdict {
    let bytes = units::bytes(bytes);
    let sentence = format!("{bytes} sent plainly: the kernel copied them inside the call");
    with_finding(shown, Answer::NotAsked, sentence, format!("{bytes} sent plainly"))
}

fn asked(shown: &Shown, window: &Window<'_>, totals: &Totals, moved: Option<Moved>) -> Verdict {
    let scope = Scope::new(shown, window, totals, moved);
    let requested = units::bytes(scope.requested);
    let Some(copied) = scope.copied else {
        let sentence = format!("{requested} asked for zero-copy; whether they were copied cannot be seen");
        let why = ["cop", "completion"].iter().find_map(|fact| missing(&shown.snapshot, fact));
        return Verdict {
            answer: Answer::NotKnown,
            long: String::new(),
            sentence,
            short: format!("{requested} asked for, copies n/a"),
            why: why.unwrap_or_default(),
            fix: Vec::new(),
        };
    };
    // A byte can be asked for in one window and copied in the next.
    let all = scope.requested.max(copied);
    let answer = Answer::of(copied, all);
    let share = units::percent(copied, all);
    let what = if copied == 0 { "nothing".to_owned() } else { share.clone() };
    let mut rest = scope.when.clone();
    match scope.silent {
        Some(silent) if silent > 0 && silent >= copied => rest.push_str(", and the application was not told"),
        Some(silent) if silent > 0 => {
            rest.push_str(&format!(", {} without telling the application", units::bytes(silent)));
        }
        _ => {}
    }
    if scope.refused > 0 && refusals_matter(shown) {
        rest.push_str(&format!("; {} calls refused", units::count_short(scope.refused)));
    }
    let head = format!("{what} of the {} that asked for zero-copy was copied", units::bytes(all));
    let by_path = scope::by_path(&scope.paths);
    let long = if by_path.is_empty() { String::new() } else { format!("{head}{by_path}{rest}") };
    let sentence = format!("{head}{rest}");
    let short = format!("{share} of {} copied", units::bytes(all));
    let verdict = match answer {
        Answer::Yes => with_finding(shown, answer, sentence, short),
        _ => with_reason(shown, window, &scope, answer, sentence, short),
    };
    Verdict { long, ..verdict }
}

/// True when calls are refused for more than a socket that is full for the moment.
pub(super) fn refusals_matter(shown: &Shown) -> bool {
    let refusal = |finding: &Finding| {
        let reason = Reason::from_name(&finding.id);
        finding.id == "enobufs"
            || reason.is_some_and(|reason| reason::info(reason).kind == ReasonKind::Refused)
    };
    shown.findings.iter().any(|finding| finding.severity != Severity::Info && refusal(finding))
}

/// Bytes are copied: the reason of most of them, and its fix.
fn with_reason(
    shown: &Shown,
    window: &Window<'_>,
    scope: &Scope,
    answer: Answer,
    sentence: String,
    short: String,
) -> Verdict {
    let recent = if scope.recent { window.wire_copies() } else { Vec::new() };
    let kinds = if recent.is_empty() { wire_copies(&shown.snapshot) } else { recent };
    let all: u64 = kinds.iter().map(|(_, bytes)| bytes).sum();
    let Some((kind, _)) = kinds.first() else {
        let why = missing(&shown.snapshot, "copy_site").or_else(|| missing(&shown.snapshot, "copy"));
        let why = why.map_or_else(String::new, |why| format!("the reason cannot be seen here: {why}"));
        return Verdict { answer, long: String::new(), sentence, short, why, fix: Vec::new() };
    };
    let of_reason = kinds.iter().filter(|(other, _)| other.reason == kind.reason);
    let share = units::percent(of_reason.map(|(_, bytes)| bytes).sum(), all);
    let mark = if kind.inferred { "~" } else { "" };
    let on = kind.dev.as_ref().map_or_else(String::new, |dev| format!(" on {dev}"));
    let name = kind.reason.name();
    let why = format!("{mark}{name}{on} ({share}): {}", reason::info(kind.reason).meaning);
    let finding = shown.findings.iter().find(|finding| finding.id == name);
    let general = || reason::fix_for(kind.reason, kind.dev.as_deref()).lines().map(str::to_owned).collect();
    Verdict {
        answer,
        long: String::new(),
        sentence,
        short,
        why,
        fix: finding.map_or_else(general, |found| found.fix.clone()),
    }
}

/// Nothing is wrong with the bytes: the most severe finding, if there is one that matters.
fn with_finding(shown: &Shown, answer: Answer, sentence: String, short: String) -> Verdict {
    let matters = |finding: &&Finding| finding.severity != Severity::Info && finding.id != "lost";
    let top = shown.findings.iter().find(matters);
    Verdict {
        answer,
        long: String::new(),
        sentence,
        short,
        why: top.map_or_else(String::new, |finding| format!("but {}", finding.title)),
        fix: top.map_or_else(Vec::new, |finding| finding.fix.clone()),
    }
}

/// Wire copies of all send paths per kind, most bytes first.
fn wire_copies(snapshot: &Snapshot) -> Vec<(Arc<CopyKind>, u64)> {
    let send = snapshot.paths.iter().filter(|path| !path.path.receives());
    let wire = send.flat_map(|path| &path.copies).filter(|copy| !copy.kind.clone);
    let mut kinds: Vec<(Arc<CopyKind>, u64)> = wire.map(|copy| (copy.kind.clone(), copy.bytes)).collect();
    kinds.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    kinds
}

fn missing(snapshot: &Snapshot, fact: &str) -> Option<String> {
    let missing = snapshot.session.missing.iter().find(|missing| missing.fact.starts_with(fact));
    missing.map(|missing| missing.why.clone())
}
