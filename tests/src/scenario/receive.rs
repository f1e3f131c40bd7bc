//! Rows of receive paths.

use super::row::Row;

/// The rows.
pub(super) const ROWS: &[Row] = &[];
