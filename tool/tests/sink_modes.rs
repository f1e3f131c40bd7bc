//! Every way to receive, over loopback: all bytes come, right ones verify, and every kind of wrong is found and named.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use zcscope::load::pattern::{POISON, fill};
use zcscope::load::sink::result::{Fault, SinkEndedBy, SinkReport};
use zcscope::load::sink::{Bounds, Mode, Rules, Sink};

const BOUNDS: Bounds = Bounds { duration: Duration::from_secs(30), max_bytes: None, once: true };
const LEN: usize = (16 << 20) + 4321;

fn start(rules: Rules, bounds: Bounds) -> (SocketAddr, JoinHandle<SinkReport>) {
    let sink = Sink::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let local = sink.local_addr();
    (local, std::thread::spawn(move || sink.serve(rules, bounds, None, |_| {}).unwrap()))
}

/// The first `len` bytes of the stream.
fn stream(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fill(&mut bytes, 0);
    bytes
}

fn send(to: SocketAddr, parts: &[&[u8]]) {
    let mut socket = TcpStream::connect(to).unwrap();
    parts.iter().for_each(|part| socket.write_all(part).unwrap());
}

/// Modes this kernel has.
fn possible(verify: bool) -> impl Iterator<Item = Mode> {
    Mode::all().filter(move |mode| match mode.possible(verify, false) {
        Ok(()) => true,
        Err(why) => {
            println!("{why}");
            false
        }
    })
}

#[test]
fn every_mode_takes_every_byte() {
    let bytes = stream(LEN);
    for mode in possible(false) {
        let (to, sink) = start(Rules { mode, ..Rules::default() }, BOUNDS);
        send(to, &[&bytes]);
        let report = sink.join().unwrap();
        assert_eq!((report.bytes, report.ended_by), (LEN as u64, SinkEndedBy::Once), "{mode:?}");
        assert_eq!(report.connections[0].end, "closed", "{mode:?}");
        assert_eq!((report.figures.verified_bytes, report.figures.mismatches), (None, None));
        if let Some(mapped) = report.figures.mapped_bytes {
            let parts = [report.figures.copied_bytes.unwrap(), report.figures.skip_hint_bytes.unwrap()];
            assert_eq!(mapped + parts.iter().sum::<u64>(), report.bytes, "mapped + copied + read = received");
        }
    }
}

#[test]
fn every_mode_that_sees_bytes_verifies_them() {
    let bytes = stream(LEN);
    for mode in possible(true) {
        let (to, sink) = start(Rules { mode, verify: true, tls: false }, BOUNDS);
        // Parts of odd sizes, so that reads do not begin at whole words.
        send(to, &[&bytes[..1], &bytes[1..70_003], &bytes[70_003..]]);
        let report = sink.join().unwrap();
        let counts = (report.figures.verified_bytes, report.figures.mismatches);
        assert_eq!(counts, (Some(LEN as u64), Some(0)), "{mode:?}: {:?}", report.connections);
    }
}

#[test]
fn every_mode_that_sees_bytes_finds_what_is_wrong() {
    let bytes = stream(1 << 20);
    let mut poisoned = bytes.clone();
    poisoned[131_072..196_608].fill(POISON);
    /// What is sent, and what is found: offset, fault, where the bytes belong.
    type Case<'a> = (&'a [&'a [u8]], u64, Fault, Option<u64>);
    let cases: [Case<'_>; 4] = [
        (&[&poisoned], 131_072, Fault::Poison, None),
        (&[&bytes[..65_536], &bytes[131_072..]], 65_536, Fault::LaterPart, Some(131_072)),
        (&[&bytes[..65_536], &bytes[..65_536], &bytes[65_536..]], 65_536, Fault::EarlierPart, Some(0)),
        (&[&bytes[..9], &bytes[5000..9000], &bytes[9..5000]], 9, Fault::LaterPart, Some(5000)),
    ];
    for mode in possible(true) {
        for (parts, offset, fault, belongs_at) in &cases {
            let (to, sink) = start(Rules { mode, verify: true, tls: false }, BOUNDS);
            send(to, parts);
            let report = sink.join().unwrap();
            let first = report.connections[0].first_mismatch.clone().unwrap();
            assert_eq!(
                (first.offset, first.fault, first.belongs_at),
                (*offset, *fault, *belongs_at),
                "{mode:?}"
            );
            let (right, wrong) = (report.figures.verified_bytes.unwrap(), report.figures.mismatches.unwrap());
            assert!(wrong > 0 && right + wrong == report.bytes, "{mode:?}: {right} + {wrong}");
        }
    }
}

#[test]
fn an_idle_connection_does_not_keep_a_sink_that_stops() {
    for mode in possible(false) {
        let bounds = Bounds { duration: Duration::from_millis(200), once: false, ..BOUNDS };
        let (to, sink) = start(Rules { mode, ..Rules::default() }, bounds);
        let mut idle = TcpStream::connect(to).unwrap();
        idle.write_all(b"some bytes").unwrap();
        let report = sink.join().unwrap();
        assert_eq!(report.ended_by, SinkEndedBy::Duration, "{mode:?}");
        assert_eq!(report.connections[0].end, "stopped");
        assert!(report.duration_ns < 5_000_000_000, "{mode:?}: woken, not timed out");
    }
}

#[test]
fn a_thousand_connections_are_received_at_once() {
    const CONNECTIONS: usize = 1200;
    let sink = Sink::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let to = sink.local_addr();
    let rules = Rules { verify: true, ..Rules::default() };
    let sink = std::thread::spawn(move || sink.serve(rules, BOUNDS, None, |_| {}).unwrap());
    let bytes = stream(10_000);
    let mut sockets: Vec<_> = (0..CONNECTIONS).map(|_| TcpStream::connect(to).unwrap()).collect();
    sockets.iter_mut().for_each(|socket| socket.write_all(&bytes).unwrap());
    drop(sockets);
    let report = sink.join().unwrap();
    assert_eq!((report.connections.len(), report.turned_away), (CONNECTIONS, 0));
    assert_eq!(report.figures.verified_bytes, Some(CONNECTIONS as u64 * 10_000));
}

#[test]
fn the_bytes_of_a_sink_are_bounded_in_every_mode() {
    let bytes = stream(8 << 20);
    for mode in possible(false) {
        let bounds = Bounds { max_bytes: Some(1 << 20), once: false, ..BOUNDS };
        let (to, sink) = start(Rules { mode, ..Rules::default() }, bounds);
        let mut socket = TcpStream::connect(to).unwrap();
        let refused = (0..64).find_map(|_| socket.write_all(&bytes).err()).map(|error| error.kind());
        assert!(matches!(refused, Some(ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)), "{refused:?}");
        let report = sink.join().unwrap();
        assert_eq!(report.ended_by, SinkEndedBy::Bytes, "{mode:?}");
        assert!((1 << 20..8 << 20).contains(&report.bytes), "{mode:?}: {}", report.bytes);
    }
}

#[test]
fn what_a_mode_cannot_do_is_refused_in_one_sentence() {
    let refused = |rules: Rules| {
        let sink = Sink::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        sink.serve(rules, BOUNDS, None, |_| {}).unwrap_err().to_string()
    };
    let text = refused(Rules { mode: Mode::Trunc, verify: true, tls: false });
    assert!(text.contains("never sees the bytes"), "{text}");
    for mode in [Mode::UringZcrx, Mode::Devmem] {
        let text = refused(Rules { mode, ..Rules::default() });
        assert!(text.contains("is not available: "), "{text}");
    }
}
