//! The sending end: an exact number of calls of an exact size over one connection, and its own counters.

use std::io::{IoSlice, Read, Seek, SeekFrom, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice, vmsplice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::socket::{MsgFlags, SockaddrStorage, send, sendmsg, sendto};

use super::{errqueue, sockmap, sys, tls, uring};
use crate::truth::{SendPath, Sent};

/// User and group of a child without privileges.
const NOBODY: u32 = 65534;

const PAGE: usize = 4096;

/// Arguments of `app send`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How to send.
    #[arg(value_enum)]
    pub(crate) path: SendPath,
    /// After each call, make one this way on the same connection.
    #[arg(long, value_enum)]
    and: Option<SendPath>,
    /// Where to send.
    #[arg(long)]
    to: SocketAddr,
    /// Calls to make.
    #[arg(long)]
    pub(crate) calls: u64,
    /// Bytes per call.
    #[arg(long)]
    pub(crate) size: usize,
    /// Ask for MSG_ZEROCOPY without having set SO_ZEROCOPY.
    #[arg(long)]
    without_so_zerocopy: bool,
    /// Count a call refused with ENOBUFS and go on, without reading notifications in between.
    #[arg(long)]
    pub(crate) no_retry: bool,
    /// Read no notifications until so many milliseconds after the last call.
    #[arg(long)]
    read_late: Option<u64>,
    /// Close the connection after the last call, without waiting for anything.
    #[arg(long)]
    close_at_once: bool,
    /// Limit of locked memory in bytes; also becomes an unprivileged user, or the limit would not count.
    #[arg(long)]
    pub(crate) memlock: Option<u64>,
    /// Give the connection up after so many milliseconds without acknowledgement.
    #[arg(long)]
    user_timeout: Option<i32>,
    /// Bytes of send buffer, fixed.
    #[arg(long)]
    send_buffer: Option<i32>,
    /// Write this file once connected, before the first send.
    #[arg(long)]
    connected_file: Option<PathBuf>,
    /// Send only when this file exists.
    #[arg(long)]
    go_file: Option<PathBuf>,
    /// Milliseconds between two calls.
    #[arg(long, default_value_t = 0)]
    pub(crate) pause: u64,
    /// Connections to make, one after another; each makes all the calls.
    #[arg(long, default_value_t = 1)]
    connections: u32,
    /// Give the pages to the pipe for good (`SPLICE_F_GIFT`).
    #[arg(long)]
    gift: bool,
    /// Ask for MSG_ZEROCOPY on a path that does not have it.
    #[arg(long)]
    ask_zerocopy: bool,
    /// Tell the kernel that more will come (`MSG_MORE`).
    #[arg(long)]
    more: bool,
    /// Send each byte from a page of its own.
    #[arg(long)]
    scattered: bool,
    /// Send from huge pages.
    #[arg(long)]
    huge: bool,
    /// Before each call, one with memory that cannot be read.
    #[arg(long)]
    bad_buffer: bool,
    /// Do not wait for room in the socket: count EAGAIN and try again.
    #[arg(long)]
    nonblocking: bool,
    /// Calls made after the connection was shut for sending.
    #[arg(long, default_value_t = 0)]
    after_shutdown: u32,
    /// Let the first call open the connection (`MSG_FASTOPEN`).
    #[arg(long)]
    fastopen: bool,
    /// Put the socket into a sockmap with a program for messages.
    #[arg(long)]
    sockmap: bool,
    #[command(flatten)]
    pub(crate) uring: uring::Options,
    /// Seconds after which the sender ends in any case.
    #[arg(long, default_value_t = 60)]
    pub(crate) limit: u32,
}

/// Sends, waits until everything is completed and acknowledged, prints one line of counters per path.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(bytes) = args.memlock {
        drop_privileges(bytes)?;
    }
    let mut lanes = Vec::new();
    for path in std::iter::once(args.path).chain(args.and) {
        let source = Source::new(path, args)?;
        lanes.push(Lane { path, source, flags: flags(path, args), gift: args.gift, sent: Sent::new(path) });
    }
    for _ in 0..args.connections {
        one_connection(args, &mut lanes)?;
    }
    for lane in &lanes {
        println!("{}", serde_json::to_string(&lane.sent)?);
    }
    Ok(())
}

/// Flags of the calls of one lane.
fn flags(path: SendPath, args: &Args) -> MsgFlags {
    let zerocopy = path == SendPath::MsgZerocopy || args.ask_zerocopy;
    let wanted = [
        (true, libc::MSG_NOSIGNAL),
        (zerocopy, libc::MSG_ZEROCOPY),
        (args.more, libc::MSG_MORE),
        (args.nonblocking, libc::MSG_DONTWAIT),
    ];
    let bits = wanted.into_iter().filter(|(on, _)| *on).fold(0, |all, (_, bit)| all | bit);
    MsgFlags::from_bits_retain(bits)
}

