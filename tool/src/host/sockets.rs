//! Which TCP ports a process's network namespace listens on.

use std::{fs, io};

/// State `TCP_LISTEN` in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Whether somebody in the network namespace of process `pid` listens on this IPv4 port. Asking makes no connection.
///
/// # Errors
/// The process is gone.
pub fn listens(pid: u32, port: u16) -> io::Result<bool> {
    Ok(is_listed(&fs::read_to_string(format!("/proc/{pid}/net/tcp"))?, port))
}

/// Columns: number, local address and port in hex, remote, state in hex, ...
fn is_listed(text: &str, port: u16) -> bool {
    let port = format!(":{port:04X}");
    text.lines().skip(1).any(|line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        columns.next().is_some_and(|local| local.ends_with(&port)) && columns.nth(1) == Some(LISTEN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
0: 020200C0:1451 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n   \
1: 020200C0:1452 010200C0:9C40 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1\n";

    #[test]
    fn a_connection_is_not_a_listener() {
        assert!(is_listed(TCP, 0x1451));
        assert!(!is_listed(TCP, 0x1452));
        assert!(!is_listed(TCP, 0x451));
    }

    #[test]
    fn sees_a_listener_of_this_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listens(std::process::id(), port).unwrap());
        drop(listener);
        // A child that another test is just starting holds it until it executes its program.
        let gone = || !listens(std::process::id(), port).unwrap();
        let patience = (0..200).any(|_| {
            gone() || {
                std::thread::sleep(std::time::Duration::from_millis(10));
                false
            }
        });
        assert!(patience);
    }
}
