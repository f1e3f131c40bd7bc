//! One load's run on a controlled sink: from the request to the report. No I/O but its sockets' own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;

use super::connection::{Order, Run};
use super::lines::LineId;
use super::modes::Mode;
use super::result::{Connection, Figures, FirstMismatch, LoadSeen};
use crate::host::cpu::CpuTime;
use crate::load::control::message::{Ask, PeerReport};

/// How long a load may take to connect its streams.
const CONNECTING: Duration = Duration::from_secs(30);
/// How long its connections may take to show up here after it said that all are made.
const SHOWING_UP: Duration = Duration::from_secs(5);
/// What a load may take beyond the time it asked for: to settle, and to say so.
const GRACE: Duration = Duration::from_secs(20);
/// How long connections may take to end once the load said it has finished; and a load to ask for its report once a
/// limit has ended its run.
const ENDING: Duration = Duration::from_secs(10);
/// Most errors listed.
const MAX_ERRORS: usize = 8;

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Connections come in; none is received yet.
    Gathering,
    /// They are received.
    Running,
    /// The load has finished; the rest is taken in.
    Ending,
    /// A limit ended it; the load has not asked for its report yet.
    Limited,
}

/// A run.
pub(super) struct Booking {
    pub(super) line: LineId,
    pub(super) peer: SocketAddr,
    pub(super) mode: Mode,
    pub(super) ask: Ask,
    pub(super) run: Arc<Run>,
    stage: Stage,
    deadline: Instant,
    waiting: Vec<(Socket, SocketAddr)>,
    wanted: Option<Vec<SocketAddr>>,
    machine_before: Option<CpuTime>,
    /// Set when nobody waits for the report any more.
    gone: bool,
    end: Option<String>,
    sum: Sum,
}

#[derive(Default)]
struct Sum {
    connections: u64,
    bytes: u64,
    figures: Figures,
    first_mismatch: Option<FirstMismatch>,
    duration_ns: u64,
    thread_ns: u64,
    machine_ns: Option<u64>,
    errors: Vec<String>,
}

/// What a deadline that has passed means.
pub(super) enum Late {
    /// The load is told this, and its run is over.
    Refuse(String),
    /// Every connection must end now.
    HangUp,
    /// Nothing more is waited for.
    Nothing,
}

impl Booking {
    /// A run of at most `bytes`.
    pub(super) fn new(line: LineId, peer: SocketAddr, mode: Mode, ask: Ask, bytes: u64) -> Self {
        Self {
            line,
            peer,
            mode,
            ask,
            // One more than allowed is what shows that more came than allowed.
            run: Arc::new(Run::new(bytes.saturating_add(1))),
            stage: Stage::Gathering,
            deadline: Instant::now() + CONNECTING,
            waiting: Vec::new(),
            wanted: None,
            machine_before: None,
            gone: false,
            end: None,
            sum: Sum::default(),
        }
    }

    /// How its connections are received.
    pub(super) fn order(&self, buffer: usize) -> Order {
        Order { mode: self.mode, verify: self.ask.verify, buffer, send_size: Some(self.ask.send_size) }
    }

    /// When something must happen.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// A connection came in; given back when this run has no use for it.
    pub(super) fn offer(&mut self, socket: Socket, from: SocketAddr) -> Result<(), Socket> {
        // Strangers may be among them until the load has told its addresses.
        let room = self.ask.streams.saturating_mul(2).saturating_add(16);
        if self.stage != Stage::Gathering || self.waiting.len() as u64 >= room {
            return Err(socket);
        }
        self.waiting.push((socket, from));
        Ok(())
    }

    /// The load told its addresses.
    pub(super) fn expect(&mut self, locals: Vec<SocketAddr>) {
        self.wanted = Some(locals);
        self.deadline = Instant::now() + SHOWING_UP;
    }

    /// All connections of the load, once every one of them is here; the second part are strangers'.
    #[allow(clippy::type_complexity, reason = "two lists of the same")]
    pub(super) fn complete(&mut self) -> Option<(Vec<(Socket, SocketAddr)>, Vec<(Socket, SocketAddr)>)> {
        let wanted = self.wanted.as_ref().filter(|_| self.stage == Stage::Gathering)?;
        if self.seen(wanted) < wanted.len() {
            return None;
        }
        let all = std::mem::take(&mut self.waiting);
        Some(all.into_iter().partition(|(_, from)| wanted.contains(from)))
    }

    fn seen(&self, wanted: &[SocketAddr]) -> usize {
        wanted.iter().filter(|address| self.waiting.iter().any(|(_, from)| from == *address)).count()
    }

    /// Its connections are received from now on.
    pub(super) fn begin(&mut self) {
        self.stage = Stage::Running;
        self.machine_before = CpuTime::read().ok();
        self.deadline = Instant::now() + Duration::from_nanos(self.ask.duration_ns) + GRACE;
    }

