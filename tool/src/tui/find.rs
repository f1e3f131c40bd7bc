//! Finding in lists: a text is written on the last line, the selection goes to the next row that has it, and what was
//! found is marked wherever it stands on screen. A filter leaves rows out; this leaves all of them where they are.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::app::App;
use super::shown::Shown;
use super::text;
use super::theme::Theme;
use super::views::Scene;
use super::views::input::{Input, Typed};

const PROMPT: &str = "find: ";

/// Where to look first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// The selected row, or the next one after it.
    Here,
    Next,
    Previous,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The row to select.
    pub(super) row: usize,
    /// Which of the rows that have the text it is, from 1 on.
    pub(super) number: usize,
    /// How many have it.
    pub(super) of: usize,
}

/// What a view is asked for: a text in small letters, and where to look.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    text: String,
    to: To,
}

impl Wanted {
    /// True when one of the parts of a row has the text.
    pub(super) fn is_in<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> bool {
        parts.into_iter().any(|part| part.to_lowercase().contains(&self.text))
    }

    /// The row to go to from the row `at`; at the end it goes on from the other end. `None` when no row has the text.
    pub(super) fn among(&self, rows: usize, at: usize, has: impl FnMut(&usize) -> bool) -> Option<Found> {
        let matches: Vec<usize> = (0..rows).filter(has).collect();
        let last = matches.len().checked_sub(1)?;
        let i = match self.to {
            To::Here => matches.partition_point(|row| *row < at) % matches.len(),
            To::Next => matches.partition_point(|row| *row <= at) % matches.len(),
            To::Previous => matches.partition_point(|row| *row < at).checked_sub(1).unwrap_or(last),
        };
        Some(Found { row: matches[i], number: i + 1, of: matches.len() })
    }
}

/// What is looked for, and what came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Find {
    pub(super) line: Input,
    found: Option<Found>,
}

impl Find {
    /// Forgets the text; false when there is none.
    pub(super) fn clear(&mut self) -> bool {
        let had = !self.line.text().is_empty();
        self.line.set("");
        had
    }

    /// How it went, in words.
    fn note(&self) -> String {
        match (self.line.text(), self.found) {
            ("", _) => String::new(),
            (_, Some(found)) => format!("{} of {}", found.number, found.of),
            (_, None) => "no row has it".into(),
        }
    }
}

impl App {
    /// Begins to write what is looked for.
    pub(super) fn begin_find(&mut self) {
        self.find.line.set("");
        self.find.line.open();
    }

    /// Takes in what a key did to the line: every letter goes to the first row that fits.
    pub(super) fn typed_find(&mut self, typed: Typed, shown: &Shown) {
        match typed {
            Typed::Changed => self.look(To::Here, shown),
            Typed::Accepted if !self.find.line.text().is_empty() => self.tell_found(),
            _ => {}
        }
    }

    /// To the next row, or the one before.
    pub(super) fn find_again(&mut self, to: To, shown: &Shown) {
        if self.find.line.text().is_empty() {
            let key = self.keys.label("find").unwrap_or_else(|| "no key".into());
            return self.say(&format!("nothing is looked for yet: {key} writes what to find"));
        }
        self.look(to, shown);
        self.tell_found();
    }

    fn tell_found(&mut self) {
        let note = format!("{}{}: {}", PROMPT, self.find.line.text(), self.find.note());
        self.say(&note);
    }

    fn look(&mut self, to: To, shown: &Shown) {
        let text = self.find.line.text().to_lowercase();
        if text.is_empty() {
            self.find.found = None;
            return;
        }
        self.find.found = (self.view.entry().find)(self, shown, &Wanted { text, to });
    }
}

/// Draws the line that is written, and how it goes.
pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let (find, theme) = (&scene.app.find, scene.theme);
    let note = format!(" {}  Enter keeps, Esc undoes", find.note());
    let room = usize::from(area.width).saturating_sub(text::width(PROMPT) + 12);
    let (note, width) = text::cut(&note, room);
    let style = if find.found.is_none() { theme.warn } else { theme.dim };
    buf.set_string(area.x, area.y, " ".repeat(area.width.into()), theme.text);
    find.line.draw(PROMPT, theme, Rect { width: area.width - width as u16, ..area }, buf);
    buf.set_line(area.right() - width as u16, area.y, &Line::from(Span::styled(note, style)), width as u16);
}

/// Marks the text in the rows of lists.
pub(super) fn mark(wanted: &str, theme: &Theme, areas: impl IntoIterator<Item = Rect>, buf: &mut Buffer) {
    let wanted: Vec<String> = wanted.to_lowercase().chars().map(String::from).collect();
    if wanted.is_empty() {
        return;
    }
    let style = theme.accent.add_modifier(Modifier::BOLD | Modifier::UNDERLINED);
    let screen = buf.area;
    for area in areas.into_iter().map(|area| area.intersection(screen)) {
        for y in area.top()..area.bottom() {
            let cells: Vec<String> =
                (area.left()..area.right()).map(|x| buf[(x, y)].symbol().to_lowercase()).collect();
            for (at, _) in cells.windows(wanted.len()).enumerate().filter(|(_, part)| *part == wanted) {
                let place = Rect { x: area.x + at as u16, y, width: wanted.len() as u16, height: 1 };
                buf.set_style(place, style);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(to: To, at: usize, rows: &[&str]) -> Option<(usize, usize, usize)> {
        let wanted = Wanted { text: "b".into(), to };
        let found = wanted.among(rows.len(), at, |row| wanted.is_in([rows[*row]]))?;
        Some((found.row, found.number, found.of))
    }

    #[test]
    fn the_next_row_and_the_one_before_and_on_from_the_other_end() {
        let rows = ["a", "B", "c", "abc", "b"];
        assert_eq!(go(To::Here, 0, &rows), Some((1, 1, 3)));
        assert_eq!(go(To::Here, 1, &rows), Some((1, 1, 3)), "stays where it fits");
        assert_eq!(go(To::Next, 1, &rows), Some((3, 2, 3)));
        assert_eq!(go(To::Next, 4, &rows), Some((1, 1, 3)));
        assert_eq!(go(To::Previous, 1, &rows), Some((4, 3, 3)));
        assert_eq!(go(To::Previous, 2, &rows), Some((1, 1, 3)));
        assert_eq!(go(To::Next, 0, &["a", "c"]), None);
        assert_eq!(go(To::Here, 0, &[]), None);
    }

    #[test]
    fn what_was_found_is_marked_where_rows_are() {
        let mut buf = Buffer::with_lines(["heading ab", "x Ab aab "]);
        mark("ab", &Theme::mono(), [Rect::new(0, 1, 10, 1)], &mut buf);
        let marked = |x: u16, y: u16| buf[(x, y)].modifier.contains(Modifier::UNDERLINED);
        let places: Vec<u16> = (0..10).filter(|x| marked(*x, 1)).collect();
        assert_eq!(places, [2, 3, 6, 7]);
        assert!((0..10).all(|x| !marked(x, 0)));
    }
}
