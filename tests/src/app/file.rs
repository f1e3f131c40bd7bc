//! Sends one file from disk in several ways: `sendfile`, `splice` through a pipe, or `read` and `send`, the copying
//! alternative. A second process can take the socket over.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::fcntl::{PosixFadviseAdvice, SpliceFFlags, posix_fadvise, splice};

use super::sys;
use crate::truth::{SendPath, Sent};

/// Bytes asked for in one call.
const CHUNK: usize = 64 * 1024;

/// Arguments of `app file`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How to send: `sendfile`, `splice`, or `copy` for read and send.
    #[arg(value_enum)]
    path: SendPath,
    /// Where to send.
    #[arg(long)]
    to: SocketAddr,
    /// What to send.
    #[arg(long)]
    file: PathBuf,
    /// Open it with O_DIRECT.
    #[arg(long)]
    direct: bool,
    /// Drop it from the page cache before.
    #[arg(long)]
    cold: bool,
    /// Times to send it.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Milliseconds after each time.
    #[arg(long, default_value_t = 0)]
    pause: u64,
    /// Seconds after which it ends in any case.
    #[arg(long, default_value_t = 60)]
    pub(crate) limit: u32,
}

/// Sends the whole file and waits until everything is acknowledged.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(args.to)?;
    let mut sent = Sent::new(args.path);
    for round in 0..args.rounds {
        if round > 0 {
            std::thread::sleep(Duration::from_millis(args.pause));
        }
        once(args, &mut stream, &mut sent)?;
    }
    let deadline = Instant::now() + Duration::from_secs(15);
    while sys::unacknowledged(stream.as_fd())? > 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    stream.shutdown(Shutdown::Write)?;
    let _ = stream.read(&mut [0; 1]);
    println!("{}", serde_json::to_string(&sent)?);
    Ok(())
}

/// Opens the file and sends all of it.
fn once(args: &Args, stream: &mut TcpStream, sent: &mut Sent) -> anyhow::Result<()> {
    let flags = if args.direct { libc::O_DIRECT } else { 0 };
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(&args.file)
        .with_context(|| format!("cannot open {}", args.file.display()))?;
    if args.cold {
        file.sync_all()?;
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    }
    let size = file.metadata()?.len() as usize;
    match args.path {
        SendPath::Sendfile => by_sendfile(&file, stream, size, sent),
        SendPath::Splice => by_splice(&file, stream, size, sent),
        SendPath::Copy => by_reading(file, stream, sent),
        _ => bail!("a file is sent by sendfile, splice or copy"),
    }
}

fn by_sendfile(file: &File, stream: &TcpStream, size: usize, sent: &mut Sent) -> anyhow::Result<()> {
    let mut at = 0;
    while (at as usize) < size {
        let bytes = nix::sys::sendfile::sendfile(stream, file, Some(&mut at), CHUNK)?;
        sent.calls += 1;
        sent.bytes += bytes as u64;
        anyhow::ensure!(bytes > 0, "sendfile sent nothing");
    }
    Ok(())
}

fn by_splice(file: &File, stream: &TcpStream, size: usize, sent: &mut Sent) -> anyhow::Result<()> {
    let (read, write) = nix::unistd::pipe()?;
    let mut at = 0;
    while (at as usize) < size {
        let filled = splice(file, Some(&mut at), &write, None, CHUNK, SpliceFFlags::empty())?;
        anyhow::ensure!(filled > 0, "splice read nothing");
        let mut drained = 0;
        while drained < filled {
            drained += splice(&read, None, stream, None, filled - drained, SpliceFFlags::empty())?;
            sent.calls += 1;
        }
        sent.bytes += drained as u64;
    }
    Ok(())
}

fn by_reading(mut file: File, stream: &mut TcpStream, sent: &mut Sent) -> anyhow::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let bytes = file.read(&mut buffer)?;
        if bytes == 0 {
            return Ok(());
        }
        stream.write_all(buffer.get(..bytes).unwrap_or_default())?;
        sent.calls += 1;
        sent.bytes += bytes as u64;
    }
}
