//! What zcscope concludes: every finding is made on a real kernel, nothing is blamed that is not there, and the fix it
//! prints makes it go away.
//!
//! [`blame`] derives from what a scenario does which findings its report must have and may have; [`table`] says of each
//! finding how it is made.

pub(crate) mod blame;
pub(crate) mod table;
