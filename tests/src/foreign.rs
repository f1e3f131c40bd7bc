//! Foreign.
use crate::scenario::Procedure;
pub(crate) const ALL: &[Procedure] = &[];
