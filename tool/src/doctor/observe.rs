//! What a trial showed, out of the ledger of its path, and whether that is what was predicted.

use zcscope_common::Reason;

use super::document::{Observed, Prediction, Proof, Route, Verdict};
use crate::model::snapshot::{PathFigures, Snapshot};
use crate::units::percent;

/// Up to this share of the bytes, copies do not make a send a copied one: some drivers pull a few header bytes.
const TINY_PERCENT: u64 = 1;

/// Reasons that mean the same to who looks at another place of the same copy.
const SAME: &[[Reason; 2]] = &[
    // Copied on arrival, for whoever came first.
    [Reason::PacketTapRx, Reason::LocalDelivery],
    [Reason::PacketTapRx, Reason::Loopback],
];

/// Compares the snapshot of a trial over `route` with its predictions, and notes what was seen in each. `failed` is why
/// a path could not be tried to its end.
pub fn compare(prediction: &mut Prediction, snapshot: &Snapshot, failed: Option<&str>) {
    let figures = snapshot.paths.iter().find(|figures| figures.path == prediction.path);
    let mut observed = figures.map(|figures| seen(figures, snapshot)).unwrap_or_default();
    if snapshot.lost.total > 0 {
        let causes = snapshot.lost.by_cause.iter().map(|(cause, n)| format!("{cause} {n}"));
        let causes: Vec<String> = causes.collect();
        observed.note = Some(format!(
            "events were lost while it was traced ({}), so nothing is certain: try again",
            causes.join(", ")
        ));
    } else if figures.is_none() {
        observed.note = Some(failed.unwrap_or("nothing was seen of it").to_owned());
        // What the kernel does not take at all may never be seen.
        observed.agrees = Some(false);
    } else if let Some(reason) = unseen(prediction, snapshot) {
        observed.note = Some(reason);
    } else {
        let difference = difference(prediction, &observed);
        observed.agrees = Some(difference.is_none());
        observed.note = difference
            .or_else(|| failed.map(str::to_owned).filter(|_| prediction.verdict != Verdict::Refused));
    }
    prediction.observed = Some(observed);
}

/// The result of all trials.
#[must_use]
pub fn proof(routes: &[Route], bytes_per_path: u64) -> Proof {
    let observed = || routes.iter().flat_map(|route| &route.send).filter_map(|p| p.observed.as_ref());
    let tried = observed().filter(|observed| observed.agrees.is_some()).count();
    let good = observed().filter(|observed| observed.agrees == Some(true)).count();
    Proof { agrees: tried == good, tried: tried as u64, as_predicted: good as u64, bytes_per_path }
}

fn seen(figures: &PathFigures, snapshot: &Snapshot) -> Observed {
    let mut copies: Vec<(&str, bool, u64)> = Vec::new();
    for copy in &figures.copies {
        let (name, clone) = (copy.kind.reason.name(), copy.kind.clone);
        match copies.iter_mut().find(|(other, same, _)| *other == name && *same == clone) {
            Some((.., bytes)) => *bytes += copy.bytes,
            None => copies.push((name, clone, copy.bytes)),
        }
    }
    copies.sort_by_key(|(_, clone, bytes)| (*clone, std::cmp::Reverse(*bytes)));
    let ledger = figures.ledger;
    Observed {
        verdict: verdict(figures),
        agrees: None,
        note: None,
        bytes: figures.bytes,
        copied_bytes: ledger.and_then(|ledger| ledger.copied_bytes),
        silent_copied_bytes: ledger.and_then(|ledger| ledger.silent_copied_bytes),
        clone_copied_bytes: ledger.and_then(|ledger| ledger.clone_copied_bytes),
        reasons: copies.iter().map(|(name, ..)| (*name).to_owned()).collect(),
        refused: figures.refused.iter().map(|(reason, _)| reason.name().to_owned()).collect(),
        inferred: snapshot.session.infers("copy") && ledger.is_some(),
    }
}

fn verdict(figures: &PathFigures) -> Verdict {
    let refused = figures.refused.iter().map(|(_, count)| count).sum::<u64>() > 0;
    let Some(ledger) = figures.ledger else { return Verdict::CopiesByDesign };
    match (ledger.requested_bytes, ledger.copied_bytes) {
        (0, _) if refused => Verdict::Refused,
        (0, _) | (_, None) => Verdict::Unknown,
        (whole, Some(copied)) if copied * 100 <= whole * TINY_PERCENT => Verdict::ZeroCopy,
        (whole, Some(copied)) if copied * 100 >= whole * (100 - TINY_PERCENT) => Verdict::Copied,
        _ => Verdict::PartlyCopied,
    }
}

/// Why this back end cannot see what was predicted.
fn unseen(prediction: &Prediction, snapshot: &Snapshot) -> Option<String> {
    let reason = prediction.because.as_ref()?.reason;
    let only_seen_at_the_site = matches!(reason, Reason::XdpVeth | Reason::XdpGeneric);
    if only_seen_at_the_site && !(snapshot.session.knows("xdp_copy") && prediction.path.has_completion()) {
        return Some("copies for XDP programs cannot be seen here on this path".into());
    }
    None
}

/// How the observation differs from the prediction; `None` when it does not.
fn difference(prediction: &Prediction, observed: &Observed) -> Option<String> {
    if observed.verdict != prediction.verdict {
        let share = match (observed.copied_bytes, observed.bytes) {
            (Some(copied), whole) if whole > 0 => format!(" ({} copied)", percent(copied, whole)),
            _ => String::new(),
        };
        return Some(format!("it was {}{share}", observed.verdict.name()));
    }
    let expected = prediction.because.as_ref().map(|because| because.reason);
    let found = match prediction.verdict {
        Verdict::Copied => observed.reasons.first(),
        Verdict::Refused => observed.refused.first(),
        _ => return clone_difference(prediction, observed),
    };
    match (expected, found.and_then(|name| Reason::from_name(name))) {
        (Some(expected), Some(found)) if is_same(expected, found) => clone_difference(prediction, observed),
        (Some(expected), Some(found)) => {
            Some(format!("the reason was {}, not {}", found.name(), expected.name()))
        }
        (Some(expected), None) => Some(format!("no reason was seen, {} was expected", expected.name())),
        (None, _) => None,
    }
}

fn is_same(expected: Reason, found: Reason) -> bool {
    expected == found || SAME.iter().any(|pair| pair.contains(&expected) && pair.contains(&found))
}

/// Whether a copy for a packet tap was made exactly where one was predicted.
fn clone_difference(prediction: &Prediction, observed: &Observed) -> Option<String> {
    let expected = prediction.also.iter().any(|also| also.reason == Reason::PacketTap);
    let found = observed.reasons.iter().any(|name| name == Reason::PacketTap.name());
    match (expected, found) {
        (true, false) => Some("no copy for the packet tap was seen".into()),
        (false, true) => Some("a copy was made for a packet tap".into()),
        _ => None,
    }
}

impl Verdict {
    /// In words, after "it is" or "it was".
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::ZeroCopy => "zero-copy",
            Verdict::Copied => "copied",
            Verdict::PartlyCopied => "partly copied",
            Verdict::Refused => "refused",
            Verdict::CopiesByDesign => "copied by design",
            Verdict::Unavailable => "not available",
            Verdict::Unknown => "not known",
        }
    }
}
