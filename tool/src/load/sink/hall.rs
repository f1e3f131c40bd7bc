//! The one loop of a running sink: takes connections in, hears the threads that receive them, and obeys loads that
//! know the token. It never waits for anything but all of these at once.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::Socket;

use super::booking::{Booking, Late};
use super::connection::{Order, Run};
use super::crew::Crew;
use super::lines::{LineId, Lines, News};
use super::modes::Mode;
use super::result::{Connection, Figures, LoadSeen, MAX_LISTED, SinkEndedBy};
use super::{Bounds, Event, MAX_CONNECTIONS, Rules};
use crate::load::control::client::canonical;
use crate::load::control::door;
use crate::load::control::message::{Answer, Ask, Limits, Request};
use crate::load::receive_tls;

/// Rest after a connection could not be taken (no descriptors left): the next try would fail as fast.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// Most connections taken in before the others have their turn.
const ACCEPTS: usize = 256;

/// A running sink.
pub(super) struct Hall<'a, F> {
    pub(super) listener: &'a Socket,
    pub(super) rules: Rules,
    pub(super) bounds: Bounds,
    pub(super) since: Instant,
    pub(super) crew: Crew,
    /// The run of everybody, where no load has one of its own; it also holds the bounds of the whole sink.
    pub(super) everybody: Arc<Run>,
    pub(super) desk: Option<Desk>,
    pub(super) on_event: F,
    pub(super) totals: Totals,
}

/// The control port.
pub(super) struct Desk {
    pub(super) lines: Lines,
    pub(super) limits: Limits,
    pub(super) booking: Option<Booking>,
}

/// What is reported at the end.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) connections: Vec<Connection>,
    pub(super) omitted: u64,
    pub(super) bytes: u64,
    pub(super) figures: Figures,
    pub(super) thread_ns: u64,
    pub(super) turned_away: u64,
    pub(super) loads: Vec<LoadSeen>,
    pub(super) loads_seen: u64,
    pub(super) refused_controls: u64,
    /// It was said that connections cannot be taken in.
    complained: bool,
}

