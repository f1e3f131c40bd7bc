//! Rows of files sent: sources, page cache, and the copying alternative.

use super::row::Row;

/// The rows.
pub(super) const ROWS: &[Row] = &[];
