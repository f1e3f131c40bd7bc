//! Every rule on a sample that must make it speak, and on the nearest one that must not.

use std::collections::BTreeMap;
use std::sync::Arc;

use zcscope_common::{Disagreement, Path, Reason};

use super::rules::{RULES, rule_of};
use super::tests::{copy, file, path, process, socket_with};
use super::*;
use crate::host::device::{Device, DeviceKind, Features};
use crate::host::facts::{DeviceFacts, HostFacts, NamespaceFacts, NumaNode, Switch, Switches, TcpFacts};
use crate::host::taps::{Holder, Tap};
use crate::model::reason::{ReasonKind, info};
use crate::model::sample::FileReads;
use crate::model::snapshot::{
    Completions, DelayedAcks, GaugeFigures, Ledger, Limit, Lost, Percentiles, Place, ProcessFigures, Session,
    SpreadFigures, WrongSends,
};

const MIB: u64 = 1 << 20;
const NETNS: u32 = 77;
const ON: Switch = Switch { on: true, wanted: true, changeable: true };
const OFF: Switch = Switch { on: false, wanted: false, changeable: true };
const FIXED: Switch = Switch { on: false, wanted: false, changeable: false };

fn one(path: PathFigures) -> Snapshot {
    Snapshot { paths: vec![path], ..Snapshot::default() }
}

fn completions(change: impl FnOnce(&mut Completions)) -> Snapshot {
    let mut clean = path(0, 0, vec![]);
    change(clean.completions.as_mut().unwrap());
    one(clean)
}

fn changed(change: impl FnOnce(&mut PathFigures)) -> Snapshot {
    let mut clean = path(0, 0, vec![]);
    change(&mut clean);
    one(clean)
}

fn received(reason: Reason, bytes: u64) -> Snapshot {
    let ledger = Ledger {
        requested_bytes: 1_000,
        zerocopied_bytes: Some(900),
        copied_bytes: Some(100),
        ..Ledger::default()
    };
    one(PathFigures {
        bytes: 1_000,
        ledger: Some(ledger),
        skip_hint_bytes: Some(9_000),
        copies: vec![copy(reason, bytes, true, false)],
        ..PathFigures::nothing(Path::RecvZerocopy)
    })
}

/// A host with one device, a sender of `asked` bytes over it, and facts to change.
pub(super) fn host(asked: u64, change: impl FnOnce(&mut HostFacts)) -> Snapshot {
    let device = Device {
        name: "eth0".into(),
        index: 2,
        kind: DeviceKind::Physical,
        driver: Some("vmxnet3".into()),
        mtu: 1_500,
        up: true,
        running: true,
        features: Features::default(),
    };
    let switches = Switches { scatter_gather: Some(ON), tx_checksum: Some(ON), tso: Some(ON), tls_tx: None };
    let facts = DeviceFacts { device, switches: Some(switches), numa_node: Some(1) };
    let space = NamespaceFacts {
        pid: 7,
        addresses: vec!["10.9.0.1".parse().unwrap()],
        devices: [("eth0".to_owned(), facts)].into(),
        ..NamespaceFacts::default()
    };
    let mut host = HostFacts { namespaces: [(NETNS, space)].into(), ..HostFacts::default() };
    host.own_netns = Some(NETNS);
    host.sockets.insert(1, TcpFacts::default());
    change(&mut host);
    let mut figures = path(0, 0, vec![]);
    (figures.bytes, figures.ledger.as_mut().unwrap().requested_bytes) = (asked, asked);
    let mut socket = socket_with(GaugeFigures { pages_in_flight: Some(9), ..GaugeFigures::default() });
    socket.place = Place { netns: Some(NETNS), ..Place::default() };
    socket.dev = Some("eth0".into());
    socket.paths = vec![figures.clone()];
    Snapshot {
        duration_ns: 1_000_000_000,
        paths: vec![figures],
        sockets: vec![Arc::new(socket)],
        host: Arc::new(host),
        ..Snapshot::default()
    }
}

