//! What a send path is to the engine; one file per path, all of them in [`PATHS`].

mod available;
mod copy;
mod copy_iov;
mod ktls;
mod mmap_write;
mod msg_zerocopy;
mod payload;
mod pipe;
mod read_write;
mod sendfile;
mod source;
mod splice;
mod table;
mod told;
mod uring_bundle;
mod uring_one;
mod uring_send;
mod uring_zc;
mod vectors;
mod vmsplice;

use std::io;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::Socket;
use std::os::fd::{AsFd, BorrowedFd};
use zcscope_common::Hist;

pub use table::{Class, PATHS, PathEntry};

use crate::load::memory::PageKind;
use crate::load::pattern::Poison;

/// What one path needs to know to set itself up for one connection. The same for every connection of a load.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Largest send, bytes.
    pub size: usize,
    /// Most sends outstanding on paths with completions.
    pub depth: usize,
    /// Bytes of send buffers (or of file) to rotate through; at least `depth` times `size`. One hot buffer would stay
    /// in the cache and flatter the copy.
    pub working_set: usize,
    /// Whether to set `SO_ZEROCOPY` where the path has it.
    pub so_zerocopy: bool,
    /// Parts (iovecs, provided buffers) of one send, on paths that send several; at most 1024.
    pub iovecs: usize,
    /// What kind of pages the buffers live on.
    pub pages: PageKind,
    /// Where file paths read from.
    pub source: Source,
    /// Tell the kernel that more follows (`MSG_MORE`, `SPLICE_F_MORE`), on paths whose call can: not `write(2)`,
    /// `sendfile(2)` and TLS.
    pub more: bool,
    /// Sends between two looks at the ends of sends; the path's own choice when `None`.
    pub reap_every: Option<usize>,
    /// Make every byte carry its place in the stream ([`super::pattern`]), so that the sink can check it.
    pub verify: Option<Poison>,
    /// The thread serves other connections, too: a send must never wait.
    pub shared_thread: bool,
}

/// Where file paths read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// A memory file (`memfd_create`).
    #[default]
    Memfd,
    /// A file without a name, made for the run in this directory and in the page cache.
    Directory(std::path::PathBuf),
}

impl Source {
    /// As it is written on the command line, and in JSON.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Source::Memfd => "memfd".into(),
            Source::Directory(directory) => directory.display().to_string(),
        }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            size: 64 << 10,
            depth: 16,
            working_set: 0,
            so_zerocopy: true,
            iovecs: 1,
            pages: PageKind::default(),
            source: Source::default(),
            more: false,
            reap_every: None,
            verify: None,
            shared_thread: false,
        }
    }
}

impl Setup {
    /// How many buffers of [`Setup::size`] the working set has, at least `depth`.
    #[must_use]
    pub fn buffers(&self) -> usize {
        (self.working_set / self.size.max(1)).max(self.depth).max(1)
    }

    /// Flags of every send call.
    fn flags(&self) -> libc::c_int {
        libc::MSG_NOSIGNAL | if self.more { libc::MSG_MORE } else { 0 }
    }

    /// Sends between two looks at the ends of sends.
    #[must_use]
    pub fn reap_every(&self) -> usize {
        let own = if self.depth < 8 { 1 } else { self.depth / 4 };
        self.reap_every.unwrap_or(own).clamp(1, self.depth.max(1))
    }
}

/// How one attempt to send went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The kernel took this many bytes (more than zero).
    Accepted(usize),
    /// Nothing can be sent now: call [`SendPath::wait`] (or [`SendPath::stalled`], where others must not wait), then
    /// try again.
    Blocked,
}

/// What a path that is blocked waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stall {
    /// It can go on: what it waited for has come.
    Over,
    /// For one of these events, an error or a hang-up of [`SendPath::source`], that comes from now on.
    Event(PollFlags),
    /// For others, who cannot tell: it may try again after so long.
    Pause(Duration),
}

