//! The sending end: an exact number of calls of an exact size over one connection, and its own counters.

use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::socket::{MsgFlags, send};

use super::{errqueue, sys};
use crate::truth::{SendPath, Sent};

/// User and group of a child without privileges.
const NOBODY: u32 = 65534;

/// Arguments of `app send`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How to send.
    #[arg(value_enum)]
    path: SendPath,
    /// After each call, make one this way on the same connection.
    #[arg(long, value_enum)]
    and: Option<SendPath>,
    /// Where to send.
    #[arg(long)]
    to: SocketAddr,
    /// Calls to make.
    #[arg(long)]
    calls: u64,
    /// Bytes per call.
    #[arg(long)]
    size: usize,
    /// Ask for MSG_ZEROCOPY without having set SO_ZEROCOPY.
    #[arg(long)]
    without_so_zerocopy: bool,
    /// Count a call refused with ENOBUFS and go on, without reading notifications in between.
    #[arg(long)]
    no_retry: bool,
    /// Read no notifications until so many milliseconds after the last call.
    #[arg(long)]
    read_late: Option<u64>,
    /// Close the connection after the last call, without waiting for anything.
    #[arg(long)]
    close_at_once: bool,
    /// Limit of locked memory in bytes; also becomes an unprivileged user, or the limit would not count.
    #[arg(long)]
    memlock: Option<u64>,
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
    pause: u64,
    /// Connections to make, one after another; each makes all the calls.
    #[arg(long, default_value_t = 1)]
    connections: u32,
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
        lanes.push(Lane { path, source: Source::new(path, args.size)?, sent: Sent::new(path) });
    }
    for _ in 0..args.connections {
        one_connection(args, &mut lanes)?;
    }
    for lane in &lanes {
        println!("{}", serde_json::to_string(&lane.sent)?);
    }
    Ok(())
}

fn one_connection(args: &Args, lanes: &mut [Lane]) -> anyhow::Result<()> {
    let stream = TcpStream::connect(args.to).with_context(|| format!("cannot connect to {}", args.to))?;
    prepare(args, &stream)?;
    wait_for_go(args)?;
    let mut connection = Connection { args, stream, sent_at: Vec::new() };
    for _ in 0..args.calls {
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
    File(std::fs::File),
    Pipe { file: std::fs::File, read: OwnedFd, write: OwnedFd },
}

impl Source {
    fn new(path: SendPath, size: usize) -> anyhow::Result<Self> {
        let data: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        Ok(match path {
            SendPath::Copy | SendPath::MsgZerocopy => Source::Memory(data),
            SendPath::Sendfile => Source::File(memory_file(&data)?),
            SendPath::Splice => {
                let (read, write) = nix::unistd::pipe()?;
                // The whole file must fit, or filling the pipe would wait for a reader that is this very thread.
                fcntl(&write, FcntlArg::F_SETPIPE_SZ(i32::try_from(size)?.max(4096) * 2))?;
                Source::Pipe { file: memory_file(&data)?, read, write }
            }
        })
    }
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
    sent: Sent,
}

impl Lane {
    fn send_some(&self, stream: &TcpStream, offset: usize, left: usize) -> nix::Result<usize> {
        let plain = MsgFlags::MSG_NOSIGNAL;
        let flags = match self.path {
            SendPath::MsgZerocopy => plain | MsgFlags::from_bits_retain(libc::MSG_ZEROCOPY),
            _ => plain,
        };
        match &self.source {
            Source::Memory(data) => send(stream.as_raw_fd(), data.get(offset..).unwrap_or_default(), flags),
            Source::File(file) => {
                let mut at = offset as libc::off_t;
                nix::sys::sendfile::sendfile(stream, file, Some(&mut at), left)
            }
            Source::Pipe { file, read, write } => {
                let mut at = offset as libc::loff_t;
                let filled = splice(file, Some(&mut at), write, None, left, SpliceFFlags::empty())?;
                let mut drained = 0;
                while drained < filled {
                    drained += splice(read, None, stream, None, filled - drained, SpliceFFlags::empty())?;
                }
                Ok(drained)
            }
        }
    }
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
                    *lane.sent.errors.entry(format!("{errno:?}")).or_default() += 1;
                    if errno != Errno::ENOBUFS {
                        bail!("a call failed with {errno}");
                    }
                    if self.args.no_retry {
                        return Ok(());
                    }
                    self.wait_for_notification(lanes, Duration::from_secs(1))?;
                }
            }
        }
        Ok(())
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
        while sys::unacknowledged(self.stream.as_fd())? > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.read_notifications(lanes)?;
        if let Some(lane) = lanes.first_mut() {
            lane.sent.unacknowledged += sys::unacknowledged(self.stream.as_fd())?;
        }
        self.stream.shutdown(Shutdown::Write)?;
        self.stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let _ = self.stream.read(&mut [0; 1]);
        Ok(())
    }
}

/// Without completions, the end of a black hole is the socket's own error.
fn wait_for_death(stream: &TcpStream, deadline: Instant) {
    while Instant::now() < deadline && !matches!(stream.take_error(), Ok(Some(_)) | Err(_)) {
        std::thread::sleep(Duration::from_millis(20));
    }
}
