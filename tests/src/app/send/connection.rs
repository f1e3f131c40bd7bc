//! One connection: its calls, the notifications in between, and its end.

use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use anyhow::bail;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::send;

use super::Args;
use super::lane::Lane;
use crate::app::{errqueue, sys};
use crate::truth::SendPath;

pub(super) struct Connection<'a> {
    args: &'a Args,
    stream: TcpStream,
    /// When each zero-copy send began, by id.
    sent_at: Vec<Instant>,
}

impl<'a> Connection<'a> {
    pub(super) fn new(args: &'a Args, stream: TcpStream) -> Self {
        Connection { args, stream, sent_at: Vec::new() }
    }

    /// One call in the sense of the command line: all of `size` is sent, unless refused.
    pub(super) fn one_call(&mut self, lanes: &mut [Lane], number: usize) -> anyhow::Result<()> {
        if self.args.bad_buffer
            && let Some(lane) = lanes.get_mut(number)
        {
            self.unreadable_call(lane)?;
        }
        let mut left = self.args.size;
        while left > 0 {
            if !self.args.no_retry && self.args.read_late.is_none() {
                self.read_notifications(lanes)?;
            }
            let notified = lanes.get(number).is_some_and(|lane| self.is_notified(lane));
            let Some(lane) = lanes.get_mut(number) else { return Ok(()) };
            lane.sent.calls += 1;
            let began = Instant::now();
            match lane.send_some(&self.stream, self.args.size - left, left) {
                Ok(0) => bail!("the kernel accepted nothing of {left} bytes"),
                Ok(bytes) => {
                    lane.sent.bytes += bytes as u64;
                    if notified {
                        lane.sent.zerocopy_sends += 1;
                        self.sent_at.push(began);
                    }
                    left -= bytes;
                }
                Err(errno) => {
                    lane.failed(errno);
                    match errno {
                        Errno::ENOBUFS | Errno::EOPNOTSUPP if self.args.no_retry => return Ok(()),
                        Errno::ENOBUFS => self.wait_for_notification(lanes, Duration::from_secs(1))?,
                        Errno::EAGAIN if self.args.nonblocking => self.wait_for_room(lanes)?,
                        _ => bail!("a call failed with {errno}"),
                    }
                }
            }
        }
        Ok(())
    }

    /// A call with memory that cannot be read must fail and nothing of it be sent.
    fn unreadable_call(&self, lane: &mut Lane) -> anyhow::Result<()> {
        lane.sent.calls += 1;
        match send(self.stream.as_raw_fd(), sys::unreadable_page()?, lane.flags) {
            Err(errno) => lane.failed(errno),
            Ok(bytes) => bail!("{bytes} bytes of unreadable memory were sent"),
        }
        Ok(())
    }

    /// Waits until the socket takes more, or a second has passed.
    fn wait_for_room(&self, lanes: &mut [Lane]) -> anyhow::Result<()> {
        poll(&mut [PollFd::new(self.stream.as_fd(), PollFlags::POLLOUT)], PollTimeout::from(1000u16))?;
        self.read_notifications(lanes)
    }

    /// True when the kernel tells of the end of every send of this lane.
    fn is_notified(&self, lane: &Lane) -> bool {
        lane.path == SendPath::MsgZerocopy && !self.args.without_so_zerocopy
    }

    fn read_notifications(&self, lanes: &mut [Lane]) -> anyhow::Result<()> {
        let Some(lane) = lanes.iter_mut().find(|lane| self.is_notified(lane)) else { return Ok(()) };
        while let Some(notification) = errqueue::read(self.stream.as_fd())? {
            lane.sent.notifications += 1;
            lane.sent.completions += notification.sends();
            let sent = notification.ids().filter_map(|id| self.sent_at.get(id as usize));
            lane.sent.read_ns.extend(sent.map(|at| at.elapsed().as_nanos() as u64));
            if notification.copied {
                lane.sent.told_copied += notification.sends();
            }
        }
        Ok(())
    }

    /// Waits until the error queue has something, or for `most`.
    fn wait_for_notification(&self, lanes: &mut [Lane], most: Duration) -> anyhow::Result<()> {
        let timeout = PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX);
        // No events asked for: an error queue that is not empty shows as POLLERR in any case.
        poll(&mut [PollFd::new(self.stream.as_fd(), PollFlags::empty())], timeout)?;
        self.read_notifications(lanes)
    }

    /// Waits, bounded, for all completions and acknowledgements, and ends the connection.
    pub(super) fn finish(&mut self, lanes: &mut [Lane], peer_is_gone: bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(15);
        let open = |lanes: &[Lane]| lanes.iter().any(|l| l.sent.completions < l.sent.zerocopy_sends);
        while open(lanes) && Instant::now() < deadline {
            self.wait_for_notification(lanes, Duration::from_millis(200))?;
            if peer_is_gone {
                // A dead socket always polls as ready; do not spin on it.
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        if peer_is_gone {
            if !lanes.iter().any(|lane| self.is_notified(lane)) {
                wait_for_death(&self.stream, deadline);
            }
            return Ok(());
        }
        // Not every kernel tells it of an MPTCP socket.
        let unacknowledged = || sys::unacknowledged(self.stream.as_fd()).unwrap_or(0);
        while unacknowledged() > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.read_notifications(lanes)?;
        if let Some(lane) = lanes.first_mut() {
            lane.sent.unacknowledged += unacknowledged();
        }
        self.stream.shutdown(Shutdown::Write)?;
        self.calls_after_shutdown(lanes)?;
        self.stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let read = self.stream.read(&mut [0; 1]);
        if let Some(lane) = lanes.first_mut() {
            lane.sent.reads += 1;
            lane.sent.read_bytes += read.unwrap_or(0) as u64;
        }
        Ok(())
    }

    /// Calls on a connection that is shut for sending must all fail.
    fn calls_after_shutdown(&self, lanes: &mut [Lane]) -> anyhow::Result<()> {
        let Some(lane) = lanes.first_mut() else { return Ok(()) };
        for _ in 0..self.args.after_shutdown {
            lane.sent.calls += 1;
            match lane.send_some(&self.stream, 0, self.args.size) {
                Err(errno) => lane.failed(errno),
                Ok(bytes) => bail!("{bytes} bytes were sent after the shutdown"),
            }
        }
        Ok(())
    }
}

/// Without completions, the end of a black hole is the socket's own error.
fn wait_for_death(stream: &TcpStream, deadline: Instant) {
    while Instant::now() < deadline && !matches!(stream.take_error(), Ok(Some(_)) | Err(_)) {
        std::thread::sleep(Duration::from_millis(20));
    }
}
