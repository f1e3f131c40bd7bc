//! Ends of sends: completions, notifications, and which of them told something wrong.

use super::wanted::{Amount, Expect};
use super::{Backend, same};
use crate::stat_json::{Completions, PathFigures, Stat};
use crate::truth::Sent;

/// Completions and notifications are exactly the application's.
pub(super) fn ends(figures: &PathFigures, sent: &Sent, stat: &Stat) -> Vec<String> {
    let mut wrong = Vec::new();
    let uring = sent.path.is_uring();
    let (completion, told) = if uring { ("uring_completion", "uring_told") } else { ("completion", "told") };
    let Some(ends) = &figures.completions else {
        if sent.completions > 0 && !stat.misses(completion) {
            wrong.push("completions are not known".into());
        }
        return wrong;
    };
    let Completions { sends, units, kernel_copied, notifications, told_sends, told_copied, .. } = *ends;
    if stat.misses(completion) {
        wrong.push(format!("completions are listed as missing, but the report has {sends}"));
    } else {
        same(&mut wrong, "completed sends", sends, sent.completions);
    }
    for (name, ours, theirs) in [
        ("notifications read", notifications, sent.notifications),
        ("sends told of", told_sends, sent.completions),
        ("sends told copied", told_copied, sent.told_copied),
    ] {
        match ours {
            Some(ours) => same(&mut wrong, name, ours, theirs),
            None if stat.misses(told) => {}
            None => wrong.push(format!("{name}: not known")),
        }
    }
    let notifications = sent.notifications.saturating_sub(sent.failed_notifications);
    if units.is_some_and(|units| units > sends || units < notifications) {
        wrong.push(format!("{units:?} units for {sends} sends and {} notifications", sent.notifications));
    }
    if kernel_copied.is_some_and(|copied| copied > sends) {
        wrong.push(format!("the kernel flagged {kernel_copied:?} of {sends} sends"));
    }
    wrong
}

/// Where all bytes were copied, every send told zero-copy was told wrong; where none was, every one told copied.
pub(super) fn disagreements(
    expect: &Expect,
    figures: &PathFigures,
    sent: &Sent,
    stat: &Stat,
) -> Option<String> {
    let ends = figures.completions.as_ref()?;
    if ["completion", "told", "copy"].iter().any(|fact| stat.misses(fact)) {
        return None;
    }
    let expected = match expect.copied {
        Amount::All => sent.completions.saturating_sub(sent.told_copied),
        Amount::None => sent.told_copied,
        _ => return None,
    };
    let found: u64 = ends.disagreements.iter().flatten().map(|wrong| wrong.sends).sum();
    (found != expected).then(|| {
        let kinds: Vec<_> =
            ends.disagreements.iter().flatten().map(|d| format!("{} {}", d.sends, d.kind)).collect();
        format!("{found} sends were told wrong ({}), expected {expected}", kinds.join(", "))
    })
}

/// Every notification that was wrong is one, by its kind.
pub(super) fn uring_disagreements(expect: &Expect, figures: &PathFigures, sent: &Sent) -> Vec<String> {
    let mut wrong = Vec::new();
    let Some(all) = figures.completions.as_ref().and_then(|ends| ends.disagreements.as_ref()) else {
        return wrong;
    };
    let of = |kind: &str| all.iter().filter(|d| d.kind == kind).map(|d| d.sends).sum::<u64>();
    same(&mut wrong, "failed sends told copied", of("failed_send"), sent.failed_told_copied);
    if (expect.copied, expect.clone) == (Amount::None, Amount::None) {
        same(&mut wrong, "linked sends told copied", of("linked_notification"), sent.told_copied);
    }
    if expect.copied == Amount::All && expect.told != Amount::None {
        let untold = sent.completions.saturating_sub(sent.told_copied);
        same(&mut wrong, "copied sends told zero-copy", of("told_zerocopy_but_copied"), untold);
        same(&mut wrong, "linked sends told copied", of("linked_notification"), 0);
    }
    wrong
}

/// Tracepoints see no copy: whether a send was told wrongly is concluded there and seen elsewhere. A failed send sent
/// nothing, whoever looks.
pub(super) fn marked(figures: &PathFigures, backend: Option<Backend>) -> Option<String> {
    let concludes = backend == Some(Backend::Tracepoint);
    let all = figures.completions.as_ref()?.disagreements.as_ref()?;
    let odd = all.iter().find(|wrong| wrong.inferred != (concludes && wrong.kind != "failed_send"))?;
    Some(format!("{} sends of {} have `inferred` {}", odd.sends, odd.kind, odd.inferred))
}
