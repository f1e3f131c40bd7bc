//! The receiving end: connections one after another, each read to its end.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use anyhow::Context;
use nix::sys::socket::{Backlog, SockaddrStorage, bind};

use super::{recv, sys, tls};
use crate::truth::{Received, RecvPath};

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
    /// How to read.
    #[arg(long, value_enum, default_value_t = RecvPath::Recv)]
    mode: RecvPath,
    /// Bytes of copy buffer when mapping.
    #[arg(long, default_value_t = 0)]
    copy_buffer: usize,
    /// Seconds after which the sink ends in any case.
    #[arg(long, default_value_t = 60)]
    pub(crate) limit: u32,
}

/// Prints the port, accepts, reads to the end, prints the counters of all connections.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let listener = listen(args).with_context(|| format!("cannot listen on {}", args.listen))?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_addr()?.port())?;
    out.flush()?;
    let mut received = Received { pid: std::process::id(), ..Received::default() };
    for _ in 0..args.connections {
        let (stream, _) = listener.accept()?;
        if args.tls {
            tls::decrypt(stream.as_fd()).context("this kernel refuses TLS")?;
        }
        std::thread::sleep(Duration::from_millis(args.delay));
        recv::read_all(args.mode, args.copy_buffer, &stream, &mut received)?;
    }
    writeln!(out, "{}", serde_json::to_string(&received)?)?;
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