fn with_switch(switch: Switch) -> Snapshot {
    host(MIB, |host| {
        let device = host.namespaces.get_mut(&NETNS).unwrap().devices.get_mut("eth0").unwrap();
        device.switches.as_mut().unwrap().scatter_gather = Some(switch);
    })
}

fn tapped(device: u32, asked: u64) -> Snapshot {
    let holders = vec![Holder { pid: 99, comm: "tcpdump".into() }];
    let tap = Tap { netns: u64::from(NETNS), device: Some(device), protocol: 3, running: true, holders };
    host(asked, |host| host.taps = Some(vec![tap]))
}

fn peer_at(address: &str) -> Snapshot {
    let mut snapshot = host(MIB, |_| {});
    Arc::make_mut(&mut snapshot.sockets[0]).remote = address.parse().unwrap();
    snapshot
}

fn nodes(cpus: Vec<u32>) -> Snapshot {
    host(MIB, |host| {
        host.machine.nodes =
            vec![NumaNode { node: 0, cpus: vec![0, 1] }, NumaNode { node: 1, cpus: vec![2, 3] }];
        host.cpus.insert(7, cpus);
    })
}

/// A bbr flow on a short way.
fn paced(control: &str, delivered: u64) -> Snapshot {
    host(MIB, |host| {
        host.sockets.insert(
            1,
            TcpFacts {
                congestion_control: Some(control.into()),
                pacing_bytes_per_s: Some(1_000_000_000),
                delivery_bytes_per_s: delivered,
                min_rtt_us: 60,
                busy_us: 1_000_000,
                peer_window_us: 100_000,
                send_buffer_us: 99_999,
                ..TcpFacts::default()
            },
        );
    })
}

fn resent(bytes: u64) -> Snapshot {
    host(MIB, |host| {
        let facts = TcpFacts { sent_bytes: 100 * MIB, resent_bytes: bytes, ..TcpFacts::default() };
        host.sockets.insert(1, facts);
    })
}

/// 1,000 sends a second that are read this long after they were made.
fn held(all: u64, longest_range: u64) -> Snapshot {
    let mut snapshot = host(MIB, |_| {});
    let (min, p50, p90, p99, p999, max) = (all, all, all, all, all, all);
    let app_read_latency = Some(Percentiles { count: 1_000, min, p50, p90, p99, p999, max });
    let range_length = Some(SpreadFigures { count: 1_000, max: longest_range, ..SpreadFigures::default() });
    let c = Completions { sends: 1_000, app_read_latency, range_length, ..Completions::default() };
    snapshot.paths[0].completions = Some(Box::new(c));
    snapshot
}

fn splices(calls: u64) -> Snapshot {
    one(PathFigures { calls, bytes: 16 * MIB, ..PathFigures::nothing(Path::Splice) })
}

fn wrong(kind: Disagreement) -> (Snapshot, Snapshot) {
    let told = |sends| {
        completions(|c| {
            (c.told_sends, c.told_copied) = (Some(1_000), Some(0));
            let wrong = WrongSends { kind, sends, inferred: false };
            c.disagreements = Some(Some(wrong).into_iter().filter(|wrong| wrong.sends > 0).collect());
        })
    };
    (told(10), told(0))
}

fn reads(read: u64) -> Snapshot {
    let figures = PathFigures { bytes: 4 * MIB, ..PathFigures::nothing(Path::Copy) };
    Snapshot {
        processes: vec![process(vec![figures])],
        file_reads: Some(vec![FileReads { pid: 7, comm: "app".into(), bytes: read }]),
        ..Snapshot::default()
    }
}

fn optmem(peak: u64) -> Snapshot {
    let gauges = GaugeFigures {
        optmem_peak_bytes: Some(peak),
        optmem_max_bytes: Some(1_000),
        ..GaugeFigures::default()
    };
    Snapshot { sockets: vec![socket_with(gauges).into()], ..Snapshot::default() }
}

