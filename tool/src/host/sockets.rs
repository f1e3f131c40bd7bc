//! Which sockets a process has, from `/proc`. Asking makes no connection.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;

use procfs::net::{TcpNetEntry, TcpState};
use procfs::process::{FDTarget, Process};

/// The address process `pid` listens on with TCP, in the network namespace it is in; `None` while it does not.
///
/// # Errors
/// The process is gone, or may not be looked at.
pub fn listening(pid: u32) -> io::Result<Option<SocketAddr>> {
    let process = Process::new(pid.cast_signed()).map_err(io::Error::other)?;
    let own: HashSet<u64> = process
        .fd()
        .map_err(io::Error::other)?
        .flatten()
        .filter_map(|fd| if let FDTarget::Socket(inode) = fd.target { Some(inode) } else { None })
        .collect();
    let found = |sockets: Vec<TcpNetEntry>| {
        let listens = |socket: &TcpNetEntry| socket.state == TcpState::Listen && own.contains(&socket.inode);
        sockets.into_iter().find(listens).map(|socket| socket.local_address)
    };
    let v4 = process.tcp().map_err(io::Error::other)?;
    // A kernel without IPv6 has no such file.
    Ok(found(v4).or_else(|| process.tcp6().ok().and_then(found)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_by_its_owner() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let _peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let found = listening(std::process::id()).unwrap().unwrap();
        assert_ne!(found.port(), 0);
        // Other tests of this process may listen, too; nobody else's sockets count.
        assert!(listening(1).map_or(true, |init| init != Some(listener.local_addr().unwrap())));
    }
}
