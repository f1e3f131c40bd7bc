//! The ledger in parts, requested = zero-copied + copied + in flight, as a bar and as rows: the same on the Overview and
//! on the page of a flow.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::tui::text::{Align, fit};
use crate::tui::theme::Theme;
use crate::tui::totals::Totals;
use crate::units;

/// One row.
pub(super) struct Part {
    glyph: &'static str,
    label: &'static str,
    bytes: Option<u64>,
    style: Style,
}

/// Columns of a row in front of its label, and of its bytes.
pub(super) const GLYPH: usize = 2;
const BYTES: usize = 8;

impl Part {
    /// The row: its label in `label` columns, and its share of `whole` in `share` columns.
    pub(super) fn line(
        &self,
        whole: u64,
        (label, label_style): (usize, Style),
        share: usize,
    ) -> Line<'static> {
        let percent = units::percent_or_unknown(self.bytes, Some(whole));
        Line::from(vec![
            Span::styled(fit(self.glyph, GLYPH, Align::Left), self.style),
            Span::styled(fit(self.label, label, Align::Left), label_style),
            Span::styled(fit(&units::bytes_or_unknown(self.bytes), BYTES, Align::Right), self.style),
            Span::styled(fit(&percent, share, Align::Right), self.style),
        ])
    }
}

/// The rows; `done` is what is not copied: `zero-copied`, or `mapped`.
pub(super) fn parts(totals: &Totals, theme: &Theme, done: &'static str) -> [Part; 6] {
    let symbols = theme.symbols;
    let part = |glyph, label, bytes, style| Part { glyph, label, bytes, style };
    let above = |part: Option<u64>, style| if part > Some(0) { style } else { theme.text };
    let copied = theme.copied(totals.copied, totals.requested).unwrap_or(theme.text);
    let silent = if totals.silent > Some(0) { "!" } else { "" };
    [
        part("", "requested", Some(totals.requested), theme.text),
        part(symbols.zerocopied, done, totals.zerocopied, theme.good),
        part(symbols.copied, "copied", totals.copied, copied),
        part(silent, " of it silent", totals.silent, above(totals.silent, theme.alarm)),
        part(symbols.in_flight, "in flight", totals.in_flight.map(|open| open.bytes), theme.accent),
        part("", "clone copied", totals.clone_copied, above(totals.clone_copied, theme.warn)),
    ]
}

/// The proportional bar. Whatever is not nothing gets at least one cell.
pub(super) fn bar(totals: &Totals, theme: &Theme, width: usize) -> Line<'static> {
    let (Some(zerocopied), Some(copied), Some(in_flight)) =
        (totals.zerocopied, totals.copied, totals.in_flight)
    else {
        return Line::styled(fit("? parts of the ledger are not known here", width, Align::Left), theme.warn);
    };
    let symbols = theme.symbols;
    let cells = cells([zerocopied, copied, in_flight.bytes], width);
    let styles =
        [(symbols.zerocopied, theme.good), (symbols.copied, theme.bad), (symbols.in_flight, theme.accent)];
    let spans = cells.iter().zip(styles).map(|(n, (glyph, style))| Span::styled(glyph.repeat(*n), style));
    Line::from(spans.collect::<Vec<_>>())
}

/// Shares `width` cells among the parts; the largest part gives what rounding and the smallest parts need.
fn cells(parts: [u64; 3], width: usize) -> [usize; 3] {
    let total: u128 = parts.iter().map(|p| u128::from(*p)).sum();
    if total == 0 || width < parts.len() {
        return [0; 3];
    }
    let mut cells = parts.map(|p| match (u128::from(p) * width as u128 / total) as usize {
        0 if p > 0 => 1,
        n => n,
    });
    let largest = (0..parts.len()).max_by_key(|&i| parts[i]).unwrap_or(0);
    let others: usize = cells.iter().enumerate().filter(|&(i, _)| i != largest).map(|(_, n)| n).sum();
    cells[largest] = width.saturating_sub(others);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_full_and_hides_nothing() {
        assert_eq!(cells([50, 50, 0], 10), [5, 5, 0]);
        assert_eq!(cells([1_000_000, 1, 1], 10), [8, 1, 1]);
        assert_eq!(cells([0, 7, 0], 10), [0, 10, 0]);
        assert_eq!(cells([0, 0, 0], 10), [0, 0, 0]);
        assert_eq!(cells([u64::MAX, u64::MAX, 1], 11).iter().sum::<usize>(), 11);
    }
}
