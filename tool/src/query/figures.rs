//! Figures of one socket to compare with: those of what it does most, sending or receiving, as the table of flows
//! shows them. A sum with an unknown part is unknown; `None` is also what means nothing for the socket.

use crate::model::snapshot::{Completions, Ledger, PathFigures, SocketFigures};

/// The paths of what it does most.
fn main(socket: &SocketFigures) -> impl Iterator<Item = &PathFigures> {
    let receives = socket.paths.iter().max_by_key(|p| p.bytes).is_some_and(|p| p.path.receives());
    socket.paths.iter().filter(move |p| p.path.receives() == receives)
}

/// Adds what may be unknown; nothing to add means nothing.
fn sum(mut parts: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    let first = parts.next()??;
    parts.try_fold(first, |sum, part| Some(sum.saturating_add(part?)))
}

fn ledgers(socket: &SocketFigures, of: fn(&Ledger) -> Option<u64>) -> Option<u64> {
    sum(main(socket).filter_map(|p| p.ledger.as_ref()).map(of))
}

fn completions(socket: &SocketFigures, of: fn(&Completions) -> Option<u64>) -> Option<u64> {
    let ending = main(socket).filter(|p| p.path.has_completion());
    sum(ending.map(|p| p.completions.as_deref().and_then(of)))
}

/// The largest over its paths; of percentiles there is no sum.
fn longest(socket: &SocketFigures, of: fn(&Completions) -> Option<u64>) -> Option<u64> {
    main(socket).filter_map(|p| p.completions.as_deref()).filter_map(of).max()
}

pub(super) fn requested(s: &SocketFigures) -> Option<u64> {
    ledgers(s, |l| Some(l.requested_bytes))
}

pub(super) fn copied(s: &SocketFigures) -> Option<u64> {
    ledgers(s, |l| l.copied_bytes)
}

pub(super) fn zerocopied(s: &SocketFigures) -> Option<u64> {
    ledgers(s, |l| l.zerocopied_bytes)
}

pub(super) fn clone_copied(s: &SocketFigures) -> Option<u64> {
    ledgers(s, |l| l.clone_copied_bytes)
}

pub(super) fn silent(s: &SocketFigures) -> Option<u64> {
    ledgers(s, |l| l.silent_copied_bytes)
}

pub(super) fn in_flight(s: &SocketFigures) -> Option<u64> {
    sum(main(s).filter(|p| p.path.has_completion()).map(|p| p.in_flight.map(|open| open.bytes)))
}

pub(super) fn bytes(s: &SocketFigures) -> Option<u64> {
    Some(main(s).map(|p| p.bytes).sum())
}

pub(super) fn rate(s: &SocketFigures) -> Option<u64> {
    Some(main(s).map(|p| p.bytes_per_s).sum())
}

pub(super) fn calls(s: &SocketFigures) -> Option<u64> {
    Some(main(s).map(|p| p.calls).sum())
}

pub(super) fn errors(s: &SocketFigures) -> Option<u64> {
    Some(main(s).flat_map(|p| p.errors.values()).sum())
}

pub(super) fn refused(s: &SocketFigures) -> Option<u64> {
    Some(main(s).flat_map(|p| &p.refused).map(|(_, n)| n).sum())
}

pub(super) fn sends(s: &SocketFigures) -> Option<u64> {
    completions(s, |c| Some(c.sends))
}

pub(super) fn unread(s: &SocketFigures) -> Option<u64> {
    completions(s, |c| c.unread_sends)
}

pub(super) fn told_wrong(s: &SocketFigures) -> Option<u64> {
    completions(s, |c| Some(c.disagreements.as_ref()?.iter().map(|wrong| wrong.sends).sum()))
}

pub(super) fn p50(s: &SocketFigures) -> Option<u64> {
    longest(s, |c| Some(c.latency?.p50))
}

pub(super) fn p99(s: &SocketFigures) -> Option<u64> {
    longest(s, |c| Some(c.latency?.p99))
}

pub(super) fn max(s: &SocketFigures) -> Option<u64> {
    longest(s, |c| Some(c.latency?.max))
}

pub(super) fn optmem(s: &SocketFigures) -> Option<u64> {
    s.gauges.as_deref()?.optmem_bytes
}

pub(super) fn optmem_max(s: &SocketFigures) -> Option<u64> {
    s.gauges.as_deref()?.optmem_max_bytes
}

pub(super) fn pinned(s: &SocketFigures) -> Option<u64> {
    s.gauges.as_deref()?.pages_in_flight
}
