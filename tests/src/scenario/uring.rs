//! Rows of io_uring: plain, zero-copy, registered buffers, linked and failing sends.

use super::row::Row;

/// The rows.
pub(super) const ROWS: &[Row] = &[];
