//! The three layouts. Which one depends on the size alone; none refuses, panels without room are not drawn.

use ratatui::layout::{Constraint, Layout as Split, Rect};

use super::Panel;

/// How much there is to draw on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// All panels, boxed; at least 120x30.
    Wide,
    /// Verdict, throughput, ledger and one or two panels of choice, ruled; at least 80x20.
    Medium,
    /// The verdict, a summary and one panel of choice.
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
    pub(super) verdict: Rect,
    /// The ledger in one or two lines, where its panel has no room.
    pub(super) summary: Rect,
    pub(super) throughput: Rect,
    pub(super) ledger: Rect,
    pub(super) findings: Rect,
    pub(super) latency: Rect,
    pub(super) flows: Rect,
    /// Full boxes around panels, or only a rule with the title above them.
    pub(super) boxed: bool,
}

/// From this width on, the wide layout has panels side by side below the top as well.
const SIDE_BY_SIDE: u16 = 170;
/// Columns of the ledger in a box, and without.
const LEDGER: u16 = 44;
const LEDGER_PLAIN: u16 = 33;
/// Columns that all of the latency table's take, with its box.
const LATENCY: u16 = 96;
/// Lines of the ledger's panel, without the box's lower edge.
const LEDGER_LINES: u16 = 10;

impl Layout {
    /// Places everything on `area` with `focus` in front where there is room for only one.
    pub(super) fn new(area: Rect, focus: Panel) -> Self {
        match Size::of(area.width, area.height) {
            Size::Wide if area.width >= SIDE_BY_SIDE => Self::side_by_side(area),
            Size::Wide => Self::wide(area, focus),
            Size::Medium => Self::medium(area, focus),
            Size::Small => Self::small(area, focus),
        }
    }

    fn side_by_side(area: Rect) -> Self {
        let top = (area.height / 3).clamp(14, 22);
        let middle = (area.height / 4).clamp(7, 16);
        let [verdict, top, middle, flows] = rows(area, [6, top, middle, 0], 3);
        let [throughput, ledger] = columns(top, [0, LEDGER], 0);
        let [findings, latency] = columns(middle, [0, LATENCY], 0);
        Self { verdict, throughput, ledger, findings, latency, flows, boxed: true, ..Self::default() }
    }

    fn wide(area: Rect, focus: Panel) -> Self {
        // Too low for all: the flows give way, unless they are asked for.
        let (latency, flows) = match (area.height, focus) {
            (36.., _) => (6, 6),
            (_, Panel::Flows) => (0, 5),
            _ => (5, 0),
        };
        let [verdict, top, findings, latency, flows] =
            rows(area, [6, LEDGER_LINES + 3, 0, latency, flows], 2);
        let [throughput, ledger] = columns(top, [0, LEDGER], 0);
        Self { verdict, throughput, ledger, findings, latency, flows, boxed: true, ..Self::default() }
    }

    fn medium(area: Rect, focus: Panel) -> Self {
        let [verdict, top, bottom] = rows(area, [4, LEDGER_LINES, 0], 2);
        let [throughput, _, ledger] = columns(top, [0, 2, LEDGER_PLAIN], 0);
        let mut layout = Self { verdict, throughput, ledger, ..Self::default() };
        match focus {
            Panel::Throughput => {
                [layout.findings, layout.latency] = rows(bottom, [0, (bottom.height / 2).min(8)], 0);
            }
            Panel::Findings => layout.findings = bottom,
            Panel::Latency => layout.latency = bottom,
            Panel::Flows => layout.flows = bottom,
        }
        layout
    }

    fn small(area: Rect, focus: Panel) -> Self {
        let (verdict, summary) = match area.height {
            0..6 if focus == Panel::default() => (area.height, 0),
            0..6 => (0, 0),
            6 => (3, 0),
            7..10 => (4, 1),
            10..14 => (4, 2),
            _ => (5, 3),
        };
        let [verdict, summary, panel] = rows(area, [verdict, summary, 0], 2);
        let mut layout = Self { verdict, summary, ..Self::default() };
        match focus {
            Panel::Flows => layout.flows = panel,
            Panel::Findings => layout.findings = panel,
            Panel::Latency => layout.latency = panel,
            Panel::Throughput => layout.throughput = panel,
        }
        layout
    }
}

/// Rows of the given heights from the top; the one at `fill` takes what is left.
fn rows<const N: usize>(area: Rect, heights: [u16; N], fill: usize) -> [Rect; N] {
    Split::vertical(sizes(heights, fill)).areas(area)
}

/// Columns of the given widths from the left; the one at `fill` takes what is left.
fn columns<const N: usize>(area: Rect, widths: [u16; N], fill: usize) -> [Rect; N] {
    Split::horizontal(sizes(widths, fill)).areas(area)
}

fn sizes<const N: usize>(sizes: [u16; N], fill: usize) -> [Constraint; N] {
    let mut constraints = sizes.map(Constraint::Length);
    constraints[fill] = Constraint::Fill(1);
    constraints
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
                let all = [l.verdict, l.summary, l.throughput, l.ledger, l.findings, l.latency, l.flows];
                let shown: Vec<Rect> = all.into_iter().filter(|r| !r.is_empty()).collect();
                for (i, a) in shown.iter().enumerate() {
                    assert_eq!(a.intersection(area), *a, "{w}x{h}");
                    assert!(shown[i + 1..].iter().all(|b| !a.intersects(*b)), "{w}x{h} {focus:?}");
                }
            }
        }
    }

    #[test]
    fn the_verdict_is_always_there_at_first() {
        for (w, h) in [(200, 57), (120, 37), (120, 27), (80, 21), (40, 9), (20, 4), (20, 1)] {
            assert!(!Layout::new(Rect::new(0, 0, w, h), Panel::default()).verdict.is_empty(), "{w}x{h}");
        }
    }

    #[test]
    fn the_focused_panel_is_always_shown() {
        for (w, h) in [(200, 60), (120, 37), (120, 30), (80, 24), (40, 12), (20, 5)] {
            for focus in Panel::ALL {
                let l = Layout::new(Rect::new(0, 0, w, h), focus);
                let rect = match focus {
                    Panel::Flows => l.flows,
                    Panel::Findings => l.findings,
                    Panel::Latency => l.latency,
                    Panel::Throughput => l.throughput,
                };
                // The smallest screen shows the verdict until another panel is asked for.
                assert!(rect.height >= 3 || (h < 6 && focus == Panel::Throughput), "{focus:?} at {w}x{h}");
            }
        }
    }
}
