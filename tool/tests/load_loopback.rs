//! Loads against sinks over loopback: every byte arrives, every send ends, and the kernel tells the truth of loopback.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::thread::JoinHandle;
use std::time::Duration;

use zcscope::load::LoadError;
use zcscope::load::engine::{Plan, run};
use zcscope::load::paths::{PATHS, PathEntry, Setup};
use zcscope::load::placement::Placement;
use zcscope::load::result::{EndedBy, LoadReport};
use zcscope::load::sink::result::{SinkEndedBy, SinkReport};
use zcscope::load::sink::{Bounds, Mode, Sink};

const BOUNDS: Bounds = Bounds { duration: Duration::from_secs(30), max_bytes: None, once: true };

fn start_sink(address: &str, mode: Mode, bounds: Bounds) -> (SocketAddr, JoinHandle<SinkReport>) {
    let sink = Sink::bind(address.parse().unwrap()).unwrap();
    let local = sink.local_addr();
    (local, std::thread::spawn(move || sink.run(mode, bounds, None, |_| {}).unwrap()))
}

fn plan(path: &str, target: SocketAddr) -> Plan {
    Plan {
        path: PathEntry::from_name(path).unwrap(),
        targets: vec![target],
        duration: Duration::from_secs(20),
        placement: Placement::Free,
        ..Plan::default()
    }
}

/// The paths this kernel has.
fn available() -> impl Iterator<Item = &'static PathEntry> {
    PATHS.iter().filter(|entry| (entry.available)().is_ok())
}

/// What must be true of every run that came to its end.
fn assert_sound(report: &LoadReport, sink: &SinkReport) {
    assert_eq!(report.error, None);
    assert_eq!(sink.bytes, report.bytes, "received = sent");
    assert_eq!(report.acked_bytes, report.bytes);
    assert_eq!(report.per_stream.iter().map(|s| s.bytes).sum::<u64>(), report.bytes);
    if let Some(c) = report.completions.as_ref().filter(|_| report.so_zerocopy != Some(false)) {
        assert_eq!((c.sends, c.bytes), (report.calls, report.bytes), "every send ended");
        assert_eq!((c.outstanding, c.unexpected), (0, 0));
        assert_eq!(c.told_copied, c.sends, "loopback copies everything");
        assert_eq!(c.told_copied_bytes, report.bytes);
        assert_eq!(c.latency_ns.count, c.sends);
        assert!(c.notifications <= c.sends);
    }
}

#[test]
fn exact_bytes_arrive_on_every_path_and_family() {
    for entry in available() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (target, sink) = start_sink(address, Mode::Recv, BOUNDS);
            let plan = Plan { bytes: Some(20_000_003), streams: 3, ..plan(entry.name, target) };
            let report = run(&plan, None, |_| {}).unwrap();
            let sink = sink.join().unwrap();
            assert_eq!(report.bytes, 20_000_003, "{} to {address}", entry.name);
            assert_eq!((report.ended_by, sink.ended_by), (EndedBy::Bytes, SinkEndedBy::Once));
            assert_eq!(sink.connections.len(), 3);
            assert_sound(&report, &sink);
        }
    }
}

#[test]
fn a_timed_run_ends_in_time_and_loses_nothing() {
    for (path, size, depth) in [
        ("copy", 1000, 1),
        ("msg_zerocopy", 5000, 1),
        ("msg_zerocopy", 1 << 20, 3),
        ("sendfile", 70_001, 2),
        ("uring_send", 300_000, 2),
        ("uring_send_zc", 100_000, 3),
    ] {
        if (PathEntry::from_name(path).unwrap().available)().is_err() {
            continue;
        }
        let (target, sink) = start_sink("127.0.0.1:0", Mode::Trunc, BOUNDS);
        let plan = Plan {
            duration: Duration::from_millis(300),
            setup: Setup { size, depth, ..Setup::default() },
            ..plan(path, target)
        };
        let report = run(&plan, None, |_| {}).unwrap();
        assert_eq!(report.ended_by, EndedBy::Duration);
        assert!(report.bytes > 0);
        let ms = report.phases.send_ns / 1_000_000;
        // A busy machine wakes the sender late, and stops it late.
        assert!((100..5000).contains(&ms), "{path} sent for {ms} ms");
        assert_sound(&report, &sink.join().unwrap());
    }
}

#[test]
fn ipv4_reaches_a_dual_stack_sink() {
    let (target, sink) = start_sink("[::]:0", Mode::Recv, BOUNDS);
    let plan = Plan {
        bytes: Some(1 << 20),
        ..plan("msg_zerocopy", SocketAddr::from(([127, 0, 0, 1], target.port())))
    };
    assert_sound(&run(&plan, None, |_| {}).unwrap(), &sink.join().unwrap());
}

#[test]
fn without_so_zerocopy_nothing_is_told() {
    let (target, sink) = start_sink("127.0.0.1:0", Mode::Recv, BOUNDS);
    let plan = Plan {
        bytes: Some(10 << 20),
        setup: Setup { so_zerocopy: false, ..Setup::default() },
        ..plan("msg_zerocopy", target)
    };
    let report = run(&plan, None, |_| {}).unwrap();
    assert_sound(&report, &sink.join().unwrap());
    assert_eq!(report.so_zerocopy, Some(false));
    assert_eq!(report.completions.unwrap().sends, 0);
}

