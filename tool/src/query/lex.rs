//! A line of text in words: blanks separate, quotes keep together, parentheses and a leading `!` stand alone.

use std::ops::Range;

use super::Error;

/// What a piece is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Open,
    Close,
    Not,
    Or,
    And,
    /// A term or a bare word, without its quotes; true when all of it stood in quotes.
    Word(String, bool),
}

/// A piece and where it stands.
pub(super) type Piece = (Token, Range<usize>);

/// Cuts a line into its pieces.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, Error> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let next = at + c.len_utf8();
        let alone = match c {
            '(' => Some(Token::Open),
            ')' => Some(Token::Close),
            '!' => Some(Token::Not),
            _ => None,
        };
        at = match alone {
            _ if c.is_whitespace() => next,
            Some(token) => {
                pieces.push((token, at..next));
                next
            }
            None => {
                let (token, end) = word(text, at)?;
                pieces.push((token, at..end));
                end
            }
        };
    }
    Ok(pieces)
}

/// The word that begins at `start`, and where it ends.
fn word(text: &str, start: usize) -> Result<(Token, usize), Error> {
    let (mut out, mut quoted, mut quotes) = (String::new(), None, false);
    let mut end = text.len();
    for (i, c) in text[start..].char_indices() {
        match (c, quoted) {
            ('"', None) => (quoted, quotes) = (Some(start + i), true),
            ('"', Some(_)) => quoted = None,
            (c, None) if c.is_whitespace() || c == '(' || c == ')' => {
                end = start + i;
                break;
            }
            (c, _) => out.push(c),
        }
    }
    if let Some(open) = quoted {
        return Err(Error { at: open..text.len(), what: "a quote is open: end it with \"".into() });
    }
    let whole = quotes && text[start..end].starts_with('"');
    let token = match out.as_str() {
        _ if quotes => Token::Word(out, whole),
        "or" | "OR" | "||" => Token::Or,
        "and" | "AND" | "&&" => Token::And,
        "not" | "NOT" => Token::Not,
        _ => Token::Word(out, false),
    };
    Ok((token, end))
}
