//! Rows of copy reasons: links and devices that make the kernel copy.

use super::row::Row;

/// The rows.
pub(super) const ROWS: &[Row] = &[];
