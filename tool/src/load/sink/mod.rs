//! The sink: accepts connections and gets rid of what comes, one plain thread each, always bounded.
//!
//! [`modes`] are the ways to receive, `connection` is one thread, `crew` all of them, `hall` the loop that takes
//! connections in. With a control port, `lines` holds the control connections and `booking` the run of a load.

pub mod modes;
pub mod result;

mod booking;
mod check;
mod connection;
mod crew;
mod hall;
mod lines;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use self::connection::Run;
use self::crew::Crew;
use self::hall::{Desk, Hall, Totals};
use self::lines::Lines;
pub use self::modes::Mode;
use self::result::{Connection, LoadSeen, SINK_SCHEMA, SinkReport};
use super::LoadError;
use super::control::message::Limits;
use super::control::token::Token;

/// Most connections open at once.
pub const MAX_CONNECTIONS: usize = 4096;
const BACKLOG: i32 = 4096;

/// How long and how much a sink receives.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Longest time.
    pub duration: Duration,
    /// End when this many bytes have come, over all connections.
    pub max_bytes: Option<u64>,
    /// End when the first set of connections has closed, or the first load has ended.
    pub once: bool,
}

/// How a sink receives, where no load asks for something else.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Receive mode.
    pub mode: Mode,
    /// Compare every byte with the pattern.
    pub verify: bool,
    /// Decrypt TLS records (the kernel does, with fixed keys).
    pub tls: bool,
}

/// What a running sink tells as it happens.
#[derive(Debug)]
pub enum Event<'a> {
    /// A connection has ended.
    Connection(&'a Connection),
    /// A load that used the control port has ended.
    Load(&'a LoadSeen),
    /// Somebody was not let in at the control port.
    Refused {
        /// Who.
        peer: SocketAddr,
        /// Why.
        why: &'a str,
    },
    /// A connection waits that cannot be taken in; told once.
    CannotAccept {
        /// The kernel's error, and what to do.
        why: &'a str,
        /// Connections received at that time.
        open: usize,
    },
}

/// A sink that listens.
pub struct Sink {
    listener: Socket,
    local: SocketAddr,
    control: Option<Control>,
    since: Instant,
}

struct Control {
    listener: TcpListener,
    local: SocketAddr,
    token: Token,
    limits: Limits,
}

impl Sink {
    /// Listens on `address`; `[::]` takes IPv4 too, port 0 picks a free one.
    ///
    /// # Errors
    /// The port is in use, or the address is not of this host.
    pub fn bind(address: SocketAddr) -> Result<Self, LoadError> {
        raise_descriptor_limit();
        let (listener, local) = open_port(address)?;
        Ok(Self { listener, local, control: None, since: Instant::now() })
    }

    /// Listens for loads on `address`, too: then only connections of a load that knows `token` are received, one load
    /// at a time, each within `limits`.
    ///
    /// # Errors
    /// As [`Self::bind`].
    pub fn with_control(
        mut self,
        address: SocketAddr,
        token: Token,
        limits: Limits,
    ) -> Result<Self, LoadError> {
        let (listener, local) = open_port(address)?;
        self.control = Some(Control { listener: listener.into(), local, token, limits });
        Ok(self)
    }

    /// The address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The address it listens for loads on.
    #[must_use]
    pub fn control_addr(&self) -> Option<SocketAddr> {
        self.control.as_ref().map(|control| control.local)
    }

    /// Receives in one mode; see [`Self::serve`]. `on_end` sees every connection that ends.
    ///
    /// # Errors
    /// As [`Self::serve`].
    pub fn run(
        self,
        mode: Mode,
        bounds: Bounds,
        stop: Option<BorrowedFd<'_>>,
        mut on_end: impl FnMut(&Connection),
    ) -> Result<SinkReport, LoadError> {
        self.serve(Rules { mode, ..Rules::default() }, bounds, stop, |event| {
            if let Event::Connection(connection) = event {
                on_end(connection);
            }
        })
    }

    /// Receives until one of the bounds is met or `stop` becomes readable.
    ///
    /// # Errors
    /// The mode is not possible here, or there are no descriptors left.
    pub fn serve(
        self,
        rules: Rules,
        bounds: Bounds,
        stop: Option<BorrowedFd<'_>>,
        on_event: impl FnMut(&Event<'_>),
    ) -> Result<SinkReport, LoadError> {
        rules.mode.possible(rules.verify, rules.tls).map_err(LoadError::Failed)?;
        let crew = Crew::new().map_err(|e| LoadError::failed("cannot make a pipe", e))?;
        let mut hall = Hall {
            listener: &self.listener,
            rules,
            bounds,
            since: self.since,
            crew,
            everybody: Arc::new(Run::new(bounds.max_bytes.unwrap_or(u64::MAX))),
            desk: self.control.map(|control| Desk {
                lines: Lines::new(control.listener, control.token),
                limits: control.limits,
                booking: None,
            }),
            on_event,
            totals: Totals::default(),
        };
        let ended_by = hall.receive(stop);
        let totals = hall.totals;
        Ok(SinkReport {
            schema: SINK_SCHEMA.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            listen: self.local.to_string(),
            mode: rules.mode.name().into(),
            tls: rules.tls,
            ended_by,
            duration_ns: u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX),
            bytes: totals.bytes,
            figures: totals.figures,
            thread_ns: totals.thread_ns,
            turned_away: totals.turned_away,
            connections: totals.connections,
            connections_omitted: totals.omitted,
            loads: totals.loads,
            refused_controls: totals.refused_controls,
        })
    }
}

/// As many descriptors as allowed: a connection takes one, some modes a few.
fn raise_descriptor_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // Where it is refused, the sink takes fewer connections.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// A listening socket that does not block, and its address.
fn open_port(address: SocketAddr) -> Result<(Socket, SocketAddr), LoadError> {
    let listener = listen(address).map_err(|error| bind_error(address, &error))?;
    let local = listener.local_addr().ok().and_then(|a| a.as_socket()).unwrap_or(address);
    Ok((listener, local))
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpStream;
    use std::os::fd::AsFd;

    use super::*;
    use crate::load::{pattern, tls};

    #[test]
    fn tls_records_are_received_and_verified_in_every_mode_that_can() {
        if let Err(why) = tls::available() {
            println!("{why}");
            return;
        }
        let mut bytes = vec![0; 3 << 20];
        pattern::fill(&mut bytes, 0);
        for mode in Mode::all().filter(|mode| mode.possible(true, true).is_ok()) {
            let sink = Sink::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let to = sink.local_addr();
            let bounds = Bounds { duration: Duration::from_secs(30), max_bytes: None, once: true };
            let rules = Rules { mode, verify: true, tls: true };
            let thread = std::thread::spawn(move || sink.serve(rules, bounds, None, |_| {}).unwrap());
            let mut socket = TcpStream::connect(to).unwrap();
            tls::encrypt(socket.as_fd()).unwrap();
            socket.write_all(&bytes).unwrap();
            drop(socket);
            let report = thread.join().unwrap();
            let counts = (report.figures.verified_bytes, report.figures.mismatches);
            assert_eq!(counts, (Some(3 << 20), Some(0)), "{mode:?}: {:?}", report.connections);
        }
    }
}
