//! The line of tabs: every view with its key and its name, as far as they fit.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Scene, VIEWS};
use crate::tui::app::Intent;
use crate::tui::text;

/// How tabs are written, the roomiest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `[1 Overview] 2 Flows  3 Copies `
    Roomy,
    /// `[1Overview]2Flows 3Copies `: as wide as 80 columns allow.
    Tight,
    /// `[1 Overview] 2  3 `
    Numbers,
}

impl Form {
    /// A tab without what stands around it.
    fn label(self, view: usize, chosen: bool) -> (String, String) {
        let number = (view + 1).to_string();
        match (self, chosen) {
            (Form::Numbers, false) => (number, String::new()),
            (Form::Tight, _) => (number, VIEWS[view].name.to_owned()),
            _ => (format!("{number} "), VIEWS[view].name.to_owned()),
        }
    }

    /// Blanks or brackets around each tab: two of its own, or one that neighbours share.
    const fn shares(self) -> bool {
        matches!(self, Form::Tight)
    }

    fn width(self) -> usize {
        let labels: usize = (0..VIEWS.len()).map(|view| text::width(&join(self.label(view, true)))).sum();
        labels + if self.shares() { VIEWS.len() + 1 } else { 2 * VIEWS.len() }
    }

    fn of(width: u16) -> Self {
        let fits = |form: &Form| form.width() <= usize::from(width);
        [Form::Roomy, Form::Tight].into_iter().find(fits).unwrap_or(Form::Numbers)
    }
}

fn join((number, name): (String, String)) -> String {
    number + &name
}

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let (theme, chosen) = (scene.theme, scene.app.view as usize);
    let form = Form::of(area.width);
    let mut spans = Vec::new();
    let mut x = area.x;
    for (view, entry) in VIEWS.iter().enumerate() {
        let is_chosen = view == chosen;
        let (number, name) = form.label(view, is_chosen);
        // Brackets as well: colour is never the only sign.
        let open = match is_chosen {
            true => "[",
            false if form.shares() && view == chosen + 1 => "]",
            false => " ",
        };
        let close = match (form.shares(), is_chosen) {
            (true, _) => "",
            (false, true) => "]",
            (false, false) => " ",
        };
        let width = (text::width(&number) + text::width(&name) + 1 + close.len()) as u16;
        scene.click(Rect { x, width, ..area }.intersection(area), Intent::Show(entry.view));
        x += width;
        let (of_number, of_name) =
            if is_chosen { (theme.title, theme.title) } else { (theme.accent, theme.dim) };
        let edge = if open == " " { theme.dim } else { theme.title };
        spans.extend([
            Span::styled(open, edge),
            Span::styled(number, of_number),
            Span::styled(name, of_name),
        ]);
        spans.push(Span::styled(close, of_name));
    }
    if form.shares() {
        let last = chosen + 1 == VIEWS.len();
        spans.push(Span::styled(if last { "]" } else { " " }, theme.title));
    }
    let used: usize = spans.iter().map(|span| text::width(&span.content)).sum();
    let question = VIEWS[chosen].question;
    if used + 2 + text::width(question) <= usize::from(area.width) {
        spans.push(Span::styled(format!("  {question}"), theme.dim));
    }
    buf.set_line(area.x, area.y, &Line::from(spans), area.width);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_fits_on_80_columns() {
        assert_eq!(Form::of(80), Form::Tight);
        assert_eq!(Form::of(120), Form::Roomy);
        assert_eq!(Form::of(40), Form::Numbers);
    }
}
