//! Throughput over time: a one-line sparkline, and a chart of bands on top of each other.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Filled eighths of a cell.
const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// `value` of `max` in `steps`, never 0 for something above 0.
fn scale(value: u64, max: u64, steps: usize) -> usize {
    if value == 0 || max == 0 {
        return 0;
    }
    let scaled = u128::from(value.min(max)) * steps as u128 / u128::from(max);
    (scaled as usize).max(1)
}

/// One line, scaled to its own peak, oldest first; blank where nothing is known or nothing was.
pub(in crate::tui) fn sparkline(values: &[Option<u64>]) -> String {
    let peak = values.iter().copied().flatten().max().unwrap_or(0);
    values.iter().map(|value| EIGHTHS[scale(value.unwrap_or(0), peak, 8)]).collect()
}

/// One band: what it shows per column, and how it looks.
pub(super) struct Band {
    /// As long as the chart is wide, oldest first.
    pub(super) values: Vec<Option<u64>>,
    /// What fills it; `█` can end in the middle of a cell.
    pub(super) glyph: &'static str,
    pub(super) style: Style,
}

/// The glyph that can end in the middle of a cell.
pub(super) const SOLID: &str = "█";

/// Bands on top of each other, the first one lowest.
pub(super) struct Stacked<'a> {
    pub(super) bands: &'a [Band],
}

impl Stacked<'_> {
    /// The highest sum of a column.
    pub(super) fn peak(&self) -> u64 {
        let columns = self.bands.iter().map(|band| band.values.len()).max().unwrap_or(0);
        (0..columns).map(|x| self.values(x).sum()).max().unwrap_or(0)
    }

    fn values(&self, column: usize) -> impl Iterator<Item = u64> {
        self.bands.iter().map(move |band| band.values.get(column).copied().flatten().unwrap_or(0))
    }

    /// Fills `area`, the oldest column at the left.
    pub(super) fn draw(&self, area: Rect, buf: &mut Buffer) {
        let peak = self.peak();
        for (i, x) in (area.x..area.right()).enumerate() {
            self.column(i, x, peak, area, buf);
        }
    }

    fn column(&self, column: usize, x: u16, peak: u64, area: Rect, buf: &mut Buffer) {
        let eighths = usize::from(area.height) * 8;
        let (mut sum, mut from) = (0, 0);
        for (band, value) in self.bands.iter().zip(self.values(column)) {
            sum += value;
            // Whatever is not nothing is seen: at least an eighth, of bands that cannot be cut at least a cell.
            let mut to = if value > 0 { scale(sum, peak, eighths).max(from + 1) } else { from };
            if band.glyph != SOLID && value > 0 {
                to = ((to + 4) / 8 * 8).max((from / 8 + 1) * 8);
            }
            fill(band, x, (from, to.min(eighths)), area, buf);
            from = to.min(eighths);
        }
    }
}

/// Fills one band of one column from one eighth to another.
fn fill(band: &Band, x: u16, (from, to): (usize, usize), area: Rect, buf: &mut Buffer) {
    for row in from / 8..to.div_ceil(8) {
        let y = area.bottom() - 1 - row as u16;
        // A cell has one colour: whoever began in it keeps it.
        let taken = row * 8 < from;
        let symbol = if band.glyph == SOLID { EIGHTHS[(to - row * 8).min(8)] } else { band.glyph };
        if let Some(cell) = buf.cell_mut((x, y)).filter(|_| !taken) {
            cell.set_symbol(symbol).set_style(band.style);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(bands: &[(&'static str, &[u64])], area: Rect) -> Vec<String> {
        let mut buf = Buffer::empty(area);
        let band = |(glyph, values): &(&'static str, &[u64])| Band {
            values: values.iter().copied().map(Some).collect(),
            glyph,
            style: Style::new(),
        };
        let bands: Vec<Band> = bands.iter().map(band).collect();
        Stacked { bands: &bands }.draw(area, &mut buf);
        (0..area.height).map(|y| (0..area.width).map(|x| buf[(x, y)].symbol()).collect()).collect()
    }

    #[test]
    fn sparklines_never_hide_a_little() {
        assert_eq!(sparkline(&[Some(0), Some(1), Some(800)]), " ▁█");
        assert_eq!(sparkline(&[None, None, Some(5)]), "  █");
        assert_eq!(sparkline(&[]), "");
    }

    #[test]
    fn bands_stand_on_each_other_and_are_told_apart_without_colour() {
        let area = Rect::new(0, 0, 3, 2);
        assert_eq!(rows(&[("▒", &[0, 4, 8]), ("█", &[4, 4, 0])], area), [" █▒", "█▒▒"]);
        // A trace of the lower band takes a whole cell, so that it is seen.
        assert_eq!(rows(&[("▒", &[1, 0, 0]), ("█", &[799, 800, 0])], area), ["██ ", "▒█ "]);
    }

    #[test]
    fn nothing_is_drawn_outside() {
        for height in 0..4 {
            let area = Rect::new(0, 0, 4, height);
            let _ = rows(&[("▒", &[9, 1, 1, 0]), ("░", &[9, 1, 0, 1]), ("█", &[9, 900, 0, 0])], area);
        }
    }
}
