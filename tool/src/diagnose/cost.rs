//! Findings about sends that cost more than they need to: too small, too many fragments, mixed with plain ones.

use zcscope_common::{Path, Reason};

use super::{Finding, Severity, steps};
use crate::model::reason::info;
use crate::model::snapshot::{PathFigures, Snapshot};
use crate::units::{bytes, percent};

/// The kernel's own advice (Documentation/networking/msg_zerocopy.rst): worth it from about 10 KB a write on.
const SMALL_SEND_BYTES: u64 = 10 << 10;
/// Fewer sends than this are a handshake, not a habit.
const MIN_SENDS: u64 = 100;

/// Zero-copy sends with a notification each that are too small to be worth it.
pub(super) fn small_send(snapshot: &Snapshot, path: &PathFigures) -> Option<Finding> {
    let sends = path.good_calls();
    // Without SO_ZEROCOPY nothing is pinned, and nothing notified.
    if path.completions.as_ref().is_some_and(|ends| ends.sends == 0) {
        return None;
    }
    if !path.path.has_completion() || sends < MIN_SENDS || path.bytes / sends >= SMALL_SEND_BYTES {
        return None;
    }
    let name = path.path.name();
    let mut evidence = vec![format!("{} in {sends} sends", bytes(path.bytes))];
    let cost = |of: &PathFigures| of.send_ns_per_kib;
    let plain = snapshot.paths.iter().find(|p| p.path == Path::Copy).and_then(cost);
    evidence.extend(cost(path).map(|ns| match plain {
        Some(plain) => format!("time in the call: {ns} ns per KiB, plain sends {plain} ns per KiB"),
        None => format!("time in the call: {ns} ns per KiB"),
    }));
    Some(Finding {
        id: Reason::SmallSend.name().into(),
        severity: Severity::Warning,
        title: format!(
            "{name}: sends of {} on average: {}",
            bytes(path.bytes / sends),
            info(Reason::SmallSend).meaning
        ),
        evidence,
        fix: steps(info(Reason::SmallSend).fix),
        bytes: path.bytes,
        ..Finding::default()
    })
}

/// A share of the calls from which on packets are shaped by it.
const FRAG_LIMIT_PERCENT: u64 = 10;
/// With fewer bytes a frag, 17 frags (the usual MAX_SKB_FRAGS) fill less than half of a packet of 64 KiB (the usual limit
/// of segmentation offload): twice the packets. Ordinary memory that begins within a page has nearly 4 KiB a frag.
const SMALL_FRAG_BYTES: u64 = (32 << 10) / 17;

/// Packets that were full of small fragments.
pub(super) fn frag_limit(path: &PathFigures) -> Option<Finding> {
    let splits = note(path, Reason::FragLimit)?;
    let (attached, frags) = (path.attached_bytes?, path.frags.filter(|n| *n > 0)?);
    let many = splits.saturating_mul(100) >= path.calls.saturating_mul(FRAG_LIMIT_PERCENT);
    if !many || attached / frags >= SMALL_FRAG_BYTES {
        return None;
    }
    let mut evidence = vec![
        format!("{splits} splits in {} calls", path.calls),
        format!("{} per frag on average", bytes(attached / frags)),
    ];
    evidence.extend(
        path.frags_per_skb.as_ref().map(|f| format!("frags per packet: p50 {}, max {}", f.p50, f.max)),
    );
    Some(finding(path, Reason::FragLimit, Severity::Warning, evidence))
}

/// Rare mixing (a header now and then) costs nothing worth a line.
const MIXED_PERCENT: u64 = 1;

/// Plain and zero-copy sends in one packet.
pub(super) fn mixed_socket(path: &PathFigures) -> Option<Finding> {
    let times = note(path, Reason::MixedSocket)?;
    if times.saturating_mul(100) < path.calls.saturating_mul(MIXED_PERCENT) {
        return None;
    }
    let evidence = vec![format!("{times} times in {} calls ({})", path.calls, percent(times, path.calls))];
    Some(finding(path, Reason::MixedSocket, Severity::Info, evidence))
}

fn note(path: &PathFigures, reason: Reason) -> Option<u64> {
    path.notes.as_ref()?.iter().find(|(of, _)| *of == reason).map(|(_, n)| *n).filter(|n| *n > 0)
}

fn finding(path: &PathFigures, reason: Reason, severity: Severity, evidence: Vec<String>) -> Finding {
    Finding {
        id: reason.name().into(),
        severity,
        title: format!("{}: {}", path.path.name(), info(reason).meaning),
        evidence,
        fix: steps(info(reason).fix),
        bytes: 0,
        ..Finding::default()
    }
}
