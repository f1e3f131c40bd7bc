//! The three layouts. Which one depends on the size alone; none refuses, panels without room are not drawn.

use ratatui::layout::{Constraint, Layout as Split, Rect};

use super::Panel;

/// How much there is to draw on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// All panels, boxed; at least 120x30.
    Wide,
    /// Throughput, ledger, reasons and one panel of choice, ruled; at least 80x20.
    Medium,
    /// A summary and one panel of choice.
    Small,
}

impl Size {
    /// The layout for this many columns and rows.
    pub(super) const fn of(width: u16, height: u16) -> Self {
        match (width, height) {
            (120.., 30..) => Size::Wide,
            (80.., 20..) => Size::Medium,
            _ => Size::Small,
        }
    }
}

/// Where everything goes; an empty rectangle is not drawn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Layout {
    /// The ledger in one or two lines, where its panel has no room.
    pub(super) summary: Rect,
    pub(super) throughput: Rect,
    pub(super) ledger: Rect,
    pub(super) reasons: Rect,
    pub(super) completions: Rect,
    pub(super) sockets: Rect,
    /// Full boxes around panels, or only a rule with the title above them.
    pub(super) boxed: bool,
}

/// From this width on, the wide layout has three panels side by side at the top.
const THREE_ACROSS: u16 = 170;

impl Layout {
    /// Places everything on `area` with `focus` in front where there is room for only one.
    pub(super) fn new(area: Rect, focus: Panel) -> Self {
        match Size::of(area.width, area.height) {
            Size::Wide if area.width >= THREE_ACROSS => Self::three_across(area),
            Size::Wide => Self::wide(area),
            Size::Medium => Self::medium(area, focus),
            Size::Small => Self::small(area, focus),
        }
    }

    fn three_across(area: Rect) -> Self {
        let reasons = (area.height / 4).clamp(7, 16);
        let [top, reasons, sockets] = rows(area, [14, reasons, 0], 2);
        let [throughput, ledger, completions] =
            Split::horizontal([Constraint::Fill(1), Constraint::Length(40), Constraint::Length(83)])
                .areas(top);
        Self { throughput, ledger, completions, reasons, sockets, boxed: true, ..Self::default() }
    }

    fn wide(area: Rect) -> Self {
        let roomy = area.height >= 38;
        let top = if roomy { 13 } else { 10 };
        let reasons = (area.height / 5).clamp(6, 14);
        let completions = if roomy { 7 } else { 5 };
        let [top, reasons, completions, sockets] = rows(area, [top, reasons, completions, 0], 3);
        let [throughput, ledger] =
            Split::horizontal([Constraint::Fill(1), Constraint::Length(44)]).areas(top);
        Self { throughput, ledger, completions, reasons, sockets, boxed: true, ..Self::default() }
    }

    fn medium(area: Rect, focus: Panel) -> Self {
        let reasons = (area.height / 5).clamp(5, 12);
        let [top, reasons, bottom] = rows(area, [9, reasons, 0], 2);
        let [throughput, _, ledger] =
            Split::horizontal([Constraint::Fill(1), Constraint::Length(2), Constraint::Length(33)])
                .areas(top);
        let mut layout = Self { throughput, ledger, reasons, ..Self::default() };
        match focus {
            Panel::Sockets | Panel::Throughput => layout.sockets = bottom,
            Panel::Completions => layout.completions = bottom,
            Panel::Reasons => layout.reasons = reasons.union(bottom),
        }
        layout
    }

    fn small(area: Rect, focus: Panel) -> Self {
        let summary = match area.height {
            0..6 => 0,
            6..10 => 1,
            10..12 => 2,
            _ => 3,
        };
        let [summary, panel] = rows(area, [summary, 0], 1);
        let mut layout = Self { summary, ..Self::default() };
        match focus {
            Panel::Sockets => layout.sockets = panel,
            Panel::Reasons => layout.reasons = panel,
            Panel::Completions => layout.completions = panel,
            Panel::Throughput => layout.throughput = panel,
        }
        layout
    }
}

/// Rows of the given heights from the top; the one at `fill` takes what is left.
fn rows<const N: usize>(area: Rect, heights: [u16; N], fill: usize) -> [Rect; N] {
    let mut constraints = heights.map(Constraint::Length);
    constraints[fill] = Constraint::Fill(1);
    Split::vertical(constraints).areas(area)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(Size::of(120, 40), Size::Wide);
        assert_eq!(Size::of(119, 40), Size::Medium);
        assert_eq!(Size::of(200, 24), Size::Medium);
        assert_eq!(Size::of(79, 60), Size::Small);
        assert_eq!(Size::of(80, 19), Size::Small);
        assert_eq!(Size::of(0, 0), Size::Small);
    }

    #[test]
    fn panels_stay_inside_and_do_not_overlap() {
        for (w, h) in [
            (200, 60),
            (170, 30),
            (169, 30),
            (120, 30),
            (120, 40),
            (80, 20),
            (80, 24),
            (40, 12),
            (20, 5),
            (1, 1),
        ] {
            for focus in Panel::ALL {
                let area = Rect::new(0, 0, w, h);
                let l = Layout::new(area, focus);
                let all = [l.summary, l.throughput, l.ledger, l.reasons, l.completions, l.sockets];
                let shown: Vec<Rect> = all.into_iter().filter(|r| !r.is_empty()).collect();
                for (i, a) in shown.iter().enumerate() {
                    assert_eq!(a.intersection(area), *a, "{w}x{h}");
                    assert!(shown[i + 1..].iter().all(|b| !a.intersects(*b)), "{w}x{h} {focus:?}");
                }
            }
        }
    }

    #[test]
    fn the_focused_panel_is_always_shown() {
        for (w, h) in [(200, 60), (120, 30), (80, 24), (40, 12), (20, 5)] {
            for focus in Panel::ALL {
                let l = Layout::new(Rect::new(0, 0, w, h), focus);
                let rect = match focus {
                    Panel::Sockets => l.sockets,
                    Panel::Reasons => l.reasons,
                    Panel::Completions => l.completions,
                    Panel::Throughput => l.throughput,
                };
                assert!(rect.height >= 3, "{focus:?} at {w}x{h}: {rect}");
            }
        }
    }
}
