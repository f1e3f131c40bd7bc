//! Two hosts, both on loopback: a load asks a sink for its run. Both count the same, and nobody without the token, over
//! the limits or out of turn gets anything.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use zcscope::load::control::client::{Session, Target};
use zcscope::load::control::message::{Ask, Limits};
use zcscope::load::control::token::Token;
use zcscope::load::engine::{Plan, run};
use zcscope::load::paths::PathEntry;
use zcscope::load::pattern::fill;
use zcscope::load::result::EndedBy;
use zcscope::load::sink::result::{Fault, SinkReport};
use zcscope::load::sink::{Bounds, Rules, Sink};

const BOUNDS: Bounds = Bounds { duration: Duration::from_secs(60), max_bytes: None, once: true };
const LIMITS: Limits = Limits { duration: Duration::from_secs(30), bytes: 1 << 30, streams: 8 };

fn token() -> Token {
    Token::new(b"the right token of both").unwrap()
}

struct Running {
    data: SocketAddr,
    control: SocketAddr,
    thread: JoinHandle<SinkReport>,
    stop: std::io::PipeWriter,
}

fn start(limits: Limits, bounds: Bounds) -> Running {
    let any = || "127.0.0.1:0".parse().unwrap();
    let sink = Sink::bind(any()).unwrap().with_control(any(), token(), limits).unwrap();
    let (data, control) = (sink.local_addr(), sink.control_addr().unwrap());
    let (stopped, stop) = std::io::pipe().unwrap();
    let serve = move || sink.serve(Rules::default(), bounds, Some(stopped.as_fd()), |_| {}).unwrap();
    Running { data, control, thread: std::thread::spawn(serve), stop }
}

impl Running {
    fn target(&self, token: Token) -> Target {
        Target { addresses: vec![self.control], token, mode: None }
    }

    fn open(&self, ask: &Ask) -> Result<Session, String> {
        Session::open(&self.target(token()), ask).map_err(|error| error.to_string())
    }

    fn stop(mut self) -> SinkReport {
        self.stop.write_all(&[1]).unwrap();
        self.thread.join().unwrap()
    }
}

fn ask() -> Ask {
    Ask { streams: 1, send_size: 4096, duration_ns: 5_000_000_000, ..Ask::default() }
}

fn plan(sink: &Running, path: &str) -> Plan {
    Plan {
        path: PathEntry::from_name(path).unwrap(),
        targets: vec![sink.data],
        streams: 2,
        duration: Duration::from_secs(20),
        bytes: Some(16 << 20),
        peer: Some(sink.target(token())),
        ..Plan::default()
    }
}

#[test]
fn both_sides_count_the_same() {
    for path in ["copy", "msg_zerocopy", "sendfile"] {
        let sink = start(LIMITS, BOUNDS);
        let report = run(&plan(&sink, path), None, |_| {}).unwrap();
        assert_eq!((report.error, report.bytes), (None, 16 << 20), "{path}");
        let peer = report.peer.unwrap();
        assert_eq!((peer.bytes, peer.connections, peer.end.as_str()), (16 << 20, 2, "finished"), "{path}");
        assert!(peer.thread_ns > 0 && peer.mode == "recv" && !peer.verify);
        let seen = sink.thread.join().unwrap();
        assert_eq!((seen.bytes, seen.loads.len(), seen.turned_away), (16 << 20, 1, 0), "{path}");
        assert_eq!((seen.loads[0].bytes, seen.loads[0].end.as_str()), (16 << 20, "finished"));
    }
}

#[test]
fn wrong_bytes_come_back_with_the_send_they_were_in() {
    let sink = start(LIMITS, BOUNDS);
    let mut session = sink.open(&Ask { verify: true, ..ask() }).unwrap();
    let mut socket = TcpStream::connect(sink.data).unwrap();
    session.begin(vec![socket.local_addr().unwrap()]).unwrap();
    let mut bytes = vec![0; 64 << 10];
    fill(&mut bytes, 0);
    bytes[5000..5100].fill(0xdb);
    socket.write_all(&bytes).unwrap();
    drop(socket);
    let peer = session.finish(false).unwrap();
    assert_eq!(peer.bytes, 64 << 10);
    assert_eq!(peer.figures.verified_bytes.unwrap() + peer.figures.mismatches.unwrap(), 64 << 10);
    let first = peer.first_mismatch.clone().unwrap();
    assert_eq!((first.offset, first.fault), (5000, Fault::Poison));
    assert_eq!(first.send.map(|send| (send.index, send.offset)), Some((1, 904)));
    let text = peer.complaint().unwrap();
    assert!(text.contains("wrong bytes; byte 5000") && text.contains("at 904 of send 1"), "{text}");
    assert_eq!(sink.thread.join().unwrap().figures.mismatches, peer.figures.mismatches);
}

#[test]
fn a_wrong_token_gets_one_sentence_and_nothing_else() {
    let sink = start(LIMITS, BOUNDS);
    let other = Token::new(b"another token of theirs").unwrap();
    let plan = Plan { peer: Some(sink.target(other)), ..plan(&sink, "copy") };
    let error = run(&plan, None, |_| {}).unwrap_err().to_string();
    assert!(error.contains("does not accept this token"), "{error}");
    // Without a load, nothing is received on the data port.
    let mut stranger = TcpStream::connect(sink.data).unwrap();
    stranger.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert!(matches!(stranger.read(&mut [0]), Ok(0) | Err(_)));
    let seen = sink.stop();
    assert_eq!((seen.bytes, seen.refused_controls, seen.turned_away), (0, 1, 1));
    assert!(seen.loads.is_empty());
}

