//! Tests of the checks on constructed snapshots.

use super::*;
use crate::diagnose::findings;
use crate::model::Model;
use crate::model::sample::{CopyKind, CopySample, LatencySample, Sample, SocketSample};
use crate::model::snapshot::{Missing, Session};
use zcscope_common::{FlowCounters, Hist, LatencyKind, Path};

fn session(missing: &[&str]) -> Session {
    let missing = missing.iter().map(|f| Missing { fact: (*f).into(), why: "no kprobes".into() }).collect();
    Session { missing, ..Session::default() }
}

fn socket(path: Path, counters: &FlowCounters) -> SocketSample {
    SocketSample {
        id: 1,
        cookie: None,
        pid: 1,
        comm: "x".into(),
        local: "1.1.1.1:1".parse().unwrap(),
        remote: "1.1.1.1:2".parse().unwrap(),
        dev: None,
        netns: 0,
        cgroup: 0,
        uid: 0,
        gauges: zcscope_common::Gauges::default(),
        flows: vec![(path, *counters)],
    }
}

fn of(missing: &[&str], sample: Sample) -> Snapshot {
    let mut model = Model::new(session(missing));
    model.absorb(Sample { at_ns: 1, ..sample });
    model.snapshot()
}

/// `sendfile` of which 2 % were copied for want of scatter-gather.
fn snapshot(missing: &[&str], bytes: u64) -> Snapshot {
    let errors = [2, 0, 0, 0, 0, 0, 0, 0, 0];
    let counters = FlowCounters {
        calls: 100,
        bytes,
        raw_wire_bytes: bytes / 50,
        raw_silent_bytes: bytes / 50,
        errors,
        ..Default::default()
    };
    let kind = CopyKind {
        reason: Reason::NoScatterGather,
        site: "skb_segment".into(),
        caller: None,
        dev: Some("eth0".into()),
        clone: false,
        told: false,
        inferred: false,
    };
    let copy = CopySample { path: Path::Sendfile, kind, socket: Some(1), count: 3, bytes: bytes / 50 };
    of(
        missing,
        Sample { sockets: vec![socket(Path::Sendfile, &counters)], copies: vec![copy], ..Sample::default() },
    )
}

/// `MSG_ZEROCOPY` of which two sends were refused and all others ended after 8 ms.
fn zerocopy(missing: &[&str], with_times: bool) -> Snapshot {
    let counters = FlowCounters {
        calls: 102,
        bytes: 1_000_000,
        errors: [2, 0, 0, 0, 0, 0, 0, 0, 0],
        refused: [2, 0, 0, 0, 0, 0, 0, 0],
        zc_sends: 100,
        completed_sends: 100,
        completed_bytes: 1_000_000,
        told_reads: 50,
        told_sends: 100,
        ..Default::default()
    };
    let mut hist = Hist::default();
    (0..100).for_each(|_| hist.record(8_000_000));
    let latency = LatencySample { path: Path::MsgZerocopy, kind: LatencyKind::Release, hist: Box::new(hist) };
    let latency = if with_times { vec![latency] } else { Vec::new() };
    of(missing, Sample { sockets: vec![socket(Path::MsgZerocopy, &counters)], latency, ..Sample::default() })
}

fn judge(check: &str, snapshot: &Snapshot) -> Judged {
    parse(check).unwrap().judge(snapshot, &findings(snapshot))
}

fn sentence(check: &str, snapshot: &Snapshot) -> String {
    match judge(check, snapshot) {
        Judged::Violated(text) => text,
        other => panic!("{check}: {other:?}"),
    }
}

fn fails(check: &str) -> bool {
    judge(check, &snapshot(&[], 10_000_000)) != Judged::Good
}

