//! Styles and glyphs by meaning. Never the terminal's background, so that what is unstyled stays readable anywhere;
//! colour is never the only sign of anything.

pub(super) mod ascii;
mod environment;
mod palette;
mod symbols;

use ratatui::style::{Color, Modifier, Style};

use crate::diagnose::Severity;
pub use environment::{Depth, Environment};
use palette::{HEAT_LEVELS, Palette};
pub use palette::{Meaning, Named};
pub(super) use symbols::Symbols;

/// One style per meaning, and the glyphs.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "a vocabulary: offered to every view")]
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
    /// The selected row; patched over the styles of its cells.
    pub(super) selected: Style,
    /// Every glyph that is not text.
    pub(super) symbols: &'static Symbols,
    heat: [Style; HEAT_LEVELS],
    ascii: bool,
}

impl Theme {
    /// A theme at a colour depth, with or without glyphs beyond ASCII.
    #[must_use]
    pub fn new(named: Named, depth: Depth, ascii: bool) -> Self {
        let plain = match (named, named.palette(), depth) {
            (Named::HighContrast, ..) => Self::high_contrast(),
            (_, None, _) | (.., Depth::None) => Self::mono(),
            (_, Some(palette), depth) => Self::coloured(palette, depth),
        };
        Self { symbols: if ascii { &symbols::ASCII } else { &symbols::UNICODE }, ascii, ..plain }
    }

    /// The terminal's own sixteen colours.
    #[must_use]
    pub fn colour() -> Self {
        Self::new(Named::Terminal, Depth::Ansi16, false)
    }

    fn coloured(palette: &Palette, depth: Depth) -> Self {
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        let dim = match palette.dim {
            Some(shade) => plain.fg(shade.at(depth)),
            None => plain.add_modifier(Modifier::DIM),
        };
        let fg = |shade: palette::Shade| plain.fg(shade.at(depth));
        Self {
            text: plain,
            dim,
            title: bold,
            heading: dim,
            border: dim,
            border_focus: fg(palette.accent),
            good: fg(palette.good),
            bad: fg(palette.bad),
            warn: fg(palette.warn),
            alarm: bold.fg(palette.bad.at(depth)),
            accent: fg(palette.accent),
            badge: bold.fg(palette.warn.at(depth)).add_modifier(Modifier::REVERSED),
            selected: plain.add_modifier(Modifier::REVERSED),
            symbols: &symbols::UNICODE,
            heat: palette.heat.map(|shade| plain.fg(shade.at(depth))),
            ascii: false,
        }
    }

    /// The contrast that the terminal's own text has is the highest that can be had on a background nobody knows: so no
    /// other colour, and nothing dimmed.
    const fn high_contrast() -> Self {
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        let underlined = bold.add_modifier(Modifier::UNDERLINED);
        Self {
            dim: plain,
            heading: plain,
            border: plain,
            bad: bold,
            warn: underlined,
            alarm: bold.add_modifier(Modifier::REVERSED),
            accent: bold,
            ..Self::mono()
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
            selected: plain.add_modifier(Modifier::REVERSED),
            symbols: &symbols::UNICODE,
            heat: [plain; HEAT_LEVELS],
            ascii: false,
        }
    }

    /// The same theme with another colour for one meaning.
    #[must_use]
    pub const fn with(mut self, meaning: Meaning, colour: Color) -> Self {
        match meaning {
            Meaning::Text => self.text = self.text.fg(colour),
            Meaning::Dim => {
                let plain = Style::new().fg(colour);
                (self.dim, self.heading, self.border) = (plain, plain, plain);
            }
            Meaning::Good => self.good = self.good.fg(colour),
            Meaning::Bad => {
                (self.bad, self.alarm) = (self.bad.fg(colour), self.alarm.fg(colour));
            }
            Meaning::Warn => (self.warn, self.badge) = (self.warn.fg(colour), self.badge.fg(colour)),
            Meaning::Accent => {
                (self.accent, self.border_focus) = (self.accent.fg(colour), self.border_focus.fg(colour));
            }
        }
        self
    }