    /// The load says it has finished.
    pub(super) fn finish(&mut self) {
        self.stage = Stage::Ending;
        self.deadline = Instant::now() + ENDING;
    }

    /// More came than was allowed; true the first time this is found.
    pub(super) fn overflows(&mut self) -> bool {
        let over = self.end.is_none() && self.run.is_full();
        if over {
            self.limit("limit_bytes");
        }
        over
    }

    fn limit(&mut self, end: &str) {
        self.end = Some(end.into());
        self.run.stop();
        if self.stage != Stage::Ending {
            self.stage = Stage::Limited;
        }
        self.deadline = Instant::now() + ENDING;
    }

    /// The load is not there any more, or the sink ends.
    pub(super) fn abandon(&mut self, end: &str) {
        self.end.get_or_insert_with(|| end.into());
        self.gone = true;
        self.run.stop();
        self.waiting.clear();
    }

    /// The deadline has passed.
    pub(super) fn late(&mut self) -> Late {
        match self.stage {
            Stage::Gathering => {
                let why = match &self.wanted {
                    None => format!("the load connected nothing within {} s", CONNECTING.as_secs()),
                    Some(wanted) => self.missing(wanted),
                };
                self.abandon(&why);
                Late::Refuse(why)
            }
            Stage::Running => {
                self.limit("limit_time");
                Late::HangUp
            }
            Stage::Ending => {
                self.run.stop();
                self.deadline = Instant::now() + ENDING;
                Late::HangUp
            }
            Stage::Limited => {
                self.gone = true;
                Late::Nothing
            }
        }
    }

    fn missing(&self, wanted: &[SocketAddr]) -> String {
        let others = match self.waiting.first() {
            Some((_, from)) => format!(" but one from {from}: is its address translated on the way?"),
            None => "; --to must lead to the sink's --listen address".into(),
        };
        format!(
            "of {} connections of this load {} came in within {} s{others}",
            wanted.len(),
            self.seen(wanted),
            SHOWING_UP.as_secs()
        )
    }

    /// One of its connections has ended.
    pub(super) fn add(&mut self, connection: &Connection) {
        let sum = &mut self.sum;
        sum.connections += 1;
        sum.bytes += connection.bytes;
        sum.figures.add(&connection.figures);
        sum.duration_ns = sum.duration_ns.max(connection.duration_ns);
        sum.thread_ns += connection.thread_ns;
        sum.machine_ns = self.machine_before.zip(CpuTime::read().ok()).map(|(a, b)| b.since(&a).busy_ns());
        let earlier = |first: &FirstMismatch| {
            sum.first_mismatch.as_ref().is_none_or(|known| first.offset < known.offset)
        };
        if let Some(first) = connection.first_mismatch.as_ref().filter(|first| earlier(first)) {
            sum.first_mismatch = Some(first.clone());
        }
        if !matches!(connection.end.as_str(), "closed" | "stopped") && sum.errors.len() < MAX_ERRORS {
            sum.errors.push(format!("{}: {}", connection.peer, connection.end));
        }
    }

    /// Whether it is over, given how many of its connections are still received.
    pub(super) fn is_over(&self, open: usize) -> bool {
        open == 0 && (self.gone || self.stage == Stage::Ending)
    }

    /// Whether the load waits for its report.
    pub(super) fn is_awaited(&self) -> bool {
        !self.gone
    }

    fn end(&self) -> String {
        self.end.clone().unwrap_or_else(|| "finished".into())
    }

    /// For the load.
    pub(super) fn report(&self) -> PeerReport {
        let Sum { connections, bytes, figures, duration_ns, thread_ns, machine_ns, .. } = self.sum;
        PeerReport {
            control: String::new(),
            version: env!("CARGO_PKG_VERSION").into(),
            kernel_release: nix::sys::utsname::uname()
                .map(|u| u.release().to_string_lossy().into_owned())
                .unwrap_or_default(),
            mode: self.mode.name().into(),
            verify: self.ask.verify,
            tls: self.ask.tls,
            end: self.end(),
            connections,
            bytes,
            figures,
            first_mismatch: self.sum.first_mismatch.clone(),
            duration_ns,
            thread_ns,
            machine_ns,
            errors: self.sum.errors.clone(),
        }
    }

    /// For the sink's own report.
    pub(super) fn seen_load(&self) -> LoadSeen {
        LoadSeen {
            peer: self.peer.to_string(),
            mode: self.mode.name().into(),
            verify: self.ask.verify,
            tls: self.ask.tls,
            end: self.end(),
            connections: self.sum.connections,
            bytes: self.sum.bytes,
            figures: self.sum.figures,
            thread_ns: self.sum.thread_ns,
            machine_ns: self.sum.machine_ns,
        }
    }
}
