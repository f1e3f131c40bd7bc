//! The load's side of the control connection: short blocking talks before and after the run, each with an end.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::door::nonce;
use super::handshake::{Keys, LoadRefusal, LoadSide, Refusal, spoken};
use super::message::{Answer, Ask, PeerReport, Request};
use super::token::Token;
use super::wire::{Frames, LARGE, frame};
use crate::load::LoadError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the sink may take for an answer; longer than it waits itself for the load's connections.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take to take in what is still under way, and to answer when the run has failed already: then it may
/// well be gone.
const REPORT_TIMEOUT: Duration = Duration::from_secs(15);
const FAILED_TIMEOUT: Duration = Duration::from_secs(3);

/// A sink that can be asked for runs, and the token it shares with us.
#[derive(Clone, Debug)]
pub struct Target {
    /// Addresses of its control port, in order of preference.
    pub addresses: Vec<SocketAddr>,
    /// The token.
    pub token: Token,
    /// Receive mode to ask for; the sink's own when `None`.
    pub mode: Option<String>,
}

/// One run agreed with a sink. Dropping it ends the run there.
pub struct Session {
    stream: TcpStream,
    peer: SocketAddr,
    keys: Keys,
    frames: Frames,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Session {
    /// Connects, proves and checks the token, and asks for a run. Connect the streams next.
    ///
    /// # Errors
    /// Nobody answers, the token or the version is another one, or the sink refuses the run.
    pub fn open(target: &Target, ask: &Ask) -> Result<Self, LoadError> {
        let (stream, peer) = connect(&target.addresses)?;
        let mut frames = Frames::default();
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let mut talk = |say: &[u8]| -> Result<Vec<u8>, LoadError> {
            let heard = send(&stream, say).and_then(|()| receive(&stream, &mut frames, deadline));
            heard.map_err(|error| silent(peer, &error, "while it was asked for the token"))
        };
        let (mut side, hello) = LoadSide::new(&target.token, nonce()?);
        let challenge = talk(&hello)?;
        let proof = side.challenged(&challenge).map_err(|refusal| refused(peer, &refusal))?;
        let welcome = talk(&proof)?;
        let keys = side.welcomed(&welcome).map_err(|refusal| refused(peer, &refusal))?;
        let mut session = Self { stream, peer, keys, frames };
        match session.ask(&Request::Prepare(ask.clone()), ANSWER_TIMEOUT)? {
            Answer::Ready => Ok(session),
            other => Err(session.unexpected(&other)),
        }
    }

    /// Tells that every stream is connected, from these local addresses; returns when the sink receives them.
    ///
    /// # Errors
    /// The sink does not see these connections, or has vanished.
    pub fn begin(&mut self, locals: Vec<SocketAddr>) -> Result<(), LoadError> {
        let locals = locals.into_iter().map(canonical).collect();
        match self.ask(&Request::Begin { locals }, ANSWER_TIMEOUT)? {
            Answer::Go => Ok(()),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Asks for the receiver's figures, after every stream has been closed; a run that `failed` is not waited for long.
    ///
    /// # Errors
    /// The sink has vanished.
    pub fn finish(mut self, failed: bool) -> Result<PeerReport, LoadError> {
        let patience = if failed { FAILED_TIMEOUT } else { REPORT_TIMEOUT };
        match self.ask(&Request::Finish, patience)? {
            Answer::Report(report) => Ok(PeerReport { control: self.peer.to_string(), ..*report }),
            other => Err(self.unexpected(&other)),
        }
    }

    fn ask(&mut self, request: &Request, patience: Duration) -> Result<Answer, LoadError> {
        let peer = self.peer;
        let message = serde_json::to_vec(request).map_err(|e| LoadError::failed("cannot write JSON", e))?;
        let sealed = self.keys.sealer.seal(&message);
        let heard = send(&self.stream, &sealed)
            .and_then(|()| receive(&self.stream, &mut self.frames, Instant::now() + patience))
            .map_err(|error| silent(peer, &error, "before it reported"))?;
        let message = self.keys.opener.open(&heard).ok_or_else(|| {
            LoadError::Failed(format!(
                "an answer of the sink at {peer} was altered on the way; the run was ended"
            ))
        })?;
        match serde_json::from_slice(message) {
            Ok(Answer::Refused { why }) => {
                Err(LoadError::Failed(format!("the sink at {peer} refused: {why}")))
            }
            Ok(answer) => Ok(answer),
            Err(error) => Err(garbled(peer, error)),
        }
    }

    fn unexpected(&self, answer: &Answer) -> LoadError {
        let kind = match answer {
            Answer::Ready => "ready",
            Answer::Go => "go",
            Answer::Report(_) => "report",
            Answer::Refused { .. } => "refused",
        };
        garbled(self.peer, format_args!("an answer out of turn: {kind}"))
    }
}

/// An address as the other end of a dual-stack socket names it.
pub(in crate::load) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn connect(addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), LoadError> {
    let mut first_error = None;
    for address in addresses {
        match TcpStream::connect_timeout(address, CONNECT_TIMEOUT) {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                let _ = stream.set_write_timeout(Some(ANSWER_TIMEOUT));
                return Ok((stream, *address));
            }
            Err(error) => drop(first_error.get_or_insert((*address, error))),
        }
    }
    Err(match first_error {
        None => LoadError::Usage("there is no control address to connect to".into()),
        Some((address, error)) => LoadError::Failed(format!(
            "cannot reach a sink's control port at {address}: {error}; start \
             `zcscope sink --listen ADDR:PORT --control ADDR:{} --token-file FILE` there first",
            address.port()
        )),
    })
}

fn send(mut stream: &TcpStream, payload: &[u8]) -> io::Result<()> {
    stream.write_all(&frame(payload))
}

/// The next frame; every read has what is left until the deadline.
fn receive(mut stream: &TcpStream, frames: &mut Frames, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut buffer = [0; 4096];
    loop {
        match frames.next(LARGE) {
            Ok(Some(payload)) => return Ok(payload),
            Ok(None) => {}
            Err(_) => return Err(io::ErrorKind::InvalidData.into()),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => frames.push(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        }
    }
}

fn silent(peer: SocketAddr, error: &io::Error, when: &str) -> LoadError {
    LoadError::Failed(match error.kind() {
        io::ErrorKind::TimedOut => {
            format!(
                "the sink at {peer} did not answer in time {when}; is a zcscope sink's control port there?"
            )
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            format!("the sink at {peer} vanished {when}; look there for the reason")
        }
        io::ErrorKind::InvalidData => {
            format!("{peer} is no control port of a zcscope sink; check --control")
        }
        _ => format!("talking to the sink at {peer} failed {when}: {error}"),
    })
}

fn garbled(peer: SocketAddr, why: impl Display) -> LoadError {
    LoadError::Failed(format!("the sink at {peer} said something this load does not understand: {why}"))
}

fn refused(peer: SocketAddr, refusal: &LoadRefusal) -> LoadError {
    let ours = spoken();
    LoadError::Failed(match refusal {
        LoadRefusal::Theirs(Refusal::Token) => {
            format!("the sink at {peer} does not accept this token; give both sides the same token file")
        }
        LoadRefusal::Ours(Refusal::Token) => format!(
            "whoever listens at {peer} does not know the token; check --control and give both sides the same token \
             file"
        ),
        LoadRefusal::Theirs(Refusal::Version { .. }) => format!(
            "the sink at {peer} does not speak control protocol {ours}; install the same zcscope on both hosts"
        ),
        LoadRefusal::Ours(Refusal::Version { protocol, version }) => format!(
            "the sink at {peer} speaks control protocol {protocol} (zcscope {version}) and this load {ours}; \
             install the same zcscope on both hosts"
        ),
        LoadRefusal::Theirs(_) => format!("the sink at {peer} did not understand this load"),
        LoadRefusal::Ours(_) => format!("{peer} is no control port of a zcscope sink; check --control"),
    })
}
