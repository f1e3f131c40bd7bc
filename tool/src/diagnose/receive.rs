//! Findings about zero-copy receive: bytes that were not mapped, and why.

use zcscope_common::Reason;

use super::{About, Finding, Severity, network, steps};
use crate::host::device::DeviceKind;
use crate::model::reason::{fix_for, info};
use crate::model::snapshot::{CopyFigures, PathFigures, Snapshot};
use crate::units::{bytes, percent};

/// A share of the bytes offered below which nothing needs mending.
const SHARE_PERCENT: u64 = 1;

/// One finding per receive path where this reason keeps bytes from being mapped.
pub(super) fn not_mapped(snapshot: &Snapshot, reason: Reason) -> Vec<Finding> {
    let receiving = snapshot.paths.iter().filter(|path| path.path.receives());
    receiving.filter_map(|path| on_path(snapshot, path, reason)).collect()
}

fn on_path(snapshot: &Snapshot, path: &PathFigures, reason: Reason) -> Option<Finding> {
    let ledger = path.ledger?;
    let left = path.skip_hint_bytes.unwrap_or(0);
    let offered = ledger.requested_bytes.saturating_add(left);
    let copies: Vec<&CopyFigures> = path.copies.iter().filter(|copy| copy.kind.reason == reason).collect();
    let not_mapped: u64 = copies.iter().map(|copy| copy.bytes).sum();
    let many = not_mapped.saturating_mul(100) > offered.saturating_mul(SHARE_PERCENT);
    let dev = copies.iter().find_map(|copy| copy.kind.dev.as_deref());
    let here = is_here(snapshot, path);
    many.then(|| Finding {
        id: reason.name().into(),
        severity: severity(reason, here),
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
        fix: fix(snapshot, reason, dev, here),
        bytes: not_mapped,
        about: About { paths: vec![path.path], ..About::default() },
        ..Finding::default()
    })
}

/// True when every sender is on this host: then no device laid the bytes as they are.
fn is_here(snapshot: &Snapshot, path: &PathFigures) -> bool {
    let receives = |of: &PathFigures| of.path == path.path && of.calls > 0;
    let mut sockets = snapshot.sockets.iter().filter(|socket| socket.paths.iter().any(receives)).peekable();
    sockets.peek().is_some() && sockets.all(|socket| network::where_is(&snapshot.host, socket).is_some())
}

/// Senders on this host and asking too early are no fault of the device.
const fn severity(reason: Reason, here: bool) -> Severity {
    match reason {
        _ if here => Severity::Info,
        Reason::RxMappedPage | Reason::RxSmallQueue => Severity::Info,
        _ => Severity::Warning,
    }
}

/// What to do; nobody splits headers of what never was on a wire.
fn fix(snapshot: &Snapshot, reason: Reason, dev: Option<&str>, here: bool) -> Vec<String> {
    let kind = dev.and_then(|dev| snapshot.host.only_device(dev)).map(|(_, facts)| facts.device.kind);
    let wired = matches!(kind, None | Some(DeviceKind::Physical)) && dev != Some("lo");
    match reason {
        Reason::RxUnaligned | Reason::RxHeaderSplitMissing if here => {
            vec!["measure with a sender on another host: here its packets arrive as they were built".into()]
        }
        Reason::RxHeaderSplitMissing if !wired => {
            let mut general = steps(&fix_for(reason, None));
            general.push(
                "# DEV is the card on the wire: the virtual device behind it has no headers to split".into(),
            );
            general
        }
        _ => steps(&fix_for(reason, dev)),
    }
}
