//! Facts about this machine, and the network namespaces zcscope makes for itself. Reads `/proc`, asks the
//! kernel; changes nothing of the host.

pub mod cgroup;
pub mod cpu;
pub mod device;
mod ethtool;
pub mod facts;
pub mod identity;
pub mod limits;
pub mod link;
pub mod netns;
pub mod sockets;
mod spawn;
pub mod symbols;
pub mod taps;
