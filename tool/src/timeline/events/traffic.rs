//! Events of the traffic: what a path did for the first time, what was lost, when ACKs began to be late.

use zcscope_common::{Disagreement, LatencyKind, Path, Reason};

use super::{Event, EventKind, event};
use crate::diagnose::Severity;
use crate::model::distributions::delayed_acks as delayed_of;
use crate::model::sample::CopyKind;
use crate::model::snapshot::{PathFigures, Snapshot};
use crate::units::{bytes, exact, percent};

/// The same path in another snapshot.
fn same(snapshot: &Snapshot, path: Path) -> Option<&PathFigures> {
    snapshot.paths.iter().find(|of| of.path == path)
}

/// Paths that were not in use before.
pub(super) fn paths(before: &Snapshot, after: &Snapshot) -> Vec<Event> {
    let used = |of: &PathFigures| of.calls > 0;
    let new = after.paths.iter().filter(|now| used(now) && !same(before, now.path).is_some_and(used));
    let line = |now: &PathFigures| {
        let mut by = after.processes.iter().filter(|p| p.paths.iter().any(|of| of.path == now.path));
        let by = by.next().map_or_else(String::new, |p| format!(" by {} ({})", p.comm, p.pid));
        let name = now.path.name();
        event(EventKind::Path, Severity::Info, name, format!("{name} is used for the first time{by}"))
    };
    new.map(line).collect()
}

/// Reasons seen on a device for the first time.
pub(super) fn copies(before: &Snapshot, after: &Snapshot) -> Vec<Event> {
    let is_known = |kind: &CopyKind| {
        let old = before.paths.iter().flat_map(|path| &path.copies);
        old.filter(|copy| copy.count > 0).any(|copy| is_alike(&copy.kind, kind))
    };
    let mut told: Vec<&CopyKind> = Vec::new();
    let mut events = Vec::new();
    for path in &after.paths {
        for copy in path.copies.iter().filter(|copy| copy.count > 0) {
            let kind = copy.kind.as_ref();
            if !is_known(kind) && !told.iter().any(|other| is_alike(other, kind)) {
                told.push(kind);
                events.push(first_copy(path.path, kind, copy.bytes));
            }
        }
    }
    events
}

/// One reason on one device is one thing to tell, whatever asked for it where.
fn is_alike(a: &CopyKind, b: &CopyKind) -> bool {
    (a.reason, &a.dev, a.clone) == (b.reason, &b.dev, b.clone)
}

fn first_copy(path: Path, kind: &CopyKind, amount: u64) -> Event {
    let on = kind.dev.as_ref().map_or_else(String::new, |dev| format!(" on {dev}"));
    let silent = !kind.told && !kind.clone && !path.receives();
    let what = match (kind.clone, silent) {
        (true, _) => "copied for a second consumer",
        (false, true) => "copied and the application is not told",
        (false, false) => "copied",
    };
    let sure = if kind.inferred { "~" } else { "" };
    let text = format!(
        "first {what}{on}: {sure}{} ({} in {}, {})",
        kind.reason.name(),
        bytes(amount),
        kind.site,
        path.name()
    );
    let severity = if silent { Severity::Warning } else { Severity::Info };
    event(EventKind::Copy, severity, kind.reason.name(), text)
}

/// Refusals seen on a path for the first time, by their true cause.
pub(super) fn refused(before: &Snapshot, after: &Snapshot) -> Vec<Event> {
    let mut events = Vec::new();
    for now in &after.paths {
        let old = same(before, now.path);
        // A full socket refuses every sender that does not wait: ordinary.
        let causes = now.refused.iter().filter(|(cause, n)| *n > 0 && *cause != Reason::Aborted);
        for (cause, n) in causes.filter(|(cause, _)| refusals(old, *cause) == 0) {
            let sees = match cause {
                Reason::Optmem | Reason::Memlock => " (ENOBUFS)",
                _ => "",
            };
            let text = format!("{}: first call refused{sees}: {}, {n} calls", now.path.name(), cause.name());
            events.push(event(EventKind::Refused, Severity::Warning, cause.name(), text));
        }
        let n = unnamed(now);
        if n > 0 && old.is_none_or(|old| unnamed(old) == 0) {
            let text = format!(
                "{}: first ENOBUFS, {n} calls; which limit it was cannot be told here",
                now.path.name()
            );
            events.push(event(EventKind::Refused, Severity::Warning, "enobufs", text));
        }
    }
    events
}

fn refusals(path: Option<&PathFigures>, cause: Reason) -> u64 {
    let all = path.into_iter().flat_map(|path| &path.refused);
    all.filter(|(of, _)| *of == cause).map(|(_, n)| n).sum()
}

/// `ENOBUFS` without a cause.
fn unnamed(path: &PathFigures) -> u64 {
    let all = path.errors.get("ENOBUFS").copied().unwrap_or(0);
    all.saturating_sub(refusals(Some(path), Reason::Optmem) + refusals(Some(path), Reason::Memlock))
}

