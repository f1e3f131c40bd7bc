//! Tests of the state: sums over sockets, ends, loss of detail, rates, copies.

use zcscope_common::Reason;

use super::*;
use crate::model::sample::{CopyKind, LatencySample};
use crate::model::sockets::MAX_ENDED;

const SECOND: u64 = 1_000_000_000;

fn flow(bytes: u64) -> FlowCounters {
    FlowCounters {
        calls: 1,
        bytes,
        zc_sends: 1,
        completed_sends: 1,
        completed_bytes: bytes,
        ..Default::default()
    }
}

fn socket(id: u64, pid: u32, dev: Option<&str>, flows: Vec<(Path, FlowCounters)>) -> SocketSample {
    SocketSample {
        id,
        cookie: Some(id + 1_000),
        pid,
        comm: format!("app{pid}"),
        local: "10.9.0.1:4".parse().unwrap(),
        remote: "10.9.0.2:9999".parse().unwrap(),
        dev: dev.map(Into::into),
        netns: 1,
        cgroup: 0,
        uid: 0,
        gauges: zcscope_common::Gauges::default(),
        flows,
    }
}

fn zc(id: u64, bytes: u64) -> SocketSample {
    socket(id, 7, Some("eth0"), vec![(Path::MsgZerocopy, flow(bytes))])
}

fn copy(id: Option<u64>, reason: Reason, bytes: u64) -> CopySample {
    let kind = CopyKind {
        reason,
        site: "skb_segment".into(),
        caller: None,
        dev: Some("eth0".into()),
        clone: false,
        told: false,
        inferred: false,
    };
    CopySample { socket: id, path: Path::MsgZerocopy, kind, count: 1, bytes }
}

fn sample(at_s: u64, sockets: Vec<SocketSample>) -> Sample {
    Sample { at_ns: at_s * SECOND, sockets, ..Sample::default() }
}

fn only_path(paths: &[PathFigures]) -> &PathFigures {
    assert_eq!(paths.len(), 1, "{paths:?}");
    &paths[0]
}

#[test]
fn totals_processes_and_devices_are_the_sums_of_sockets() {
    let mut model = Model::new(Session::default());
    let flows = vec![(Path::MsgZerocopy, flow(100)), (Path::Copy, flow(5))];
    model.absorb(sample(
        1,
        vec![
            socket(1, 7, Some("eth0"), flows),
            socket(2, 7, Some("eth1"), vec![(Path::MsgZerocopy, flow(30))]),
            socket(3, 8, None, vec![(Path::MsgZerocopy, flow(1_000))]),
        ],
    ));
    let s = model.snapshot();
    assert_eq!(
        s.paths.iter().map(|p| (p.path, p.bytes)).collect::<Vec<_>>(),
        [(Path::Copy, 5), (Path::MsgZerocopy, 1_130)]
    );
    assert_eq!(
        s.processes.iter().map(|p| (p.pid, p.comm.as_str())).collect::<Vec<_>>(),
        [(8, "app8"), (7, "app7")]
    );
    assert_eq!(s.processes[1].paths[1].bytes, 130);
    assert_eq!(s.devices.iter().map(|d| d.dev.as_str()).collect::<Vec<_>>(), ["eth0", "eth1"]);
    assert_eq!(s.sockets.iter().map(|s| s.id).collect::<Vec<_>>(), [3, 1, 2]);
    assert_eq!(s.paths[0].ledger, None);
    assert_eq!(s.paths[1].ledger.unwrap().zerocopied_bytes, Some(1_130));
    assert_eq!(s.paths[1].errors.get("ENOBUFS"), Some(&0));
    assert!(s.paths[0].errors.is_empty());
}

