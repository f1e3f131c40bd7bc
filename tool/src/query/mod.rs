//! The language of the filter: which sockets a line of text means, as in `path:sendfile copied>1% port:443`. Pure.
//!
//! Terms stand side by side and must all hold; `or`, `not` (or `!`) and parentheses combine them; a bare word is looked
//! for in names and addresses. What can be asked for is one table, [`FIELDS`].
//!
//! A figure that is not known here, or means nothing for a socket, is neither above nor below anything: a term about
//! it does not hold, and neither does its negation. `FIELD:n/a` asks for such sockets.

mod complete;
mod expr;
mod fields;
mod figures;
mod lex;
mod parse;
mod reference;
mod values;

pub use self::complete::{Completion, complete, field_at};
pub use self::fields::{FIELDS, Field};
pub use self::reference::{Kind, RULES, Rule, units};

use std::fmt;
use std::ops::Range;

use crate::model::snapshot::SocketFigures;
use expr::Expr;

/// A filter that was understood.
#[derive(Clone, Debug, Default)]
pub struct Query {
    text: String,
    expr: Option<Expr>,
}

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The part of the text it is about, in bytes; it can be empty, at the end.
    pub at: Range<usize>,
    /// One sentence: what is wrong and what to write.
    pub what: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {}

impl Query {
    /// Reads a filter. An empty one lets everything pass.
    ///
    /// # Errors
    /// The first thing that cannot be understood.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(Self { text: text.trim().to_owned(), expr: parse::parse(text)? })
    }

    /// True when the socket is meant.
    #[must_use]
    pub fn matches(&self, socket: &SocketFigures) -> bool {
        self.expr.as_ref().is_none_or(|expr| expr.holds(socket) == Some(true))
    }

    /// True when everything passes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.expr.is_none()
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests;
