//! Waits for any of many connections: an epoll set that is filled once, and tells of changes only (edge-triggered).
//!
//! So a connection that can go on costs nothing while nobody asks, and neither does one whose event nobody needs.
//! The price: an event that came while its connection was not blocked is gone. So whoever is about to wait has to have
//! seen for himself, after the event before, that there is nothing to wait for.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::PollFlags;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// Most events of one look; what is left over comes with the next one.
const BATCH: usize = 256;

/// A set of descriptors, each with a number.
pub(super) struct Poller {
    epoll: Epoll,
    events: Vec<EpollEvent>,
    calls: u64,
}

impl Poller {
    /// An empty set, for up to `count` descriptors.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(super) fn new(count: usize) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { epoll, events: vec![EpollEvent::empty(); count.clamp(1, BATCH)], calls: 0 })
    }

    /// Tells of `events`, errors and hang-ups of `fd` from now on, under `number`, until it is closed.
    ///
    /// # Errors
    /// Out of what the kernel allows (fs.epoll.max_user_watches), or `fd` cannot be waited for.
    pub(super) fn add(&self, number: usize, fd: BorrowedFd<'_>, events: PollFlags) -> io::Result<()> {
        // The bits of poll and epoll are the same.
        let events = EpollFlags::from_bits_truncate(events.bits().into()) | EpollFlags::EPOLLET;
        Ok(self.epoll.add(fd, EpollEvent::new(events, number as u64))?)
    }

    /// Sleeps until something happens, at most `timeout` (rounded up to ms). Returns how many events there are.
    ///
    /// # Errors
    /// The set cannot be waited for.
    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<usize> {
        let ms = u16::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(u16::MAX);
        self.calls += 1;
        match self.epoll.wait(&mut self.events, EpollTimeout::from(ms)) {
            Ok(count) => Ok(count),
            Err(nix::errno::Errno::EINTR) => Ok(0),
            Err(errno) => Err(errno.into()),
        }
    }

    /// One of the events of the last call of [`Self::wait`]: the number of a descriptor, and its state.
    pub(super) fn event(&self, index: usize) -> (usize, PollFlags) {
        let event = &self.events[index];
        (event.data() as usize, PollFlags::from_bits_truncate(event.events().bits() as i16))
    }

    /// How many times it was asked, since the last call of this.
    pub(super) fn take_calls(&mut self) -> u64 {
        std::mem::take(&mut self.calls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn changes_are_told_once_and_by_number() {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let mut poller = Poller::new(1).unwrap();
        poller.add(7, near.as_fd(), PollFlags::POLLIN).unwrap();
        let mut wait = |what: &str| {
            let count = poller.wait(Duration::ZERO).expect(what);
            (0..count).map(|event| poller.event(event)).collect::<Vec<_>>()
        };
        assert_eq!(wait("nothing yet"), []);
        far.write_all(&[1, 2]).unwrap();
        assert_eq!(wait("a change"), [(7, PollFlags::POLLIN)]);
        assert_eq!(wait("told already"), []);
        near.read_exact(&mut [0]).unwrap();
        far.write_all(&[3]).unwrap();
        assert_eq!(wait("a change, though not all was read"), [(7, PollFlags::POLLIN)]);
        drop(far);
        assert!(wait("a hang-up")[0].1.contains(PollFlags::POLLHUP));
        assert_eq!(poller.take_calls(), 5);
    }
}