/// One way to hand bytes to a connected TCP socket. Each connection has its own, used by one thread.
///
/// A thread that has one connection waits in [`SendPath::wait`], or in `send` where a path waits cheaper there. A thread
/// that has several ([`Setup::shared_thread`]) asks with [`SendPath::stalled`] what a blocked path waits for, waits for
/// all of them at once, and calls [`SendPath::woken`].
///
/// A path has at most one send that is begun and not taken: `send` returns how many bytes were taken, or `Blocked`; then
/// `wait` and `send` go on with the same send, and [`SendPath::finish`] ends it when sending stops. The ends
/// of sends may come later: a path with completions keeps up to `depth` sends outstanding and reports their ends into the
/// [`Tally`].
pub trait SendPath {
    /// Offers up to `len` bytes (at most [`Setup::size`]) to the kernel.
    ///
    /// # Errors
    /// The connection is gone, or the kernel refuses for good.
    fn send(&mut self, socket: &Socket, len: usize, tally: &mut Tally) -> io::Result<Step>;

    /// Sleeps until `send` may get further, at most `timeout`.
    ///
    /// # Errors
    /// The connection is gone, or the kernel refuses for good.
    fn wait(&mut self, socket: &Socket, timeout: Duration, tally: &mut Tally) -> io::Result<()> {
        match self.stalled(socket, tally)? {
            Stall::Over => Ok(()),
            Stall::Pause(time) => {
                std::thread::sleep(time);
                Ok(())
            }
            Stall::Event(wanted) => {
                tally.syscalls += 1;
                let events = poll_socket(socket, wanted, timeout)?;
                self.woken(socket, events, tally).map(drop)
            }
        }
    }

    /// The descriptor that tells when a blocked path can go on, or a send has ended, and the events that may tell it:
    /// always the same.
    fn source<'a>(&'a self, socket: &'a Socket) -> (BorrowedFd<'a>, PollFlags) {
        (socket.as_fd(), PollFlags::POLLOUT)
    }

    /// What it waits for, after `send` said that it is blocked. Never waits.
    ///
    /// # Errors
    /// The connection is gone, or the kernel refuses for good.
    fn stalled(&mut self, _socket: &Socket, _tally: &mut Tally) -> io::Result<Stall> {
        Ok(Stall::Event(PollFlags::POLLOUT))
    }

    /// The source has `events`, of which at least one is what the blocked path waits for. Whether `send` may get
    /// further; if not, it goes on waiting for the same.
    ///
    /// # Errors
    /// The connection is gone.
    fn woken(&mut self, _socket: &Socket, _events: PollFlags, _tally: &mut Tally) -> io::Result<bool> {
        Ok(true)
    }

    /// Ends a send that `send` began and did not finish; returns how many of its bytes were taken, not yet counted as
    /// bytes and call in `tally`. To be called whenever sending stops, before bytes are compared; it may go on after.
    ///
    /// # Errors
    /// The connection is gone.
    fn finish(&mut self, _socket: &Socket, _tally: &mut Tally) -> io::Result<usize> {
        Ok(0)
    }

    /// Reads the ends of sends that have come in, without waiting; returns how many sends are still outstanding.
    ///
    /// # Errors
    /// The ends cannot be read.
    fn reap(&mut self, _socket: &Socket, _tally: &mut Tally) -> io::Result<u64> {
        Ok(0)
    }

    /// Sleeps until the end of a send may have come, at most `timeout`.
    ///
    /// # Errors
    /// The ends cannot be waited for.
    fn wait_end(&mut self, socket: &Socket, timeout: Duration, tally: &mut Tally) -> io::Result<()> {
        tally.syscalls += 1;
        // A closed connection hangs up for good, so poll alone would spin.
        if poll_socket(socket, PollFlags::empty(), timeout)?.contains(PollFlags::POLLHUP) {
            std::thread::sleep(HANGUP_PAUSE);
        }
        Ok(())
    }
}

