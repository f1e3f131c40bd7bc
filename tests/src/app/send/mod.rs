//! The sending end: an exact number of calls of an exact size over one connection, and its own counters.

mod connection;
mod lane;

use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::socket::{MsgFlags, SockaddrStorage, sendto};

use self::connection::Connection;
use self::lane::{Lane, Source};
use super::{sockmap, sys, tls, uring};
use crate::truth::SendPath;

/// User and group of a child without privileges.
const NOBODY: u32 = 65534;

/// Arguments of `app send`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How to send.
    #[arg(value_enum)]
    pub(crate) path: SendPath,
    /// After each call, make one this way on the same connection.
    #[arg(long, value_enum)]
    and: Option<SendPath>,
    /// Where to send.
    #[arg(long)]
    to: SocketAddr,
    /// Calls to make.
    #[arg(long)]
    pub(crate) calls: u64,
    /// Bytes per call.
    #[arg(long)]
    pub(crate) size: usize,
    /// Ask for MSG_ZEROCOPY without having set SO_ZEROCOPY.
    #[arg(long)]
    without_so_zerocopy: bool,
    /// Count a call refused with ENOBUFS and go on, without reading notifications in between.
    #[arg(long)]
    pub(crate) no_retry: bool,
    /// Read no notifications until so many milliseconds after the last call.
    #[arg(long)]
    read_late: Option<u64>,
    /// Close the connection after the last call, without waiting for anything.
    #[arg(long)]
    close_at_once: bool,
    /// Limit of locked memory in bytes; also becomes an unprivileged user, or the limit would not count.
    #[arg(long)]
    pub(crate) memlock: Option<u64>,
    /// Give the connection up after so many milliseconds without acknowledgement.
    #[arg(long)]
    user_timeout: Option<i32>,
    /// Bytes of send buffer, fixed.
    #[arg(long)]
    send_buffer: Option<i32>,
    /// Bytes a second, at most (`SO_MAX_PACING_RATE`).
    #[arg(long)]
    pace: Option<i32>,
    /// Write this file once connected, before the first send.
    #[arg(long)]
    connected_file: Option<PathBuf>,
    /// Send only when this file exists.
    #[arg(long)]
    go_file: Option<PathBuf>,
    /// Milliseconds between two calls.
    #[arg(long, default_value_t = 0)]
    pub(crate) pause: u64,
    /// Connections to make, one after another; each makes all the calls.
    #[arg(long, default_value_t = 1)]
    connections: u32,
    /// Give the pages to the pipe for good (`SPLICE_F_GIFT`).
    #[arg(long)]
    gift: bool,
    /// Ask for MSG_ZEROCOPY on a path that does not have it.
    #[arg(long)]
    ask_zerocopy: bool,
    /// Tell the kernel that more will come (`MSG_MORE`).
    #[arg(long)]
    more: bool,
    /// Send each byte from a page of its own.
    #[arg(long)]
    scattered: bool,
    /// Send from huge pages.
    #[arg(long)]
    huge: bool,
    /// Before each call, one with memory that cannot be read.
    #[arg(long)]
    bad_buffer: bool,
    /// Do not wait for room in the socket: count EAGAIN and try again.
    #[arg(long)]
    nonblocking: bool,
    /// Calls made after the connection was shut for sending.
    #[arg(long, default_value_t = 0)]
    after_shutdown: u32,
    /// Let the first call open the connection (`MSG_FASTOPEN`).
    #[arg(long)]
    fastopen: bool,
    /// Put the socket into a sockmap with a program for messages.
    #[arg(long)]
    sockmap: bool,
    #[command(flatten)]
    pub(crate) uring: uring::Options,
    /// Seconds after which the sender ends in any case.
    #[arg(long, default_value_t = 60)]
    pub(crate) limit: u32,
}

/// Sends, waits until everything is completed and acknowledged, prints one line of counters per path.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(bytes) = args.memlock {
        drop_privileges(bytes)?;
    }
    let mut lanes = Vec::new();
    for path in std::iter::once(args.path).chain(args.and) {
        lanes.push(Lane::new(path, args)?);
    }
    for _ in 0..args.connections {
        one_connection(args, &mut lanes)?;
    }
    for lane in &lanes {
        println!("{}", serde_json::to_string(&lane.sent)?);
    }
    Ok(())
}

