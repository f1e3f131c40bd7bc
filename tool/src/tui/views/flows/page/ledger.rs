//! The ledger of one socket or process, and what it was told beside what the kernel did.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::portrait::Portrait;
use super::{Scene, Section};
use crate::model::snapshot::{Completions, PathFigures};
use crate::tui::text::{Align, fit};
use crate::tui::totals::Totals;
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
            lines.extend(parts(scene, &totals, done, width));
        } else {
            lines.push(pair(scene, "ledger", "never asked for zero-copy", scene.theme.dim, width));
        }
    }
    Section { title: "Ledger", lines }
}

fn parts(scene: Scene<'_>, totals: &Totals, done: &str, width: usize) -> Vec<Line<'static>> {
    let (theme, symbols) = (scene.theme, scene.theme.symbols);
    let whole = totals.requested;
    let copied = theme.copied(totals.copied, whole).unwrap_or(theme.text);
    let above = |part: Option<u64>, style| if part > Some(0) { style } else { theme.text };
    let silent = above(totals.silent, theme.alarm);
    let clone = above(totals.clone_copied, theme.warn);
    let in_flight = totals.in_flight.map(|open| open.bytes);
    let rows = [
        ("", "requested", Some(whole), theme.text),
        (symbols.zerocopied, done, totals.zerocopied, theme.good),
        (symbols.copied, "copied", totals.copied, copied),
        (if totals.silent > Some(0) { "!" } else { "" }, " of it silent", totals.silent, silent),
        (symbols.in_flight, "in flight", in_flight, theme.accent),
        ("", "clone copied", totals.clone_copied, clone),
    ];
    let line = |(glyph, label, bytes, style): (&str, &str, Option<u64>, Style)| {
        Line::from(vec![
            Span::styled(fit(glyph, 2, Align::Left), style),
            Span::styled(fit(label, LABEL - 2, Align::Left), theme.dim),
            Span::styled(fit(&units::bytes_or_unknown(bytes), 8, Align::Right), style),
            Span::styled(fit(&units::percent_or_unknown(bytes, Some(whole)), 8, Align::Right), style),
        ])
    };
    std::iter::once(bar(scene, totals, width)).chain(rows.map(line)).collect()
}

/// The proportional bar. Whatever is not nothing gets at least one cell.
fn bar(scene: Scene<'_>, totals: &Totals, width: usize) -> Line<'static> {
    let (theme, symbols) = (scene.theme, scene.theme.symbols);
    let (Some(zerocopied), Some(copied), Some(in_flight)) =
        (totals.zerocopied, totals.copied, totals.in_flight)
    else {
        let sentence = "? parts of the ledger are not known here";
        return Line::styled(fit(sentence, width, Align::Left), theme.warn);
    };
    let parts = [zerocopied, copied, in_flight.bytes];
    let styles =
        [(symbols.zerocopied, theme.good), (symbols.copied, theme.bad), (symbols.in_flight, theme.accent)];
    let cells = cells(parts, width);
    Line::from(
        cells
            .iter()
            .zip(styles)
            .map(|(n, (glyph, style))| Span::styled(glyph.repeat(*n), style))
            .collect::<Vec<_>>(),
    )
}

/// Shares `width` cells among the parts; the largest gives what rounding and the smallest need.
fn cells(parts: [u64; 3], width: usize) -> [usize; 3] {
    let total: u128 = parts.iter().map(|part| u128::from(*part)).sum();
    if total == 0 || width < parts.len() {
        return [0; 3];
    }
    let mut cells =
        parts.map(|part| ((u128::from(part) * width as u128 / total) as usize).max(usize::from(part > 0)));
    let largest = (0..parts.len()).max_by_key(|&i| parts[i]).unwrap_or(0);
    let others: usize = cells.iter().sum::<usize>() - cells[largest];
    cells[largest] = width - others;
    cells
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_full_and_hides_nothing() {
        assert_eq!(cells([50, 50, 0], 10), [5, 5, 0]);
        assert_eq!(cells([1_000_000, 1, 1], 10), [8, 1, 1]);
        assert_eq!(cells([0, 0, 0], 10), [0, 0, 0]);
        assert_eq!(cells([u64::MAX, u64::MAX, 1], 11).iter().sum::<usize>(), 11);
    }
}
