use std::sync::Arc;

use zcscope_common::{Disagreement, Hist, LatencyKind, Path, Reason};

use super::*;
use crate::diagnose::About;
use crate::host::device::{Device, DeviceKind, Features};
use crate::host::facts::{DeviceFacts, HostFacts, NamespaceFacts, TcpFacts};
use crate::host::taps::{Holder, Tap};
use crate::model::sample::CopyKind;
use crate::model::snapshot::{
    Completions, CopyFigures, LatencyFigures, Lost, PathFigures, Place, Snapshot, SocketFigures,
    SocketIdentity, WrongSends,
};

fn with(paths: Vec<PathFigures>) -> Snapshot {
    Snapshot { duration_ns: 7, paths, ..Snapshot::default() }
}

fn path() -> PathFigures {
    PathFigures { calls: 1, ..PathFigures::nothing(Path::MsgZerocopy) }
}

/// Kinds and ids of what happened.
fn happened(before: &Snapshot, after: &Snapshot) -> Vec<(EventKind, String)> {
    between(before, after, &[], &[]).into_iter().map(|event| (event.kind, event.id)).collect()
}

fn only(before: &Snapshot, after: &Snapshot) -> Event {
    let mut events = between(before, after, &[], &[]);
    assert_eq!(events.len(), 1, "{events:#?}");
    events.remove(0)
}

#[test]
fn nothing_happens_when_nothing_changes() {
    let mut one = path();
    one.copies = vec![copy("eth0", false)];
    one.errors = [("ENOBUFS", 3)].into();
    let now = with(vec![one]);
    assert_eq!(happened(&now, &now), []);
}

#[test]
fn a_path_is_new_once() {
    let event = only(&Snapshot::default(), &with(vec![path()]));
    assert_eq!((event.kind, event.id.as_str(), event.at_ns), (EventKind::Path, "msg_zerocopy", 7));
    assert_eq!(happened(&with(vec![path()]), &with(vec![path()])), []);
}

fn copy(dev: &str, told: bool) -> CopyFigures {
    let kind = CopyKind {
        reason: Reason::NoScatterGather,
        site: "skb_segment".into(),
        caller: None,
        dev: Some(dev.into()),
        clone: false,
        told,
        inferred: false,
    };
    CopyFigures { kind: kind.into(), count: 1, bytes: 1_448, bytes_per_s: 0, first_ns: 0, last_ns: 0 }
}

#[test]
fn a_reason_is_told_once_per_device_and_silence_is_a_warning() {
    let copied = |copies| with(vec![PathFigures { copies, ..path() }]);
    let (none, one) = (copied(vec![]), copied(vec![copy("eth0", true)]));
    let event = only(&none, &one);
    assert_eq!((event.kind, event.severity), (EventKind::Copy, Severity::Info));
    assert!(event.text.contains("eth0") && event.text.contains("skb_segment"), "{}", event.text);
    let two = copied(vec![copy("eth0", true), copy("eth0", false), copy("eth1", false)]);
    let event = only(&one, &two);
    assert!(event.text.contains("eth1") && event.severity == Severity::Warning, "{}", event.text);
}

#[test]
fn refusals_come_with_their_true_cause() {
    let refused = |enobufs, refused| {
        with(vec![PathFigures { errors: [("ENOBUFS", enobufs)].into(), refused, ..path() }])
    };
    let none = refused(0, vec![]);
    assert_eq!(only(&none, &refused(3, vec![(Reason::Optmem, 3)])).id, "optmem");
    assert_eq!(only(&none, &refused(3, vec![])).id, "enobufs");
    let both = happened(&none, &refused(3, vec![(Reason::Memlock, 2)]));
    assert_eq!(both, [(EventKind::Refused, "memlock".into()), (EventKind::Refused, "enobufs".into())]);
    assert_eq!(happened(&none, &refused(0, vec![(Reason::Aborted, 9)])), [], "a full socket is ordinary");
    assert_eq!(happened(&refused(1, vec![]), &refused(9, vec![])), [], "the first is enough");
}

#[test]
fn what_was_told_wrongly_is_told_once() {
    let told = |sends| {
        let wrong = WrongSends { kind: Disagreement::LinkedNotification, sends, inferred: true };
        let ends = Completions { disagreements: Some(vec![wrong]), ..Completions::default() };
        with(vec![PathFigures { completions: Some(Box::new(ends)), ..path() }])
    };
    let event = only(&with(vec![path()]), &told(5));
    assert_eq!((event.kind, event.id.as_str()), (EventKind::Told, "linked_false_positive"));
    assert!(event.text.contains('~'), "{}", event.text);
    assert_eq!(happened(&told(5), &told(50)), []);
}

