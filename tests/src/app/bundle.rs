//! Sending bundles by io_uring: one request takes many buffers from a ring that the program fills (Linux 6.10).
#![allow(unsafe_code, reason = "the ring of buffers is memory shared with the kernel")]

use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use io_uring::types::BufRingEntry;
use io_uring::{IoUring, opcode, types};
use nix::errno::Errno;

use super::sys;
use crate::truth::{SendPath, Sent};

/// Entries of the ring of buffers; a power of two.
const ENTRIES: u16 = 64;
/// The number of the ring.
const GROUP: u16 = 7;

/// Arguments of `app bundle`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to send.
    #[arg(long)]
    to: SocketAddr,
    /// Requests to make.
    #[arg(long)]
    calls: u64,
    /// Buffers of one request.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=i64::from(ENTRIES)))]
    buffers: u16,
    /// Bytes of one buffer.
    #[arg(long)]
    size: u32,
    /// Seconds after which it ends in any case.
    #[arg(long, default_value_t = 60)]
    pub(crate) limit: u32,
}

/// The memory of a ring of buffers, page aligned as the kernel wants it.
#[repr(C, align(4096))]
struct Memory([u8; 4096]);

/// A ring of buffers that all are the same memory.
struct Buffers<'a> {
    memory: Box<Memory>,
    data: &'a [u8],
    tail: u16,
}

impl Buffers<'_> {
    fn start(&mut self) -> *mut BufRingEntry {
        (&raw mut *self.memory).cast()
    }

    /// Hands so many buffers to the kernel.
    fn offer(&mut self, number: u16) {
        let start = self.start();
        for _ in 0..number {
            let index = self.tail & (ENTRIES - 1);
            // SAFETY: the index is below the ring's size, which fits into its page; the kernel does not look at
            // entries behind the tail.
            let entry = unsafe { &mut *start.add(usize::from(index)) };
            entry.set_addr(self.data.as_ptr() as u64);
            entry.set_len(self.data.len() as u32);
            entry.set_bid(index);
            self.tail = self.tail.wrapping_add(1);
        }
        // SAFETY: the tail lies in the first entry of the ring, is aligned, and the kernel only reads it.
        unsafe { AtomicU16::from_ptr(BufRingEntry::tail(start).cast_mut()) }
            .store(self.tail, Ordering::Release);
    }
}

/// Sends all bundles, waits until they are acknowledged, prints the counters.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(args.to).with_context(|| format!("cannot connect to {}", args.to))?;
    let data = vec![7; args.size as usize];
    let mut buffers = Buffers { memory: Box::new(Memory([0; 4096])), data: &data, tail: 0 };
    let mut ring = IoUring::new(4).context("io_uring is not possible here")?;
    // SAFETY: the memory lives longer than the ring of requests, which is dropped first.
    unsafe { ring.submitter().register_buf_ring_with_flags(buffers.start() as u64, ENTRIES, GROUP, 0) }
        .context("this kernel takes no ring of buffers")?;
    let mut sent = Sent::new(SendPath::UringSend);
    for _ in 0..args.calls {
        buffers.offer(args.buffers);
        one(&mut ring, &stream, u64::from(args.buffers) * u64::from(args.size), &mut sent)?;
    }
    drop(ring);
    let deadline = Instant::now() + Duration::from_secs(15);
    while sys::unacknowledged(stream.as_fd())? > 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    stream.shutdown(Shutdown::Write)?;
    sent.reads += 1;
    sent.read_bytes += stream.read(&mut [0; 1]).unwrap_or(0) as u64;
    println!("{}", serde_json::to_string(&sent)?);
    Ok(())
}

/// One bundle, to its end.
fn one(ring: &mut IoUring, stream: &TcpStream, bytes: u64, sent: &mut Sent) -> anyhow::Result<()> {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
    let entry = opcode::SendBundle::new(types::Fd(stream.as_raw_fd()), GROUP).flags(flags).build();
    sys::push(ring, &entry)?;
    ring.submit_and_wait(1)?;
    let result = ring.completion().next().context("no completion")?.result();
    let taken = u64::try_from(result).map_err(|_| Errno::from_raw(-result)).context("a bundle failed")?;
    if taken != bytes {
        bail!("the kernel accepted {taken} of {bytes} bytes");
    }
    sent.calls += 1;
    sent.bytes += taken;
    Ok(())
}
