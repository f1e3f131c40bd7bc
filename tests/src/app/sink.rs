//! The receiving end: connections one after another, each read to its end.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};

use anyhow::Context;

use super::recv;
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
    let listener =
        TcpListener::bind(args.listen).with_context(|| format!("cannot listen on {}", args.listen))?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_addr()?.port())?;
    out.flush()?;
    let mut received = Received { pid: std::process::id(), ..Received::default() };
    for _ in 0..args.connections {
        let (stream, _) = listener.accept()?;
        recv::read_all(args.mode, args.copy_buffer, &stream, &mut received)?;
    }
    writeln!(out, "{}", serde_json::to_string(&received)?)?;
    Ok(())
}
