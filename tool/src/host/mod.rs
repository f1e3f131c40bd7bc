//! Facts about this machine, and the network namespaces zcscope makes for itself. Reads `/proc`, asks the
//! kernel; changes nothing of the host but devices it is told to borrow, and gives them back.

pub mod adapter;
pub mod cgroup;
pub mod cpu;
pub mod device;
mod ethtool;
pub mod facts;
mod free;
mod genetlink;
pub mod guard;
pub mod heap;
pub mod identity;
pub mod journey;
pub mod limits;
pub mod link;
pub mod loan;
mod netlink;
pub mod netns;
pub mod owner;
pub mod process;
pub mod route;
mod settings;
pub mod sockets;
pub mod spaces;
mod spawn;
pub mod symbols;
pub mod sysctl;
pub mod taps;
pub mod uring;
