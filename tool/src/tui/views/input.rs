//! A line that is being written: a filter, a search. Keys go to it before they mean anything else, as long as it is
//! open. A view lends its line to the screen by a function `input` (see the table of views), and is told what happened
//! by [`Intent::Typed`].
//!
//! [`Intent::Typed`]: crate::tui::app::Intent::Typed

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use tui_input::backend::crossterm::to_input_request;
use tui_input::{Input as Editor, InputRequest};

use crate::tui::text;
use crate::tui::theme::Theme;

/// What a key did to the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// The text is another one.
    Changed,
    /// Enter: the line is closed, its text stays.
    Accepted,
    /// Esc: the line is closed, its text is what it was when it was opened.
    Cancelled,
    /// Tab: the word at the cursor should be completed.
    Complete,
    /// `?` or F1: what can be written should be shown, or hidden again.
    Help,
    /// While that is shown: it should be scrolled by rows.
    Scroll(isize),
}

/// A line of text with a cursor.
#[derive(Clone, Debug, Default)]
pub(in crate::tui) struct Input {
    editor: Editor,
    open: bool,
    /// What can be written is shown beside it.
    pub(in crate::tui) helps: bool,
    /// The text when it was opened.
    before: String,
}

/// Longer lines are nobody's filter.
const LONGEST: usize = 512;

impl Input {
    /// Begins to write, at the end of the present text.
    pub(in crate::tui) fn open(&mut self) {
        self.open = true;
        self.before = self.text().to_owned();
        self.editor.handle(InputRequest::GoToEnd);
    }

    pub(in crate::tui) const fn is_open(&self) -> bool {
        self.open
    }

    pub(in crate::tui) fn text(&self) -> &str {
        self.editor.value()
    }

    /// Bytes of the text in front of the cursor.
    pub(in crate::tui) fn cursor(&self) -> usize {
        let text = self.text();
        text.char_indices().nth(self.editor.cursor()).map_or(text.len(), |(at, _)| at)
    }

    /// Another text, the cursor at its end; open or not stays.
    pub(in crate::tui) fn set(&mut self, text: &str) {
        self.editor = Editor::from(clean(text, LONGEST));
    }

    /// Takes a key; `None` when it did nothing that matters to others, such as moving the cursor.
    pub(in crate::tui) fn key(&mut self, key: KeyEvent) -> Option<Typed> {
        match (key.code, key.modifiers) {
            // No text that is looked for has a question mark.
            (KeyCode::Char('?') | KeyCode::F(1), _) => Some(Typed::Help),
            (KeyCode::Esc, _) if self.helps => Some(Typed::Help),
            (KeyCode::Up, _) if self.helps => Some(Typed::Scroll(-1)),
            (KeyCode::Down, _) if self.helps => Some(Typed::Scroll(1)),
            (KeyCode::PageUp, _) if self.helps => Some(Typed::Scroll(-10)),
            (KeyCode::PageDown, _) if self.helps => Some(Typed::Scroll(10)),
            (KeyCode::Enter, _) => {
                (self.open, self.helps) = (false, false);
                Some(Typed::Accepted)
            }
            (KeyCode::Esc, _) | (KeyCode::Char('c'), KeyModifiers::CONTROL) => {
                let before = std::mem::take(&mut self.before);
                self.set(&before);
                (self.open, self.helps) = (false, false);
                Some(Typed::Cancelled)
            }
            (KeyCode::Tab, _) => Some(Typed::Complete),
            _ => {
                let request = to_input_request(&Event::Key(key))?;
                let full = self.text().len() >= LONGEST;
                if full && matches!(request, InputRequest::InsertChar(_)) {
                    return None;
                }
                let changed = self.editor.handle(request)?;
                changed.value.then_some(Typed::Changed)
            }
        }
    }

    /// Takes pasted text at the cursor; line ends become blanks.
    pub(in crate::tui) fn paste(&mut self, pasted: &str) -> Option<Typed> {
        let room = LONGEST.saturating_sub(self.text().len());
        let pasted = clean(pasted, room);
        for c in pasted.chars() {
            self.editor.handle(InputRequest::InsertChar(c));
        }
        (!pasted.is_empty()).then_some(Typed::Changed)
    }

