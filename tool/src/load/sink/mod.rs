//! The sink: accepts connections and discards what comes, one plain thread each, always bounded.

pub mod result;

use std::io::{self, PipeWriter, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use self::result::{Connection, SINK_SCHEMA, SinkEndedBy, SinkReport};
use super::result::gbit_s;
use super::{LoadError, cpu, sys};

/// Most connections open at once.
const MAX_CONNECTIONS: usize = 512;
/// Rest after a connection could not be taken (no descriptors left): the next try would fail as fast.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
const BACKLOG: i32 = 256;
/// A receive gives up after this long to look at the stop flag.
const RECV_TIMEOUT: Duration = Duration::from_millis(100);
const RECV_BUFFER: usize = 256 << 10;
/// Most bytes one discarding call takes.
const DISCARD: usize = 2 << 20;

/// How the sink gets rid of bytes. The choice decides what the sender measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// recv(2) into a buffer: copies every byte, like an application.
    #[default]
    Recv,
    /// recv(2) with `MSG_TRUNC`: the kernel drops the bytes without a copy.
    Trunc,
}

impl Mode {
    /// Name on the command line and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Recv => "recv",
            Mode::Trunc => "trunc",
        }
    }
}

/// How long and how much a sink receives.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Longest time.
    pub duration: Duration,
    /// End when this many bytes have come, over all connections.
    pub max_bytes: Option<u64>,
    /// End when the first set of connections has closed.
    pub once: bool,
}

/// A sink that listens.
pub struct Sink {
    listener: Socket,
    local: SocketAddr,
    since: Instant,
}

/// What the receiving threads share.
struct Shared {
    stop: AtomicBool,
    bytes: AtomicU64,
    max_bytes: u64,
}

/// Where receiving threads hand in their results.
struct Desk {
    results: Sender<Connection>,
    bell: PipeWriter,
}

impl Sink {
    /// Listens on `address`; `[::]` takes IPv4 too, port 0 picks a free one.
    ///
    /// # Errors
    /// The port is in use, or the address is not of this host.
    pub fn bind(address: SocketAddr) -> Result<Self, LoadError> {
        let listener = listen(address).map_err(|error| bind_error(address, &error))?;
        let local = listener.local_addr().ok().and_then(|a| a.as_socket()).unwrap_or(address);
        Ok(Self { listener, local, since: Instant::now() })
    }

    /// The address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Receives until one of the bounds is met or `stop` becomes readable. `on_end` sees every connection that ends.
    ///
    /// # Errors
    /// The pipe its threads report through cannot be made.
    pub fn run(
        self,
        mode: Mode,
        bounds: Bounds,
        stop: Option<BorrowedFd<'_>>,
        on_end: impl FnMut(&Connection),
    ) -> Result<SinkReport, LoadError> {
        let shared = Shared {
            stop: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
            max_bytes: bounds.max_bytes.unwrap_or(u64::MAX),
        };
        let (bell, ringer) = io::pipe().map_err(|e| LoadError::failed("cannot make a pipe", e))?;
        let (results, inbox) = channel();
        let desk = Desk { results, bell: ringer };
        let mut hall =
            Hall { sink: &self, shared: &shared, mode, on_end, connections: vec![], open: 0, turned_away: 0 };
        let ended_by = std::thread::scope(|scope| hall.receive(scope, bounds, stop, bell, &inbox, &desk));
        let Hall { connections, turned_away, .. } = hall;
        Ok(SinkReport {
            schema: SINK_SCHEMA.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            listen: self.local.to_string(),
            mode: mode.name().into(),
            ended_by,
            duration_ns: ns(self.since.elapsed()),
            bytes: connections.iter().map(|c| c.bytes).sum(),
            thread_ns: connections.iter().map(|c| c.thread_ns).sum(),
            turned_away,
            connections,
        })
    }
}

/// The accepting side of a running sink.
struct Hall<'a, F> {
    sink: &'a Sink,
    shared: &'a Shared,
    mode: Mode,
    on_end: F,
    connections: Vec<Connection>,
    open: usize,
    turned_away: u64,
}

