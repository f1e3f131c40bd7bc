//! What zcscope concludes: every finding is made on a real kernel, nothing is blamed that is not there, and the fix it
//! prints makes it go away.
//!
//! [`blame`] derives from what a scenario does which findings its report must have and may have; [`table`] says of each
//! finding how it is made; [`live`] makes them while traffic flows, and mends them.

pub(crate) mod blame;
pub(crate) mod calm;
pub(crate) mod live;
pub(crate) mod live_table;
mod screen;
pub(crate) mod table;

/// Those live ones that only a guest's kernel can make, or only its back ends see.
const IN_GUESTS: [&str; 5] = [
    "finding_lossy",
    "finding_memlock",
    "finding_uring_memlock",
    "finding_optmem_near",
    "finding_memlock_near",
];

/// Whether a scenario is one of these that one kernel is enough for: it is about what zcscope makes of its figures.
pub(crate) fn is_once(name: &str) -> bool {
    name == "calm_traffic"
        || (live_table::ROWS.iter().any(|row| row.name == name) && !IN_GUESTS.contains(&name))
}