#[test]
fn more_than_the_owner_allows_is_refused() {
    let sink = start(LIMITS, Bounds { once: false, ..BOUNDS });
    for (ask, expected) in [
        (Ask { duration_ns: 31_000_000_000, ..ask() }, "--load-time"),
        (Ask { bytes: Some(2 << 30), ..ask() }, "--load-bytes"),
        (Ask { streams: 9, ..ask() }, "1 to 8 connections"),
        (Ask { mode: Some("teleport".into()), ..ask() }, "no receive mode"),
        (Ask { mode: Some("trunc".into()), verify: true, ..ask() }, "never sees the bytes"),
        (Ask { mode: Some("devmem".into()), ..ask() }, "is not available"),
    ] {
        let error = sink.open(&ask).unwrap_err();
        assert!(error.contains("refused: ") && error.contains(expected), "{error}");
    }
    assert!(sink.open(&ask()).is_ok(), "it still takes what is allowed");
    sink.stop();
}

#[test]
fn the_limits_hold_against_a_load_that_goes_on() {
    let sink = start(Limits { bytes: 4 << 20, ..LIMITS }, BOUNDS);
    let plan = Plan { bytes: None, ..plan(&sink, "copy") };
    let report = run(&plan, None, |_| {}).unwrap();
    assert_eq!(report.ended_by, EndedBy::Error);
    let error = report.error.unwrap();
    assert!(error.starts_with("the sink's owner's limit on bytes"), "{error}");
    let peer = report.peer.unwrap();
    assert_eq!(peer.end, "limit_bytes");
    assert!(peer.bytes > 4 << 20 && peer.bytes < 16 << 20, "{}", peer.bytes);
    assert_eq!(sink.thread.join().unwrap().loads[0].end, "limit_bytes");
}

#[test]
fn one_load_at_a_time_and_the_next_when_it_has_gone() {
    let sink = start(LIMITS, Bounds { once: false, ..BOUNDS });
    let first = sink.open(&ask()).unwrap();
    let error = sink.open(&ask()).unwrap_err();
    assert!(error.contains("busy with a load from 127.0.0.1"), "{error}");
    drop(first);
    let until = Instant::now() + Duration::from_secs(10);
    while sink.open(&ask()).is_err() {
        assert!(Instant::now() < until, "a load that went keeps the sink");
    }
    let seen = sink.stop();
    assert_eq!(seen.loads[0].end, "vanished");
}

#[test]
fn a_load_whose_connections_come_from_elsewhere_is_told_so() {
    let sink = start(LIMITS, BOUNDS);
    let mut session = sink.open(&ask()).unwrap();
    let _stranger = TcpStream::connect(sink.data).unwrap();
    let error = session.begin(vec!["192.0.2.1:9".parse().unwrap()]).unwrap_err().to_string();
    assert!(error.contains("of 1 connections of this load 0 came in"), "{error}");
    assert!(error.contains("translated on the way"), "{error}");
    drop(session);
    let seen = sink.thread.join().unwrap();
    assert_eq!(seen.bytes, 0);
}

#[test]
fn strangers_among_the_connections_are_not_counted() {
    let sink = start(LIMITS, BOUNDS);
    let mut session = sink.open(&ask()).unwrap();
    let mut stranger = TcpStream::connect(sink.data).unwrap();
    stranger.write_all(b"not of this run").unwrap();
    let mut ours = TcpStream::connect(sink.data).unwrap();
    session.begin(vec![ours.local_addr().unwrap()]).unwrap();
    let mut late = TcpStream::connect(sink.data).unwrap();
    let _ = late.write_all(b"nor this");
    ours.write_all(b"12345").unwrap();
    drop(ours);
    let peer = session.finish(false).unwrap();
    assert_eq!((peer.bytes, peer.connections), (5, 1));
    let seen = sink.thread.join().unwrap();
    assert_eq!((seen.bytes, seen.turned_away), (5, 2));
}

#[test]
fn a_sink_that_vanishes_is_one_sentence() {
    let sink = start(LIMITS, BOUNDS);
    let mut session = sink.open(&ask()).unwrap();
    let socket = TcpStream::connect(sink.data).unwrap();
    session.begin(vec![socket.local_addr().unwrap()]).unwrap();
    sink.stop();
    let error = session.finish(false).unwrap_err().to_string();
    assert!(error.contains("the sink was stopped") || error.contains("vanished"), "{error}");
}

#[test]
fn silent_strangers_do_not_keep_a_load_out() {
    let sink = start(LIMITS, BOUNDS);
    let silent: Vec<_> = (0..200).map(|_| TcpStream::connect(sink.control).unwrap()).collect();
    let mut slow = TcpStream::connect(sink.control).unwrap();
    slow.write_all(&[0, 0]).unwrap();
    let mut noisy = TcpStream::connect(sink.control).unwrap();
    noisy.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let began = Instant::now();
    let report = run(&plan(&sink, "copy"), None, |_| {}).unwrap();
    assert_eq!((report.error, report.peer.unwrap().bytes), (None, 16 << 20));
    assert!(began.elapsed() < Duration::from_secs(5), "it did not wait for the strangers to time out");
    drop((silent, slow, noisy));
    assert!(sink.thread.join().unwrap().refused_controls > 100);
}

#[test]
fn what_listens_there_but_is_no_sink_is_found_out() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target { addresses: vec![listener.local_addr().unwrap()], token: token(), mode: None };
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n").unwrap();
        stream
    });
    let error = Session::open(&target, &ask()).unwrap_err().to_string();
    assert!(error.contains("is no control port of a zcscope sink"), "{error}");
    drop(other.join().unwrap());
}
