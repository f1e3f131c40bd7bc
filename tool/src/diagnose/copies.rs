//! Findings about copied bytes: one per reason, and one per path whose copies the application is not told of.

use std::collections::BTreeMap;

use zcscope_common::{Path, Reason};

use super::{Finding, Severity, requested, steps};
use crate::model::reason::{fix_for, info};
use crate::model::snapshot::{CopyFigures, PathFigures, Snapshot};
use crate::units::{bytes, percent};

/// Devices named in one finding.
const MAX_DEVICES: usize = 4;

/// Copies of one reason on one path.
struct Share<'a> {
    path: Path,
    requested: u64,
    bytes: u64,
    copies: Vec<&'a CopyFigures>,
}

/// One finding per reason that copied more than 1 % of what was requested on some path.
pub(super) fn by_reason(snapshot: &Snapshot) -> Vec<Finding> {
    let mut reasons: BTreeMap<Reason, Vec<Share<'_>>> = BTreeMap::new();
    for path in snapshot.paths.iter().filter(|p| requested(p) > 0 && !p.path.receives()) {
        let mut shares: BTreeMap<Reason, Share<'_>> = BTreeMap::new();
        for copy in &path.copies {
            let requested = requested(path);
            let empty = || Share { path: path.path, requested, bytes: 0, copies: Vec::new() };
            let share = shares.entry(copy.kind.reason).or_insert_with(empty);
            share.bytes += copy.bytes;
            share.copies.push(copy);
        }
        for (reason, share) in shares {
            if share.bytes * 100 > share.requested {
                reasons.entry(reason).or_default().push(share);
            }
        }
    }
    reasons.into_iter().map(|(reason, shares)| finding(reason, &shares)).collect()
}

fn finding(reason: Reason, shares: &[Share<'_>]) -> Finding {
    let mut devices: Vec<&str> =
        shares.iter().flat_map(|s| &s.copies).filter_map(|c| c.kind.dev.as_deref()).collect();
    devices.sort_unstable();
    devices.dedup();
    devices.truncate(MAX_DEVICES);
    let on = if devices.is_empty() { String::new() } else { format!(" on {}", devices.join(", ")) };
    let bytes = shares.iter().map(|s| s.bytes).sum();
    let mut fix: Vec<String> = Vec::new();
    let named = devices.iter().map(|dev| Some(*dev));
    for dev in named.chain(devices.is_empty().then_some(None)) {
        let new: Vec<_> = steps(&fix_for(reason, dev)).into_iter().filter(|s| !fix.contains(s)).collect();
        fix.extend(new);
    }
    Finding {
        id: reason.name().into(),
        severity: severity(reason, shares),
        title: format!("{}{on}: {}", reason.name(), info(reason).meaning),
        evidence: shares.iter().flat_map(evidence).collect(),
        fix,
        bytes,
    }
}

/// By-design reasons are no fault; silence is the worst; otherwise the share of the bytes decides.
fn severity(reason: Reason, shares: &[Share<'_>]) -> Severity {
    let wire =
        |share: &Share<'_>| share.copies.iter().filter(|c| !c.kind.clone).map(|c| c.bytes).sum::<u64>();
    let silent = shares.iter().flat_map(|s| &s.copies).any(|c| !c.kind.clone && !c.kind.told && c.bytes > 0);
    let much = shares.iter().any(|share| wire(share) * 10 > share.requested);
    match reason {
        Reason::Loopback | Reason::HeaderPull => Severity::Info,
        Reason::LocalDelivery | Reason::NetnsForward | Reason::TunTap => Severity::Warning,
        _ if silent || much => Severity::Critical,
        _ => Severity::Warning,
    }
}

fn evidence(share: &Share<'_>) -> Vec<String> {
    let head = format!(
        "{}: {} copied of {} requested ({}; a byte copied twice counts twice)",
        share.path.name(),
        bytes(share.bytes),
        bytes(share.requested),
        percent(share.bytes, share.requested)
    );
    let rows = share.copies.iter().take(3).map(|copy| copy_line(copy));
    std::iter::once(head).chain(rows).collect()
}

/// One kind of copy in words.
fn copy_line(copy: &CopyFigures) -> String {
    let kind = &copy.kind;
    let caller = kind.caller.as_deref().map(|c| format!(" called by {c}")).unwrap_or_default();
    let dev = kind.dev.as_deref().map(|d| format!(", dev {d}")).unwrap_or_default();
    let told = if kind.told { "told" } else { "not told" };
    let clone = if kind.clone { ", a second consumer's copy" } else { "" };
    let inferred = if kind.inferred { ", inferred" } else { "" };
    format!(
        "{}{caller}: {} copies, {}{dev}, {told}{clone}{inferred}",
        kind.site,
        copy.count,
        bytes(copy.bytes)
    )
}

/// Bytes copied without the application being told.
pub(super) fn silent(path: &PathFigures) -> Option<Finding> {
    let ledger = path.ledger?;
    let silent = ledger.silent_copied_bytes.filter(|n| *n > 0)?;
    let requested = ledger.requested_bytes;
    let name = path.path.name();
    let mut evidence = vec![format!("{} of {} requested", bytes(silent), bytes(requested))];
    match path.completions.as_ref().and_then(|c| Some((c.told_copied?, c.told_sends?))) {
        Some((copied, sends)) => evidence.push(format!("told: {copied} of {sends} sends copied")),
        None if !path.path.has_completion() => evidence.push(format!("{name} has no notifications at all")),
        None => {}
    }
    let untold: Vec<_> = path.copies.iter().filter(|c| !c.kind.told && !c.kind.clone).collect();
    evidence.extend(untold.iter().take(3).map(|copy| copy_line(copy)));
    let mut fix: Vec<String> = Vec::new();
    for copy in untold.iter().take(3) {
        let new = steps(&fix_for(copy.kind.reason, copy.kind.dev.as_deref()));
        fix.extend(new.into_iter().filter(|s| !fix.contains(s)).collect::<Vec<_>>());
    }
    Some(Finding {
        id: "silent_copies".into(),
        severity: if silent.saturating_mul(1_000) > requested { Severity::Critical } else { Severity::Info },
        title: format!(
            "{} of {name} bytes were copied and the application was not told",
            percent(silent, requested)
        ),
        evidence,
        fix,
        bytes: silent,
    })
}