fn memlock(limit: u64) -> Snapshot {
    let gauges = GaugeFigures { locked_pages: Some(80), ..GaugeFigures::default() };
    let memlock_limit = Some(Limit::Bytes(limit));
    let process = ProcessFigures { gauges: Some(gauges), memlock_limit, ..process(vec![]) };
    let session = Session { page_bytes: 4_096, ..Session::default() };
    Snapshot { session, processes: vec![process], ..Snapshot::default() }
}

/// A sample that makes a rule speak, and the nearest one that does not.
fn samples(id: &str) -> Option<(Snapshot, Snapshot)> {
    let noted = |reason, times| changed(|path| path.notes = Some(vec![(reason, times)]));
    Some(match id {
        "device_features" => (with_switch(OFF), with_switch(ON)),
        "sniffer" => (tapped(2, MIB), tapped(3, MIB)),
        "local_peer" => (peer_at("10.9.0.1:9"), peer_at("10.9.0.2:9")),
        "wrong_node" => (nodes(vec![0, 1]), nodes(vec![0, 2])),
        "dma_bounce" => {
            let guest = |name: Option<&str>| host(MIB, |h| h.machine.encrypted_by = name.map(str::to_owned));
            (guest(Some("TDX")), guest(None))
        }
        "ktls" => {
            let tls = |bytes| one(PathFigures { bytes, ..PathFigures::nothing(Path::Ktls) });
            (tls(MIB), tls(MIB - 1))
        }
        "splice_copy_read" => (file(100 * MIB, 0), file(2 * MIB, 0)),
        "enobufs" => {
            let refused = |n| changed(|path| path.errors.extend([("ENOBUFS", n)]));
            (refused(7), refused(0))
        }
        "optmem_near" => (optmem(800), optmem(799)),
        "memlock_near" => (memlock(409_600), memlock(409_601)),
        "silent_copies" => (one(path(100, 100, vec![])), one(path(99, 99, vec![]))),
        "told_zerocopy_but_copied" => wrong(Disagreement::ToldZerocopyButCopied),
        "told_copied_but_not" => wrong(Disagreement::ToldCopiedButNot),
        "merged_range" => wrong(Disagreement::MergedRange),
        "failed_send" => wrong(Disagreement::FailedSend),
        "linked_false_positive" => wrong(Disagreement::LinkedNotification),
        "told_disagrees" => {
            let told = |copied| {
                completions(|c| {
                    (c.kernel_copied, c.told_sends, c.told_copied) = (50, Some(100), Some(copied));
                })
            };
            (told(20), told(50))
        }
        "told_more_than_copied" => {
            let flagged = |n| completions(|c| (c.sends, c.kernel_copied) = (1_933, n));
            (flagged(152), flagged(19))
        }
        "slow_reader" => {
            let unread = |n| completions(|c| (c.sends, c.unread_sends) = (640, Some(n)));
            (unread(64), unread(63))
        }
        "depth_small" => (held(900_000, 1), held(900_000, 2)),
        "delayed_ack" => {
            let late = |sends| {
                completions(|c| {
                    c.latency = Some(Percentiles { count: 100, min: 50_000, ..Percentiles::default() });
                    c.delayed_acks = Some(DelayedAcks { sends, before: 0 });
                })
            };
            (late(10), late(9))
        }
        "swept_retransmit" => (resent(MIB), resent(MIB - 1)),
        "pacing" => (paced("bbr", 500_000_000), paced("cubic", 500_000_000)),
        "small_send" => {
            let sends = |calls| changed(|path| path.calls = calls);
            (sends(100), sends(97))
        }
        "frag_limit" => {
            let full = |frags| {
                changed(|path| {
                    path.notes = Some(vec![(Reason::FragLimit, 50)]);
                    (path.attached_bytes, path.frags) = (Some(1_000_000), Some(frags));
                })
            };
            (full(1_000), full(244))
        }
        "mixed_socket" => (noted(Reason::MixedSocket, 1), noted(Reason::MixedSocket, 0)),
        "splice_small" => (splices(1_025), splices(1_024)),
        "sendfile_possible" => (reads(2 * MIB), reads(2 * MIB - 1)),
        "page_cache_miss" => (file(0, 50 * MIB), file(0, MIB)),
        "lost" => {
            let lost = |total| Lost { total, by_cause: BTreeMap::from([("ring_full".to_owned(), total)]) };
            let of = |total| Snapshot { lost: lost(total), ..Snapshot::default() };
            (of(3), of(0))
        }
        "lost_ends" => (completions(|c| c.lost_ends = 1), completions(|c| c.lost_ends = 0)),
        _ => return of_reason(Reason::from_name(id)?),
    })
}

