//! What became of the bytes: copied, zero-copied or in flight, for which reason, and what was silent.

use super::wanted::{Amount, Expect};
use super::{Backend, same};
use crate::stat_json::{PathFigures, Stat};
use crate::truth::Sent;

/// Copied + zero-copied + in flight = requested, and each part is what the link makes of it.
pub(super) fn ledger(expect: &Expect, figures: &PathFigures, stat: &Stat) -> Vec<String> {
    let requested = figures.requested_bytes.unwrap_or(figures.bytes);
    let mut wrong = Vec::new();
    same(&mut wrong, "requested bytes", requested, figures.bytes);
    let parts = [
        ("copied bytes", figures.copied_bytes, expect.copied),
        ("silently copied bytes", figures.silent_copied_bytes, expect.silent),
        ("bytes copied for a second consumer", figures.clone_copied_bytes, expect.clone),
    ];
    for (name, part, amount) in parts {
        match part {
            None if amount == Amount::Any || stat.misses("copy") => {}
            None => wrong.push(format!("{name} are not known")),
            Some(part) if amount.holds(part, requested) => {}
            Some(part) => wrong.push(format!("{name} are {part} of {requested}, expected {amount}")),
        }
    }
    let in_flight = figures.in_flight.as_ref().map_or(0, |f| f.bytes);
    if let (Some(copied), Some(zerocopied)) = (figures.copied_bytes, figures.zerocopied_bytes)
        && copied + zerocopied + in_flight != requested
    {
        wrong.push(format!(
            "{copied} copied + {zerocopied} zero-copied + {in_flight} in flight is not {requested} requested"
        ));
    }
    if let Some(in_flight) = figures.in_flight.as_ref().filter(|f| f.sends > 0 || f.bytes > 0) {
        wrong.push(format!("{} sends ({} bytes) are still in flight", in_flight.sends, in_flight.bytes));
    }
    wrong
}

/// With everything copied and every send of one size, what is silent is exactly what was released unflagged.
pub(super) fn silence(expect: &Expect, figures: &PathFigures, sent: &Sent) -> Option<String> {
    let ends = figures.completions.as_ref()?;
    let (silent, flagged) = (figures.silent_copied_bytes?, ends.kernel_copied?);
    let unflagged = ends.sends.saturating_sub(flagged);
    let wrong = expect.copied == Amount::All && silent * ends.sends != figures.bytes * unflagged;
    wrong.then(|| {
        format!(
            "{silent} bytes are silent, but {unflagged} of {} sends were not flagged as copied",
            sent.completions
        )
    })
}

/// With everything copied and every request of one size, what is silent is exactly what no notification called copied.
pub(super) fn uring_silence(expect: &Expect, figures: &PathFigures, sent: &Sent) -> Option<String> {
    let silent = figures.silent_copied_bytes?;
    let untold = sent.completions.saturating_sub(sent.told_copied);
    let wrong = expect.copied == Amount::All && silent * sent.completions != sent.bytes * untold;
    wrong.then(|| {
        format!("{silent} bytes are silent, but {untold} of {} sends were not told of", sent.completions)
    })
}

/// The expected reason has the bytes; no other one has any.
pub(super) fn reasons(expect: &Expect, figures: &PathFigures, backend: Option<Backend>) -> Vec<String> {
    let mut wrong = Vec::new();
    let requested = figures.bytes;
    for (wanted, clone, amount) in
        [(expect.reason, false, expect.copied), (expect.clone_reason, true, expect.clone)]
    {
        let Some(wanted) = wanted else { continue };
        let bytes: u64 =
            figures.copies.iter().filter(|c| c.reason == wanted && c.clone == clone).map(|c| c.bytes).sum();
        // Events count a retransmitted byte again, so "all" is a lower bound here.
        let amount = if amount == Amount::All { Amount::AtLeast(99) } else { amount };
        if !amount.holds(bytes, requested) {
            wrong.push(format!("{wanted} copied {bytes} of {requested} bytes, expected {amount}"));
        }
    }
    for copies in &figures.copies {
        let reason = copies.reason.as_str();
        let wanted = if copies.clone { expect.clone_reason } else { expect.reason };
        if copies.bytes > 0 && wanted != Some(reason) && !expect.tolerated.contains(&reason) {
            wrong.push(format!("{} bytes were copied for an unexpected reason, {reason}", copies.bytes));
        }
        // What is decided at the call itself is seen by every back end.
        let seen = matches!(reason, "so_zerocopy_unset" | "sockmap" | "repair" | "fastopen");
        if backend == Some(Backend::Tracepoint) && !copies.inferred && !seen {
            wrong.push(format!("tracepoints see no copy site, but {reason} is not marked as inferred"));
        }
    }
    wrong
}
