//! What was blamed wrongly on real kernels once, or with a fix that mends nothing.

use std::sync::Arc;

use zcscope_common::{Disagreement, Path, Reason};

use super::rules_tests::{host, received, with_switch};
use super::tests::{copy, path, process};
use super::*;
use crate::host::device::DeviceKind;
use crate::host::facts::{Switch, TcpFacts};
use crate::model::snapshot::{DelayedAcks, Percentiles, WrongSends};

const MIB: u64 = 1 << 20;
/// Asked for, and held off by something else.
const HELD: Switch = Switch { on: false, wanted: true, changeable: true };
const OFF: Switch = Switch { on: false, wanted: false, changeable: true };

fn ids(snapshot: &Snapshot) -> Vec<(String, Option<&'static str>)> {
    findings(snapshot).into_iter().map(|finding| (finding.id, finding.explained_by)).collect()
}

fn found(snapshot: &Snapshot, id: &str) -> Finding {
    findings(snapshot).into_iter().find(|finding| finding.id == id).unwrap_or_else(|| panic!("no {id}"))
}

#[test]
fn the_reader_of_a_tun_device_decides_about_its_offloads() {
    let mut snapshot = with_switch(OFF);
    assert_eq!(ids(&snapshot), [("device_features".to_owned(), None)]);
    let mut facts = snapshot.host.as_ref().clone();
    for space in facts.namespaces.values_mut() {
        space.devices.values_mut().for_each(|facts| facts.device.kind = DeviceKind::Tun);
    }
    snapshot.host = Arc::new(facts);
    assert_eq!(ids(&snapshot), []);
}

#[test]
fn nobody_is_told_to_ask_again_for_what_is_asked_for() {
    let fix = |switch| found(&with_switch(switch), "device_features").fix;
    assert_eq!(fix(OFF), ["ethtool -K eth0 sg on tso on"]);
    assert_eq!(fix(HELD), ["ip -d link show dev eth0  # find what holds it off, and mend that"]);
}

#[test]
fn a_path_without_a_ledger_is_blamed_for_what_it_was_asked() {
    let mptcp = |copies| PathFigures { bytes: MIB, copies, ..PathFigures::nothing(Path::Mptcp) };
    let of = |copies| ids(&Snapshot { paths: vec![mptcp(copies)], ..Snapshot::default() });
    assert_eq!(of(vec![]), []);
    assert_eq!(of(vec![copy(Reason::Mptcp, MIB, false, false)]), [("mptcp".to_owned(), None)]);
}

#[test]
fn a_failed_send_is_explained_by_what_refused_it() {
    let mut refused = path(0, 0, vec![]);
    refused.refused = vec![(Reason::UringMemlock, 7)];
    let wrong = WrongSends { kind: Disagreement::FailedSend, sends: 7, inferred: false };
    refused.completions.as_mut().unwrap().disagreements = Some(vec![wrong]);
    let mut owner = process(vec![refused.clone()]);
    owner.pid = 4_242;
    let snapshot = Snapshot { paths: vec![refused], processes: vec![owner], ..Snapshot::default() };
    let expected = [("uring_memlock", None), ("failed_send", Some("uring_memlock"))];
    assert_eq!(ids(&snapshot), expected.map(|(id, by)| (id.to_owned(), by)));
    let fix = found(&snapshot, "uring_memlock").fix;
    assert!(fix[0].starts_with("prlimit --pid 4242 "), "{fix:?}");
}

#[test]
fn untold_copies_on_loopback_have_a_cause() {
    let of = |told| {
        ids(&Snapshot {
            paths: vec![path(500_000, 500_000, vec![copy(Reason::Loopback, 500_000, told, false)])],
            ..Snapshot::default()
        })
    };
    let expected = [("loopback", None), ("silent_copies", Some("loopback"))];
    assert_eq!(of(false), expected.map(|(id, by)| (id.to_owned(), by)));
    assert!(of(true).contains(&("silent_copies".to_owned(), None)), "told copies explain no silence");
}

