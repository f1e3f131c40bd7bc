//! Styles by meaning. Only the terminal's own sixteen colours are used, and never its background, so that dark and
//! light terminals both stay readable; colour is never the only sign of anything.

use ratatui::style::{Color, Modifier, Style};

/// One style per meaning.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    pub(super) text: Style,
    /// Secondary text: units of thought that are read only when looked for.
    pub(super) dim: Style,
    /// Panel titles, the product name.
    pub(super) title: Style,
    /// Column headings.
    pub(super) heading: Style,
    pub(super) border: Style,
    /// Border of the panel that the arrows scroll.
    pub(super) border_focus: Style,
    /// Zero-copied bytes.
    pub(super) good: Style,
    /// Copied bytes.
    pub(super) bad: Style,
    /// Clone copies, things worth a look.
    pub(super) warn: Style,
    /// Loss, silent copies: what the reader must not miss.
    pub(super) alarm: Style,
    /// In flight, plain copies nobody asked to avoid, names of keys.
    pub(super) accent: Style,
    /// A word on the header line that must stand out without colour as well.
    pub(super) badge: Style,
}

impl Theme {
    /// Sixteen colours.
    #[must_use]
    pub const fn colour() -> Self {
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        Self {
            text: plain,
            dim: plain.add_modifier(Modifier::DIM),
            title: bold,
            heading: plain.add_modifier(Modifier::DIM),
            border: plain.add_modifier(Modifier::DIM),
            border_focus: plain.fg(Color::Cyan),
            good: plain.fg(Color::Green),
            bad: plain.fg(Color::Red),
            warn: plain.fg(Color::Yellow),
            alarm: bold.fg(Color::Red),
            accent: plain.fg(Color::Cyan),
            badge: bold.fg(Color::Yellow).add_modifier(Modifier::REVERSED),
        }
    }

    /// No colours: bold, dim and reversed only.
    #[must_use]
    pub const fn mono() -> Self {
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        let dim = plain.add_modifier(Modifier::DIM);
        Self {
            text: plain,
            dim,
            title: bold,
            heading: dim,
            border: dim,
            border_focus: bold,
            good: plain,
            bad: bold,
            warn: plain,
            alarm: bold.add_modifier(Modifier::UNDERLINED),
            accent: plain,
            badge: bold.add_modifier(Modifier::REVERSED),
        }
    }

    /// The style of a copied share: from 1 % on it is bad, below it is worth a look; none when nothing is copied.
    pub(super) fn copied(&self, copied: Option<u64>, requested: u64) -> Option<Style> {
        match copied {
            Some(0) | None => None,
            Some(copied) if copied >= requested / 100 => Some(self.bad),
            Some(_) => Some(self.warn),
        }
    }

    /// The theme for this environment: mono when `NO_COLOR` is set and not empty (no-color.org), or when the
    /// terminal says it has no colours.
    #[must_use]
    pub fn from_env() -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let term = std::env::var("TERM").unwrap_or_default();
        Self::choose(no_color, &term)
    }

    fn choose(no_color: bool, term: &str) -> Self {
        let without_colours = term.starts_with("vt1") || term.starts_with("vt2") || term.ends_with("-m");
        if no_color || without_colours { Self::mono() } else { Self::colour() }
    }
}

impl Default for Theme {
    fn default() -> Self {
        Self::colour()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_wins() {
        assert_eq!(Theme::choose(true, "xterm-256color").alarm.fg, None);
        assert_eq!(Theme::choose(false, "vt100").alarm.fg, None);
        assert_eq!(Theme::choose(false, "xterm-256color").alarm.fg, Some(Color::Red));
    }

    #[test]
    fn a_trace_of_copies_is_no_alarm() {
        let theme = Theme::colour();
        assert_eq!(theme.copied(Some(0), 100), None);
        assert_eq!(theme.copied(None, 100), None);
        assert_eq!(theme.copied(Some(1), 1000), Some(theme.warn));
        assert_eq!(theme.copied(Some(10), 1000), Some(theme.bad));
    }

    #[test]
    fn no_background_is_ever_set() {
        for theme in [Theme::colour(), Theme::mono()] {
            for style in [theme.text, theme.dim, theme.title, theme.badge, theme.alarm, theme.border_focus] {
                assert_eq!(style.bg, None);
            }
        }
    }
}
