//! Facts about this machine, and the network namespaces zcscope makes for itself. Reads `/proc`, asks the
//! kernel; changes nothing of the host but devices it is told to borrow, and gives them back.

pub mod cgroup;
pub mod cpu;
pub mod device;
mod ethtool;
pub mod facts;
mod free;
pub mod identity;
pub mod limits;
pub mod link;
pub mod loan;
mod netlink;
pub mod netns;
pub mod route;
mod settings;
pub mod sockets;
mod spawn;
pub mod symbols;
pub mod taps;