#[test]
fn loss_is_told_as_long_as_it_grows() {
    let lost = |n| Snapshot {
        lost: Lost { total: n, by_cause: [("flows_full".to_owned(), n)].into() },
        ..Snapshot::default()
    };
    let none = Snapshot::default();
    let first = only(&none, &lost(5));
    assert!(first.text.starts_with("loss began") && first.count == 5, "{}", first.text);
    assert_eq!(only(&lost(5), &lost(6)).count, 1);
    assert_eq!(happened(&lost(6), &lost(6)), []);
}

#[test]
fn delayed_acks_are_an_event_only_while_they_come() {
    let released = |late: u64, quick: u64| {
        let mut hist = Hist::default();
        (0..late).for_each(|_| hist.record(41_000_000));
        (0..quick).for_each(|_| hist.record(50_000));
        let hist = Arc::new(hist);
        let latency = LatencyFigures { path: Path::MsgZerocopy, kind: LatencyKind::Release, hist };
        Snapshot { latency: vec![latency], ..Snapshot::default() }
    };
    let event = only(&released(0, 100), &released(10, 110));
    assert_eq!((event.kind, event.count), (EventKind::DelayedAck, 10));
    assert!(event.text.contains("50.0 %"), "{}", event.text);
    assert_eq!(happened(&released(10, 110), &released(10, 900)), []);
    assert_eq!(happened(&released(0, 100), &released(10, 900)), [], "one of eighty is no mode");
    assert_eq!(happened(&released(0, 0), &released(10, 0)), [], "far away, nothing is quick");
}

fn socket(id: u64, alive: bool, unsent_bytes: u64) -> Arc<SocketFigures> {
    let ends = Completions { unsent_bytes, ..Completions::default() };
    Arc::new(SocketFigures {
        identity: Arc::new(SocketIdentity {
            id,
            cookie: None,
            pid: 7,
            comm: "curl".into(),
            local: ([10, 0, 0, 1], 1).into(),
            remote: ([10, 0, 0, 2], 2).into(),
            dev: None,
            uid: 0,
            place: Place::default(),
        }),
        gauges: None,
        alive,
        paths: vec![PathFigures { completions: Some(Box::new(ends)), ..path() }],
    })
}

#[test]
fn a_storm_of_short_connections_is_one_line() {
    let sockets = |sockets: Vec<_>| Snapshot { sockets, ..Snapshot::default() };
    let alive = sockets(vec![socket(1, true, 0)]);
    let event = only(&alive, &sockets(vec![socket(1, false, 4_096)]));
    assert_eq!((event.socket, event.id.as_str()), (Some(1), "unsent_bytes"));
    assert_eq!(happened(&alive, &sockets(vec![socket(1, false, 0)])), [], "it ended well");
    let ended = sockets(vec![socket(1, false, 4_096)]);
    assert_eq!(happened(&ended, &ended), []);
    let storm = only(&ended, &sockets((1..=500).map(|id| socket(id, false, id)).collect()));
    assert_eq!((storm.count, storm.socket), (499, None));
    assert!(storm.text.starts_with("499 sockets"), "{}", storm.text);
}

fn tap(device: Option<u32>, holder: u32) -> Tap {
    let holders = vec![Holder { pid: holder, comm: "tcpdump".into() }];
    Tap { netns: 1, device, protocol: 3, running: true, holders }
}

#[test]
fn captures_come_and_go() {
    let taps =
        |taps| Snapshot { host: HostFacts { taps, ..HostFacts::default() }.into(), ..Snapshot::default() };
    let one = taps(Some(vec![tap(Some(2), 9)]));
    assert_eq!(happened(&taps(None), &one), [], "it was there before anybody looked");
    let two = taps(Some(vec![tap(Some(2), 9), tap(None, 10)]));
    let event = only(&one, &two);
    assert_eq!((event.kind, event.severity), (EventKind::TapOpened, Severity::Warning));
    assert!(event.text.contains("tcpdump (10)") && event.text.contains("all devices"), "{}", event.text);
    assert_eq!(only(&two, &one).kind, EventKind::TapClosed);
    assert_eq!(happened(&one, &taps(Some(vec![tap(Some(2), 11)]))), [], "the holder alone is no change");
}