#[test]
fn rates_are_over_the_last_interval_and_go_back_to_zero() {
    let mut model = Model::new(Session::default());
    model.absorb(sample(1, vec![zc(1, 100), zc(2, 50)]));
    model.absorb(sample(3, vec![zc(1, 700), zc(2, 50)]));
    let s = model.snapshot();
    assert_eq!(s.interval_ns, 2 * SECOND);
    assert_eq!(only_path(&s.paths).bytes_per_s, 300);
    assert_eq!(only_path(&s.sockets[0].paths).bytes_per_s, 300);
    assert_eq!(only_path(&s.sockets[1].paths).bytes_per_s, 0);
    model.absorb(sample(4, vec![zc(1, 700), zc(2, 60)]));
    let s = model.snapshot();
    assert_eq!(only_path(&s.paths).bytes_per_s, 10);
    assert_eq!(only_path(&s.sockets[0].paths).bytes_per_s, 0, "an idle socket's rate must not stick");
    assert_eq!(only_path(&s.sockets[1].paths).bytes_per_s, 10);
}

#[test]
fn ended_sockets_and_processes_stay() {
    let mut model = Model::new(Session::default());
    model.absorb(sample(1, vec![zc(1, 100)]));
    model.absorb(Sample { at_ns: 2 * SECOND, ended: vec![zc(1, 150), zc(2, 9)], ..Sample::default() });
    model.absorb(sample(3, vec![]));
    // Against the contract: it ended. It must not be counted again.
    model.absorb(sample(4, vec![zc(1, 10_000)]));
    let s = model.snapshot();
    assert_eq!(only_path(&s.paths).bytes, 159);
    assert_eq!(only_path(&s.processes[0].paths).bytes, 159);
    assert_eq!(s.sockets.iter().map(|s| (s.id, s.alive)).collect::<Vec<_>>(), [(1, false), (2, false)]);
}

#[test]
fn detail_is_bounded_and_totals_never_shrink() {
    let mut model = Model::new(Session::default());
    let mut expected = 0;
    for round in 0..6u64 {
        let ended: Vec<_> = (0..5_000)
            .map(|i| {
                let id = round * 5_000 + i + 1;
                socket(id, u32::try_from(id).unwrap(), Some("eth0"), vec![(Path::MsgZerocopy, flow(id))])
            })
            .collect();
        expected += ended.iter().map(|s| s.id).sum::<u64>();
        model.absorb(Sample { at_ns: (round + 1) * SECOND, ended, ..Sample::default() });
        assert_eq!(only_path(&model.snapshot().paths).bytes, expected);
    }
    model.absorb(sample(8, vec![]));
    model.absorb(sample(9, vec![zc(1, 5)]));
    let s = model.snapshot();
    assert_eq!(only_path(&s.paths).bytes, expected + 5);
    assert_eq!(s.sockets.len(), MAX_ENDED + 1);
    assert!(s.processes.len() <= 2 * MAX_GROUPS, "{}", s.processes.len());
    assert_eq!(only_path(&s.devices[0].paths).bytes, expected + 5);
    assert!(s.sockets.iter().all(|s| s.id > 20_000 || s.id == 1), "the oldest went first");
}

#[test]
fn detail_is_bounded_within_one_sample() {
    let mut model = Model::new(Session::default());
    let count = 3 * MAX_ENDED as u64;
    for round in 0..2 {
        let ids = round * count + 1..=(round + 1) * count;
        let ended = ids.map(|id| socket(id, 7, Some("eth0"), vec![(Path::Copy, flow(1))])).collect();
        model.absorb(Sample { at_ns: (round + 1) * SECOND, ended, ..Sample::default() });
        let s = model.snapshot();
        assert_eq!(s.sockets.len(), MAX_ENDED);
        assert!(
            s.sockets.iter().all(|s| s.id > (round + 1) * count - MAX_ENDED as u64),
            "the oldest went first"
        );
        assert_eq!(only_path(&s.paths).bytes, (round + 1) * count, "their bytes stay");
    }
}