/// Reasons of one kind have one condition.
fn of_reason(reason: Reason) -> Option<(Snapshot, Snapshot)> {
    let copied = |bytes| one(path(bytes, 0, vec![copy(reason, bytes, true, false)]));
    let refused = |n| changed(|path| path.refused = vec![(reason, n)]);
    match info(reason).kind {
        ReasonKind::Copied | ReasonKind::CopiedFromStart => Some((copied(20_000), copied(10_000))),
        ReasonKind::Refused => Some((refused(1), refused(0))),
        ReasonKind::Receive => Some((received(reason, 9_000), received(reason, 100))),
        ReasonKind::Note => None,
    }
}

fn has(snapshot: &Snapshot, id: &str) -> bool {
    findings(snapshot).iter().any(|finding| finding.id == id)
}

#[test]
fn every_rule_speaks_when_it_must_and_only_then() {
    for rule in RULES {
        let Some((bad, good)) = samples(rule.id) else { panic!("{} has no samples", rule.id) };
        assert!(has(&bad, rule.id), "{} is silent on {bad:#?}", rule.id);
        assert!(!has(&good, rule.id), "{} speaks on {good:#?}", rule.id);
    }
}

#[test]
fn every_reason_has_a_rule_and_every_rule_has_words() {
    for reason in Reason::ALL {
        assert!(rule_of(reason.name()).is_some(), "{}", reason.name());
    }
    for rule in RULES {
        let reason = Reason::from_name(rule.id).is_some();
        assert!(reason != words::words(rule.id).is_some(), "{} has one text", rule.id);
        assert_eq!(RULES.iter().filter(|other| other.id == rule.id).count(), 1, "{}", rule.id);
    }
    assert!(words::WORDS.iter().all(|row| rule_of(row.id).is_some()));
}

#[test]
fn no_rule_explains_itself_in_the_end() {
    fn depth(id: &str, left: usize) {
        assert!(left > 0, "a circle through {id}");
        let rule = rule_of(id).unwrap_or_else(|| panic!("{id} is no rule"));
        rule.explains.iter().for_each(|next| depth(next, left - 1));
    }
    RULES.iter().for_each(|rule| depth(rule.id, RULES.len()));
}

#[test]
fn every_finding_is_whole() {
    for rule in RULES {
        let (bad, _) = samples(rule.id).unwrap();
        for finding in findings(&bad) {
            assert!(!finding.title.is_empty() && !finding.evidence.is_empty(), "{finding:?}");
            assert!(
                !finding.fix.is_empty() && finding.fix.iter().all(|step| !step.is_empty()),
                "{finding:?}"
            );
            assert!(
                !finding
                    .fix
                    .iter()
                    .any(|step| step.contains("  ") && !step.contains("  #") && !step.contains("  //")),
                "{finding:?}"
            );
        }
    }
}

