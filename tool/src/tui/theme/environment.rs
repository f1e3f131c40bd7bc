//! What the environment says of the terminal: its colours and its character set.

/// How many colours a terminal has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// None, or none are wanted.
    None,
    /// The terminal's own sixteen.
    #[default]
    Ansi16,
    /// The fixed palette of 256.
    Indexed256,
    /// Red, green and blue, eight bits each.
    True,
}

/// The variables that describe the terminal; empty where unset.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `NO_COLOR` is set and not empty (no-color.org).
    pub no_color: bool,
    /// `TERM`.
    pub term: String,
    /// `COLORTERM`.
    pub colorterm: String,
    /// The first of `LC_ALL`, `LC_CTYPE` and `LANG` that is set and not empty.
    pub locale: String,
}

/// Terminals of 256 colours whose names do not say so.
const INDEXED: [&str; 7] =
    ["xterm-kitty", "alacritty", "foot", "wezterm", "tmux", "xterm-ghostty", "contour"];

impl Environment {
    /// That of this process.
    #[must_use]
    pub fn read() -> Self {
        let text = |name| std::env::var(name).unwrap_or_default();
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(text).into_iter().find(|value| !value.is_empty());
        Self {
            no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
            term: text("TERM"),
            colorterm: text("COLORTERM"),
            locale: locale.unwrap_or_default(),
        }
    }

    /// The colours of the terminal.
    #[must_use]
    pub fn depth(&self) -> Depth {
        let term = self.term.as_str();
        let without = term.starts_with("vt1") || term.starts_with("vt2") || term.ends_with("-m");
        if self.no_color || without {
            Depth::None
        } else if matches!(self.colorterm.as_str(), "truecolor" | "24bit") || term.ends_with("-direct") {
            Depth::True
        } else if term.contains("256color") || INDEXED.contains(&term) {
            Depth::Indexed256
        } else {
            Depth::Ansi16
        }
    }

    /// True when the terminal can be trusted with ASCII only: a locale that is not UTF-8, or the Linux console, whose
    /// fonts lack most of our glyphs. No locale at all (containers, bare shells) tells nothing of the terminal: UTF-8.
    #[must_use]
    pub fn ascii(&self) -> bool {
        let locale = self.locale.to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        self.term == "linux" || !(locale.is_empty() || utf8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_by_what_the_terminal_says() {
        let depth = |no_color, term: &str, colorterm: &str| {
            let (term, colorterm) = (term.to_owned(), colorterm.to_owned());
            Environment { no_color, term, colorterm, locale: String::new() }.depth()
        };
        assert_eq!(depth(true, "xterm-256color", "truecolor"), Depth::None);
        assert_eq!(depth(false, "vt100", ""), Depth::None);
        assert_eq!(depth(false, "xterm-m", ""), Depth::None);
        assert_eq!(depth(false, "xterm", ""), Depth::Ansi16);
        assert_eq!(depth(false, "linux", ""), Depth::Ansi16);
        assert_eq!(depth(false, "screen-256color", ""), Depth::Indexed256);
        assert_eq!(depth(false, "alacritty", ""), Depth::Indexed256);
        assert_eq!(depth(false, "xterm-256color", "truecolor"), Depth::True);
        assert_eq!(depth(false, "xterm-direct", ""), Depth::True);
    }

    #[test]
    fn character_set_by_the_locale() {
        let ascii = |locale: &str| Environment { locale: locale.into(), ..Environment::default() }.ascii();
        assert!(ascii("C") && ascii("POSIX") && ascii("de_DE.ISO-8859-1") && ascii("en_US"));
        assert!(!ascii("C.UTF-8") && !ascii("en_US.utf8") && !ascii(""));
        assert!(Environment { term: "linux".into(), ..Environment::default() }.ascii());
    }
}
