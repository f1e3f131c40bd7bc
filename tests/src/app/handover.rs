//! Two processes that send on one socket by turns: what a server does that passes a connection to a child.

use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::socket::{MsgFlags, send};

use super::{errqueue, sys};
use crate::truth::{SendPath, Sent};

/// Arguments of `app handover`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to send; without it, on the socket that is standard input.
    #[arg(long)]
    to: Option<SocketAddr>,
    /// Calls in one turn.
    #[arg(long, default_value_t = 20)]
    calls: u64,
    /// Bytes per call.
    #[arg(long, default_value_t = 10_000)]
    size: usize,
    /// Seconds after which it ends in any case.
    #[arg(long, default_value_t = 60)]
    pub(crate) limit: u32,
}

/// Parent: a turn, the child's turn, a turn. Each process prints its counters; completions are the parent's.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut sent = Sent::new(SendPath::MsgZerocopy);
    let Some(to) = args.to else {
        turn(std::io::stdin().as_fd(), args, &mut sent)?;
        println!("{}", serde_json::to_string(&sent)?);
        return Ok(());
    };
    let mut stream = TcpStream::connect(to)?;
    sys::allow_zerocopy(stream.as_fd())?;
    turn(stream.as_fd(), args, &mut sent)?;
    let mut child = Command::new(std::env::current_exe()?);
    child.args(["app", "handover", "--calls", &args.calls.to_string(), "--size", &args.size.to_string()]);
    let shared: OwnedFd = stream.try_clone()?.into();
    let output = child.stdin(Stdio::from(shared)).stderr(Stdio::inherit()).output()?;
    let theirs: Sent = serde_json::from_slice(&output.stdout).context("the child printed no counters")?;
    turn(stream.as_fd(), args, &mut sent)?;
    let expected = sent.zerocopy_sends + theirs.zerocopy_sends;
    let deadline = Instant::now() + Duration::from_secs(15);
    while sent.completions < expected && Instant::now() < deadline {
        match errqueue::read(stream.as_fd())? {
            Some(notification) => {
                sent.notifications += 1;
                sent.completions += notification.sends();
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    stream.shutdown(Shutdown::Write)?;
    let _ = stream.read(&mut [0; 1]);
    println!("{}", serde_json::to_string(&sent)?);
    println!("{}", serde_json::to_string(&theirs)?);
    Ok(())
}

fn turn(socket: BorrowedFd<'_>, args: &Args, sent: &mut Sent) -> anyhow::Result<()> {
    let data = vec![7; args.size];
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::from_bits_retain(libc::MSG_ZEROCOPY);
    for _ in 0..args.calls {
        let bytes = send(socket.as_raw_fd(), &data, flags)?;
        sent.calls += 1;
        sent.zerocopy_sends += 1;
        sent.bytes += bytes as u64;
    }
    Ok(())
}