#[test]
fn the_refused_socket_says_where_the_limit_is() {
    let limited = |max| {
        host(MIB, |host| {
            host.own_netns = Some(1);
            host.namespaces.values_mut().for_each(|space| space.optmem_max = max);
        })
    };
    let fix = |snapshot: &mut Snapshot| {
        let refused =
            PathFigures { refused: vec![(Reason::Optmem, 7)], ..PathFigures::nothing(Path::MsgZerocopy) };
        snapshot.paths = vec![refused.clone()];
        let socket = Arc::make_mut(&mut snapshot.sockets[0]);
        (socket.paths, socket.gauges) = (vec![refused], None);
        assert_eq!(wanted(snapshot).len(), 1, "who moves nothing is asked about all the same");
        found(snapshot, "optmem").fix.swap_remove(1)
    };
    assert_eq!(
        fix(&mut limited(Some(1_000))),
        "nsenter --net --target 7 sysctl -w net.core.optmem_max=1048576"
    );
    assert_eq!(fix(&mut limited(None)), "sysctl -w net.core.optmem_max=1048576", "one limit for all");
}

#[test]
fn a_sender_on_this_host_is_no_fault_of_the_card() {
    let from = |remote: &str| {
        let mut snapshot = received(Reason::RxHeaderSplitMissing, 9_000);
        let mut sockets = host(0, |_| {}).sockets;
        let socket = Arc::make_mut(&mut sockets[0]);
        socket.paths = vec![PathFigures { calls: 3, ..snapshot.paths[0].clone() }];
        socket.remote = remote.parse().unwrap();
        (snapshot.sockets, snapshot.host) = (sockets, host(0, |_| {}).host);
        found(&snapshot, "rx_header_split_missing")
    };
    let (near, far) = (from("10.9.0.1:9"), from("10.9.0.2:9"));
    assert_eq!((near.severity, far.severity), (Severity::Info, Severity::Warning));
    assert_eq!(far.fix, ["ethtool -G eth0 tcp-data-split on"]);
    assert!(near.fix[0].starts_with("measure with a sender on another host"), "{near:?}");
}

#[test]
fn a_burst_is_no_pace_and_a_slow_way_no_delayed_acknowledgement() {
    let paced = |sent_bytes| {
        let snapshot = host(MIB, |host| {
            let facts = TcpFacts {
                congestion_control: Some("bbr".into()),
                pacing_bytes_per_s: Some(1_000),
                delivery_bytes_per_s: 1_000,
                busy_us: 2_000_000,
                sent_bytes,
                ..TcpFacts::default()
            };
            host.sockets.insert(1, facts);
        });
        findings(&snapshot).iter().any(|finding| finding.id == "pacing")
    };
    assert!(paced(1_000) && !paced(900));
    let late = |p50, after| {
        let mut one = path(0, 0, vec![]);
        let ends = one.completions.as_mut().unwrap();
        ends.latency = Some(Percentiles { count: 100, min: 50_000, p50, ..Percentiles::default() });
        ends.delayed_acks = Some(DelayedAcks { sends: 30, before: 3, after });
        ids(&Snapshot { paths: vec![one], ..Snapshot::default() })
    };
    assert_eq!(late(40_000_000, 3), [("delayed_ack".to_owned(), None)]);
    assert_eq!(late(57_000_000, 3), []);
    assert_eq!(late(40_000_000, 16), [], "releases take any time here");
}

#[test]
fn what_pins_nothing_is_no_small_zerocopy_send() {
    let mut one = PathFigures { calls: 1_000, ..path(0, 0, vec![]) };
    let of = |one: &PathFigures| ids(&Snapshot { paths: vec![one.clone()], ..Snapshot::default() }).len();
    assert_eq!(of(&one), 1);
    one.completions.as_mut().unwrap().sends = 0;
    assert_eq!(of(&one), 0);
}
