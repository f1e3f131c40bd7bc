//! Throughput over time: a one-line sparkline, and a chart of several lines with the copied part below.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Filled eighths of a cell.
const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// The newest `columns` points, newest last.
fn newest(points: &[u64], columns: usize) -> &[u64] {
    &points[points.len().saturating_sub(columns)..]
}

/// `value` of `max` in `steps`, never 0 for something above 0.
fn scale(value: u64, max: u64, steps: usize) -> usize {
    if value == 0 || max == 0 {
        return 0;
    }
    let scaled = u128::from(value.min(max)) * steps as u128 / u128::from(max);
    (scaled as usize).max(1)
}

/// One line, scaled to its own peak, newest at the right.
pub(super) fn sparkline(points: &[u64], columns: usize) -> String {
    let points = newest(points, columns);
    let peak = points.iter().copied().max().unwrap_or(0);
    let mut line = " ".repeat(columns - points.len());
    line.extend(points.iter().map(|p| EIGHTHS[scale(*p, peak, 8)]));
    line
}

/// Two series over the same time.
pub(super) struct Stacked<'a> {
    /// The whole.
    pub(super) total: &'a [u64],
    /// The part of it drawn below; as long as `total`, or empty when not known.
    pub(super) part: &'a [u64],
    pub(super) total_style: Style,
    pub(super) part_style: Style,
}

/// What fills the part.
pub(super) const PART: &str = "▒";

impl Stacked<'_> {
    /// The highest visible point.
    pub(super) fn peak(&self, columns: u16) -> u64 {
        newest(self.total, usize::from(columns)).iter().copied().max().unwrap_or(0)
    }

    /// Fills `area`, newest at the right.
    pub(super) fn draw(&self, area: Rect, buf: &mut Buffer) {
        let columns = usize::from(area.width);
        let peak = self.peak(area.width);
        let total = newest(self.total, columns);
        let part = newest(self.part, columns);
        for back in 0..total.len() {
            let x = area.right() - 1 - back as u16;
            let whole = total[total.len() - 1 - back];
            let lower = part.len().checked_sub(back + 1).map_or(0, |i| part[i]).min(whole);
            self.column(x, (whole, lower, peak), area, buf);
        }
    }

    fn column(&self, x: u16, (whole, lower, peak): (u64, u64, u64), area: Rect, buf: &mut Buffer) {
        let rows = usize::from(area.height);
        let height = scale(whole, peak, rows * 8);
        let filled = scale(lower, peak, rows).min(height.div_ceil(8));
        for row in 0..rows {
            let y = area.bottom() - 1 - row as u16;
            let eighths = height.saturating_sub(row * 8).min(8);
            let (symbol, style) =
                if row < filled { (PART, self.part_style) } else { (EIGHTHS[eighths], self.total_style) };
            if let Some(cell) = buf.cell_mut((x, y))
                && (eighths > 0 || row < filled)
            {
                cell.set_symbol(symbol).set_style(style);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparkline_shows_the_newest_and_never_hides_a_little() {
        assert_eq!(sparkline(&[9, 0, 1, 800], 3), " ▁█");
        assert_eq!(sparkline(&[5], 3), "  █");
        assert_eq!(sparkline(&[], 3), "   ");
        assert_eq!(sparkline(&[0, 0], 2), "  ");
    }

    #[test]
    fn the_part_is_drawn_below_and_not_by_colour_alone() {
        let area = Rect::new(0, 0, 3, 2);
        let mut buf = Buffer::empty(area);
        let plain = Style::new();
        let chart = Stacked { total: &[4, 8, 8], part: &[0, 4, 8], total_style: plain, part_style: plain };
        chart.draw(area, &mut buf);
        let row = |y| (0..3).map(|x| buf[(x, y)].symbol().to_owned()).collect::<String>();
        assert_eq!(row(0), " █▒");
        assert_eq!(row(1), "█▒▒");
    }
}