impl<'a, F: FnMut(&Connection)> Hall<'a, F> {
    fn receive<'scope>(
        &mut self,
        scope: &'scope Scope<'scope, '_>,
        bounds: Bounds,
        stop: Option<BorrowedFd<'_>>,
        mut bell: io::PipeReader,
        inbox: &Receiver<Connection>,
        desk: &'scope Desk,
    ) -> SinkEndedBy
    where
        'a: 'scope,
    {
        let ended_by = loop {
            let left = bounds.duration.saturating_sub(self.sink.since.elapsed());
            let ms = u16::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u16::MAX);
            let mut fds = vec![
                PollFd::new(self.sink.listener.as_fd(), PollFlags::POLLIN),
                PollFd::new(bell.as_fd(), PollFlags::POLLIN),
            ];
            fds.extend(stop.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
            if poll(&mut fds, PollTimeout::from(ms)).is_err() {
                continue;
            }
            let ready = |index: usize| fds.get(index).and_then(PollFd::any) == Some(true);
            let (knock, rung, stopped) = (ready(0), ready(1), ready(2));
            if knock {
                self.accept(scope, desk);
            }
            if rung {
                // One byte per result; reading more than one at a time only saves calls.
                let _ = bell.read(&mut [0; 64]);
                inbox.try_iter().for_each(|connection| self.take(connection));
            }
            if stopped {
                break SinkEndedBy::Signal;
            }
            if self.shared.bytes.load(Relaxed) >= self.shared.max_bytes {
                break SinkEndedBy::Bytes;
            }
            if self.sink.since.elapsed() >= bounds.duration {
                break SinkEndedBy::Duration;
            }
            // A connection still waiting to be accepted belongs to the set.
            if bounds.once && !knock && self.open == 0 && !self.connections.is_empty() {
                break SinkEndedBy::Once;
            }
        };
        self.shared.stop.store(true, Relaxed);
        while self.open > 0 {
            let Ok(connection) = inbox.recv() else { break };
            self.take(connection);
        }
        ended_by
    }

    fn accept<'scope>(&mut self, scope: &'scope Scope<'scope, '_>, desk: &'scope Desk)
    where
        'a: 'scope,
    {
        let (socket, peer) = match self.sink.listener.accept() {
            Ok((socket, peer)) => (socket, name_of(&peer)),
            Err(_) => {
                std::thread::sleep(ACCEPT_PAUSE);
                return;
            }
        };
        if self.open >= MAX_CONNECTIONS {
            self.turned_away += 1;
            return;
        }
        let (shared, mode) = (self.shared, self.mode);
        let body = move || {
            let connection = discard(&socket, peer, mode, shared);
            drop(socket);
            let _ = desk.results.send(connection);
            let _ = (&desk.bell).write_all(&[1]);
        };
        if std::thread::Builder::new().spawn_scoped(scope, body).is_err() {
            self.turned_away += 1;
            return;
        }
        self.open += 1;
    }

    fn take(&mut self, connection: Connection) {
        self.open -= 1;
        (self.on_end)(&connection);
        self.connections.push(connection);
    }
}

/// Receives from one connection until it ends or the sink stops.
fn discard(socket: &Socket, peer: String, mode: Mode, shared: &Shared) -> Connection {
    let mut buffer = match mode {
        Mode::Recv => vec![0; RECV_BUFFER],
        Mode::Trunc => Vec::new(),
    };
    let cpu_before = cpu::thread_ns();
    let (mut bytes, mut calls, mut span) = (0, 0, None);
    let end = socket.set_read_timeout(Some(RECV_TIMEOUT)).and_then(|()| {
        loop {
            if shared.stop.load(Relaxed) {
                return Ok("stopped");
            }
            let received = match mode {
                Mode::Recv => Read::read(&mut &*socket, &mut buffer),
                Mode::Trunc => sys::recv_discard(socket.as_fd(), DISCARD),
            };
            match received {
                Ok(0) => return Ok("closed"),
                Ok(n) => {
                    bytes += n as u64;
                    calls += 1;
                    let now = Instant::now();
                    span = Some((span.map_or(now, |(first, _)| first), now));
                    let before = shared.bytes.fetch_add(n as u64, Relaxed);
                    if before.saturating_add(n as u64) >= shared.max_bytes {
                        return Ok("stopped");
                    }
                }
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    });
    let duration_ns = span.map_or(0, |(first, last)| ns(last - first));
    Connection {
        peer,
        bytes,
        calls,
        duration_ns,
        gbit_s: gbit_s(bytes, duration_ns),
        thread_ns: cpu::thread_ns().saturating_sub(cpu_before),
        end: end.map_or_else(|error| error.to_string(), str::to_owned),
    }
}

/// A peer's address; an IPv4 peer of a dual-stack socket as IPv4.
fn name_of(peer: &SockAddr) -> String {
    peer.as_socket()
        .map(|a| match a.ip().to_canonical() {
            v4 @ IpAddr::V4(_) => SocketAddr::new(v4, a.port()).to_string(),
            IpAddr::V6(_) => a.to_string(),
        })
        .unwrap_or_default()
}

fn listen(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A sink may follow another on the same port at once; two at a time still collide.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn bind_error(address: SocketAddr, error: &io::Error) -> LoadError {
    let text = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "cannot listen on {address}: the port is in use; `ss -ltnp 'sport = :{}'` shows by whom, or take another",
            address.port()
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "cannot listen on {address}: this host does not have that address; `ip address` lists them"
            )
        }
        _ => format!("cannot listen on {address}: {error}"),
    };
    LoadError::Failed(text)
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
