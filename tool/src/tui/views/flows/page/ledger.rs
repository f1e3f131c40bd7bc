//! The ledger of one socket or process, and what it was told beside what the kernel did.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::portrait::Portrait;
use super::{Scene, Section};
use crate::model::snapshot::{Completions, PathFigures};
use crate::tui::text::{Align, fit};
use crate::tui::totals::Totals;
use crate::tui::views::balance;
use crate::units;

/// Columns of a label.
const LABEL: usize = 17;

/// A line of a name and a figure.
pub(super) fn pair(scene: Scene<'_>, label: &str, value: &str, style: Style, width: usize) -> Line<'static> {
    let label_width = LABEL.min(width);
    Line::from(vec![
        Span::styled(fit(label, label_width, Align::Left), scene.theme.dim),
        Span::styled(crate::tui::text::cut(value, width - label_width).0, style),
    ])
}

/// Requested = zero-copied + copied + in flight.
pub(super) fn section(scene: Scene<'_>, portrait: &Portrait<'_>, width: usize) -> Section {
    let sent: Vec<&PathFigures> = portrait.paths.iter().filter(|p| !p.path.receives()).collect();
    let received: Vec<&PathFigures> = portrait.paths.iter().filter(|p| p.path.receives()).collect();
    let mut lines = Vec::new();
    for (paths, word, done) in [(sent, "sent", "zero-copied"), (received, "received", "mapped")] {
        if paths.is_empty() {
            continue;
        }
        let totals = Totals::over(paths.into_iter());
        let value = format!("{}, now {}", units::bytes(totals.bytes), scene.rate(totals.bytes_per_s));
        lines.push(pair(scene, word, &value, scene.theme.text, width));
        if totals.has_ledger {
            let label = (LABEL - balance::GLYPH, scene.theme.dim);
            let parts = balance::parts(&totals, scene.theme, done);
            lines.push(balance::bar(&totals, scene.theme, width));
            lines.extend(parts.iter().map(|part| part.line(totals.requested, label, 8)));
        } else {
            lines.push(pair(scene, "ledger", "never asked for zero-copy", scene.theme.dim, width));
        }
    }
    Section { title: "Ledger", lines }
}

/// Ends of its sends, in sends: what the kernel flagged, what it was told.
pub(super) fn told(scene: Scene<'_>, portrait: &Portrait<'_>, width: usize) -> Section {
    let mut lines = Vec::new();
    for figures in portrait.ending() {
        match &figures.completions {
            Some(ends) => lines.extend(ends_lines(scene, figures, ends, width)),
            None => lines.push(pair(scene, figures.path.name(), units::UNKNOWN, scene.theme.warn, width)),
        }
    }
    Section { title: "Told and kernel", lines }
}

fn ends_lines(
    scene: Scene<'_>,
    figures: &PathFigures,
    ends: &Completions,
    width: usize,
) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let count = |n: Option<u64>| n.map_or_else(|| units::UNKNOWN.into(), units::count);
    let of = |n: Option<u64>, all: Option<u64>| format!("{} of {} sends", count(n), count(all));
    let mut rows = vec![
        (figures.path.name().to_owned(), format!("{} sends ended", units::count(ends.sends)), theme.text),
        (" kernel copied".into(), of(Some(ends.kernel_copied), Some(ends.sends)), theme.text),
        (" told copied".into(), of(ends.told_copied, ends.told_sends), theme.text),
    ];
    let wrong = ends.disagreements.iter().flatten();
    rows.extend(wrong.map(|wrong| {
        let inferred = if wrong.inferred { "~" } else { "" };
        let what = wrong.kind.name().replace('_', " ");
        let mark = theme.symbols.not_equal;
        (
            format!("{mark}told wrongly"),
            format!("{inferred}{} sends: {what}", units::count(wrong.sends)),
            theme.warn,
        )
    }));
    if ends.disagreements.is_none() {
        rows.push((" told wrongly".into(), units::UNKNOWN.into(), theme.text));
    }
    rows.push((" notifications".into(), format!("{} read", count(ends.notifications)), theme.text));
    let unread = if ends.unread_sends > Some(0) { theme.warn } else { theme.text };
    rows.push((" unread".into(), format!("{} sends", count(ends.unread_sends)), unread));
    if ends.lost_ends > 0 {
        let bytes = units::bytes(ends.lost_end_bytes);
        rows.push((
            " lost ends".into(),
            format!("{} sends, {bytes}", units::count(ends.lost_ends)),
            theme.alarm,
        ));
    }
    if ends.unsent_bytes > 0 {
        rows.push((" never left".into(), units::bytes(ends.unsent_bytes), theme.warn));
    }
    rows.iter().map(|(label, value, style)| pair(scene, label, value, *style, width)).collect()
}
