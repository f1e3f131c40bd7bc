//! Lines of running text with headings and labels, as overlays show them, and the overlay itself.

use ratatui::buffer::Buffer;
use ratatui::layout::{Margin, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget as _};

use super::{Scene, panel};
use crate::tui::app::Scroll;
use crate::tui::text::{Align, fit, width, wrap};

const LABEL: usize = 12;

/// Lines being put together for a width.
pub(super) struct Page<'a> {
    scene: Scene<'a>,
    width: usize,
    lines: Vec<Line<'static>>,
}

impl<'a> Page<'a> {
    pub(super) const fn new(scene: Scene<'a>, width: usize) -> Self {
        Self { scene, width, lines: Vec::new() }
    }

    /// A heading, with a blank line above unless it is the first.
    pub(super) fn section(&mut self, title: &str) {
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
        self.text(title, self.scene.theme.title);
    }

    /// A label with its text beside it, or below it where the label is long or the screen narrow.
    pub(super) fn entry(&mut self, label: &str, text: &str) {
        let theme = self.scene.theme;
        let beside = width(label) <= LABEL && self.width >= 40;
        let indent = if beside { LABEL + 1 } else { 2 };
        let mut lead = if beside { fit(label, LABEL + 1, Align::Left) } else { " ".repeat(indent) };
        if !beside {
            self.text(label, theme.accent);
        }
        for line in wrap(text, self.width.saturating_sub(indent).max(8), usize::MAX) {
            let lead = std::mem::replace(&mut lead, " ".repeat(indent));
            self.lines
                .push(Line::from(vec![Span::styled(lead, theme.accent), Span::styled(line, theme.text)]));
        }
    }

    /// The same for labels that are longer: the texts still stand below each other.
    pub(super) fn wide_entry(&mut self, label: &str, text: &str) {
        const WIDE: usize = 32;
        let theme = self.scene.theme;
        if self.width < 2 * WIDE || width(label) >= WIDE {
            return self.entry(label, text);
        }
        let mut lead = fit(label, WIDE, Align::Left);
        for line in wrap(text, self.width - WIDE, usize::MAX) {
            let lead = std::mem::replace(&mut lead, " ".repeat(WIDE));
            self.lines
                .push(Line::from(vec![Span::styled(lead, theme.accent), Span::styled(line, theme.text)]));
        }
    }

    /// Running text.
    pub(super) fn text(&mut self, text: &str, style: Style) {
        let wrapped = wrap(text, self.width.max(8), usize::MAX);
        self.lines.extend(wrapped.into_iter().map(|line| Line::styled(line, style)));
    }

    pub(super) fn lines(self) -> Vec<Line<'static>> {
        self.lines
    }
}

/// An overlay: room on top of what is drawn.
pub(super) struct Overlay<'a> {
    scene: Scene<'a>,
    area: Rect,
}

impl<'a> Overlay<'a> {
    /// Clears the room it takes.
    pub(super) fn new(scene: Scene<'a>, area: Rect, buf: &mut Buffer) -> Self {
        let margin = Margin::new((area.width / 10).min(area.width.saturating_sub(100) / 2), area.height / 16);
        let inner = area.inner(margin);
        scene.app.regions.cover(area);
        Clear.render(inner, buf);
        Self { scene: Scene { boxed: inner.width >= 40 && inner.height >= 8, ..scene }, area: inner }
    }

    /// Columns of text.
    pub(super) fn width(&self) -> usize {
        usize::from(self.area.width.saturating_sub(if self.scene.boxed { 4 } else { 0 }))
    }

    /// Draws the frame and the lines from where they are scrolled to; `below` lines at the end stay free. Returns the
    /// room inside.
    pub(super) fn draw(
        &self,
        title: &str,
        lines: Vec<Line<'static>>,
        scroll: &Scroll,
        below: u16,
        buf: &mut Buffer,
    ) -> Rect {
        let borders = if self.scene.boxed { 2 } else { 1 };
        let visible = usize::from(self.area.height.saturating_sub(borders + below));
        let first = scroll.clamp(lines.len(), visible);
        let more = lines.len() > visible;
        let note = if more {
            format!("lines {}", panel::position(first, visible, lines.len()))
        } else {
            String::new()
        };
        let inner = panel::frame(self.scene, title, &note, true, self.area, buf);
        let room = Rect { height: inner.height.saturating_sub(below), ..inner };
        panel::lines(lines.into_iter().skip(first), room, buf);
        inner
    }
}
