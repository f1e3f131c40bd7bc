//! Findings where what the application was told differs from what the kernel did.

use zcscope_common::{Disagreement, Reason};

use super::{Finding, Severity, steps};
use crate::model::reason::info;
use crate::model::snapshot::{Completions, PathFigures, WrongSends};
use crate::units::{bytes, percent};

/// A kind of disagreement in words.
struct Kind {
    id: &'static str,
    /// What is wrong, behind the number of sends.
    what: &'static str,
    why: &'static str,
    fix: &'static str,
    /// The same in every run of the kernel, and harmless once known.
    known_quirk: bool,
}

/// The words of a kind.
fn words(kind: Disagreement) -> Kind {
    match kind {
        Disagreement::FailedSend => Kind {
            id: "failed_send",
            what: "failed, and their notification says copied although nothing was sent",
            why: "io_uring posts a notification for a failed send, too, and marks it as copied",
            fix: "ignore the notification of a send whose result is an error",
            known_quirk: true,
        },
        Disagreement::LinkedNotification => Kind {
            id: Reason::LinkedFalsePositive.name(),
            what: "are said to be copied and were not: their notification is linked to another one's",
            why: info(Reason::LinkedFalsePositive).meaning,
            fix: info(Reason::LinkedFalsePositive).fix,
            known_quirk: true,
        },
        Disagreement::MergedRange => Kind {
            id: "merged_range",
            what: "have the flag of another send: the kernel merged their notifications",
            why: "the error queue merges neighbouring notifications and keeps only the first one's flag",
            fix: "do not decide by the COPIED flag of a range; read the error queue after every send to see each flag",
            known_quirk: false,
        },
        Disagreement::ToldZerocopyButCopied => Kind {
            id: "told_zerocopy_but_copied",
            what: "were copied and the application was told zero-copy",
            why: "not every function that copies sets the flag",
            fix: "do not take the flag as a proof; the copies and their reasons say what to mend",
            known_quirk: false,
        },
        Disagreement::ToldCopiedButNot => Kind {
            id: "told_copied_but_not",
            what: "were not copied on their way out and the application was told copied",
            why: "the flag is also set for a packet capture's clone and for a few pulled header bytes",
            fix: "do not turn zero-copy off because of the flag",
            known_quirk: false,
        },
    }
}

/// Below this share of the sends told of, wrong flags mislead nobody who counts.
const FEW_PERCENT: u64 = 1;

/// One finding per kind of disagreement; where kinds are not known, one from the counts alone.
pub(super) fn disagreements(path: &PathFigures) -> Vec<Finding> {
    let Some(c) = path.completions.as_deref() else { return Vec::new() };
    match &c.disagreements {
        Some(kinds) => kinds.iter().map(|kind| wrong(path, c, kind)).collect(),
        None => counts_differ(path, c).into_iter().collect(),
    }
}

fn wrong(path: &PathFigures, c: &Completions, wrong: &WrongSends) -> Finding {
    let (words, sends) = (words(wrong.kind), wrong.sends);
    let told = c.told_sends.unwrap_or(0).max(sends);
    let few = sends.saturating_mul(100) < told.saturating_mul(FEW_PERCENT);
    let mut evidence = vec![
        format!("{sends} of {told} sends the application was told of ({})", percent(sends, told)),
        format!(
            "told: {} copied; kernel: {} of {} flagged as copied",
            c.told_copied.unwrap_or(0),
            c.kernel_copied,
            c.sends
        ),
        words.why.into(),
    ];
    evidence.extend(wrong.inferred.then(|| "which sends were copied is concluded, not seen".to_owned()));
    Finding {
        id: words.id.into(),
        severity: if words.known_quirk || few { Severity::Info } else { Severity::Warning },
        title: format!("{}: {sends} sends {}", path.path.name(), words.what),
        evidence,
        fix: steps(words.fix),
        bytes: 0,
        ..Finding::default()
    }
}

/// The error queue merges notifications and keeps the first one's flag: then the application's count of copied
/// sends cannot be right. Sends it has not read yet are given the benefit of the doubt.
fn counts_differ(path: &PathFigures, c: &Completions) -> Option<Finding> {
    let (told, told_copied) = (c.told_sends?, c.told_copied?);
    let unread = c.sends.saturating_sub(told);
    let hidden = c.kernel_copied.saturating_sub(told_copied + unread);
    let invented = told_copied.saturating_sub(c.kernel_copied);
    if told == 0 || (hidden == 0 && invented == 0) {
        return None;
    }
    let what = if hidden > 0 { "fewer" } else { "more" };
    let merged = words(Disagreement::MergedRange);
    Some(Finding {
        id: "told_disagrees".into(),
        severity: Severity::Warning,
        title: format!(
            "{}: the application was told of {what} copied sends than the kernel flagged",
            path.path.name()
        ),
        evidence: vec![
            format!("told: {told_copied} of {told} sends copied"),
            format!("kernel: {} of {} sends flagged as copied", c.kernel_copied, c.sends),
            merged.why.into(),
        ],
        fix: steps(merged.fix),
        bytes: 0,
        ..Finding::default()
    })
}

/// The kernel flags sends as copied although next to nothing was: tiny header pulls set the same flag.
pub(super) fn told_more_than_copied(path: &PathFigures) -> Option<Finding> {
    let (c, ledger) = (path.completions.as_deref()?, path.ledger?);
    let copied = ledger.copied_bytes?.saturating_add(ledger.clone_copied_bytes?);
    let many = c.kernel_copied.saturating_mul(100) > c.sends;
    let few_bytes = copied.saturating_mul(100) < ledger.requested_bytes;
    let said_already =
        c.disagreements.iter().flatten().any(|wrong| wrong.kind == Disagreement::ToldCopiedButNot);
    if !many || !few_bytes || said_already {
        return None;
    }
    Some(Finding {
        id: "told_more_than_copied".into(),
        severity: Severity::Info,
        title: format!(
            "{}: {} of {} sends are flagged as copied, but only {} were",
            path.path.name(),
            c.kernel_copied,
            c.sends,
            bytes(copied)
        ),
        evidence: vec![format!("{} requested", bytes(ledger.requested_bytes))],
        fix: vec!["do not turn zero-copy off because of the flag".into()],
        bytes: copied,
        ..Finding::default()
    })
}

/// Disagreements that are more than a few: a driver that pulls header bytes flags a send now and then on every healthy
/// run, and a merge hides or spreads that flag, which misleads nobody.
pub(super) fn more_than_few(path: &PathFigures) -> Vec<Finding> {
    disagreements(path).into_iter().filter(|finding| finding.severity < Severity::Info).collect()
}
