//! What a click or the wheel means where: rectangles, put on record while a frame is drawn.

use std::cell::RefCell;

use ratatui::layout::{Position, Rect};

use super::app::Intent;

/// What a rectangle of the screen does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// A click asks this.
    Click(Intent),
    /// Rows of a panel, one a line, from this one on: a click picks one, the wheel scrolls.
    Rows { panel: usize, first: usize, rows: usize },
    /// The whole panel: the wheel scrolls it.
    Panel(usize),
    /// What lies below is not reached.
    Cover,
}

/// The rectangles of the last frame; later ones lie on top.
#[derive(Clone, Debug, Default)]
pub(super) struct Regions(RefCell<Vec<(Rect, Target)>>);

/// Rows per notch of the wheel.
const NOTCH: isize = 3;

impl Regions {
    /// Forgets the last frame.
    pub(super) fn clear(&self) {
        self.0.borrow_mut().clear();
    }

    fn put(&self, area: Rect, target: Target) {
        if !area.is_empty() {
            self.0.borrow_mut().push((area, target));
        }
    }

    /// A click here asks this.
    pub(super) fn click(&self, area: Rect, intent: Intent) {
        self.put(area, Target::Click(intent));
    }

    /// The lines of this area are rows of a panel of the view, from row `first` on, `rows` in all.
    pub(super) fn rows(&self, area: Rect, panel: usize, first: usize, rows: usize) {
        self.put(area, Target::Rows { panel, first, rows });
    }

    /// The wheel over this area scrolls this panel of the view.
    pub(super) fn panel(&self, area: Rect, panel: usize) {
        self.put(area, Target::Panel(panel));
    }

    /// Nothing below this area is reached, until more is put on top.
    pub(super) fn cover(&self, area: Rect) {
        self.put(area, Target::Cover);
    }

    /// Where rows of lists were drawn.
    pub(super) fn lists(&self) -> Vec<Rect> {
        let regions = self.0.borrow();
        regions
            .iter()
            .filter(|(_, target)| matches!(target, Target::Rows { .. }))
            .map(|(area, _)| *area)
            .collect()
    }

    /// What a click there asks.
    pub(super) fn clicked(&self, at: Position) -> Option<Intent> {
        match self.top(at, |target| !matches!(target, Target::Panel(_)))? {
            (_, Target::Click(intent)) => Some(intent),
            (area, Target::Rows { panel, first, rows }) => {
                let row = first + usize::from(at.y - area.y);
                (row < rows).then_some(Intent::Pick { panel, row })
            }
            (_, Target::Panel(_) | Target::Cover) => None,
        }
    }

    /// What the wheel there asks; `down` is towards the end of a list.
    pub(super) fn wheel(&self, at: Position, down: bool) -> Option<Intent> {
        let rows = if down { NOTCH } else { -NOTCH };
        match self.top(at, |target| !matches!(target, Target::Click(_))) {
            Some((_, Target::Rows { panel, .. } | Target::Panel(panel))) => {
                Some(Intent::Wheel { panel, rows })
            }
            _ => Some(Intent::Scroll(rows)),
        }
    }

    fn top(&self, at: Position, counts: impl Fn(&Target) -> bool) -> Option<(Rect, Target)> {
        self.0.borrow().iter().rev().find(|(area, target)| area.contains(at) && counts(target)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_drawn_lies_on_top() {
        let regions = Regions::default();
        regions.panel(Rect::new(0, 0, 10, 10), 2);
        regions.rows(Rect::new(0, 1, 10, 5), 2, 7, 9);
        regions.click(Rect::new(3, 0, 2, 1), Intent::Sort);
        let at = Position::new;
        assert_eq!(regions.clicked(at(3, 0)), Some(Intent::Sort));
        assert_eq!(regions.clicked(at(0, 0)), None);
        assert_eq!(regions.clicked(at(0, 2)), Some(Intent::Pick { panel: 2, row: 8 }));
        assert_eq!(regions.clicked(at(0, 3)), None, "below the last row");
        assert_eq!(regions.wheel(at(0, 9), true), Some(Intent::Wheel { panel: 2, rows: 3 }));
        regions.cover(Rect::new(0, 0, 10, 10));
        assert_eq!(regions.clicked(at(3, 0)), None);
        assert_eq!(regions.wheel(at(3, 0), false), Some(Intent::Scroll(-3)));
        regions.clear();
        assert_eq!(regions.clicked(at(3, 0)), None);
    }
}