fn one_connection(args: &Args, lanes: &mut [Lane]) -> anyhow::Result<()> {
    let mut calls = args.calls;
    let stream = if args.fastopen {
        calls -= 1;
        open_fast(args, lanes)?
    } else {
        connect(args)?
    };
    prepare(args, &stream)?;
    let _sockmap = args.sockmap.then(|| sockmap::enter(stream.as_fd())).transpose().context("no sockmap")?;
    wait_for_go(args)?;
    if let Some(lane) = lanes.first_mut().filter(|lane| lane.path.is_uring()) {
        uring::send(args, &stream, &mut lane.sent)?;
    }
    let mut connection = Connection { args, stream, sent_at: Vec::new() };
    for _ in 0..if args.path.is_uring() { 0 } else { calls } {
        for lane in 0..lanes.len() {
            connection.one_call(lanes, lane)?;
        }
        if args.pause > 0 {
            std::thread::sleep(Duration::from_millis(args.pause));
        }
    }
    if args.close_at_once {
        return Ok(());
    }
    if let Some(milliseconds) = args.read_late {
        std::thread::sleep(Duration::from_millis(milliseconds));
    }
    connection.finish(lanes, args.user_timeout.is_some())
}

fn connect(args: &Args) -> anyhow::Result<TcpStream> {
    let cannot = || format!("cannot connect to {}", args.to);
    if args.path != SendPath::Mptcp {
        return TcpStream::connect(args.to).with_context(cannot);
    }
    let socket = sys::stream_socket(args.to.is_ipv6(), libc::IPPROTO_MPTCP)?;
    nix::sys::socket::connect(socket.as_raw_fd(), &SockaddrStorage::from(args.to)).with_context(cannot)?;
    Ok(TcpStream::from(socket))
}

/// The first call connects, and its data travels with the SYN as far as it fits.
fn open_fast(args: &Args, lanes: &mut [Lane]) -> anyhow::Result<TcpStream> {
    let socket = sys::stream_socket(args.to.is_ipv6(), 0)?;
    let lane = lanes.first_mut().context("no path")?;
    if lane.path == SendPath::MsgZerocopy {
        sys::allow_zerocopy(socket.as_fd())?;
    }
    let Source::Memory(data) = &lane.source else { bail!("fastopen sends from memory") };
    let flags = lane.flags | MsgFlags::from_bits_retain(libc::MSG_FASTOPEN);
    let sent = sendto(socket.as_raw_fd(), data, &SockaddrStorage::from(args.to), flags)?;
    lane.sent.calls += 1;
    lane.sent.bytes += sent as u64;
    lane.sent.zerocopy_sends += u64::from(lane.path == SendPath::MsgZerocopy);
    anyhow::ensure!(sent == data.len(), "only {sent} of {} bytes were taken", data.len());
    Ok(TcpStream::from(socket))
}

/// A process with CAP_IPC_LOCK is never refused for locked memory, so root has to become nobody.
fn drop_privileges(memlock: u64) -> anyhow::Result<()> {
    setrlimit(Resource::RLIMIT_MEMLOCK, memlock, memlock)?;
    nix::unistd::setgroups(&[])?;
    nix::unistd::setgid(NOBODY.into())?;
    nix::unistd::setuid(NOBODY.into())?;
    Ok(())
}

fn prepare(args: &Args, stream: &TcpStream) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    if let Some(bytes) = args.send_buffer {
        sys::set_send_buffer(stream.as_fd(), bytes)?;
    }
    if let Some(milliseconds) = args.user_timeout {
        sys::set_user_timeout(stream.as_fd(), milliseconds)?;
    }
    if args.path.is_tls() || args.and.is_some_and(SendPath::is_tls) {
        tls::encrypt(stream.as_fd()).context("this kernel refuses TLS")?;
    }
    let zerocopy = args.path == SendPath::MsgZerocopy || args.and == Some(SendPath::MsgZerocopy);
    if zerocopy && !args.without_so_zerocopy {
        sys::allow_zerocopy(stream.as_fd()).context("this kernel refuses SO_ZEROCOPY")?;
    }
    Ok(())
}

