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
    assert_eq!(s.history.bytes_per_s[&Path::MsgZerocopy], [150, 300, 10]);
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
