//! Findings about copied bytes: one per reason, and one per path whose copies the application is not told of.

use zcscope_common::{Path, Reason};

use super::words::words;
use super::{About, Finding, Severity, network, requested, steps};
use crate::model::reason::info;
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

/// Copies of a reason, when they are more than 1 % of what was requested on some path.
pub(super) fn of_reason(snapshot: &Snapshot, reason: Reason) -> Option<Finding> {
    let senders = snapshot.paths.iter().filter(|path| requested(path) > 0 && !path.path.receives());
    let shares = senders.map(|path| {
        let copies: Vec<_> = path.copies.iter().filter(|copy| copy.kind.reason == reason).collect();
        let bytes = copies.iter().map(|copy| copy.bytes).sum();
        Share { path: path.path, requested: requested(path), bytes, copies }
    });
    let shares: Vec<_> = shares.filter(|share| share.bytes.saturating_mul(100) > share.requested).collect();
    (!shares.is_empty()).then(|| finding(snapshot, reason, &shares))
}

fn finding(snapshot: &Snapshot, reason: Reason, shares: &[Share<'_>]) -> Finding {
    let mut devices: Vec<&str> =
        shares.iter().flat_map(|s| &s.copies).filter_map(|c| c.kind.dev.as_deref()).collect();
    devices.sort_unstable();
    devices.dedup();
    let about = About {
        paths: shares.iter().map(|share| share.path).collect(),
        devices: devices.iter().map(|dev| (*dev).to_owned()).collect(),
        told: shares.iter().flat_map(|share| &share.copies).all(|copy| copy.kind.told || copy.kind.clone),
    };
    devices.truncate(MAX_DEVICES);
    let on = if devices.is_empty() { String::new() } else { format!(" on {}", devices.join(", ")) };
    let bytes = shares.iter().map(|s| s.bytes).sum();
    let mut fix: Vec<String> = Vec::new();
    let named = devices.iter().map(|dev| Some(*dev));
    for dev in named.chain(devices.is_empty().then_some(None)) {
        let new = network::fix_here(snapshot, reason, dev);
        fix.extend(new.into_iter().filter(|step| !fix.contains(step)).collect::<Vec<_>>());
    }
    Finding {
        id: reason.name().into(),
        severity: severity(reason, shares),
        title: format!("{}{on}: {}", reason.name(), info(reason).meaning),
        evidence: shares.iter().flat_map(evidence).collect(),
        fix,
        bytes,
        about,
        ..Finding::default()
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

/// Fewer silent bytes than this of a million are headers that a driver pulled; the ledger has them.
const TINY_PER_MILLION: u64 = 100;

/// Bytes copied without the application being told.
pub(super) fn silent(snapshot: &Snapshot, path: &PathFigures) -> Option<Finding> {
    let ledger = path.ledger?;
    let requested = ledger.requested_bytes;
    let tiny = |n: u64| n.saturating_mul(1_000_000) < requested.saturating_mul(TINY_PER_MILLION);
    let silent = ledger.silent_copied_bytes.filter(|n| *n > 0 && !tiny(*n))?;
    let name = path.path.name();
    let mut evidence = vec![format!("{} of {} requested", bytes(silent), bytes(requested))];
    match path.completions.as_deref().and_then(|c| Some((c.told_copied?, c.told_sends?))) {
        Some((copied, sends)) => evidence.push(format!("told: {copied} of {sends} sends copied")),
        None if !path.path.has_completion() => evidence.push(format!("{name} has no notifications at all")),
        None => {}
    }
    let untold: Vec<_> = path.copies.iter().filter(|c| !c.kind.told && !c.kind.clone).collect();
    evidence.extend(untold.iter().take(3).map(|copy| copy_line(copy)));
    let mut fix: Vec<String> = Vec::new();
    for copy in untold.iter().take(3) {
        let new = network::fix_here(snapshot, copy.kind.reason, copy.kind.dev.as_deref());
        fix.extend(new.into_iter().filter(|s| !fix.contains(s)).collect::<Vec<_>>());
    }
    if fix.is_empty() {
        fix = steps(words("silent_copies").map_or("", |words| words.fix));
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
        ..Finding::default()
    })
}
