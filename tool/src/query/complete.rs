//! What can stand where the cursor is: names of fields, or the words a field knows.

use std::ops::Range;

use super::fields::{self, FIELDS};
use super::parse;

/// Words that fit at the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// The part of the text they would replace, in bytes.
    pub at: Range<usize>,
    /// The words, in the order of their table; of fields with their `:`.
    pub words: Vec<String>,
}

/// What fits at `cursor`, a byte position of the text.
#[must_use]
pub fn complete(text: &str, cursor: usize) -> Completion {
    let before = text.get(..cursor).unwrap_or(text);
    let start =
        before.rfind(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '!')).map_or(0, |at| at + 1);
    let start = if before.is_char_boundary(start) { start } else { before.len() };
    let word = &before[start..];
    let begins = |name: &str, with: &str| name.len() > with.len() && name.starts_with(with);
    let Some((name, op, value)) = parse::split(word) else {
        let fits = FIELDS.iter().filter(|field| begins(field.name, word));
        return Completion { at: start..before.len(), words: fits.map(|f| format!("{}:", f.name)).collect() };
    };
    let last = value.rsplit(',').next().unwrap_or_default();
    let known = match op {
        ":" | "=" => fields::find(name).map(fields::vocabulary).unwrap_or_default(),
        _ => Vec::new(),
    };
    let fits = known.into_iter().filter(|known| begins(known, last));
    Completion { at: before.len() - last.len()..before.len(), words: fits.map(str::to_owned).collect() }
}