    /// One cell of a heat map: level 0 is nothing, 8 the most. What is more has the denser glyph, whatever the colours.
    pub(super) fn heat(&self, level: usize) -> (&'static str, Style) {
        let level = level.min(HEAT_LEVELS);
        let style = level.checked_sub(1).map_or(self.text, |i| self.heat[i]);
        (self.symbols.heat[level], style)
    }

    /// Sign and style of a severity.
    pub(super) const fn severity(&self, severity: Severity) -> (&'static str, Style) {
        match severity {
            Severity::Critical => (self.symbols.critical, self.alarm),
            Severity::Warning => (self.symbols.warning, self.warn),
            Severity::Info => (self.symbols.info, self.dim),
        }
    }

    /// True when nothing beyond ASCII may reach the terminal.
    pub(super) const fn is_ascii(&self) -> bool {
        self.ascii
    }

    /// The style of a copied share: from 1 % on it is bad, below it is worth a look; none when nothing is copied.
    pub(super) fn copied(&self, copied: Option<u64>, requested: u64) -> Option<Style> {
        match copied {
            Some(0) | None => None,
            Some(copied) if copied >= requested / 100 => Some(self.bad),
            Some(_) => Some(self.warn),
        }
    }

    /// The terminal's own colours, as far as this environment has any, and its glyphs.
    #[must_use]
    pub fn from_env() -> Self {
        let environment = Environment::read();
        Self::new(Named::Terminal, environment.depth(), environment.ascii())
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

    const DEPTHS: [Depth; 4] = [Depth::None, Depth::Ansi16, Depth::Indexed256, Depth::True];

    fn all() -> impl Iterator<Item = Theme> {
        Named::ALL.into_iter().flat_map(|named| DEPTHS.map(|depth| Theme::new(named, depth, false)))
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
        for theme in all() {
            let styles = [theme.text, theme.dim, theme.title, theme.badge, theme.alarm, theme.border_focus];
            assert!(styles.iter().chain(&theme.heat).all(|style| style.bg.is_none()));
        }
    }

    #[test]
    fn without_colours_none_is_used() {
        for theme in Named::ALL.map(|named| Theme::new(named, Depth::None, false)) {
            let styles = [theme.good, theme.bad, theme.warn, theme.alarm, theme.accent, theme.badge];
            assert!(styles.iter().chain(&theme.heat).all(|style| style.fg.is_none()));
        }
    }

    #[test]
    fn nothing_is_dimmed_or_coloured_in_high_contrast() {
        for theme in DEPTHS.map(|depth| Theme::new(Named::HighContrast, depth, false)) {
            let words = [theme.text, theme.dim, theme.heading, theme.border, theme.good, theme.bad];
            let signs = [theme.warn, theme.alarm, theme.accent, theme.badge, theme.selected, theme.title];
            for style in words.iter().chain(&signs).chain(&theme.heat) {
                assert!(style.fg.is_none() && !style.add_modifier.contains(Modifier::DIM), "{style:?}");
            }
        }
    }

    #[test]
    fn colours_keep_to_their_depth() {
        for named in Named::ALL {
            let theme = Theme::new(named, Depth::Ansi16, false);
            let beyond = |style: &Style| matches!(style.fg, Some(Color::Rgb(..) | Color::Indexed(_)));
            assert!(!theme.heat.iter().chain([&theme.good, &theme.dim]).any(beyond), "{named:?}");
            let theme = Theme::new(named, Depth::Indexed256, false);
            assert!(!theme.heat.iter().any(|style| matches!(style.fg, Some(Color::Rgb(..)))), "{named:?}");
        }
        assert_eq!(Theme::new(Named::Dark, Depth::True, false).heat[7].fg, Some(Color::Rgb(253, 231, 37)));
    }

    #[test]
    fn another_colour_changes_its_meaning_only() {
        let (plain, changed) = (Theme::colour(), Theme::colour().with(Meaning::Bad, Color::Blue));
        assert_eq!((changed.bad.fg, changed.alarm.fg), (Some(Color::Blue), Some(Color::Blue)));
        assert_eq!(changed.good, plain.good);
    }

    #[test]
    fn heat_is_safe_beyond_its_ends() {
        let theme = Theme::colour();
        assert_eq!(theme.heat(0).0, " ");
        assert_eq!(theme.heat(99), theme.heat(8));
    }
}