/// What the application was told wrongly for the first time.
pub(super) fn told(before: &Snapshot, after: &Snapshot) -> Vec<Event> {
    let wrong = |path: &PathFigures| path.completions.as_deref()?.disagreements.clone();
    let mut events = Vec::new();
    for now in &after.paths {
        let old = same(before, now.path).and_then(wrong).unwrap_or_default();
        for found in wrong(now).unwrap_or_default() {
            if found.sends == 0 || old.iter().any(|of| of.kind == found.kind && of.sends > 0) {
                continue;
            }
            let (id, says) = wrongly(found.kind);
            let sure = if found.inferred { "~" } else { "" };
            let text = format!("{}: {sure}{} sends {says}", now.path.name(), exact(found.sends));
            events.push(event(EventKind::Told, Severity::Warning, id, text));
        }
    }
    events
}

/// Id of what explains it, and what happened to the sends.
const fn wrongly(kind: Disagreement) -> (&'static str, &'static str) {
    match kind {
        Disagreement::FailedSend => ("failed_send", "failed, and their notifications say copied"),
        Disagreement::LinkedNotification => {
            ("linked_false_positive", "were told copied because they are linked to others")
        }
        Disagreement::MergedRange => ("merged_range", "have the flag of another send of their range"),
        Disagreement::ToldZerocopyButCopied => {
            ("told_zerocopy_but_copied", "were copied, and the application was told zero-copy")
        }
        Disagreement::ToldCopiedButNot => {
            ("told_copied_but_not", "were not copied, and the application was told copied")
        }
    }
}

/// What zcscope itself missed in the interval.
pub(super) fn loss(before: &Snapshot, after: &Snapshot) -> Vec<Event> {
    let more = |cause: &str, n: u64| n - n.min(before.lost.by_cause.get(cause).copied().unwrap_or(0));
    let causes = after.lost.by_cause.iter().map(|(cause, n)| (cause, more(cause, *n)));
    let causes: Vec<_> = causes.filter(|(_, n)| *n > 0).collect();
    let mut events = Vec::new();
    if !causes.is_empty() {
        let named: Vec<String> = causes.iter().map(|(cause, n)| format!("{cause} {}", exact(*n))).collect();
        let began = if before.lost.total == 0 { "loss began: " } else { "" };
        let text = format!(
            "{began}events could not be counted where they belong ({}): figures may be too low",
            named.join(", ")
        );
        let count = causes.iter().map(|(_, n)| n).sum();
        events.push(Event { count, ..event(EventKind::Loss, Severity::Warning, "lost", text) });
    }
    events.extend(after.paths.iter().filter_map(|now| lost_ends(before, now)));
    events
}

fn lost_ends(before: &Snapshot, now: &PathFigures) -> Option<Event> {
    let of = |path: &PathFigures| path.completions.as_deref().map_or(0, |ends| ends.lost_ends);
    let count = of(now).saturating_sub(same(before, now.path).map_or(0, of));
    let text =
        format!("{}: the ends of {} sends were not seen; they are given up", now.path.name(), exact(count));
    (count > 0).then(|| Event { count, ..event(EventKind::Loss, Severity::Warning, "lost_ends", text) })
}

/// Fewer in one interval say nothing: single ones end every pause of a flow.
const MIN_DELAYED: u64 = 4;
/// The same share and peak that make a finding of it.
const DELAYED_PERCENT: u64 = 10;
const PEAK: u64 = 2;
/// A path with a round trip near 40 ms has no release that is much faster.
const NEAR_NS: u64 = 20_000_000;

/// Releases of the interval that came as late as a delayed ACK makes them, on a path that can do better.
pub(super) fn delayed_acks(before: &Snapshot, after: &Snapshot) -> Vec<Event> {
    let releases = after.latency.iter().filter(|of| of.kind == LatencyKind::Release);
    let line = |now: &crate::model::snapshot::LatencyFigures| {
        let old = before.latency.iter().find(|old| (old.path, old.kind) == (now.path, now.kind));
        let (late, late_before) = (delayed_of(&now.hist), old.map(|old| delayed_of(&old.hist)));
        let late_before = late_before.unwrap_or_default();
        let count = late.sends.saturating_sub(late_before.sends);
        let earlier = late.before.saturating_sub(late_before.before);
        let all = now.hist.count.saturating_sub(old.map_or(0, |old| old.hist.count));
        let mode = count >= MIN_DELAYED
            && count.saturating_mul(100) >= all.saturating_mul(DELAYED_PERCENT)
            && count >= earlier.saturating_mul(PEAK)
            && now.hist.min().is_some_and(|min| min < NEAR_NS);
        let text = format!(
            "{}: {} of the releases took 36 to 50 ms, as a delayed ACK makes them",
            now.path.name(),
            percent(count, all)
        );
        let id = Reason::DelayedAck.name();
        mode.then(|| Event { count, ..event(EventKind::DelayedAck, Severity::Warning, id, text) })
    };
    releases.filter_map(line).collect()
}
