//! What will be, per path, and what was seen when it was tried. Paths with the same fate stand together.

use super::heading;
use crate::doctor::document::{Because, Observed, Prediction, Route, Verdict};
use crate::report::table::wrap;
use crate::units::{bytes, percent};

/// Column where texts below a verdict begin.
const INDENT: &str = "               ";

/// Predictions of the send paths.
pub(super) fn sends(route: &Route) -> Vec<String> {
    let mut lines = block(&format!("What sends {} will be", route.name), &route.send);
    if route.send.iter().any(|prediction| prediction.observed.is_some()) {
        lines.extend(heading("  path                predicted                 observed: = as predicted"));
        lines.extend(route.send.iter().flat_map(trial));
    }
    lines
}

/// Predictions of the receive paths.
pub(super) fn receives(route: &Route) -> Vec<String> {
    block("What receives over this way will be", &route.receive)
}

fn block(title: &str, predictions: &[Prediction]) -> Vec<String> {
    if predictions.is_empty() {
        return Vec::new();
    }
    let mut lines = heading(title);
    let mut groups: Vec<(&Prediction, Vec<&str>)> = Vec::new();
    for prediction in predictions {
        let same = |(other, _): &&mut (&Prediction, Vec<&str>)| fate(other) == fate(prediction);
        match groups.iter_mut().find(same) {
            Some((_, paths)) => paths.push(prediction.path.name()),
            None => groups.push((prediction, vec![prediction.path.name()])),
        }
    }
    lines.extend(groups.iter().flat_map(|(prediction, paths)| group(prediction, paths)));
    lines
}

/// What makes two predictions the same to a reader.
fn fate(prediction: &Prediction) -> impl PartialEq + '_ {
    let Prediction { verdict, because, why, also, assumed, .. } = prediction;
    (verdict, because, why, also, assumed)
}

fn group(prediction: &Prediction, paths: &[&str]) -> Vec<String> {
    let mut lines = wrap(&paths.join(", "), &format!("  {:<13}", word(prediction.verdict)), INDENT);
    let mut add = |text: &str| lines.extend(wrap(text, INDENT, &format!("{INDENT}  ")));
    if let Some(because) = &prediction.because {
        add(&format!("{}: {}", because.reason.name(), because.evidence));
    }
    if let Some(why) = &prediction.why {
        add(why);
    }
    for also in &prediction.also {
        add(&format!("also {}: {}", also.reason.name(), also.evidence));
    }
    if let Some(assumed) = &prediction.assumed {
        add(&format!("assumed: {assumed}"));
    }
    let wanted = prediction.verdict != Verdict::CopiesByDesign;
    let fixes = prediction.because.iter().filter(|_| wanted).chain(&prediction.also);
    for step in fixes.flat_map(|because: &Because| &because.fix) {
        add(&format!("fix: {step}"));
    }
    lines
}

/// A verdict as it stands in front of paths: what somebody would not want in capitals, so that colour is not needed.
const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::ZeroCopy => "zero-copy",
        Verdict::Copied => "COPIED",
        Verdict::PartlyCopied => "PARTLY COPIED",
        Verdict::Refused => "REFUSED",
        Verdict::CopiesByDesign => "a copy",
        Verdict::Unavailable => "n/a",
        Verdict::Unknown => "not known",
    }
}

/// One line of the table of trials, and its note.
fn trial(prediction: &Prediction) -> Vec<String> {
    let Some(observed) = &prediction.observed else { return Vec::new() };
    let with = |verdict: Verdict, reason: Option<&str>| match reason {
        Some(reason) if verdict != Verdict::CopiesByDesign => format!("{}: {reason}", word(verdict)),
        _ => word(verdict).to_owned(),
    };
    let expected = prediction.because.as_ref().map(|because| because.reason.name());
    let mark = match observed.agrees {
        Some(true) => "=",
        Some(false) => "DIFFERS",
        None => "n/a",
    };
    let mut lines = vec![format!(
        "  {:<19} {:<25} {:<7} {}",
        prediction.path.name(),
        with(prediction.verdict, expected),
        mark,
        seen(observed)
    )];
    if let Some(note) = &observed.note {
        lines.extend(wrap(note, "    ", "    "));
    }
    lines
}

/// How much was copied; the reason is the one predicted, or else the note says so.
fn seen(observed: &Observed) -> String {
    let tilde = if observed.inferred { "~" } else { "" };
    let mut text = match (observed.verdict, observed.copied_bytes) {
        (Verdict::CopiesByDesign, _) => bytes(observed.bytes),
        (Verdict::Refused, _) | (_, None) => word(observed.verdict).to_owned(),
        (_, Some(copied)) => format!("{tilde}{} copied", percent(copied, observed.bytes)),
    };
    if observed.silent_copied_bytes.is_some_and(|silent| silent > 0) {
        text.push_str(", untold");
    }
    if observed.clone_copied_bytes.is_some_and(|clone| clone > 0) {
        text.push_str(", tap");
    }
    text
}
