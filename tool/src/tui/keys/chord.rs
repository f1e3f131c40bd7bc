//! A key with its modifiers, as people write it: `q`, `ctrl-c`, `shift-left`, `pgup`.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// One key press.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chord {
    code: KeyCode,
    modifiers: KeyModifiers,
}

/// Keys that are no character, and the blank: as written, and as shown.
const NAMED: &[(&str, &str, KeyCode)] = &[
    ("space", "Space", KeyCode::Char(' ')),
    ("enter", "Enter", KeyCode::Enter),
    ("esc", "Esc", KeyCode::Esc),
    ("tab", "Tab", KeyCode::Tab),
    ("backspace", "Backspace", KeyCode::Backspace),
    ("delete", "Del", KeyCode::Delete),
    ("insert", "Ins", KeyCode::Insert),
    ("left", "Left", KeyCode::Left),
    ("right", "Right", KeyCode::Right),
    ("up", "Up", KeyCode::Up),
    ("down", "Down", KeyCode::Down),
    ("pgup", "PgUp", KeyCode::PageUp),
    ("pgdn", "PgDn", KeyCode::PageDown),
    ("home", "Home", KeyCode::Home),
    ("end", "End", KeyCode::End),
];

const MODIFIERS: [(&str, &str, KeyModifiers); 3] = [
    ("ctrl-", "Ctrl-", KeyModifiers::CONTROL),
    ("alt-", "Alt-", KeyModifiers::ALT),
    ("shift-", "Shift-", KeyModifiers::SHIFT),
];

impl Chord {
    /// What was pressed. Shift is part of the character it makes (`?` needs it on most keyboards).
    pub(super) fn of(key: KeyEvent) -> Self {
        let known = KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT;
        let modifiers = key.modifiers & known;
        match key.code {
            KeyCode::BackTab => Self { code: KeyCode::Tab, modifiers: modifiers | KeyModifiers::SHIFT },
            KeyCode::Char(_) => Self { code: key.code, modifiers: modifiers - KeyModifiers::SHIFT },
            code => Self { code, modifiers },
        }
    }

    /// The key of this name.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text;
        let mut modifiers = KeyModifiers::NONE;
        while let Some((name, _, modifier)) = MODIFIERS.iter().find(|(name, ..)| {
            rest.len() > name.len() && rest.as_bytes()[..name.len()].eq_ignore_ascii_case(name.as_bytes())
        }) {
            modifiers |= *modifier;
            rest = &rest[name.len()..];
        }
        let unknown = || {
            let names: Vec<_> = NAMED.iter().map(|(name, ..)| *name).collect();
            format!(
                "`{text}` is no key: write one character, f1 to f12 or one of {}, with ctrl-, alt- or shift- in front",
                names.join(" ")
            )
        };
        let code = code(rest).ok_or_else(unknown)?;
        if let KeyCode::Char(c) = code {
            if modifiers.contains(KeyModifiers::SHIFT) {
                return Err(format!("`{text}` is written as the character it makes, such as `A`"));
            }
            // Terminals send the same byte for both.
            if modifiers.contains(KeyModifiers::CONTROL) {
                return Ok(Self { code: KeyCode::Char(c.to_ascii_lowercase()), modifiers });
            }
        }
        Ok(Self { code, modifiers })
    }

    /// The arrow a footer shows for it, as an index into up, down, left, right.
    pub(super) fn arrow(self) -> Option<usize> {
        let arrows = [KeyCode::Up, KeyCode::Down, KeyCode::Left, KeyCode::Right];
        arrows.iter().position(|code| *code == self.code && self.modifiers.is_empty())
    }
}

fn code(name: &str) -> Option<KeyCode> {
    let mut chars = name.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if !c.is_control() && c != ' ' => return Some(KeyCode::Char(c)),
        _ => {}
    }
    let name = name.to_ascii_lowercase();
    let function = name.strip_prefix('f').and_then(|n| n.parse().ok()).filter(|n| (1..=12).contains(n));
    let named = NAMED.iter().find(|(written, ..)| *written == name).map(|(.., code)| *code);
    named.or_else(|| function.map(KeyCode::F))
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (_, shown, modifier) in MODIFIERS {
            if self.modifiers.contains(modifier) {
                f.write_str(shown)?;
            }
        }
        if let Some((_, shown, _)) = NAMED.iter().find(|(.., code)| *code == self.code) {
            return f.write_str(shown);
        }
        match self.code {
            KeyCode::Char(c) if self.modifiers.is_empty() => write!(f, "{c}"),
            KeyCode::Char(c) => write!(f, "{}", c.to_ascii_uppercase()),
            KeyCode::F(n) => write!(f, "F{n}"),
            other => write!(f, "{other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_shown() {
        let shown = |text: &str| Chord::parse(text).map(|chord| chord.to_string());
        for (written, expected) in [
            ("q", "q"),
            ("Y", "Y"),
            ("ctrl-c", "Ctrl-C"),
            ("Ctrl-C", "Ctrl-C"),
            ("space", "Space"),
            ("shift-left", "Shift-Left"),
            ("-", "-"),
            ("ctrl--", "Ctrl--"),
            ("f10", "F10"),
            ("alt-x", "Alt-X"),
            ("é", "é"),
        ] {
            assert_eq!(shown(written).as_deref(), Ok(expected));
        }
        for wrong in ["", " ", "qq", "ctrl-", "f13", "hyper-x", "shift-a", "\t"] {
            assert!(shown(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_terminals_send_is_what_was_written() {
        let same = |code, modifiers, written: &str| {
            assert_eq!(Ok(Chord::of(KeyEvent::new(code, modifiers))), Chord::parse(written));
        };
        same(KeyCode::Char('?'), KeyModifiers::SHIFT, "?");
        same(KeyCode::Char('Y'), KeyModifiers::SHIFT, "Y");
        same(KeyCode::BackTab, KeyModifiers::SHIFT, "shift-tab");
        same(KeyCode::BackTab, KeyModifiers::NONE, "shift-tab");
        same(KeyCode::Char('c'), KeyModifiers::CONTROL, "ctrl-c");
    }
}
