//! The last step of a frame on a terminal without UTF-8: whatever is not ASCII is replaced, column by column. Views draw
//! with [`super::Symbols`]; this catches the rest: ellipses, units, and names that come from elsewhere.

use ratatui::buffer::Buffer;

/// Text that has a likeness in ASCII.
const ALIKE: &[(&str, &str)] = &[
    ("…", ">"),
    ("·", "|"),
    ("µ", "u"),
    ("μ", "u"),
    ("×", "x"),
    ("–", "-"),
    ("—", "-"),
    ("−", "-"),
    ("≠", "*"),
    ("≥", ">"),
    ("≤", "<"),
    ("→", ">"),
    ("←", "<"),
    ("↑", "^"),
    ("↓", "v"),
    ("▸", ">"),
    ("▾", "v"),
    ("▲", "^"),
    ("▼", "v"),
    ("•", "*"),
    ("●", "*"),
    ("░", ":"),
    ("▒", "%"),
    ("▓", "%"),
    ("█", "#"),
    ("▁", "_"),
    ("▂", "."),
    ("▃", ":"),
    ("▄", "-"),
    ("▅", "="),
    ("▆", "+"),
    ("▇", "*"),
];

/// Makes the whole frame ASCII.
pub(in crate::tui) fn replace(buf: &mut Buffer) {
    for cell in &mut buf.content {
        if !cell.symbol().is_ascii() {
            let symbol = alike(cell.symbol());
            cell.set_symbol(symbol);
        }
    }
}

fn alike(symbol: &str) -> &'static str {
    match ALIKE.iter().find(|(glyph, _)| *glyph == symbol) {
        Some((_, ascii)) => ascii,
        None => match symbol.chars().next() {
            Some('─' | '━' | '╌' | '╴' | '╶') => "-",
            Some('│' | '┃' | '┆' | '╎') => "|",
            // Corners and crossings of boxes.
            Some('\u{2500}'..='\u{257f}') => "+",
            // Braille: dots of a line.
            Some('\u{2800}') => " ",
            Some('\u{2801}'..='\u{28ff}') => "*",
            _ => "?",
        },
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn nothing_but_ascii_is_left() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 14, 1));
        buf.set_string(0, 0, "╭─▸ 日x 5 µs…⣿", Style::new());
        replace(&mut buf);
        let line: String = buf.content.iter().map(|cell| cell.symbol()).collect();
        assert_eq!(line, "+-> ? x 5 us>*");
    }
}
