//! Rows of completions: latency, unread notifications, dying peers, what the application is told.

use super::row::Row;

/// The rows.
pub(super) const ROWS: &[Row] = &[];
