//! What can stand where the cursor is: names of fields, or the words a field knows.

use std::ops::Range;

use super::fields::{self, FIELDS, Field};
use super::parse;

/// Words that fit at the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// The part of the text they would replace, in bytes.
    pub at: Range<usize>,
    /// The words, in the order of their table; fields that are names with their `:`.
    pub words: Vec<String>,
}

/// The word that ends at `cursor`, a byte position of the text, and where it begins.
fn word_at(text: &str, cursor: usize) -> (usize, &str) {
    let before = text.get(..cursor).unwrap_or(text);
    let separates = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '!');
    let start =
        before.char_indices().rev().find(|(_, c)| separates(*c)).map_or(0, |(at, c)| at + c.len_utf8());
    (start, &before[start..])
}

/// What fits at `cursor`, a byte position of the text.
#[must_use]
pub fn complete(text: &str, cursor: usize) -> Completion {
    let (start, word) = word_at(text, cursor);
    let end = start + word.len();
    let begins = |name: &str, with: &str| name.len() > with.len() && name.starts_with(with);
    let Some((name, op, value)) = parse::split(word) else {
        let fits = FIELDS.iter().filter(|field| begins(field.name, word));
        let words = fits.map(|field| format!("{}{}", field.name, if field.is_figure() { "" } else { ":" }));
        return Completion { at: start..end, words: words.collect() };
    };
    let last = value.rsplit(',').next().unwrap_or_default();
    let known = match op {
        ":" | "=" => fields::find(name).map(fields::vocabulary).unwrap_or_default(),
        _ => Vec::new(),
    };
    let fits = known.into_iter().filter(|known| begins(known, last));
    Completion { at: end - last.len()..end, words: fits.map(str::to_owned).collect() }
}

/// The field whose term stands at `cursor`, with or without its operator.
#[must_use]
pub fn field_at(text: &str, cursor: usize) -> Option<&'static Field> {
    let (_, word) = word_at(text, cursor);
    fields::find(parse::split(word).map_or(word, |(name, ..)| name))
}
