//! The receiving end: connections one after another, each read to its end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use anyhow::Context;
use nix::sys::socket::{Backlog, SockaddrStorage, bind};

use super::{sys, tls};
use crate::truth::Received;

/// Arguments of `app sink`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long)]
    listen: SocketAddr,
    /// Connections to accept.
    #[arg(long, default_value_t = 1)]
    connections: u32,
    /// Kernel TLS with the key of the reference sender.
    #[arg(long)]
    tls: bool,
    /// Listen for MPTCP.
    #[arg(long)]
    mptcp: bool,
    /// Milliseconds before the first read.
    #[arg(long, default_value_t = 0)]
    delay: u64,
    /// Seconds after which the sink ends in any case.
    #[arg(long, default_value_t = 60)]
    pub(crate) limit: u32,
}

/// Prints the port, accepts, reads to the end, prints the bytes of all connections.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let listener = listen(args).with_context(|| format!("cannot listen on {}", args.listen))?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_addr()?.port())?;
    out.flush()?;
    let mut buffer = vec![0; 256 * 1024];
    let mut bytes = 0;
    for _ in 0..args.connections {
        let (mut stream, _) = listener.accept()?;
        if args.tls {
            tls::decrypt(stream.as_fd()).context("this kernel refuses TLS")?;
        }
        std::thread::sleep(Duration::from_millis(args.delay));
        loop {
            match stream.read(&mut buffer)? {
                0 => break,
                n => bytes += n as u64,
            }
        }
    }
    writeln!(out, "{}", serde_json::to_string(&Received { bytes })?)?;
    Ok(())
}

fn listen(args: &Args) -> anyhow::Result<TcpListener> {
    if !args.mptcp {
        return Ok(TcpListener::bind(args.listen)?);
    }
    let socket = sys::stream_socket(args.listen.is_ipv6(), libc::IPPROTO_MPTCP)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(args.listen))?;
    nix::sys::socket::listen(&socket, Backlog::new(8)?)?;
    Ok(TcpListener::from(socket))
}