#[test]
fn the_fix_says_who_can() {
    let fix = |snapshot: &Snapshot| findings(snapshot).remove(0).fix;
    assert_eq!(fix(&with_switch(OFF)), ["ethtool -K eth0 sg on tso on"]);
    assert_eq!(
        fix(&with_switch(FIXED)),
        ["the driver vmxnet3 cannot turn it on for eth0: use another device or driver"]
    );
    let mut elsewhere = with_switch(OFF);
    let host = Arc::make_mut(&mut elsewhere.host);
    host.own_netns = Some(1);
    assert_eq!(fix(&elsewhere), ["nsenter --net --target 7 ethtool -K eth0 sg on tso on"]);
    Arc::make_mut(&mut elsewhere.host).namespaces.get_mut(&NETNS).unwrap().name = Some("blue".into());
    assert_eq!(fix(&elsewhere), ["ip netns exec blue ethtool -K eth0 sg on tso on"]);
}

#[test]
fn what_explains_comes_first() {
    let mut snapshot = with_switch(OFF);
    snapshot.paths[0].copies = vec![copy(Reason::NoScatterGather, MIB, false, false)];
    let ledger = snapshot.paths[0].ledger.as_mut().unwrap();
    (ledger.copied_bytes, ledger.silent_copied_bytes) = (Some(MIB), Some(MIB));
    let found = findings(&snapshot);
    let order: Vec<_> = found.iter().map(|f| (f.id.as_str(), f.explained_by)).collect();
    assert_eq!(
        order,
        [
            ("device_features", None),
            ("no_scatter_gather", Some("device_features")),
            ("silent_copies", Some("no_scatter_gather"))
        ]
    );
}

#[test]
fn a_capture_is_named_and_certain_once_packets_were_copied_for_it() {
    let mut snapshot = tapped(2, MIB);
    let finding = findings(&snapshot).remove(0);
    assert!(finding.title.starts_with("tcpdump (99) captures"), "{finding:?}");
    assert_eq!((finding.severity, finding.evidence.len()), (Severity::Info, 1));
    snapshot.paths[0].copies = vec![copy(Reason::PacketTap, MIB, true, true)];
    let found = findings(&snapshot);
    assert_eq!((found[0].severity, found[1].explained_by), (Severity::Warning, Some("sniffer")));
}

#[test]
fn limits_show_their_use_and_the_namespace_that_is_short() {
    let mut snapshot = optmem(1_000);
    snapshot.paths = vec![PathFigures { refused: vec![(Reason::Optmem, 7)], ..path(0, 0, vec![]) }];
    let space = |max| NamespaceFacts { optmem_max: Some(max), pid: 7, ..NamespaceFacts::default() };
    let blue = NamespaceFacts { name: Some("blue".into()), ..space(20_480) };
    let host = HostFacts { namespaces: [(1, space(131_072)), (2, blue)].into(), ..HostFacts::default() };
    snapshot.host = Arc::new(host);
    Arc::make_mut(&mut snapshot.sockets[0]).place.netns = Some(2);
    let finding = findings(&snapshot).remove(0);
    assert_eq!(
        finding.evidence,
        [
            "msg_zerocopy: 7 of 50 calls refused",
            "7 app 10.9.0.1:4: at most 1000 B of 1000 B (100 %)",
            "net.core.optmem_max of network namespace net:[1] is 128 KiB",
            "net.core.optmem_max of network namespace blue is 20.0 KiB",
        ]
    );
    assert_eq!(finding.fix[1], "ip netns exec blue sysctl -w net.core.optmem_max=1048576");
}

#[test]
fn one_send_in_flight_is_told_from_idle_and_from_many() {
    let small = |snapshot: &Snapshot| has(snapshot, "depth_small");
    assert!(!small(&held(390_000, 1)), "the sender has other things to do");
    assert!(small(&held(999_000, 1)));
    assert!(!small(&held(1_100_000, 1)), "more than one in flight");
    let mut short = held(200_000, 1);
    short.active_ns.insert(Path::MsgZerocopy, short.duration_ns / 4);
    assert!(small(&short), "it sent for a quarter of the trace");
}
