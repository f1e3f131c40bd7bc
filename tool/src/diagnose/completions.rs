//! Findings about the ends of sends: what the application was told against what the kernel did, and refusals.

use zcscope_common::Reason;

use super::{Finding, Severity, steps};
use crate::model::reason::{fix_for, info};
use crate::model::snapshot::{PathFigures, Snapshot};
use crate::units::bytes;

/// Unread notifications below this number are the ordinary delay between two reads.
const MIN_BACKLOG: u64 = 64;

/// The error queue merges notifications and keeps the first one's flag: then the application's count of copied
/// sends cannot be right. Sends it has not read yet are given the benefit of the doubt.
pub(super) fn told_disagrees(path: &PathFigures) -> Option<Finding> {
    let c = path.completions.as_ref()?;
    let (told, told_copied) = (c.told_sends?, c.told_copied?);
    let unread = c.sends.saturating_sub(told);
    let hidden = c.kernel_copied.saturating_sub(told_copied + unread);
    let invented = told_copied.saturating_sub(c.kernel_copied);
    if told == 0 || (hidden == 0 && invented == 0) {
        return None;
    }
    let what = if hidden > 0 { "fewer" } else { "more" };
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
            "the error queue merges notifications and keeps only the first one's flag".into(),
        ],
        fix: vec!["do not decide by the COPIED flag of merged ranges; read the error queue after every send to see each flag".into()],
        bytes: 0,
    })
}

/// The kernel flags sends as copied although next to nothing was: tiny header pulls set the same flag.
pub(super) fn told_more_than_copied(path: &PathFigures) -> Option<Finding> {
    let (c, ledger) = (path.completions.as_ref()?, path.ledger?);
    let copied = ledger.copied_bytes?.saturating_add(ledger.clone_copied_bytes?);
    let many = c.kernel_copied.saturating_mul(100) > c.sends;
    let few_bytes = copied.saturating_mul(100) < ledger.requested_bytes;
    if !many || !few_bytes {
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
    })
}

/// Notifications queued and not read.
pub(super) fn slow_reader(path: &PathFigures) -> Option<Finding> {
    let c = path.completions.as_ref()?;
    let unread = c.sends.saturating_sub(c.told_sends?);
    if unread < MIN_BACKLOG || unread.saturating_mul(10) < c.sends {
        return None;
    }
    Some(Finding {
        id: Reason::SlowReader.name().into(),
        severity: Severity::Info,
        title: format!(
            "{}: {unread} sends have ended and their notifications were not read",
            path.path.name()
        ),
        evidence: vec![format!("{} sends ended, {} told", c.sends, c.told_sends.unwrap_or(0))],
        fix: steps(info(Reason::SlowReader).fix),
        bytes: 0,
    })
}

/// Refused sends: one finding per reason over all paths, and one where the reason cannot be told apart.
pub(super) fn refusals(snapshot: &Snapshot) -> Vec<Finding> {
    let mut found = Vec::new();
    for reason in [Reason::Optmem, Reason::Memlock] {
        let count =
            |path: &PathFigures| path.refused.iter().filter(|(r, _)| *r == reason).map(|(_, n)| *n).sum();
        let title = format!("{}: {}", reason.name(), info(reason).meaning);
        found.extend(refusal(snapshot, reason.name(), title, steps(&fix_for(reason, None)), count));
    }
    let unnamed = |path: &PathFigures| {
        let named: u64 = path.refused.iter().map(|(_, n)| *n).sum();
        path.errors.get("ENOBUFS").copied().unwrap_or(0).saturating_sub(named)
    };
    let title = "sends refused with ENOBUFS; which limit it was cannot be told apart here".to_owned();
    let both = [Reason::Optmem, Reason::Memlock].map(|reason| steps(&fix_for(reason, None))).concat();
    found.extend(refusal(snapshot, "enobufs", title, both, unnamed));
    found
}

fn refusal(
    snapshot: &Snapshot,
    id: &str,
    title: String,
    fix: Vec<String>,
    count: impl Fn(&PathFigures) -> u64,
) -> Option<Finding> {
    let refused: Vec<_> =
        snapshot.paths.iter().map(|path| (path, count(path))).filter(|(_, n)| *n > 0).collect();
    if refused.is_empty() {
        return None;
    }
    let much = refused.iter().any(|(path, n)| n.saturating_mul(100) > path.calls);
    Some(Finding {
        id: id.into(),
        severity: if much { Severity::Critical } else { Severity::Warning },
        title,
        evidence: refused
            .iter()
            .map(|(p, n)| format!("{}: {n} of {} calls refused", p.path.name(), p.calls))
            .collect(),
        fix,
        bytes: 0,
    })
}