    /// Draws `prompt` and the text on one line, the cursor always in sight; a closed line has no cursor.
    pub(in crate::tui) fn draw(&self, prompt: &str, theme: &Theme, area: Rect, buf: &mut Buffer) {
        let (prompt, used) = text::cut(prompt, usize::from(area.width));
        let room = usize::from(area.width) - used;
        let mut spans = vec![Span::styled(prompt, theme.accent)];
        let (before, rest) = self.text().split_at(self.cursor());
        if !self.open {
            spans.push(Span::styled(text::cut(self.text(), room).0, theme.text));
        } else if room > 0 {
            let cursor_style = theme.text.add_modifier(Modifier::REVERSED);
            let under = first_grapheme(rest);
            let shown = if under.is_empty() { " " } else { under };
            let before = tail(before, room.saturating_sub(text::width(shown).max(1)));
            let left = room.saturating_sub(text::width(before) + text::width(shown));
            spans.push(Span::styled(before.to_owned(), theme.text));
            spans.push(Span::styled(shown.to_owned(), cursor_style));
            spans.push(Span::styled(text::cut(&rest[under.len()..], left).0, theme.text));
        }
        buf.set_line(area.x, area.y, &Line::from(spans), area.width);
    }
}

/// Without control characters, at most so many bytes.
fn clean(text: &str, bytes: usize) -> String {
    let mut out = String::new();
    for c in text.trim_end_matches(['\r', '\n']).chars() {
        let c = if c.is_control() { ' ' } else { c };
        if out.len() + c.len_utf8() > bytes {
            break;
        }
        out.push(c);
    }
    out
}

fn first_grapheme(text: &str) -> &str {
    let Some(first) = text.chars().next() else { return "" };
    // What joins to the first character belongs to it: marks have no width of their own.
    let more = text[first.len_utf8()..].chars().take_while(|c| text::width(c.encode_utf8(&mut [0; 4])) == 0);
    &text[..first.len_utf8() + more.map(char::len_utf8).sum::<usize>()]
}

/// The end of the text that fits.
fn tail(text: &str, columns: usize) -> &str {
    let starts = text.char_indices().map(|(at, _)| &text[at..]);
    std::iter::once(text).chain(starts).find(|rest| text::width(rest) <= columns).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(input: &mut Input, text: &str) {
        for c in text.chars() {
            input.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
        }
    }

    fn press(input: &mut Input, code: KeyCode) -> Option<Typed> {
        input.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn drawn(input: &Input, width: u16) -> String {
        let area = Rect::new(0, 0, width, 1);
        let mut buf = Buffer::empty(area);
        input.draw("/", &Theme::mono(), area, &mut buf);
        buf.content.iter().map(|cell| cell.symbol()).collect()
    }

    #[test]
    fn writes_and_corrects() {
        let mut input = Input::default();
        input.open();
        typed(&mut input, "port:44");
        assert_eq!(press(&mut input, KeyCode::Backspace), Some(Typed::Changed));
        assert_eq!(press(&mut input, KeyCode::Left), None);
        typed(&mut input, "x");
        assert_eq!((input.text(), input.cursor()), ("port:x4", 6));
        assert_eq!(press(&mut input, KeyCode::Enter), Some(Typed::Accepted));
        assert!(!input.is_open());
    }

    #[test]
    fn esc_brings_the_old_text_back() {
        let mut input = Input::default();
        input.set("old");
        input.open();
        typed(&mut input, " and new");
        assert_eq!(press(&mut input, KeyCode::Esc), Some(Typed::Cancelled));
        assert_eq!((input.text(), input.is_open()), ("old", false));
    }

    #[test]
    fn pasted_text_has_no_control_characters_and_an_end() {
        let mut input = Input::default();
        assert_eq!(input.paste("a\x1b[31m\tb\n"), Some(Typed::Changed));
        assert_eq!(input.text(), "a [31m b");
        input.paste(&"é".repeat(9999));
        assert!(input.text().len() <= LONGEST);
        typed(&mut input, "zz");
        assert!(input.text().len() <= LONGEST + 1);
        assert_eq!(input.paste(""), None);
    }

    #[test]
    fn the_cursor_stays_in_sight() {
        let mut input = Input::default();
        input.open();
        typed(&mut input, "abcdefgh");
        assert_eq!(drawn(&input, 6), "/efgh ");
        press(&mut input, KeyCode::Home);
        assert_eq!(drawn(&input, 6), "/abcd…");
        assert_eq!(drawn(&input, 1), "/");
        for width in 1..12 {
            input.set("日本e\u{301}👩‍👩‍👧x");
            let _ = drawn(&input, width);
        }
    }
}
