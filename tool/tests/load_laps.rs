//! Warm-up, knobs and open loop of real loads over loopback: nothing of the warm-up is in the result, nothing is lost
//! between laps.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use zcscope::load::engine::{Plan, Progress, Stage, Watcher, run, run_watched};
use zcscope::load::knobs::SendBuffer;
use zcscope::load::pace::Rate;
use zcscope::load::paths::{PathEntry, Setup};
use zcscope::load::placement::{Placement, allowed};
use zcscope::load::result::EndedBy;
use zcscope::load::sink::result::SinkReport;
use zcscope::load::sink::{Bounds, Mode, Sink};
use zcscope::load::warmup::WarmUp;

fn start_sink() -> (SocketAddr, JoinHandle<SinkReport>) {
    let sink = Sink::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let bounds = Bounds { duration: Duration::from_secs(30), max_bytes: None, once: true };
    (sink.local_addr(), std::thread::spawn(move || sink.run(Mode::Recv, bounds, None, |_| {}).unwrap()))
}

fn plan(path: &str, target: SocketAddr) -> Plan {
    Plan {
        path: PathEntry::from_name(path).unwrap(),
        targets: vec![target],
        placement: Placement::Free,
        duration: Duration::from_secs(20),
        ..Plan::default()
    }
}

#[test]
fn nothing_of_the_warm_up_is_in_the_result() {
    for path in ["copy", "msg_zerocopy", "sendfile"] {
        let (target, sink) = start_sink();
        let warm_up = WarmUp::For(Duration::from_millis(200));
        let plan = Plan { bytes: Some(10_000_001), streams: 3, warm_up, ..plan(path, target) };
        let report = run(&plan, None, |_| {}).unwrap();
        let warm = report.warm_up.unwrap();
        assert_eq!((report.bytes, report.acked_bytes), (10_000_001, 10_000_001), "{path}");
        assert_eq!(report.ended_by, EndedBy::Bytes);
        assert_eq!(warm.left_bytes, 0);
        // How long it took is the machine's affair: threads may begin it late.
        assert!(warm.bytes > 0 && warm.ns > 0 && warm.flat.is_none());
        assert_eq!(sink.join().unwrap().bytes, report.bytes + warm.bytes, "{path}");
        if let Some(c) = report.completions {
            assert_eq!((c.sends, c.bytes, c.outstanding), (report.calls, report.bytes, 0));
        }
    }
}

#[derive(Default)]
struct Stages(Vec<Stage>, usize);

impl Watcher for Stages {
    fn progress(&mut self, now: &Progress) {
        self.0.push(now.stage);
    }

    fn measuring(&mut self) {
        self.1 = self.0.len();
    }
}

#[test]
fn the_watcher_hears_when_the_measuring_begins() {
    let (target, sink) = start_sink();
    let warm_up = WarmUp::For(Duration::from_millis(700));
    let plan = Plan { duration: Duration::from_millis(700), warm_up, ..plan("copy", target) };
    let mut stages = Stages::default();
    run_watched(&plan, None, &mut stages).unwrap();
    sink.join().unwrap();
    let (before, after) = stages.0.split_at(stages.1);
    assert!(!before.is_empty() && before.iter().all(|stage| *stage == Stage::WarmUp));
    assert!(!after.is_empty() && after.iter().all(|stage| *stage == Stage::Measure));
}

#[test]
fn knobs_are_set_and_reported() {
    let (target, sink) = start_sink();
    let plan = Plan {
        bytes: Some(1 << 20),
        setup: Setup { size: 32 << 10, depth: 4, working_set: 1 << 20, ..Setup::default() },
        sndbuf: SendBuffer::InFlight,
        nodelay: true,
        pacing_bit_s: Some(1_000_000_000),
        placement: Placement::Cpus(allowed()[..1].to_vec()),
        ..plan("copy", target)
    };
    let report = run(&plan, None, |_| {}).unwrap();
    sink.join().unwrap();
    let knobs = report.knobs;
    assert_eq!((knobs.in_flight_bytes, knobs.sndbuf_asked_bytes), (128 << 10, Some(147_456)));
    assert_eq!(knobs.sndbuf_bytes, knobs.sndbuf_asked_bytes);
    assert_eq!((knobs.working_set_bytes, knobs.nodelay), (1 << 20, true));
    assert_eq!(knobs.pacing_bit_s, Some(1_000_000_000));
    assert_eq!(knobs.placement, "cpus");
    assert_eq!(report.per_stream[0].cpu, Some(allowed()[0] as u64));
    assert!(report.per_stream[0].incoming_cpu.is_some());
}

#[test]
fn an_open_loop_sends_every_message_once() {
    for path in ["copy", "msg_zerocopy"] {
        let (target, sink) = start_sink();
        let plan = Plan {
            setup: Setup { size: 3000, ..Setup::default() },
            levels: vec![Rate::Messages(100), Rate::Messages(301)],
            duration: Duration::from_millis(500),
            streams: 2,
            nodelay: true,
            warm_up: WarmUp::For(Duration::from_millis(100)),
            ..plan(path, target)
        };
        let report = run(&plan, None, |_| {}).unwrap();
        let sink = sink.join().unwrap();
        let levels = report.open_loop.unwrap().levels;
        assert_eq!(levels.iter().map(|level| level.offered).collect::<Vec<_>>(), [50, 151]);
        assert_eq!(levels.iter().map(|level| level.sent).collect::<Vec<_>>(), [50, 151]);
        assert_eq!(report.bytes, 201 * 3000, "{path}");
        assert_eq!(sink.bytes, report.bytes + report.warm_up.unwrap().bytes);
        for level in levels {
            assert_eq!(level.accepted_ns.count, level.sent);
            assert_eq!(level.ended_ns.is_some(), path == "msg_zerocopy");
            assert!(level.ended_ns.is_none_or(|ended| ended.count == level.sent));
        }
    }
}
