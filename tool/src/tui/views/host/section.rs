//! A section: a title, lines, and how much they matter.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::diagnose::Severity;
use crate::tui::text::{self, Align};
use crate::tui::theme::Theme;

/// Columns of names in front of values.
const NAMES: usize = 18;
/// From this width on a name and its value stand on one line.
const SIDE_BY_SIDE: usize = 44;

/// One section.
pub(super) struct Section {
    /// One or two words.
    pub(super) name: &'static str,
    /// The rest of its heading.
    title: String,
    /// The most severe of its lines; `None` when all is well.
    pub(super) severity: Option<Severity>,
    pub(super) lines: Vec<Line<'static>>,
    width: usize,
    theme: Theme,
}

impl Section {
    pub(super) fn new(theme: &Theme, width: usize, name: &'static str, title: String) -> Self {
        Self { name, title, severity: None, lines: Vec::new(), width, theme: *theme }
    }

    pub(super) fn heading(&self, theme: &Theme) -> Line<'static> {
        let title =
            text::cut(&format!("  {}", self.title), self.width.saturating_sub(text::width(self.name))).0;
        Line::from(vec![Span::styled(self.name, theme.title), Span::styled(title, theme.dim)])
    }

    pub(super) const fn sign(&self, theme: &Theme) -> (&'static str, Style) {
        match self.severity {
            Some(severity) => theme.severity(severity),
            None => (" ", theme.dim),
        }
    }

    /// A name and what is to be said of it.
    pub(super) fn put(&mut self, name: &str, value: &str) {
        self.line(None, name, value, self.theme.text);
    }

    /// The same, where it is not good.
    pub(super) fn warn(&mut self, severity: Severity, name: &str, value: &str) {
        self.severity = Some(self.severity.map_or(severity, |worst| worst.min(severity)));
        let style = self.theme.severity(severity).1;
        self.line(Some(severity), name, value, style);
    }

    /// The same, where nothing is known or nothing is to be said.
    pub(super) fn dim(&mut self, name: &str, value: &str) {
        self.line(None, name, value, self.theme.dim);
    }

    fn line(&mut self, severity: Option<Severity>, name: &str, value: &str, style: Style) {
        let sign = severity.map_or(" ", |severity| self.theme.severity(severity).0);
        let side_by_side = self.width >= SIDE_BY_SIDE;
        let lead = if side_by_side {
            let name = if text::width(name) > NAMES {
                format!("{name} ")
            } else {
                text::fit(name, NAMES, Align::Left)
            };
            format!("{sign} {name} ")
        } else {
            format!("{sign} {name} ")
        };
        let indent = if side_by_side { NAMES + 3 } else { 4 };
        let used = text::width(&lead);
        // The first line is shorter where the name is long.
        let room = self.width.saturating_sub(indent.max(used)).max(8);
        for (n, part) in text::wrap(value, room, usize::MAX).into_iter().enumerate() {
            let lead = if n == 0 { lead.clone() } else { " ".repeat(indent) };
            let name_style = if severity.is_some() { style } else { self.theme.dim };
            self.lines.push(Line::from(vec![Span::styled(lead, name_style), Span::styled(part, style)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_wrapped_beside_their_names_and_the_worst_counts() {
        let theme = Theme::mono();
        let mut section = Section::new(&theme, 60, "x", String::new());
        section.put("short", "one two three four five six seven eight nine ten eleven twelve");
        section.warn(Severity::Warning, "a name that is very long for this", "value");
        section.warn(Severity::Critical, "b", "worse");
        section.warn(Severity::Info, "c", "fine");
        assert_eq!(section.severity, Some(Severity::Critical));
        assert!(section.lines.iter().all(|line| line.width() <= 60), "{:?}", section.lines);
        let text: Vec<String> = section.lines.iter().map(ToString::to_string).collect();
        assert!(text[1].starts_with(&" ".repeat(NAMES + 3)), "{text:?}");
        assert!(text[2].contains("value"));
    }
}