fn host(sg: bool, resent_bytes: u64) -> Snapshot {
    let features = Features { scatter_gather: Some(sg), ..Features::default() };
    let device = Device {
        name: "eth0".into(),
        index: 2,
        kind: DeviceKind::Physical,
        driver: None,
        mtu: 1_500,
        up: true,
        running: true,
        features,
    };
    let facts = DeviceFacts { device, switches: None, numa_node: None };
    let space = NamespaceFacts { devices: [("eth0".into(), facts)].into(), ..NamespaceFacts::default() };
    let tcp = TcpFacts { sent_bytes: 10 * resent_bytes, resent_bytes, ..TcpFacts::default() };
    let facts =
        HostFacts { namespaces: [(1, space)].into(), sockets: [(4, tcp)].into(), ..HostFacts::default() };
    Snapshot { host: facts.into(), ..Snapshot::default() }
}

#[test]
fn switched_offloads_and_resent_bytes_are_told() {
    let event = only(&host(true, 1_000), &host(false, 1_000));
    assert_eq!((event.id.as_str(), event.severity), ("device_features", Severity::Warning));
    assert_eq!(only(&host(false, 1_000), &host(true, 1_000)).severity, Severity::Info);
    let event = only(&host(true, 1_000), &host(true, 2_000));
    assert_eq!((event.kind, event.socket), (EventKind::Resent, Some(4)));
    assert!(event.text.contains("10.0 %"), "{}", event.text);
}

fn finding(id: &str, paths: Vec<Path>) -> Finding {
    let about = About { paths, ..About::default() };
    Finding {
        id: id.into(),
        title: format!("{id} now"),
        about,
        severity: Severity::Critical,
        ..Finding::default()
    }
}

#[test]
fn findings_appear_and_go_and_may_change_their_figures() {
    let nothing = Snapshot::default();
    let of = |before: &[Finding], after: &[Finding]| -> Vec<(EventKind, Severity)> {
        let events = between(&nothing, &nothing, before, after);
        events.into_iter().map(|event| (event.kind, event.severity)).collect()
    };
    let one = [finding("optmem_near", vec![Path::MsgZerocopy])];
    assert_eq!(of(&[], &one), [(EventKind::Finding, Severity::Critical)]);
    assert_eq!(of(&one, &[]), [(EventKind::Gone, Severity::Info)]);
    let more = [Finding {
        title: "other figures".into(),
        ..finding("optmem_near", vec![Path::MsgZerocopy, Path::Sendfile])
    }];
    assert_eq!(of(&one, &more), []);
    let other = [finding("optmem_near", vec![Path::Sendfile])];
    assert_eq!(of(&one, &other).len(), 2);
    let many: Vec<Finding> = ["a", "b", "c", "d", "e", "f"].iter().map(|id| finding(id, vec![])).collect();
    let events = between(&nothing, &nothing, &[], &many);
    assert_eq!(events.len(), MOST);
    assert_eq!(events.iter().map(|event| event.count).sum::<u64>(), 6);
}

fn at(second: u64, kind: EventKind, socket: Option<u64>) -> Event {
    Event { at_ns: second * 1_000_000_000, socket, ..event(kind, Severity::Info, "x", "text".into()) }
}

#[test]
fn what_goes_on_becomes_one_episode_and_begins_anew_after_a_pause() {
    let resent = |second| at(second, EventKind::Resent, Some(second / 50));
    let events: Vec<Event> = [60, 52, 50, 30, 29, 1].into_iter().map(resent).collect();
    let found = episodes(events.iter());
    let seen: Vec<_> = found.iter().map(|e| (e.latest.at_ns / 1_000_000_000, e.events, e.socket)).collect();
    assert_eq!(seen, [(60, 3, Some(1)), (30, 2, Some(0)), (1, 1, Some(0))]);
    assert_eq!(found[0].first_ns, 50_000_000_000);
    let single: Vec<Event> = (0..3).rev().map(|second| at(second, EventKind::Copy, None)).collect();
    assert_eq!(episodes(single.iter()).len(), 3);
}

#[test]
fn a_thinned_point_keeps_the_severe_and_counts_the_rest() {
    let mut kept = vec![Event { severity: Severity::Critical, ..at(0, EventKind::Finding, None) }];
    for second in 1..=1_000 {
        append(&mut kept, &[at(second, EventKind::Resent, None)]);
    }
    assert!(kept.len() <= 64, "{}", kept.len());
    assert_eq!(kept[0].severity, Severity::Critical);
    let counted: u64 = kept.iter().map(|event| event.count).sum();
    assert_eq!(counted, 1_001);
}
