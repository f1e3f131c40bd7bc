//! Findings about zero-copy receive: bytes that were not mapped, and why.

use std::collections::BTreeMap;

use zcscope_common::Reason;

use super::{Finding, Severity, steps};
use crate::model::reason::{fix_for, info};
use crate::model::snapshot::{CopyFigures, PathFigures};
use crate::units::{bytes, percent};

/// A share of the bytes offered below which nothing needs mending.
const SHARE_PERCENT: u64 = 1;

/// One finding per reason on one receive path.
pub(super) fn not_mapped(path: &PathFigures) -> Vec<Finding> {
    let Some(ledger) = path.ledger.filter(|_| path.path.receives()) else { return Vec::new() };
    let left = path.skip_hint_bytes.unwrap_or(0);
    let offered = ledger.requested_bytes.saturating_add(left);
    let mut reasons: BTreeMap<Reason, Vec<&CopyFigures>> = BTreeMap::new();
    for copy in &path.copies {
        reasons.entry(copy.kind.reason).or_default().push(copy);
    }
    let finding = |(reason, copies): (Reason, Vec<&CopyFigures>)| {
        let not_mapped: u64 = copies.iter().map(|copy| copy.bytes).sum();
        let many = not_mapped.saturating_mul(100) > offered.saturating_mul(SHARE_PERCENT);
        let dev = copies.iter().find_map(|copy| copy.kind.dev.as_deref());
        many.then(|| Finding {
            id: reason.name().into(),
            severity: severity(reason),
            title: format!("{}: {}", reason.name(), info(reason).meaning),
            evidence: vec![
                format!(
                    "{}: {} of {} ({})",
                    path.path.name(),
                    bytes(not_mapped),
                    bytes(offered),
                    percent(not_mapped, offered)
                ),
                format!(
                    "mapped {}, copied {}, left to a plain read {}",
                    bytes(ledger.zerocopied_bytes.unwrap_or(0)),
                    bytes(ledger.copied_bytes.unwrap_or(0)),
                    bytes(left)
                ),
            ],
            fix: steps(&fix_for(reason, dev)),
            bytes: not_mapped,
            ..Finding::default()
        })
    };
    reasons.into_iter().filter_map(finding).collect()
}

/// Senders on this host and asking too early are no fault of the device.
const fn severity(reason: Reason) -> Severity {
    match reason {
        Reason::RxMappedPage | Reason::RxSmallQueue => Severity::Info,
        _ => Severity::Warning,
    }
}
