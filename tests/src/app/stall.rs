//! Sends that cannot end yet: the peer takes nothing, so they wait behind what its window has no room for. They stay
//! open while something happens: a tracer attaches, the peer dies, the sender gives the connection up.

use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::socket::{MsgFlags, send};

use super::{errqueue, sys};
use crate::truth::Stalled;

/// Room for everything: no call waits.
const SEND_BUFFER: i32 = 16 << 20;
/// What the peer's window has room for is under way when this time changes nothing any more.
const STILL: Duration = Duration::from_millis(150);
/// Longest wait for the other side of the scenario.
const PATIENCE: Duration = Duration::from_secs(40);

/// How the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum End {
    /// The peer reads again, and all is told.
    Finish,
    /// The peer resets it.
    Reset,
    /// The sender resets it (`SO_LINGER` of 0).
    Abort,
}

/// Arguments of `app stall`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to send.
    #[arg(long)]
    to: SocketAddr,
    /// Bytes sent plainly first.
    #[arg(long, default_value_t = 0)]
    prefill: usize,
    /// Zero-copy calls before the file `--ready` is written.
    #[arg(long, default_value_t = 0)]
    before: u64,
    /// Zero-copy calls after the file `--go` is there.
    #[arg(long)]
    calls: u64,
    /// Bytes of each zero-copy call.
    #[arg(long)]
    size: usize,
    /// Written when the first calls are made.
    #[arg(long)]
    ready: PathBuf,
    /// Waited for then.
    #[arg(long)]
    go: PathBuf,
    /// Written when the other calls are made and what the window took is under way.
    #[arg(long)]
    stalled: PathBuf,
    /// What comes then.
    #[arg(long, value_enum)]
    end: End,
    /// Seconds after which it ends in any case.
    #[arg(long, default_value_t = 90)]
    pub(crate) limit: u32,
}

/// Sends, stalls, ends, and prints its counters.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let stream = TcpStream::connect(args.to).with_context(|| format!("cannot connect to {}", args.to))?;
    sys::set_send_buffer(stream.as_fd(), SEND_BUFFER)?;
    sys::allow_zerocopy(stream.as_fd()).context("this kernel refuses SO_ZEROCOPY")?;
    let mut all = Stalled { pid: std::process::id(), before: args.before, ..Stalled::default() };
    if args.prefill > 0 {
        make(&stream, 1, args.prefill, MsgFlags::MSG_NOSIGNAL)?;
    }
    let zerocopy = MsgFlags::MSG_NOSIGNAL | MsgFlags::from_bits_retain(libc::MSG_ZEROCOPY);
    make(&stream, args.before, args.size, zerocopy)?;
    std::fs::write(&args.ready, b"")?;
    wait_for(&args.go)?;
    make(&stream, args.calls, args.size, zerocopy)?;
    (all.calls, all.bytes) = (args.calls, args.calls * args.size as u64);
    all.unsent = settled(&stream)?;
    std::fs::write(&args.stalled, b"")?;
    match args.end {
        End::Finish => finish(&stream, args.before + args.calls, &mut all)?,
        End::Reset => reset(&stream, args.before + args.calls, &mut all)?,
        End::Abort => sys::reset_on_close(stream.as_fd())?,
    }
    drop(stream);
    println!("{}", serde_json::to_string(&all)?);
    Ok(())
}

/// So many calls, each accepted whole.
fn make(stream: &TcpStream, calls: u64, size: usize, flags: MsgFlags) -> anyhow::Result<()> {
    let data = vec![7; size];
    for _ in 0..calls {
        let bytes = send(stream.as_raw_fd(), &data, flags)?;
        anyhow::ensure!(bytes == size, "the kernel accepted {bytes} of {size} bytes");
    }
    Ok(())
}

fn wait_for(file: &std::path::Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !file.exists() {
        if Instant::now() > deadline {
            bail!("nobody made the file {} within {PATIENCE:?}", file.display());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Bytes TCP has not sent, as soon as that does not change any more.
fn settled(stream: &TcpStream) -> anyhow::Result<u64> {
    let mut last = sys::unsent(stream.as_fd())?;
    let mut since = Instant::now();
    while since.elapsed() < STILL {
        std::thread::sleep(Duration::from_millis(5));
        let now = sys::unsent(stream.as_fd())?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    Ok(last)
}

fn read_notifications(stream: &TcpStream, all: &mut Stalled) -> anyhow::Result<()> {
    while let Some(notification) = errqueue::read(stream.as_fd())? {
        all.notifications += 1;
        all.completions += notification.sends();
        all.told_copied += if notification.copied { notification.sends() } else { 0 };
    }
    Ok(())
}

/// Reads notifications until all sends were told of, or time is over.
fn read_all(stream: &TcpStream, sends: u64, all: &mut Stalled) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while all.completions < sends && Instant::now() < deadline {
        read_notifications(stream, all)?;
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn finish(mut stream: &TcpStream, sends: u64, all: &mut Stalled) -> anyhow::Result<()> {
    read_all(stream, sends, all)?;
    stream.shutdown(Shutdown::Write)?;
    let _ = stream.read(&mut [0; 1]);
    Ok(())
}

/// Waits until the connection is reset, and makes one more call, which must fail.
fn reset(stream: &TcpStream, sends: u64, all: &mut Stalled) -> anyhow::Result<()> {
    read_all(stream, sends, all)?;
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::from_bits_retain(libc::MSG_ZEROCOPY);
    match send(stream.as_raw_fd(), &[7; 100], flags) {
        Ok(_) => bail!("the connection was not reset"),
        Err(errno) => all.error = format!("{errno:?}"),
    }
    Ok(())
}
