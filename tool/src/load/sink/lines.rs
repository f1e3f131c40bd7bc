//! The control connections of a sink: never waited for, each with a deadline, so that a slow stranger holds up nobody.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use socket2::{SockRef, TcpKeepalive};

use crate::load::control::door::{Door, Event};
use crate::load::control::message::Answer;
use crate::load::control::token::Token;

/// How long a load may take to prove that it knows the token, and then to ask for a run.
const HANDSHAKE: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(30);
/// Most connections that have not proved anything yet; one more, and the oldest goes.
const MAX_STRANGERS: usize = 64;
/// Most connections in all.
const MAX_LINES: usize = 128;
/// Most bytes read from one connection before others have their turn.
const SHARE: usize = 64 << 10;

/// A control connection's number.
pub(super) type LineId = u64;

struct Line {
    id: LineId,
    stream: TcpStream,
    peer: SocketAddr,
    door: Door,
    /// When it is hung up; `None` while it has a run.
    deadline: Option<Instant>,
}

/// What happened on a line.
pub(super) enum News {
    /// A request of a load that knows the token.
    Said(LineId, SocketAddr, Event),
    /// The line is gone.
    Gone(LineId),
    /// Somebody was not let in, and why.
    Refused(SocketAddr, String),
}

/// All control connections, and the port they come in by.
pub(super) struct Lines {
    listener: TcpListener,
    token: Token,
    lines: Vec<Line>,
    next: LineId,
}

impl Lines {
    pub(super) fn new(listener: TcpListener, token: Token) -> Self {
        Self { listener, token, lines: Vec::new(), next: 0 }
    }

    /// What to poll: the port first, then every line.
    pub(super) fn fds(&mut self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let lines = self.lines.iter_mut().map(|line| {
            let wanted = if line.door.out().is_empty() {
                PollFlags::POLLIN
            } else {
                PollFlags::POLLIN | PollFlags::POLLOUT
            };
            (line.stream.as_fd(), wanted)
        });
        std::iter::once((self.listener.as_fd(), PollFlags::POLLIN)).chain(lines).collect()
    }

    /// When the first line runs out of time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.lines.iter().filter_map(|line| line.deadline).min()
    }

    /// Does everything that can be done without waiting.
    pub(super) fn turn(&mut self, now: Instant) -> Vec<News> {
        let mut news = Vec::new();
        self.accept(now, &mut news);
        let late = |line: &Line| line.deadline.is_some_and(|deadline| now >= deadline);
        for index in (0..self.lines.len()).rev() {
            let line = &mut self.lines[index];
            let kept = match line.read(&mut news) {
                Ok(()) if late(line) => {
                    let why = if line.door.is_open() { "it asked for nothing" } else { "it was silent" };
                    news.push(News::Refused(line.peer, why.into()));
                    false
                }
                Ok(()) => true,
                Err(why) => {
                    news.extend(why.map(|why| News::Refused(line.peer, why)));
                    false
                }
            };
            // What is to be said is said even on a line that ends now.
            if line.flush().is_err() || !kept {
                let line = self.lines.swap_remove(index);
                news.push(News::Gone(line.id));
            }
        }
        news
    }

    fn accept(&mut self, now: Instant, news: &mut Vec<News>) {
        for _ in 0..MAX_LINES {
            let Ok((stream, peer)) = self.listener.accept() else { return };
            let _ = stream.set_nodelay(true);
            let _ = SockRef::from(&stream).set_tcp_keepalive(&alive());
            let door = Door::new(&self.token);
            let (Ok(()), Ok(door)) = (stream.set_nonblocking(true), door) else { continue };
            self.make_room(news);
            let line = Line { id: self.next, stream, peer, door, deadline: Some(now + HANDSHAKE) };
            self.next += 1;
            self.lines.push(line);
        }
    }

    fn make_room(&mut self, news: &mut Vec<News>) {
        let strangers = self.lines.iter().filter(|line| !line.door.is_open());
        if strangers.clone().count() < MAX_STRANGERS && self.lines.len() < MAX_LINES {
            return;
        }
        let oldest = strangers.map(|line| line.id).min().or(self.lines.iter().map(|line| line.id).min());
        if let Some(index) = self.lines.iter().position(|line| Some(line.id) == oldest) {
            let line = self.lines.swap_remove(index);
            news.push(News::Refused(line.peer, "too many came after it".into()));
            news.push(News::Gone(line.id));
        }
    }

    /// Says something on a line, if it is still there.
    pub(super) fn answer(&mut self, id: LineId, answer: &Answer) {
        if let Some(line) = self.line(id) {
            line.door.answer(answer);
            // What does not go now goes with the next turn.
            let _ = line.flush();
        }
    }

    /// A line with a run has no deadline of its own.
    pub(super) fn keep(&mut self, id: LineId, keep: bool) {
        if let Some(line) = self.line(id) {
            line.deadline = (!keep).then(|| Instant::now() + IDLE);
        }
    }

    fn line(&mut self, id: LineId) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.id == id)
    }
}

/// A load whose host lost its power, or the network, is found out within about ten seconds.
fn alive() -> TcpKeepalive {
    let often = Duration::from_secs(2);
    TcpKeepalive::new().with_time(often).with_interval(often).with_retries(4)
}

impl Line {
    /// Reads what came. `Err` when the line has ended, with a reason when it was not let in.
    fn read(&mut self, news: &mut Vec<News>) -> Result<(), Option<String>> {
        let (mut buffer, mut share) = ([0; 4096], SHARE);
        while share > 0 {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(None),
                Ok(n) => {
                    share = share.saturating_sub(n);
                    self.door.push(&buffer[..n]);
                    self.events(news)?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(None),
            }
        }
        Ok(())
    }

    fn events(&mut self, news: &mut Vec<News>) -> Result<(), Option<String>> {
        while let Some(event) = self.door.next().map_err(|refusal| Some(refusal.seen_by_sink()))? {
            if event == Event::LetIn {
                self.deadline = Some(Instant::now() + IDLE);
            }
            news.push(News::Said(self.id, self.peer, event));
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.door.out().is_empty() {
            match self.stream.write(self.door.out()) {
                Ok(n) => drop(self.door.out().drain(..n)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
