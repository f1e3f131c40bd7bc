//! A matrix in a form for people (`table`, `plot`, `markdown`) or programs (`csv`; the JSON is the document itself),
//! and the comparison of two (`diff`).

pub mod csv;
pub mod diff;
pub mod facts;
pub mod markdown;
pub mod plot;
pub mod table;

mod answers;

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Columns.
    pub columns: usize,
    /// Whether it shows more than ASCII.
    pub unicode: bool,
    /// Whether it shows colours.
    pub colour: bool,
}

impl Screen {
    /// Paper: nothing is known about who reads it.
    pub const PLAIN: Screen = Screen { columns: 80, unicode: false, colour: false };

    /// `text` so that nobody overlooks it.
    #[must_use]
    pub fn alarm(&self, text: &str) -> String {
        if self.colour { format!("\x1b[1;31m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// `text` in ASCII where the screen has no more.
    #[must_use]
    pub fn plain(&self, text: &str) -> String {
        if self.unicode { text.to_owned() } else { text.replace('±', "+/-").replace('µ', "u") }
    }
}

#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod tests;