impl<F: FnMut(&Event<'_>)> Hall<'_, F> {
    /// Runs until one of the bounds is met or `stop` becomes readable.
    pub(super) fn receive(&mut self, stop: Option<BorrowedFd<'_>>) -> SinkEndedBy {
        let ended_by = loop {
            let Ok([knock, rung, stopped]) = self.wait(stop) else { continue };
            if knock {
                self.accept();
            }
            if rung {
                let done = self.crew.collect();
                self.take(done);
            }
            self.attend();
            if let Some(end) = self.end(stopped, knock) {
                break end;
            }
        };
        self.close();
        ended_by
    }

    /// Sleeps until something happens: a connection, a thread that is done, the stop.
    fn wait(&mut self, stop: Option<BorrowedFd<'_>>) -> io::Result<[bool; 3]> {
        let timeout = self.timeout();
        let mut fds = vec![
            PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.crew.bell().as_fd(), PollFlags::POLLIN),
        ];
        fds.extend(stop.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        if let Some(desk) = &mut self.desk {
            fds.extend(desk.lines.fds().into_iter().map(|(fd, wanted)| PollFd::new(fd, wanted)));
        }
        poll(&mut fds, timeout)?;
        let ready = |index: usize| fds.get(index).and_then(PollFd::any) == Some(true);
        Ok([ready(0), ready(1), stop.is_some() && ready(2)])
    }

    fn timeout(&self) -> PollTimeout {
        let desk = self.desk.as_ref();
        let deadlines = [
            Some(self.since + self.bounds.duration),
            desk.and_then(|desk| desk.lines.deadline()),
            desk.and_then(|desk| desk.booking.as_ref()).map(Booking::deadline),
        ];
        let first = deadlines.into_iter().flatten().min();
        let left = first.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
        PollTimeout::from(u16::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u16::MAX))
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS {
            match self.listener.accept() {
                Ok((socket, from)) => {
                    let from = from.as_socket().map(canonical);
                    if !self.admit(socket, from) {
                        self.totals.turned_away += 1;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    self.complain(&error);
                    return std::thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
    }

    /// Says once that connections wait that cannot be taken in.
    fn complain(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.totals.complained, true) {
            (self.on_event)(&Event::CannotAccept { why: &no_room(error), open: self.crew.open() });
        }
    }

    /// False when the connection is turned away.
    fn admit(&mut self, socket: Socket, from: Option<SocketAddr>) -> bool {
        if self.crew.open() >= MAX_CONNECTIONS {
            return false;
        }
        if let Some(desk) = &mut self.desk {
            let (Some(booking), Some(from)) = (&mut desk.booking, from) else { return false };
            return booking.offer(socket, from).is_ok();
        }
        let order = Order {
            mode: self.rules.mode,
            verify: self.rules.verify,
            buffer: self.crew.buffer(1),
            send_size: None,
        };
        let name = from.map(|from| from.to_string()).unwrap_or_default();
        start(&mut self.crew, socket, name, (order, self.rules.tls), &self.everybody).is_ok()
    }

    fn take(&mut self, done: Vec<Connection>) {
        for connection in done {
            (self.on_event)(&Event::Connection(&connection));
            let totals = &mut self.totals;
            totals.bytes += connection.bytes;
            totals.thread_ns += connection.thread_ns;
            totals.figures.add(&connection.figures);
            if let Some(booking) = self.desk.as_mut().and_then(|desk| desk.booking.as_mut()) {
                booking.add(&connection);
            }
            if totals.connections.len() < MAX_LISTED {
                totals.connections.push(connection);
            } else {
                totals.omitted += 1;
            }
        }
    }

    /// Serves the control port.
    fn attend(&mut self) {
        let now = Instant::now();
        let Some(desk) = &mut self.desk else { return };
        for news in desk.lines.turn(now) {
            match news {
                News::Said(line, peer, door::Event::Request(request)) => self.obey(line, peer, request),
                News::Said(_, _, door::Event::LetIn) => {}
                News::Gone(line) => self.lose(line),
                News::Refused(peer, why) => {
                    self.totals.refused_controls += 1;
                    (self.on_event)(&Event::Refused { peer, why: &why });
                }
            }
        }
        self.gather();
        self.watch(now);
        self.settle();
    }

    fn obey(&mut self, line: LineId, peer: SocketAddr, request: Request) {
        let Some(desk) = &mut self.desk else { return };
        let owner = desk.booking.as_ref().map(|booking| booking.line) == Some(line);
        let refused = match (request, &mut desk.booking) {
            (Request::Prepare(ask), _) => self.prepare(line, peer, ask).err(),
            (Request::Begin { locals }, Some(booking)) if owner => {
                booking.expect(locals.into_iter().map(canonical).collect());
                None
            }
            (Request::Finish, Some(booking)) if owner => {
                booking.finish();
                None
            }
            _ => Some("this load has no run here (any more)".into()),
        };
        if let (Some(why), Some(desk)) = (refused, &mut self.desk) {
            desk.lines.answer(line, &Answer::Refused { why });
        }
    }

    fn prepare(&mut self, line: LineId, peer: SocketAddr, ask: Ask) -> Result<(), String> {
        let left = self.bounds.max_bytes.map(|most| most.saturating_sub(self.totals.bytes));
        let Some(desk) = &mut self.desk else { return Ok(()) };
        if let Some(booking) = &desk.booking {
            return Err(format!(
                "it is busy with a load from {}; try again when that has ended",
                booking.peer
            ));
        }
        let mode = match &ask.mode {
            None => self.rules.mode,
            Some(name) => Mode::from_name(name)
                .ok_or_else(|| format!("it knows no receive mode of the name {name:?}"))?,
        };
        mode.possible(ask.verify, ask.tls)?;
        let granted = desk.limits.grant(&ask)?.min(left.unwrap_or(u64::MAX));
        desk.lines.keep(line, true);
        desk.booking = Some(Booking::new(line, canonical(peer), mode, ask, granted));
        desk.lines.answer(line, &Answer::Ready);
        Ok(())
    }

    fn lose(&mut self, line: LineId) {
        if let Some(booking) = self.desk.as_mut().and_then(|desk| desk.booking.as_mut())
            && booking.line == line
        {
            booking.abandon("vanished");
            self.crew.hang_up();
        }
    }

    /// Starts the run when all its connections are there.
    fn gather(&mut self) {
        let Some(desk) = &mut self.desk else { return };
        let Some(booking) = &mut desk.booking else { return };
        let Some((ours, strangers)) = booking.complete() else { return };
        self.totals.turned_away += strangers.len() as u64;
        drop(strangers);
        let buffer = self.crew.buffer(ours.len());
        let way = (booking.order(buffer), booking.ask.tls);
        for (socket, from) in ours {
            if let Err(error) = start(&mut self.crew, socket, from.to_string(), way, &booking.run) {
                let why = format!("it cannot receive {from}: {error}");
                booking.abandon(&why);
                desk.lines.answer(booking.line, &Answer::Refused { why });
                self.crew.hang_up();
                return;
            }
        }
        booking.begin();
        desk.lines.answer(booking.line, &Answer::Go);
    }

    /// Holds the run to its limits.
    fn watch(&mut self, now: Instant) {
        let Some(desk) = &mut self.desk else { return };
        let Some(booking) = &mut desk.booking else { return };
        if booking.overflows() {
            self.crew.hang_up();
        } else if now >= booking.deadline() {
            match booking.late() {
                Late::Refuse(why) => desk.lines.answer(booking.line, &Answer::Refused { why }),
                Late::HangUp => self.crew.hang_up(),
                Late::Nothing => {}
            }
        }
    }

    /// Reports a run that is over, to the load and to the sink's owner.
    fn settle(&mut self) {
        let Some(desk) = &mut self.desk else { return };
        let Some(booking) = desk.booking.take_if(|booking| booking.is_over(self.crew.open())) else { return };
        if booking.is_awaited() {
            desk.lines.answer(booking.line, &Answer::Report(Box::new(booking.report())));
        }
        desk.lines.keep(booking.line, false);
        let load = booking.seen_load();
        (self.on_event)(&Event::Load(&load));
        self.totals.loads_seen += 1;
        if self.totals.loads.len() < MAX_LISTED {
            self.totals.loads.push(load);
        }
    }

    fn end(&self, stopped: bool, knock: bool) -> Option<SinkEndedBy> {
        let most = self.bounds.max_bytes.unwrap_or(u64::MAX);
        let now = match &self.desk {
            None => self.everybody.bytes(),
            Some(_) => self.totals.bytes,
        };
        let once = match &self.desk {
            // A connection still waiting to be accepted belongs to the set.
            None => !knock && self.crew.open() == 0 && !self.totals.connections.is_empty(),
            Some(_) => self.totals.loads_seen > 0,
        };
        match () {
            () if stopped => Some(SinkEndedBy::Signal),
            () if now >= most => Some(SinkEndedBy::Bytes),
            () if self.since.elapsed() >= self.bounds.duration => Some(SinkEndedBy::Duration),
            () if self.bounds.once && once => Some(SinkEndedBy::Once),
            () => None,
        }
    }

    /// Ends every connection and takes what they brought.
    fn close(&mut self) {
        self.everybody.stop();
        if let Some(desk) = &mut self.desk
            && let Some(booking) = &mut desk.booking
        {
            booking.abandon("stopped");
            let why = "the sink was stopped, or came to the end of its own limits".into();
            desk.lines.answer(booking.line, &Answer::Refused { why });
        }
        self.crew.hang_up();
        let done = self.crew.wait_all();
        self.take(done);
        self.settle();
    }
}

/// An error of a receiving end, with what to do where too few descriptors are allowed.
pub(super) fn no_room(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EMFILE) => format!("{error}; raise the hard limit (ulimit -Hn) or use fewer streams"),
        Some(libc::ENFILE) => format!("{error}; raise fs.file-max or use fewer streams"),
        _ => error.to_string(),
    }
}

fn start(
    crew: &mut Crew,
    socket: Socket,
    from: String,
    (order, tls): (Order, bool),
    run: &Arc<Run>,
) -> io::Result<()> {
    if tls {
        receive_tls(&socket)?;
    }
    crew.start(socket, from, order, run)
}
