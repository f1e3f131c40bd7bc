//! Zero-copy sends one by one: the next one when the one before was told of, or after a pause and all told at the end.
//! Sizes change from call to call, so that neighbours on the error queue can have different flags.

use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::socket::{MsgFlags, send};

use super::{errqueue, sys};
use crate::truth::{SendPath, Sent};

/// Arguments of `app paced`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to send.
    #[arg(long)]
    to: SocketAddr,
    /// Calls to make.
    #[arg(long)]
    calls: u64,
    /// Bytes of the calls, by turns.
    #[arg(long, value_delimiter = ',', required = true)]
    sizes: Vec<usize>,
    /// Milliseconds after each call; without it, wait until the call was told of.
    #[arg(long)]
    pause: Option<u64>,
    /// Seconds after which it ends in any case.
    #[arg(long, default_value_t = 60)]
    pub(crate) limit: u32,
}

/// Makes all calls, reads all notifications, prints the counters.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(args.to).with_context(|| format!("cannot connect to {}", args.to))?;
    stream.set_nodelay(true)?;
    sys::allow_zerocopy(stream.as_fd()).context("this kernel refuses SO_ZEROCOPY")?;
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::from_bits_retain(libc::MSG_ZEROCOPY);
    let mut sent = Sent::new(SendPath::MsgZerocopy);
    let sizes = args.sizes.iter().cycle().take(usize::try_from(args.calls)?);
    for size in sizes {
        let bytes = send(stream.as_raw_fd(), &vec![7; *size], flags)?;
        anyhow::ensure!(bytes == *size, "the kernel accepted {bytes} of {size} bytes");
        sent.calls += 1;
        sent.zerocopy_sends += 1;
        sent.bytes += bytes as u64;
        match args.pause {
            Some(milliseconds) => std::thread::sleep(Duration::from_millis(milliseconds)),
            None => told(&stream, &mut sent)?,
        }
    }
    told(&stream, &mut sent)?;
    stream.shutdown(Shutdown::Write)?;
    sent.reads += 1;
    sent.read_bytes += stream.read(&mut [0; 1]).unwrap_or(0) as u64;
    println!("{}", serde_json::to_string(&sent)?);
    Ok(())
}

/// Waits, bounded, until all sends so far were told of.
fn told(stream: &TcpStream, sent: &mut Sent) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(15);
    while sent.completions < sent.zerocopy_sends && Instant::now() < deadline {
        match errqueue::read(stream.as_fd())? {
            Some(notification) => {
                sent.notifications += 1;
                sent.completions += notification.sends();
                sent.told_copied += if notification.copied { notification.sends() } else { 0 };
            }
            None => std::thread::sleep(Duration::from_micros(200)),
        }
    }
    Ok(())
}