#[test]
fn copies_are_remembered_and_summed() {
    let mut model = Model::new(Session::default());
    let mut first = sample(1, vec![zc(1, 100), zc(2, 100)]);
    first.copies = vec![
        copy(Some(1), Reason::Loopback, 40),
        copy(Some(2), Reason::Loopback, 2),
        copy(None, Reason::Xfrm, 3),
    ];
    model.absorb(first);
    let mut second = Sample { at_ns: 2 * SECOND, ended: vec![zc(1, 100)], ..Sample::default() };
    second.sockets = vec![zc(2, 100)];
    second.copies = vec![
        copy(Some(1), Reason::Loopback, 60),
        copy(Some(2), Reason::Loopback, 2),
        copy(None, Reason::Xfrm, 3),
    ];
    model.absorb(second);
    // The row of the ended socket is gone; a row of a socket never seen comes, and stays.
    for at in 3..6 {
        let mut next = sample(at, vec![zc(2, 100)]);
        next.copies = vec![copy(Some(2), Reason::Loopback, 2), copy(Some(99), Reason::HeaderPull, 7)];
        model.absorb(next);
    }
    let s = model.snapshot();
    let total: Vec<_> = only_path(&s.paths).copies.iter().map(|c| (c.kind.reason, c.bytes)).collect();
    assert_eq!(total, [(Reason::Loopback, 62), (Reason::HeaderPull, 7), (Reason::Xfrm, 3)]);
    assert_eq!(only_path(&s.processes[0].paths).copies.len(), 1, "what has no socket has no process");
    assert_eq!(only_path(&s.sockets[0].paths).copies[0].bytes, 60);
}

#[test]
fn copies_told_before_their_socket_join_it_without_counting_twice() {
    let mut model = Model::new(Session::default());
    let mut first = sample(1, vec![]);
    first.copies = vec![copy(Some(1), Reason::Loopback, 40)];
    model.absorb(first);
    let mut second = sample(2, vec![zc(1, 100)]);
    second.copies = vec![copy(Some(1), Reason::Loopback, 50)];
    model.absorb(second);
    let s = model.snapshot();
    assert_eq!(only_path(&s.paths).copies[0].bytes, 50);
    assert_eq!(only_path(&s.processes[0].paths).copies[0].bytes, 50);
    assert_eq!(only_path(&s.sockets[0].paths).copies[0].bytes, 50);
}

#[test]
fn unattributed_bytes_stand_in_the_totals_only() {
    let mut model = Model::new(Session::default());
    for at in 1..4 {
        let mut next = sample(at, vec![zc(1, 100)]);
        next.unattributed = vec![(Path::MsgZerocopy, flow(at * 10))];
        model.absorb(next);
    }
    let s = model.snapshot();
    assert_eq!(only_path(&s.paths).bytes, 130);
    assert_eq!(only_path(&s.processes[0].paths).bytes, 100);
}

#[test]
fn a_device_learned_late_gets_what_was_sent_before() {
    let mut model = Model::new(Session::default());
    model.absorb(sample(1, vec![socket(1, 7, None, vec![(Path::Sendfile, flow(10))])]));
    model.absorb(sample(2, vec![socket(1, 7, Some("eth0"), vec![(Path::Sendfile, flow(30))])]));
    model.absorb(sample(3, vec![socket(1, 7, Some("eth1"), vec![(Path::Sendfile, flow(35))])]));
    let s = model.snapshot();
    let devices: Vec<_> = s.devices.iter().map(|d| (d.dev.as_str(), only_path(&d.paths).bytes)).collect();
    assert_eq!(devices, [("eth0", 30), ("eth1", 5)]);
    assert_eq!(s.sockets[0].dev.as_deref(), Some("eth1"));
}

#[test]
fn counters_that_go_back_do_not_take_bytes_away() {
    let mut model = Model::new(Session::default());
    model.absorb(sample(1, vec![zc(1, 100)]));
    model.absorb(sample(2, vec![zc(1, 40)]));
    assert_eq!(only_path(&model.snapshot().paths).bytes, 100);
}

