//! Text cut and padded to an exact number of terminal columns. Control characters (a process may put an escape
//! sequence in its name) never reach the terminal, and a wide character is never cut in half.

use std::net::{IpAddr, SocketAddr};

use ratatui::style::Style;
use ratatui::text::Span;
use unicode_width::UnicodeWidthStr as _;

/// Joins several emoji into one.
const JOINER: char = '\u{200d}';

/// Side on which a cell's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Names.
    Left,
    /// Figures.
    Right,
}

/// Columns the text takes on screen.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The name that looks most like this one, if any does.
#[must_use]
pub fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Less alike than this is no typing error.
    const ALIKE: f64 = 0.7;
    let scored = names.map(|name| (strsim::jaro_winkler(text, name), name));
    scored.filter(|(score, _)| *score >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

/// Exactly `columns` columns: cut with an ellipsis or padded with blanks.
pub(super) fn fit(text: &str, columns: usize, align: Align) -> String {
    let (mut out, used) = cut(text, columns);
    let blanks = columns - used;
    match align {
        Align::Left => out.extend(std::iter::repeat_n(' ', blanks)),
        Align::Right => out.insert_str(0, &" ".repeat(blanks)),
    }
    out
}

/// At most `columns` columns, and how many it took.
pub(super) fn cut(text: &str, columns: usize) -> (String, usize) {
    if text.len() <= columns && text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return (text.to_owned(), text.len());
    }
    let mut out = String::with_capacity(columns);
    let mut used = 0;
    // Where to cut if the text turns out not to fit: the last place that leaves a column for the ellipsis.
    let mut cut_at = (0, 0);
    for grapheme in Span::raw(text).styled_graphemes(Style::new()) {
        // Terminals disagree on the width of joined emoji; one replacement character is the same everywhere.
        let symbol = if grapheme.symbol.contains(JOINER) { "\u{fffd}" } else { grapheme.symbol };
        let w = symbol.width();
        if used + w > columns {
            out.truncate(cut_at.0);
            if columns == 0 {
                return (out, 0);
            }
            out.push('…');
            return (out, cut_at.1 + 1);
        }
        out.push_str(symbol);
        used += w;
        if used < columns {
            cut_at = (out.len(), used);
        }
    }
    (out, used)
}

/// Breaks text at blanks into lines of at most `columns`; the last of `max_lines` ends in an ellipsis if more follows.
pub(super) fn wrap(text: &str, columns: usize, max_lines: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut current = String::new();
    for word in text.split_whitespace() {
        if current.is_empty() {
            current.push_str(word);
        } else if width(&current) + 1 + width(word) <= columns {
            current.push(' ');
            current.push_str(word);
        } else {
            lines.push(std::mem::replace(&mut current, word.to_owned()));
        }
    }
    lines.push(current);
    if lines.len() > max_lines {
        let rest = lines.split_off(max_lines);
        if let (Some(last), Some(next)) = (lines.last_mut(), rest.first()) {
            last.push(' ');
            last.push_str(next);
            last.push('…');
        }
    }
    lines.iter().map(|line| cut(line, columns).0).collect()
}

/// An address of exactly what the application would write: IPv4 carried in IPv6 is shown as IPv4. When it is
/// longer than `width`, the end of the host part goes first: the port is what tells sockets apart.
pub(super) fn address(addr: SocketAddr, width: usize) -> String {
    let ip = addr.ip().to_canonical();
    let full = SocketAddr::new(ip, addr.port()).to_string();
    if full.len() <= width {
        return full;
    }
    let port = format!(":{}", addr.port());
    let close = if matches!(ip, IpAddr::V6(_)) { "…]" } else { "…" };
    let keep = width.saturating_sub(port.len() + close.chars().count());
    let host: String = full.chars().take(keep).collect();
    format!("{host}{close}{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_exactly() {
        assert_eq!(fit("abc", 5, Align::Left), "abc  ");
        assert_eq!(fit("abc", 5, Align::Right), "  abc");
        assert_eq!(fit("abcdef", 5, Align::Left), "abcd…");
        assert_eq!(fit("abcde", 5, Align::Left), "abcde");
        assert_eq!(fit("abc", 0, Align::Left), "");
        assert_eq!(fit("abc", 1, Align::Left), "…");
    }

    #[test]
    fn wide_characters_are_never_halved() {
        assert_eq!(fit("日本語", 6, Align::Left), "日本語");
        assert_eq!(fit("日本語", 5, Align::Left), "日本…");
        assert_eq!(fit("日本語", 4, Align::Left), "日… ");
        for columns in 0..12 {
            for text in ["日本語のプロセス", "e\u{301}e\u{301}e\u{301}e\u{301}", "👩‍👩‍👧‍👦👩‍👩‍👧‍👦 x"]
            {
                assert_eq!(width(&fit(text, columns, Align::Left)), columns, "{text:?} in {columns}");
            }
        }
    }

    #[test]
    fn joined_emoji_are_replaced() {
        assert_eq!(fit("👩‍👩‍👧‍👦 x", 4, Align::Left), "\u{fffd} x ");
    }

    #[test]
    fn control_characters_are_dropped() {
        assert_eq!(fit("a\x1b[31mb\n", 8, Align::Left), "a[31mb  ");
    }

    #[test]
    fn wraps_at_blanks() {
        assert_eq!(wrap("one two three", 7, 3), ["one two", "three"]);
        assert_eq!(wrap("one two three four", 7, 1), ["one tw…"]);
        assert_eq!(wrap("", 7, 1), [""]);
    }

    #[test]
    fn addresses_keep_the_port() {
        let v4: SocketAddr = "192.168.100.123:44444".parse().expect("address");
        assert_eq!(address(v4, 40), "192.168.100.123:44444");
        assert_eq!(address(v4, 15), "192.168.…:44444");
        let v6: SocketAddr = "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535".parse().expect("address");
        assert_eq!(address(v6, 20), "[2001:db8:12…]:65535");
        let mapped: SocketAddr = "[::ffff:10.0.0.1]:80".parse().expect("address");
        assert_eq!(address(mapped, 40), "10.0.0.1:80");
    }
}