fn wait_for_go(args: &Args) -> anyhow::Result<()> {
    if let Some(file) = &args.connected_file {
        std::fs::write(file, b"")?;
    }
    let Some(go) = &args.go_file else { return Ok(()) };
    let deadline = Instant::now() + Duration::from_secs(20);
    while !go.exists() {
        if Instant::now() > deadline {
            bail!("nobody made the file {} within 20 s", go.display());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Where the bytes come from.
enum Source {
    Memory(Vec<u8>),
    /// Huge pages.
    Huge(&'static [u8]),
    /// One byte of each page.
    Scattered(Vec<u8>),
    File(std::fs::File),
    Pipe {
        file: std::fs::File,
        read: OwnedFd,
        write: OwnedFd,
    },
    Memories {
        data: Vec<u8>,
        read: OwnedFd,
        write: OwnedFd,
    },
}

impl Source {
    fn new(path: SendPath, args: &Args) -> anyhow::Result<Self> {
        let size = args.size;
        let data: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        Ok(match path {
            SendPath::Copy | SendPath::MsgZerocopy if args.scattered => {
                Source::Scattered(vec![1; (size + 1) * PAGE])
            }
            SendPath::Copy | SendPath::MsgZerocopy if args.huge => {
                let memory = sys::huge_memory(size)?;
                memory.copy_from_slice(&data);
                Source::Huge(memory)
            }
            SendPath::Sendfile | SendPath::KtlsSendfile => Source::File(memory_file(&data)?),
            SendPath::Splice => {
                let (read, write) = wide_pipe(size)?;
                Source::Pipe { file: memory_file(&data)?, read, write }
            }
            SendPath::Vmsplice => {
                let (read, write) = wide_pipe(size)?;
                Source::Memories { data, read, write }
            }
            _ => Source::Memory(data),
        })
    }
}

/// A pipe that takes everything of one call, or filling it would wait for a reader that is this very thread.
fn wide_pipe(size: usize) -> anyhow::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = nix::unistd::pipe()?;
    fcntl(&write, FcntlArg::F_SETPIPE_SZ(i32::try_from(size)?.max(4096) * 2))?;
    Ok((read, write))
}

fn memory_file(data: &[u8]) -> anyhow::Result<std::fs::File> {
    let fd = nix::sys::memfd::memfd_create(c"zcscope-tests", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(data)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// One way of sending, its source and its counters.
struct Lane {
    path: SendPath,
    source: Source,
    flags: MsgFlags,
    gift: bool,
    sent: Sent,
}

impl Lane {
    fn send_some(&self, stream: &TcpStream, offset: usize, left: usize) -> nix::Result<usize> {
        let socket = stream.as_raw_fd();
        match &self.source {
            Source::Memory(data) => send(socket, data.get(offset..).unwrap_or_default(), self.flags),
            Source::Huge(data) => send(socket, data.get(offset..).unwrap_or_default(), self.flags),
            Source::Scattered(data) => {
                let bytes: Vec<_> = data
                    .chunks(PAGE)
                    .skip(1)
                    .take(left)
                    .filter_map(|page| page.get(..1))
                    .map(IoSlice::new)
                    .collect();
                sendmsg::<()>(socket, &bytes, &[], self.flags, None)
            }
            Source::File(file) => {
                let mut at = offset as libc::off_t;
                nix::sys::sendfile::sendfile(stream, file, Some(&mut at), left)
            }
            Source::Pipe { file, read, write } => {
                let mut at = offset as libc::loff_t;
                let filled = splice(file, Some(&mut at), write, None, left, SpliceFFlags::empty())?;
                drain(read, stream, filled)
            }
            Source::Memories { data, read, write } => {
                let gift = if self.gift { SpliceFFlags::SPLICE_F_GIFT } else { SpliceFFlags::empty() };
                let memory = IoSlice::new(data.get(offset..).unwrap_or_default());
                let filled = vmsplice(write, &[memory], gift)?;
                drain(read, stream, filled)
            }
        }
    }

    fn failed(&mut self, errno: Errno) {
        *self.sent.errors.entry(format!("{errno:?}")).or_default() += 1;
    }
}

/// Moves `filled` bytes from the pipe to the socket.
fn drain(pipe: &OwnedFd, stream: &TcpStream, filled: usize) -> nix::Result<usize> {
    let mut drained = 0;
    while drained < filled {
        drained += splice(pipe, None, stream, None, filled - drained, SpliceFFlags::empty())?;
    }
    Ok(drained)
}

struct Connection<'a> {
    args: &'a Args,
    stream: TcpStream,
    /// When each zero-copy send began, by id.
    sent_at: Vec<Instant>,
}

impl Connection<'_> {
    /// One call in the sense of the command line: all of `size` is sent, unless refused.
    fn one_call(&mut self, lanes: &mut [Lane], number: usize) -> anyhow::Result<()> {
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
    fn finish(&mut self, lanes: &mut [Lane], peer_is_gone: bool) -> anyhow::Result<()> {
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
}

impl Connection<'_> {
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
