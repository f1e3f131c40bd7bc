//! Rows of the other send paths: vmsplice, kTLS, MPTCP, fastopen, sockmap, mixed and refused sends, frags.

use super::row::Row;

/// The rows.
pub(super) const ROWS: &[Row] = &[];
