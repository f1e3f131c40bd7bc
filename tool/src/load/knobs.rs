//! What is set on every socket before it sends: send buffer, Nagle, pacing; and the limit on open descriptors.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use socket2::Socket;

use super::paths::Setup;
use super::{LoadError, sys};

/// What every connection has in flight, unless told otherwise: the same on every path.
const IN_FLIGHT: u64 = 1 << 20;
/// Bounds of the depth that follows from it.
const DEPTHS: std::ops::RangeInclusive<u64> = 4..=256;

/// The depth at which `size` bytes a send make 1 MiB in flight, between 4 and 256.
#[must_use]
pub fn default_depth(size: u64) -> u32 {
    (IN_FLIGHT / size.max(1)).clamp(*DEPTHS.start(), *DEPTHS.end()) as u32
}

/// How much one connection may have queued or unacknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SendBuffer {
    /// What the kernel tunes it to (net.ipv4.tcp_wmem).
    #[default]
    System,
    /// So much that copying paths have as much in flight as `depth` sends of `size` are.
    InFlight,
    /// So many bytes.
    Bytes(u64),
}

impl std::str::FromStr for SendBuffer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "system" => Ok(SendBuffer::System),
            "depth" => Ok(SendBuffer::InFlight),
            _ => crate::units::parse_size(text).map(SendBuffer::Bytes).map_err(|error| {
                format!("{error}; or depth (depth x size), or system (the kernel's own tuning)")
            }),
        }
    }
}

impl SendBuffer {
    /// Bytes the kernel's own count of queued memory may reach; `None` where it decides itself.
    #[must_use]
    pub fn wanted(self, setup: &Setup) -> Option<u64> {
        match self {
            SendBuffer::System => None,
            // Each packet in the queue is counted with its header, too: an eighth for that.
            SendBuffer::InFlight => {
                let bytes = setup.size as u64 * setup.depth as u64;
                Some(bytes + bytes / 8)
            }
            SendBuffer::Bytes(bytes) => Some(bytes),
        }
    }
}

/// Settings of one connection's socket.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SocketKnobs {
    /// Memory its send queue may take.
    pub(super) sndbuf: Option<u64>,
    /// Send small packets at once.
    pub(super) nodelay: bool,
    /// Bytes per second the kernel lets out.
    pub(super) pacing: Option<u64>,
}

impl SocketKnobs {
    /// Sets them.
    pub(super) fn apply(&self, socket: &Socket) -> Result<(), LoadError> {
        let cannot = |what: &'static str| move |error| LoadError::failed(what, error);
        if let Some(bytes) = self.sndbuf {
            set_send_buffer(socket, bytes).map_err(cannot("cannot set SO_SNDBUF"))?;
        }
        if self.nodelay {
            socket.set_tcp_nodelay(true).map_err(cannot("cannot set TCP_NODELAY"))?;
        }
        if let Some(rate) = self.pacing {
            use std::os::fd::AsFd;
            sys::set_max_pacing_rate(socket.as_fd(), rate)
                .map_err(cannot("cannot set SO_MAX_PACING_RATE"))?;
        }
        Ok(())
    }
}

/// The kernel doubles what is asked for, to have room for its own book-keeping; so half is asked for. Beyond
/// net.core.wmem_max only with CAP_NET_ADMIN; without, the kernel cuts it down, and the report shows the figure.
fn set_send_buffer(socket: &Socket, bytes: u64) -> std::io::Result<()> {
    let half = usize::try_from(bytes / 2).unwrap_or(usize::MAX).clamp(1, i32::MAX as usize / 2);
    if setsockopt(socket, sockopt::SndBufForce, &half).is_ok() {
        return Ok(());
    }
    Ok(setsockopt(socket, sockopt::SndBuf, &half)?)
}

/// The limit of a socket's send queue now, in bytes as the kernel counts them.
pub(super) fn send_buffer(socket: &Socket) -> Option<u64> {
    getsockopt(socket, sockopt::SndBuf).ok().map(|bytes| bytes as u64)
}

/// Raises the soft limit on open descriptors to the hard one, so that many connections fit. Best effort: what is
/// still missing shows when a socket cannot be opened.
pub(super) fn raise_descriptor_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// The limit on open descriptors; `None` when it cannot be read.
pub(super) fn descriptor_limit() -> Option<u64> {
    getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft)
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Type};

    #[test]
    fn what_is_set_is_what_the_kernel_has() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let knobs = SocketKnobs { sndbuf: Some(100_000), nodelay: true, pacing: Some(1_000_000) };
        knobs.apply(&socket).unwrap();
        assert_eq!(send_buffer(&socket), Some(100_000));
        assert!(socket.tcp_nodelay().unwrap());
    }

    #[test]
    fn the_default_depth_keeps_the_bytes_in_flight() {
        let depths = [1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20, 16 << 20].map(default_depth);
        assert_eq!(depths, [256, 256, 64, 16, 4, 4]);
    }

    #[test]
    fn depth_times_size_with_room_for_headers() {
        let setup = Setup { size: 64 << 10, depth: 16, ..Setup::default() };
        assert_eq!(SendBuffer::InFlight.wanted(&setup), Some(1_179_648));
        assert_eq!(SendBuffer::System.wanted(&setup), None);
        assert_eq!("depth".parse(), Ok(SendBuffer::InFlight));
        assert_eq!("4M".parse(), Ok(SendBuffer::Bytes(4 << 20)));
        assert!("many".parse::<SendBuffer>().unwrap_err().contains("depth"));
    }
}