#[test]
fn a_sink_that_vanishes_ends_the_load_with_a_sentence() {
    for entry in available() {
        let bounds = Bounds { max_bytes: Some(5 << 20), once: false, ..BOUNDS };
        let (target, sink) = start_sink("127.0.0.1:0", Mode::Recv, bounds);
        let report = run(&plan(entry.name, target), None, |_| {}).unwrap();
        let sink = sink.join().unwrap();
        assert_eq!((report.ended_by, sink.ended_by), (EndedBy::Error, SinkEndedBy::Bytes), "{}", entry.name);
        let error = report.error.unwrap();
        assert!(error.contains("closed the connection"), "{}: {error}", entry.name);
        assert!(report.bytes >= sink.bytes && sink.bytes >= 5 << 20);
        assert!(report.phases.send_ns < 10_000_000_000, "it did not wait for the end of the time");
        let completions = report.completions.unwrap_or_default();
        assert_eq!(completions.outstanding, 0, "a reset ends every send");
    }
}

#[test]
fn a_sink_that_stops_reading_does_not_keep_the_load() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::scope(|scope| {
        for entry in available() {
            scope.spawn(move || {
                let plan = Plan { duration: Duration::from_millis(300), ..plan(entry.name, address) };
                let report = run(&plan, None, |_| {}).unwrap();
                assert_eq!(report.ended_by, EndedBy::Duration, "{}", entry.name);
                assert!(
                    report.acked_bytes < report.bytes,
                    "{}: what nobody took is not delivered",
                    entry.name
                );
                assert!(report.phases.settle_ns < 4_000_000_000);
                if let Some(c) = report.completions {
                    assert_eq!(c.sends + c.outstanding, report.calls, "every send is accounted for");
                }
            });
        }
    });
}

#[test]
fn a_stop_signal_ends_load_and_sink_early() {
    let (stopped, mut stop) = std::io::pipe().unwrap();
    let sink = Sink::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let plan = plan("msg_zerocopy", sink.local_addr());
    let bounds = Bounds { once: false, ..BOUNDS };
    let (report, sink) = std::thread::scope(|scope| {
        let (ended, end) = std::sync::mpsc::channel();
        let sink = scope.spawn(move || {
            let told = |_: &_| ended.send(()).unwrap_or_default();
            sink.run(Mode::Recv, bounds, Some(stopped.as_fd()), told).unwrap()
        });
        let (early, mut now) = std::io::pipe().unwrap();
        let load = scope.spawn(move || run(&plan, Some(early.as_fd()), |_| {}).unwrap());
        std::thread::sleep(Duration::from_millis(200));
        now.write_all(&[1]).unwrap();
        let report = load.join().unwrap();
        // Acknowledged is not read: a sink that is stopped sooner leaves bytes in the socket.
        end.recv_timeout(Duration::from_secs(10)).unwrap();
        stop.write_all(&[1]).unwrap();
        (report, sink.join().unwrap())
    });
    assert_eq!((report.ended_by, sink.ended_by), (EndedBy::Signal, SinkEndedBy::Signal));
    assert!(report.phases.send_ns < 5_000_000_000);
    assert_sound(&report, &sink);
}

/// A path that cannot be set up: its file has no place.
#[test]
fn a_run_that_never_began_is_its_sentence_only() {
    let (target, sink) = start_sink("127.0.0.1:0", Mode::Recv, BOUNDS);
    // Gone by the time the path is set up.
    let directory = tempfile::tempdir().unwrap();
    let source = zcscope::load::paths::Source::Directory(directory.path().join("gone"));
    let setup = Setup { source, ..Setup::default() };
    let report = run(&Plan { setup, ..plan("sendfile", target) }, None, |_| {}).unwrap();
    assert_eq!((report.ended_by, report.bytes, sink.join().unwrap().bytes), (EndedBy::Error, 0, 0));
    assert!(report.never_began() && zcscope::load::text::render(&report, "").is_empty(), "{report:?}");
    let error = report.error.unwrap();
    assert!(error.starts_with(&format!("nothing was sent to {target}: cannot make the file")), "{error}");
}

#[test]
fn refusals_are_sentences() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    let error = Sink::bind(address).err().unwrap().to_string();
    assert!(error.contains("the port is in use"), "{error}");
    drop(free);
    let error = run(&plan("copy", address), None, |_| {}).unwrap_err();
    assert!(matches!(&error, LoadError::Failed(text) if text.contains("connection refused")), "{error}");
    let unknown = Plan { device: Some("nosuchdev0".into()), ..plan("copy", address) };
    let error = run(&unknown, None, |_| {}).unwrap_err();
    assert!(matches!(&error, LoadError::Usage(text) if text.contains("nosuchdev0")), "{error}");
}

#[test]
fn a_device_is_verified_by_its_counters() {
    let (target, sink) = start_sink("127.0.0.1:0", Mode::Recv, BOUNDS);
    let plan = Plan { bytes: Some(8 << 20), device: Some("lo".into()), ..plan("copy", target) };
    let report = run(&plan, None, |_| {}).unwrap();
    assert_sound(&report, &sink.join().unwrap());
    let device = report.device.unwrap();
    assert!(device.verified && device.tx_bytes >= 8 << 20, "{device:?}");
}