/// Pause between two looks at a connection that is closed.
const HANGUP_PAUSE: Duration = Duration::from_micros(100);

/// The outcome of a send call, counted.
fn step(result: io::Result<usize>, tally: &mut Tally) -> io::Result<Step> {
    tally.syscalls += 1;
    match result {
        Ok(0) => Err(io::Error::other("the kernel took nothing of a send and gave no reason")),
        Ok(n) => Ok(Step::Accepted(n)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            tally.eagain += 1;
            Ok(Step::Blocked)
        }
        Err(error) => Err(error),
    }
}

/// The outcome of a send of `len` bytes that was broken off.
fn finished(step: io::Result<Step>, len: usize, tally: &mut Tally) -> io::Result<usize> {
    match step {
        Ok(Step::Accepted(n)) => {
            tally.partial += u64::from(n < len);
            Ok(n)
        }
        Ok(Step::Blocked) => Ok(0),
        Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => Ok(0),
        Err(error) => Err(error),
    }
}

/// What one connection counted, as the application sees it.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Send calls that took at least one byte.
    pub calls: u64,
    /// Bytes taken.
    pub bytes: u64,
    /// Calls that took fewer bytes than offered.
    pub partial: u64,
    /// Calls refused with `EAGAIN`: the socket buffer was full.
    pub eagain: u64,
    /// Calls refused with `ENOBUFS`: no room to track another zero-copy send, or to lock its pages.
    pub enobufs: u64,
    /// Requests of io_uring refused with `ENOMEM`: the pages of another zero-copy send cannot be locked.
    pub enomem: u64,
    /// System calls the path made: sends, waits, looks at ends.
    pub syscalls: u64,
    /// The ends of sends.
    pub ends: Ends,
}

/// What the kernel told about the ends of sends.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    /// Notifications read; each names a range of sends.
    pub notifications: u64,
    /// Sends that ended.
    pub sends: u64,
    /// Bytes of those sends.
    pub bytes: u64,
    /// Sends the kernel told were copied.
    pub copied: u64,
    /// Bytes of those sends.
    pub copied_bytes: u64,
    /// Ends told of sends that were not outstanding; not zero means a kernel or accounting fault.
    pub unexpected: u64,
    /// Messages on the error queue that were not about zero-copy sends.
    pub foreign: u64,
    /// From just before the send call to reading its notification. Sends smaller than 16 KiB share the time of the
    /// first of up to 16 KiB.
    pub latency: Box<Hist>,
}

impl Tally {
    /// Adds what another connection counted.
    pub fn add(&mut self, other: &Tally) {
        self.calls += other.calls;
        self.bytes += other.bytes;
        self.partial += other.partial;
        self.eagain += other.eagain;
        self.enobufs += other.enobufs;
        self.enomem += other.enomem;
        self.syscalls += other.syscalls;
        let (mine, theirs) = (&mut self.ends, &other.ends);
        mine.notifications += theirs.notifications;
        mine.sends += theirs.sends;
        mine.bytes += theirs.bytes;
        mine.copied += theirs.copied;
        mine.copied_bytes += theirs.copied_bytes;
        mine.unexpected += theirs.unexpected;
        mine.foreign += theirs.foreign;
        mine.latency.merge(&theirs.latency);
    }
}

/// Sleeps until `socket` has one of `events`, an error or a hang-up, at most `timeout` (rounded up to ms).
pub(in crate::load) fn poll_socket(
    socket: &Socket,
    events: PollFlags,
    timeout: Duration,
) -> io::Result<PollFlags> {
    let ms = u16::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(u16::MAX);
    let mut fds = [PollFd::new(socket.as_fd(), events)];
    match poll(&mut fds, PollTimeout::from(ms)) {
        Ok(_) => Ok(fds[0].revents().unwrap_or(PollFlags::empty())),
        Err(nix::errno::Errno::EINTR) => Ok(PollFlags::empty()),
        Err(errno) => Err(errno.into()),
    }
}