#[test]
fn checks_compare_what_they_say() {
    // 2 % are copied: 200,000 bytes.
    assert!(fails("copied>1%"));
    assert!(!fails("copied>2%"));
    assert!(fails("copied >= 2 %"));
    assert!(fails("copied>=200kB"));
    assert!(!fails("copied>=200KiB"));
    assert!(fails("silent>0%"), "nobody is told of file pages");
    assert!(fails("zerocopied<99%"));
    assert!(fails("errors>=2%"));
    assert!(fails("errors>1"));
    assert!(!fails("lost>0"));
    assert!(!fails("in_flight>0"));
    assert!(fails("bytes<=10MB"));
}

#[test]
fn nonsense_is_refused_with_what_would_be_right() {
    for text in [
        "copied",
        "copied=1",
        "kopied>1",
        "copied>",
        "copied>x%",
        "lost>1%",
        "lost>1KiB",
        "copied>-1",
        "copied>1XB",
        "p99>5",
        "p99>5%",
        "p99>fast",
        "reason:nosuch",
        "finding:",
        "cause:optmem",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
    assert!(parse("kopied>1").unwrap_err().contains("zerocopied"));
    assert!(parse("reason:nosuch").unwrap_err().contains("explain"));
}

#[test]
fn times_are_of_the_release_of_buffers() {
    let slow = zerocopy(&[], true);
    assert!(sentence("p99>5ms", &slow).contains("p99 is 8.0"), "{}", sentence("p99>5ms", &slow));
    assert_eq!(judge("p99>20ms", &slow), Judged::Good);
    assert_eq!(
        judge("max<1s", &slow),
        Judged::Violated("the check failed because 'max<1s': max is 8.00 ms".into())
    );
    assert!(matches!(judge("p99>5ms", &zerocopy(&["uring_release"], false)), Judged::Unknown(_)));
    // File pages have no end that anybody sees.
    assert!(sentence("p50>1us", &snapshot(&[], 1_000)).contains("no verdict: there were no ends of sends"));
}

#[test]
fn a_reason_fails_with_its_finding_and_what_to_do() {
    let text = sentence("reason:no_scatter_gather", &snapshot(&[], 10_000_000));
    assert!(text.starts_with(
        "the check failed because 'reason:no_scatter_gather': no_scatter_gather: 195 KiB copied"
    ));
    assert!(text.contains("fix: "), "{text}");
    let text = sentence("reason:optmem", &zerocopy(&[], true));
    assert!(text.contains("2 times"), "{text}");
    assert_eq!(judge("reason:optmem", &snapshot(&[], 1_000)), Judged::Good);
    assert_eq!(judge("reason:loopback", &snapshot(&[], 1_000)), Judged::Good);
}

#[test]
fn a_finding_fails_whatever_its_figures() {
    let text = sentence("finding:silent_copies", &snapshot(&[], 10_000_000));
    assert!(text.contains("silent_copies"), "{text}");
    assert_eq!(judge("finding:lost", &snapshot(&[], 1_000)), Judged::Good);
}

#[test]
fn no_verdict_is_not_a_good_verdict() {
    for (check, missing) in [
        ("copied>1%", "copy"),
        ("reason:no_scatter_gather", "copy"),
        ("reason:optmem", "refused"),
        ("reason:header_pull", "copy_site"),
        ("finding:silent_copies", "copy"),
        ("finding:page_cache_miss", "page_cache"),
    ] {
        let nothing = of(&[missing], Sample::default());
        let seen = if check.starts_with("copied") { snapshot(&[missing], 1_000) } else { nothing };
        match judge(check, &seen) {
            Judged::Unknown(why) => assert!(why.contains("no kprobes"), "{check}: {why}"),
            other => panic!("{check}: {other:?}"),
        }
    }
    let text = sentence("copied>1%", &Snapshot::default());
    assert!(text.contains("no verdict"), "{text}");
}

#[test]
fn the_sentence_says_the_figure_and_the_findings_stand_below_it() {
    let text = sentence("copied>1%", &snapshot(&[], 10_000_000));
    let (first, rest) = text.split_once('\n').unwrap();
    assert_eq!(
        first,
        "the check failed because 'copied>1%': copied is 195 KiB, 2.0 % of the bytes requested without a copy"
    );
    assert!(rest.contains("no_scatter_gather on eth0"), "{rest}");
}
