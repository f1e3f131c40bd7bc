//! What is worth telling of it: findings about its paths and devices, and what happened to it.

use ratatui::text::{Line, Span};

use super::portrait::Portrait;
use super::{Scene, Section};
use crate::diagnose::Finding;
use crate::tui::text;
use crate::units;

/// Findings and events shown.
const MOST: usize = 8;

/// Findings that can be about it, with their first step.
pub(super) fn findings(scene: Scene<'_>, portrait: &Portrait<'_>, width: usize) -> Section {
    let concerned = scene
        .shown
        .findings
        .iter()
        .filter(|finding| concerns(finding, portrait) && !has_row(finding, portrait));
    let lines = concerned.take(MOST).flat_map(|finding| {
        let (mark, style) = scene.theme.severity(finding.severity);
        let title = text::cut(&finding.title, width.saturating_sub(2)).0;
        let first = Line::from(vec![Span::styled(format!("{mark} "), style), Span::styled(title, style)]);
        let fix = finding.fix.first().map(|fix| {
            let fix = text::cut(fix, width.saturating_sub(7)).0;
            Line::from(vec![Span::styled("  fix: ", scene.theme.dim), Span::styled(fix, scene.theme.accent)])
        });
        std::iter::once(first).chain(fix)
    });
    Section { title: "Findings about its paths and devices", lines: lines.collect() }
}

/// True when the finding is a reason that stands with its own figures and its fix in the table of reasons.
fn has_row(finding: &Finding, portrait: &Portrait<'_>) -> bool {
    portrait.paths.iter().any(|p| {
        p.copies.iter().any(|copy| copy.kind.reason.name() == finding.id)
            || p.refused.iter().any(|(reason, _)| reason.name() == finding.id)
    })
}

/// True when the finding names one of its paths and one of its devices; naming none means all.
fn concerns(finding: &Finding, portrait: &Portrait<'_>) -> bool {
    let about = &finding.about;
    let path = about.paths.is_empty() || portrait.paths.iter().any(|p| about.paths.contains(&p.path));
    let devices = portrait.devices();
    let device = about.devices.is_empty() || about.devices.iter().any(|dev| devices.contains(&dev.as_str()));
    // One that names nothing is about the host.
    path && device && !(about.paths.is_empty() && about.devices.is_empty())
}

/// What happened to it, newest first.
pub(super) fn events(scene: Scene<'_>, portrait: &Portrait<'_>, width: usize) -> Section {
    let of_it = |id: Option<u64>| portrait.sockets.iter().any(|socket| Some(socket.id) == id);
    let now = scene.shown.now_ns();
    let points = scene.shown.timeline.points().rev().filter(|point| point.at_ns <= now);
    let events = points.flat_map(|point| point.events.iter().rev()).filter(|event| of_it(event.socket));
    let lines = events.take(MOST).map(|event| {
        let (mark, style) = scene.theme.severity(event.severity);
        let text = format!("{} {mark} {}", units::clock(event.at_ns), event.text);
        Line::styled(text::cut(&text, width).0, style)
    });
    Section { title: "Events", lines: lines.collect() }
}
