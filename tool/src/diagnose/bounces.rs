//! A finding about the last copy on the way out: DMA through bounce buffers, which no packet knows of.

use zcscope_common::Reason;

use super::{Finding, Severity, steps};
use crate::model::reason::info;
use crate::model::snapshot::Snapshot;
use crate::units::bytes;

/// Devices named in one finding.
const TOP: usize = 3;

/// Devices that bounced while something was sent without a copy. Whose bytes they were cannot be known.
pub(super) fn dma_bounce(snapshot: &Snapshot) -> Option<Finding> {
    // Counted where the kernel tells; else concluded from what causes it.
    let Some(bounces) = &snapshot.bounces else { return super::network::bounce_cause(snapshot) };
    let rows: Vec<_> = bounces.iter().filter(|row| row.bytes > 0).collect();
    let total: u64 = rows.iter().map(|row| row.bytes).sum();
    let asked = snapshot
        .paths
        .iter()
        .any(|path| !path.path.receives() && path.ledger.is_some_and(|ledger| ledger.requested_bytes > 0));
    (total > 0 && asked).then(|| Finding {
        id: Reason::DmaBounce.name().into(),
        severity: Severity::Warning,
        title: format!(
            "{} were copied into bounce buffers for DMA while packets were transmitted",
            bytes(total)
        ),
        evidence: rows
            .iter()
            .take(TOP)
            .map(|row| {
                format!(
                    "{}: {} in {} mappings, of all programs on this host together",
                    row.device,
                    bytes(row.bytes),
                    row.count
                )
            })
            .collect(),
        fix: steps(info(Reason::DmaBounce).fix),
        bytes: total,
        ..Finding::default()
    })
}
