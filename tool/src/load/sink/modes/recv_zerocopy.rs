//! Mode `recv_zerocopy`: `TCP_ZEROCOPY_RECEIVE` maps whole pages of the receive queue; the rest is copied or read.
//!
//! The range is mapped over again by every receive, which gives the pages of the last one back. The copy buffer is
//! just smaller than a page: with a larger one the kernel prefers to copy.

use std::io::{self, Read};
use std::os::fd::AsFd;

use nix::poll::PollFlags;
use socket2::{Domain, Protocol, Socket, Type};

use super::sys::{self, Range};
use super::{Receive, Tally, WAIT, Want};
use crate::load::paths::poll_socket;

/// Most bytes mapped at a time.
const RANGE: usize = 2 << 20;
const COPY_BUFFER: usize = 4095;
/// Wait for this many bytes (or the end), so that there are whole pages to map.
const LOW_WATER: i32 = 128 << 10;

struct Zerocopy {
    range: Range,
    copies: Vec<u8>,
    buffer: Vec<u8>,
    verify: bool,
}

/// Maps a socket that is not connected, to see whether sockets can be.
pub(super) fn available() -> Result<(), String> {
    let what = |error: io::Error| format!("this kernel does not map TCP sockets ({error})");
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).map_err(what)?;
    Range::of_socket(socket.as_fd(), 4096).map(drop).map_err(what)
}

pub(super) fn open(socket: &Socket, want: Want) -> io::Result<Box<dyn Receive>> {
    socket.set_read_timeout(Some(WAIT))?;
    let low_water = LOW_WATER.min(i32::try_from(want.buffer).unwrap_or(LOW_WATER));
    sys::set_low_water(socket.as_fd(), low_water)?;
    Ok(Box::new(Zerocopy {
        range: Range::of_socket(socket.as_fd(), RANGE)?,
        copies: vec![0; COPY_BUFFER],
        buffer: vec![0; want.buffer],
        verify: want.verify,
    }))
}

impl Receive for Zerocopy {
    fn receive(&mut self, socket: &Socket, tally: &mut Tally) -> io::Result<usize> {
        if poll_socket(socket, PollFlags::POLLIN, WAIT)?.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let received = match sys::zerocopy_receive(socket.as_fd(), &mut self.range, &mut self.copies) {
            Ok(received) => received,
            // The kernel's way to say that there is, and will be, nothing.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => return Ok(0),
            Err(error) => return Err(error),
        };
        let mapped = received.mapped;
        if self.verify {
            self.show_mapped(tally);
        }
        tally.see(&self.copies[..received.copied]);
        let figures = &mut tally.figures;
        *figures.mapped_bytes.get_or_insert(0) += mapped as u64;
        *figures.copied_bytes.get_or_insert(0) += received.copied as u64;
        figures.skip_hint_bytes.get_or_insert(0);
        tally.calls += u64::from(mapped + received.copied > 0);
        // With nothing at all, a plain read tells whether the stream has ended.
        let nothing = mapped + received.copied + received.hint == 0;
        let read =
            self.read(socket, if nothing { self.buffer.len() } else { received.hint }, nothing, tally)?;
        *tally.figures.skip_hint_bytes.get_or_insert(0) += read as u64;
        Ok(mapped + received.copied + read)
    }
}

impl Zerocopy {
    fn show_mapped(&mut self, tally: &mut Tally) {
        let mut at = 0;
        while at < self.range.mapped() {
            let n = self.range.read(at, &mut self.buffer);
            tally.see(&self.buffer[..n]);
            at += n;
        }
    }

    /// Reads `left` bytes that are there; with `once`, whatever one call gives.
    fn read(
        &mut self,
        mut socket: &Socket,
        mut left: usize,
        once: bool,
        tally: &mut Tally,
    ) -> io::Result<usize> {
        let mut sum = 0;
        while left > 0 {
            let most = left.min(self.buffer.len());
            let n = match socket.read(&mut self.buffer[..most]) {
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // What was taken before counts; the error comes again.
                Err(_) if sum > 0 => break,
                Err(error) => return Err(error),
            };
            tally.calls += u64::from(n > 0);
            tally.see(&self.buffer[..n]);
            sum += n;
            left -= n;
            if n == 0 || once {
                break;
            }
        }
        Ok(sum)
    }
}
