//! Tables whose column widths depend on the panel's width alone, never on the data, so that nothing jumps.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::text::{Align, fit};

/// One column.
pub(super) struct Column {
    /// Heading.
    pub(super) title: &'static str,
    /// Columns it needs to be worth showing.
    pub(super) min: u16,
    /// Columns beyond which it does not grow.
    pub(super) max: u16,
    /// Its part of the room that is left: columns per round.
    pub(super) grow: u16,
    /// Where its text stands.
    pub(super) align: Align,
    /// When the panel is too narrow for all, the columns with the smallest value go first.
    pub(super) keep: u8,
}

/// A left-aligned column (names).
pub(super) const fn names(title: &'static str, min: u16, max: u16, keep: u8) -> Column {
    Column { title, min, max, grow: 1, align: Align::Left, keep }
}

/// The same, taking `grow` times as much of the room that is left as other columns do.
pub(super) const fn hungry(title: &'static str, min: u16, max: u16, grow: u16, keep: u8) -> Column {
    Column { grow, ..names(title, min, max, keep) }
}

/// A right-aligned column of fixed width (figures).
pub(super) const fn figures(title: &'static str, width: u16, keep: u8) -> Column {
    Column { title, min: width, max: width, grow: 0, align: Align::Right, keep }
}

/// Columns with their widths settled for one panel.
pub(super) struct Table {
    columns: &'static [Column],
    /// 0: not shown.
    widths: Vec<u16>,
}

impl Table {
    /// Settles the widths for a panel `width` columns wide.
    pub(super) fn new(columns: &'static [Column], width: u16) -> Self {
        let mut widths: Vec<u16> = columns.iter().map(|c| c.min).collect();
        while taken(&widths) > width && shown(&widths) > 1 {
            let weakest =
                (0..columns.len()).filter(|&i| widths[i] > 0).min_by_key(|&i| columns[i].keep).unwrap_or(0);
            widths[weakest] = 0;
        }
        if let Some(only) = widths.iter_mut().find(|w| **w > 0) {
            *only = (*only).min(width);
        }
        grow(columns, &mut widths, width);
        Table { columns, widths }
    }

    /// The heading line.
    pub(super) fn heading(&self, style: Style) -> Line<'static> {
        self.row(|i, _| (self.columns[i].title.into(), style))
    }

    /// Where the headings stand on the first line of this area: number of the column, and its rectangle.
    pub(super) fn headings(&self, area: Rect) -> Vec<(usize, Rect)> {
        let mut x = area.x;
        let mut found = Vec::new();
        for (i, width) in self.widths.iter().copied().enumerate().filter(|&(_, width)| width > 0) {
            found.push((i, Rect { x, width, height: 1, ..area }.intersection(area)));
            x = x.saturating_add(width + 1);
        }
        found
    }

    /// One row; `cell` is asked for the columns shown only, and told their width.
    pub(super) fn row(&self, mut cell: impl FnMut(usize, usize) -> (String, Style)) -> Line<'static> {
        let mut spans = Vec::with_capacity(self.columns.len() * 2);
        for (i, column) in self.columns.iter().enumerate().filter(|&(i, _)| self.widths[i] > 0) {
            if !spans.is_empty() {
                spans.push(Span::raw(" "));
            }
            let width = usize::from(self.widths[i]);
            let (text, style) = cell(i, width);
            spans.push(Span::styled(fit(&text, width, column.align), style));
        }
        Line::from(spans)
    }
}

fn shown(widths: &[u16]) -> usize {
    widths.iter().filter(|w| **w > 0).count()
}

/// Columns taken, blanks between them included.
fn taken(widths: &[u16]) -> u16 {
    let blanks = shown(widths).saturating_sub(1) as u16;
    widths.iter().sum::<u16>() + blanks
}

/// Hands out what is left, in rounds, to everyone who can still grow.
fn grow(columns: &[Column], widths: &mut [u16], width: u16) {
    let mut left = width.saturating_sub(taken(widths));
    loop {
        let before = left;
        for (i, w) in widths.iter_mut().enumerate() {
            if *w > 0 {
                let more = columns[i].grow.min(left).min(columns[i].max - *w);
                *w += more;
                left -= more;
            }
        }
        if left == before {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[names("name", 4, 8, 9), figures("n", 3, 1), figures("rate", 5, 5)];

    fn widths(width: u16) -> Vec<u16> {
        Table::new(COLUMNS, width).widths
    }

    #[test]
    fn grows_to_the_maximum_only() {
        assert_eq!(widths(14), [4, 3, 5]);
        assert_eq!(widths(16), [6, 3, 5]);
        assert_eq!(widths(60), [8, 3, 5]);
    }

    #[test]
    fn headings_stand_over_their_columns() {
        let table = Table::new(COLUMNS, 13);
        let area = Rect::new(2, 4, 13, 9);
        assert_eq!(table.headings(area), [(0, Rect::new(2, 4, 7, 1)), (2, Rect::new(10, 4, 5, 1))]);
    }

    #[test]
    fn the_least_important_goes_first() {
        assert_eq!(widths(13), [7, 0, 5]);
        assert_eq!(widths(9), [8, 0, 0]);
        assert_eq!(widths(2), [2, 0, 0]);
        assert_eq!(widths(0), [0, 0, 0]);
    }
}