#[test]
fn latency_and_loss_reach_the_snapshot() {
    let mut model = Model::new(Session::default());
    let mut hist = Hist::default();
    (0..100).for_each(|_| hist.record(50_000));
    let mut s = sample(1, vec![zc(1, 100)]);
    s.latency =
        vec![LatencySample { path: Path::MsgZerocopy, kind: LatencyKind::Release, hist: Box::new(hist) }];
    s.lost = [("ring_full".to_owned(), 3), ("unit_table_full".to_owned(), 4)].into();
    model.absorb(s);
    let s = model.snapshot();
    let completions = only_path(&s.paths).completions.clone().unwrap();
    assert_eq!(completions.latency.unwrap().count, 100);
    assert_eq!(completions.app_read_latency, None);
    assert_eq!(s.lost.total, 7);
}

#[test]
fn the_release_latency_of_a_socket_outlives_it() {
    let mut model = Model::new(Session::default());
    let latency = |ns: u64, n: u64| {
        let mut hist = Hist::default();
        (0..n).for_each(|_| hist.record(ns));
        vec![SocketLatency { socket: 1, path: Path::MsgZerocopy, hist: Box::new(hist) }]
    };
    model.absorb(Sample { socket_latency: latency(50_000, 10), ..sample(1, vec![zc(1, 100), zc(2, 5)]) });
    let of = |model: &mut Model| {
        let s = model.snapshot();
        let of = |at: usize| only_path(&s.sockets[at].paths).completions.clone().unwrap();
        let durations = of(0).release.map(|hist| hist.widen().count);
        assert_eq!(durations, of(0).latency.map(|latency| latency.count));
        assert_eq!(of(1).release, None);
        (durations, of(1).latency)
    };
    assert_eq!(of(&mut model), (Some(10), None));
    let end = Sample { at_ns: 2 * SECOND, ended: vec![zc(1, 150)], ..sample(2, vec![zc(2, 5)]) };
    model.absorb(Sample { socket_latency: latency(50_000, 11), ..end });
    model.absorb(sample(3, vec![zc(2, 5)]));
    assert_eq!(of(&mut model), (Some(11), None));
}

#[test]
fn gauges_are_of_the_living_and_pages_leave_with_their_socket() {
    let mut model = Model::new(Session::default());
    let holding = |id: u64, pages: u64| {
        let mut socket = zc(id, 100);
        socket.gauges.pages_in_flight = pages;
        socket.gauges.omem = 10 * u32::try_from(pages).unwrap();
        socket
    };
    let plain = socket(3, 7, None, vec![(Path::Copy, flow(1))]);
    model.absorb(sample(1, vec![holding(1, 4), holding(2, 6), plain.clone()]));
    let s = model.snapshot();
    assert_eq!(s.paths[1].in_flight.unwrap().pages, Some(10));
    assert_eq!(s.processes[0].gauges.unwrap().optmem_bytes, Some(100));
    assert_eq!(s.sockets[0].gauges.as_deref().unwrap().pages_in_flight, Some(4));
    assert_eq!(s.sockets[2].gauges, None, "nobody looks at the gauges of a plain socket");
    model.absorb(Sample { ended: vec![holding(2, 8)], ..sample(2, vec![holding(1, 5), plain]) });
    let s = model.snapshot();
    assert_eq!(s.paths[1].in_flight.unwrap().pages, Some(5));
    let gauges = s.processes[0].gauges.unwrap();
    assert_eq!((gauges.pages_in_flight, gauges.optmem_peak_bytes), (Some(5), Some(80)));
    let ended = s.sockets.iter().find(|s| !s.alive).unwrap().gauges.as_deref().unwrap();
    assert_eq!((ended.pages_in_flight, ended.optmem_peak_bytes), (Some(0), Some(80)));
}

