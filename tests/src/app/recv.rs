//! The ways to receive, each with its own counters: read, discard, peek and read, map (`TCP_ZEROCOPY_RECEIVE`),
//! splice into a pipe, io_uring.

use std::io::Read;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};

use anyhow::{Context, bail};
use io_uring::{IoUring, opcode, types};
use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, splice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};

use super::sys::{self, Mapping};
use crate::truth::{Received, RecvPath};

const BUFFER: usize = 256 * 1024;
/// Range to map into: more than is ever queued.
const RANGE: usize = 8 << 20;
/// Wait for this many bytes (or the end) before mapping, so that the queue is no small one.
const LOW_WATER: i32 = 128 * 1024;

/// Reads one connection to its end.
pub(super) fn read_all(
    path: RecvPath,
    copy_buffer: usize,
    stream: &TcpStream,
    received: &mut Received,
) -> anyhow::Result<()> {
    match path {
        RecvPath::RecvDelayed => acknowledging_late(stream, received),
        RecvPath::Recv => plain(stream, received),
        RecvPath::Trunc => discard(stream, received),
        RecvPath::Peek => peek(stream, received),
        RecvPath::Zerocopy => map(stream, copy_buffer, received),
        RecvPath::Splice => into_pipe(stream, received),
        RecvPath::Uring => ring(stream, received),
    }
}

/// Counts one plain read.
fn count(received: &mut Received, bytes: usize) -> usize {
    received.recv.calls += 1;
    received.recv.bytes += bytes as u64;
    received.bytes += bytes as u64;
    bytes
}

fn plain(mut stream: &TcpStream, received: &mut Received) -> anyhow::Result<()> {
    let mut buffer = vec![0; BUFFER];
    while count(received, stream.read(&mut buffer)?) > 0 {}
    Ok(())
}

/// The kernel leaves the mode of late acknowledgements whenever one was late, so it is asked for after every read.
fn acknowledging_late(mut stream: &TcpStream, received: &mut Received) -> anyhow::Result<()> {
    let mut buffer = vec![0; BUFFER];
    sys::delay_acks(stream.as_fd())?;
    while count(received, stream.read(&mut buffer)?) > 0 {
        sys::delay_acks(stream.as_fd())?;
    }
    Ok(())
}

fn discard(stream: &TcpStream, received: &mut Received) -> anyhow::Result<()> {
    while count(received, sys::discard(stream.as_fd(), BUFFER)?) > 0 {}
    Ok(())
}

fn peek(mut stream: &TcpStream, received: &mut Received) -> anyhow::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        // Takes nothing out of the queue, so it is counted nowhere.
        recv(stream.as_raw_fd(), &mut buffer, MsgFlags::MSG_PEEK)?;
        if count(received, stream.read(&mut buffer)?) == 0 {
            return Ok(());
        }
    }
}

fn map(mut stream: &TcpStream, copy_buffer: usize, received: &mut Received) -> anyhow::Result<()> {
    let range = Mapping::of_socket(stream.as_fd(), RANGE).context("the socket cannot be mapped")?;
    let (mut copies, mut buffer) = (vec![0; copy_buffer], vec![0; BUFFER]);
    sys::set_low_water(stream.as_fd(), LOW_WATER)?;
    loop {
        poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
        received.zerocopy.calls += 1;
        let moved = match sys::zerocopy_receive(stream.as_fd(), &range, &mut copies) {
            Ok(moved) => moved,
            // The end of the stream.
            Err(Errno::EIO) => {
                received.zerocopy.failed += 1;
                return Ok(());
            }
            Err(errno) => return Err(errno).context("TCP_ZEROCOPY_RECEIVE failed"),
        };
        let counts = &mut received.zerocopy;
        counts.mapped += moved.mapped;
        counts.copied += moved.copied;
        counts.hint += moved.hint;
        received.bytes += moved.mapped + moved.copied;
        let mut left = usize::try_from(moved.hint)?;
        while left > 0 {
            let most = left.min(buffer.len());
            let bytes = count(received, stream.read(buffer.get_mut(..most).unwrap_or_default())?);
            if bytes == 0 {
                bail!("{left} bytes the kernel left to a read are not there");
            }
            left -= bytes;
        }
        if moved.mapped + moved.copied + moved.hint == 0 && count(received, stream.read(&mut buffer)?) == 0 {
            return Ok(());
        }
    }
}

fn into_pipe(stream: &TcpStream, received: &mut Received) -> anyhow::Result<()> {
    let (read, write) = nix::unistd::pipe()?;
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
    loop {
        let bytes = splice(stream, None, &write, None, 1 << 16, SpliceFFlags::empty())?;
        received.splice.calls += 1;
        received.splice.bytes += bytes as u64;
        received.bytes += bytes as u64;
        if bytes == 0 {
            return Ok(());
        }
        let mut left = bytes;
        while left > 0 {
            left -= splice(&read, None, &null, None, left, SpliceFFlags::empty())?;
        }
    }
}

fn ring(stream: &TcpStream, received: &mut Received) -> anyhow::Result<()> {
    let mut ring = IoUring::new(4).context("io_uring is not possible here")?;
    let mut buffer = vec![0_u8; BUFFER];
    loop {
        let fd = types::Fd(stream.as_raw_fd());
        let entry = opcode::Recv::new(fd, buffer.as_mut_ptr(), BUFFER as u32).build();
        sys::push(&mut ring, &entry)?;
        ring.submit_and_wait(1)?;
        let result = ring.completion().next().context("no completion")?.result();
        let bytes = u64::try_from(result).map_err(|_| Errno::from_raw(-result))?;
        received.uring.calls += 1;
        received.uring.bytes += bytes;
        received.bytes += bytes;
        if bytes == 0 {
            return Ok(());
        }
    }
}
