//! Keeping the selected row in sight.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::app::Scroll;
use super::theme::Theme;

/// The first row shown, so that the selected one is among the `visible` ones; scrolls no further than needed.
pub(super) fn first_row(scroll: &Scroll, selected: usize, rows: usize, visible: usize) -> usize {
    let first = scroll.clamp(rows, visible);
    let wanted = selected.min(first).max((selected + 1).saturating_sub(visible));
    scroll.by(wanted as isize - first as isize);
    scroll.clamp(rows, visible)
}

/// Columns of the mark in front of a row.
pub(super) const MARK: u16 = 2;

/// A row with its mark in front: a sign for the selected one, blanks for others.
pub(super) fn marked(theme: &Theme, selected: bool, line: Line<'static>) -> Line<'static> {
    let (mark, style) = if selected { (theme.symbols.selected, theme.selected) } else { (" ", Style::new()) };
    let mut spans = vec![Span::raw(format!("{mark} "))];
    spans.extend(line.spans);
    Line::from(spans).patch_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selected_row_is_in_sight_and_nothing_moves_without_need() {
        let scroll = Scroll::default();
        assert_eq!(first_row(&scroll, 0, 100, 10), 0);
        assert_eq!(first_row(&scroll, 9, 100, 10), 0);
        assert_eq!(first_row(&scroll, 10, 100, 10), 1);
        assert_eq!(first_row(&scroll, 5, 100, 10), 1);
        assert_eq!(first_row(&scroll, 0, 100, 10), 0);
        assert_eq!(first_row(&scroll, 99, 100, 10), 90);
        assert_eq!(first_row(&scroll, 3, 4, 10), 0);
        assert_eq!(first_row(&scroll, 0, 0, 0), 0);
    }
}