#[test]
fn names_reach_sockets_that_were_there_before_them() {
    use crate::model::sample::Names;
    let mut model = Model::new(Session::default());
    let mut living = zc(1, 100);
    living.cgroup = 77;
    model.absorb(sample(1, vec![living.clone()]));
    assert_eq!(model.snapshot().sockets[0].place.cgroup, None);
    let names = Names {
        cgroups: vec![(77, "/docker-0123.scope".into(), Some("docker:0123".into()))],
        netns: vec![(1, "blue".into())],
        memlock: vec![(7, Some(65_536))],
    };
    model.absorb(Sample { names, ..sample(2, vec![living]) });
    let s = model.snapshot();
    for place in [&s.sockets[0].place, &s.processes[0].place] {
        assert_eq!(place.container.as_deref(), Some("docker:0123"));
        assert_eq!((place.netns, place.netns_name.as_deref()), (Some(1), Some("blue")));
    }
    assert_eq!(s.processes[0].memlock_limit, Some(Limit::Bytes(65_536)));
}

#[test]
fn received_bytes_have_a_ledger_of_their_own() {
    let mut model = Model::new(Session::default());
    let flow = |bytes, copied| FlowCounters { start_copied_bytes: copied, ..flow(bytes) };
    let of =
        |n| vec![socket(1, 7, None, vec![(Path::RecvZerocopy, flow(n, n / 2)), (Path::Recv, flow(n, 0))])];
    model.absorb(sample(1, of(100)));
    model.absorb(sample(2, of(300)));
    let s = model.snapshot();
    let figures = s.paths.iter().find(|p| p.path == Path::RecvZerocopy).unwrap();
    assert_eq!(figures.ledger.unwrap().zerocopied_bytes, Some(150));
    assert!(figures.errors.is_empty() && figures.completions.is_none());
    assert_eq!(figures.skip_hint_bytes, Some(0));
}

#[test]
fn distributions_stand_in_the_totals_and_vanish_with_their_fact() {
    use crate::model::sample::SpreadSample;
    use crate::model::snapshot::Missing;
    let figures = |missing: &[&str]| {
        let missing = missing.iter().map(|f| Missing { fact: (*f).into(), why: String::new() }).collect();
        let mut model = Model::new(Session { missing, ..Session::default() });
        let mut spread = Spread::default();
        spread.record(17);
        let mut hist = Hist::default();
        hist.record(2_000);
        let of = |kind| LatencySample { path: Path::MsgZerocopy, kind, hist: Box::new(hist) };
        let kinds = [SpreadKind::FragsPerSkb, SpreadKind::RangeLength];
        let spreads =
            kinds.map(|kind| SpreadSample { path: Path::MsgZerocopy, kind, spread: Box::new(spread) });
        model.absorb(Sample {
            latency: LatencyKind::ALL.map(of).into(),
            spreads: spreads.into(),
            ..sample(1, vec![zc(1, 100)])
        });
        let s = model.snapshot();
        assert_eq!(only_path(&s.sockets[0].paths).frags_per_skb, None);
        only_path(&s.paths).clone()
    };
    let all = figures(&[]);
    assert_eq!(all.frags_per_skb.as_ref().unwrap().p50, 17);
    assert_eq!(all.send_ns.as_ref().unwrap().count, 1);
    let c = all.completions.unwrap();
    assert!(c.range_length.is_some() && c.queue_latency.is_some() && c.read_latency.is_some());
    assert!(c.app_read_latency.is_some());
    assert_eq!(c.delayed_acks.map(|d| d.sends), Some(0));
    let few = figures(&["frags", "send_time", "queue_latency", "told"]);
    assert_eq!((&few.frags_per_skb, &few.send_ns, few.pages, few.frags), (&None, &None, None, None));
    let c = few.completions.unwrap();
    assert_eq!(
        (c.range_length, c.queue_latency, c.read_latency, c.app_read_latency),
        (None, None, None, None)
    );
    assert_eq!(c.latency.unwrap().count, 1);
}