fn one_connection(args: &Args, lanes: &mut [Lane]) -> anyhow::Result<()> {
    let mut calls = args.calls;
    let stream = if args.fastopen {
        calls -= 1;
        open_fast(args, lanes)?
    } else {
        connect(args)?
    };
    prepare(args, &stream)?;
    let _sockmap = args.sockmap.then(|| sockmap::enter(stream.as_fd())).transpose().context("no sockmap")?;
    wait_for_go(args)?;
    if let Some(lane) = lanes.first_mut().filter(|lane| lane.path.is_uring()) {
        uring::send(args, &stream, &mut lane.sent)?;
    }
    let mut connection = Connection::new(args, stream);
    for _ in 0..if args.path.is_uring() { 0 } else { calls } {
        for lane in 0..lanes.len() {
            connection.one_call(lanes, lane)?;
        }
        if args.pause > 0 {
            std::thread::sleep(Duration::from_millis(args.pause));
        }
    }
    if args.close_at_once {
        return Ok(());
    }
    if let Some(milliseconds) = args.read_late {
        std::thread::sleep(Duration::from_millis(milliseconds));
    }
    connection.finish(lanes, args.user_timeout.is_some())
}

fn connect(args: &Args) -> anyhow::Result<TcpStream> {
    let cannot = || format!("cannot connect to {}", args.to);
    if args.path != SendPath::Mptcp {
        return TcpStream::connect(args.to).with_context(cannot);
    }
    let socket = sys::stream_socket(args.to.is_ipv6(), libc::IPPROTO_MPTCP)?;
    nix::sys::socket::connect(socket.as_raw_fd(), &SockaddrStorage::from(args.to)).with_context(cannot)?;
    Ok(TcpStream::from(socket))
}

/// The first call connects, and its data travels with the SYN as far as it fits.
fn open_fast(args: &Args, lanes: &mut [Lane]) -> anyhow::Result<TcpStream> {
    let socket = sys::stream_socket(args.to.is_ipv6(), 0)?;
    let lane = lanes.first_mut().context("no path")?;
    if lane.path == SendPath::MsgZerocopy {
        sys::allow_zerocopy(socket.as_fd())?;
    }
    let Source::Memory(data) = &lane.source else { bail!("fastopen sends from memory") };
    let flags = lane.flags | MsgFlags::from_bits_retain(libc::MSG_FASTOPEN);
    let sent = sendto(socket.as_raw_fd(), data, &SockaddrStorage::from(args.to), flags)?;
    lane.sent.calls += 1;
    lane.sent.bytes += sent as u64;
    lane.sent.zerocopy_sends += u64::from(lane.path == SendPath::MsgZerocopy);
    anyhow::ensure!(sent == data.len(), "only {sent} of {} bytes were taken", data.len());
    Ok(TcpStream::from(socket))
}

/// A process with CAP_IPC_LOCK is never refused for locked memory, so root has to become nobody.
fn drop_privileges(memlock: u64) -> anyhow::Result<()> {
    setrlimit(Resource::RLIMIT_MEMLOCK, memlock, memlock)?;
    nix::unistd::setgroups(&[])?;
    nix::unistd::setgid(NOBODY.into())?;
    nix::unistd::setuid(NOBODY.into())?;
    Ok(())
}

fn prepare(args: &Args, stream: &TcpStream) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    if let Some(bytes) = args.send_buffer {
        sys::set_send_buffer(stream.as_fd(), bytes)?;
    }
    if let Some(rate) = args.pace {
        sys::set_max_pace(stream.as_fd(), rate)?;
    }
    if let Some(milliseconds) = args.user_timeout {
        sys::set_user_timeout(stream.as_fd(), milliseconds)?;
    }
    if args.path.is_tls() || args.and.is_some_and(SendPath::is_tls) {
        tls::encrypt(stream.as_fd()).context("this kernel refuses TLS")?;
    }
    let zerocopy = args.path == SendPath::MsgZerocopy || args.and == Some(SendPath::MsgZerocopy);
    if zerocopy && !args.without_so_zerocopy {
        sys::allow_zerocopy(stream.as_fd()).context("this kernel refuses SO_ZEROCOPY")?;
    }
    Ok(())
}

fn wait_for_go(args: &Args) -> anyhow::Result<()> {
    if let Some(file) = &args.connected_file {
        std::fs::write(file, b"")?;
    }
    let Some(go) = &args.go_file else { return Ok(()) };
    let deadline = Instant::now() + Duration::from_secs(20);
    while !go.exists() {
        if Instant::now() > deadline {
            bail!("nobody made the file {} within 20 s", go.display());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
