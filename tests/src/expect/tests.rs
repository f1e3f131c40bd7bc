//! Each check must be able to fail.

use super::attach::{layout, refusals};
use super::bytes::uring_silence;
use super::told::{ends, marked, uring_disagreements};
use super::*;
use crate::stat_json::{
    Completions, Copies, Disagreement, InFlight, Missing, Process, Refused, Socket, Spread,
};

fn sent() -> Sent {
    Sent {
        calls: 4,
        bytes: 400,
        zerocopy_sends: 4,
        completions: 4,
        notifications: 2,
        told_copied: 4,
        ..Sent::new(SendPath::MsgZerocopy)
    }
}

fn loopback() -> Expect {
    Expect { told: Amount::All, copied: Amount::All, reason: Some("loopback"), ..ZERO_COPY }
}

fn figures() -> PathFigures {
    PathFigures {
        path: "msg_zerocopy".into(),
        calls: 4,
        bytes: 400,
        attached_bytes: Some(400),
        frags: Some(4),
        requested_bytes: Some(400),
        zerocopied_bytes: Some(0),
        copied_bytes: Some(400),
        clone_copied_bytes: Some(0),
        silent_copied_bytes: Some(0),
        copies: vec![Copies { reason: "loopback".into(), bytes: 400, ..Copies::default() }],
        completions: Some(Completions {
            sends: 4,
            units: Some(3),
            kernel_copied: Some(4),
            disagreements: None,
            notifications: Some(2),
            told_sends: Some(4),
            told_copied: Some(4),
            ..Completions::default()
        }),
        in_flight: Some(InFlight::default()),
        ..PathFigures::default()
    }
}

fn stat(figures: PathFigures) -> Stat {
    Stat {
        schema: "zcscope.stat/1".into(),
        sources: [("send".to_owned(), "fentry:tcp_sendmsg_locked".to_owned())].into(),
        missing: vec![Missing { fact: "ktls_recv".into(), why: "another function".into() }],
        paths: vec![figures.clone()],
        processes: vec![Process { pid: sent().pid, comm: "t".into(), paths: vec![figures.clone()] }],
        sockets: vec![Socket {
            pid: sent().pid,
            dev: Some("lo".into()),
            paths: vec![figures],
            ..Socket::default()
        }],
        ..Stat::default()
    }
}

/// Complaints about a report that is right but for one change.
fn complaints(change: impl FnOnce(&mut PathFigures)) -> Vec<String> {
    let mut figures = figures();
    change(&mut figures);
    report(&loopback(), &[sent()], "lo", &stat(figures), Some(Backend::Fentry))
}

#[test]
fn a_right_report_has_no_complaint() {
    assert_eq!(complaints(|_| {}), Vec::<String>::new());
}

#[test]
fn every_wrong_figure_is_named() {
    type Change = fn(&mut PathFigures);
    let changes: [(&str, Change); 13] = [
        ("1 of 4 sends were not flagged", |f| f.completions.as_mut().unwrap().kernel_copied = Some(3)),
        ("bytes: 401", |f| f.bytes = 401),
        ("calls: 5", |f| f.calls = 5),
        ("copied bytes are 399", |f| f.copied_bytes = Some(399)),
        ("copied bytes are not known", |f| f.copied_bytes = None),
        ("silently copied bytes", |f| f.silent_copied_bytes = Some(1)),
        ("second consumer", |f| f.clone_copied_bytes = Some(1)),
        ("is not 400 requested", |f| f.zerocopied_bytes = Some(3)),
        ("still in flight", |f| f.in_flight = Some(InFlight { sends: 1, bytes: 0 })),
        ("unexpected reason, tun_tap", |f| f.copies[0].reason = "tun_tap".into()),
        ("completed sends: 3", |f| f.completions.as_mut().unwrap().sends = 3),
        ("sends told copied: 0", |f| f.completions.as_mut().unwrap().told_copied = Some(0)),
        ("frags are not known", |f| f.frags = None),
    ];
    for (text, change) in changes {
        let complaints = complaints(change);
        assert!(complaints.iter().any(|c| c.contains(text)), "{text:?} not in {complaints:?}");
    }
}

#[test]
fn loss_strangers_and_sources_are_named() {
    let mut stat = stat(figures());
    stat.lost.total = 1;
    stat.processes.push(Process { pid: 1, comm: "init".into(), paths: Vec::new() });
    stat.sockets[0].dev = None;
    stat.missing.push(Missing { fact: "told".into(), why: " ".into() });
    let complaints = report(&loopback(), &[sent()], "lo", &stat, Some(Backend::Fentry)).join("\n");
    for text in [
        "lost",
        "1 init with 0 bytes",
        "goes over lo",
        "`told` should be known by fentry",
        "`told` is missing without a reason",
    ] {
        assert!(complaints.contains(text), "{text:?} not in {complaints}");
    }
}

#[test]
fn a_link_that_is_not_what_it_seems_is_named() {
    let told_nothing = Sent { told_copied: 0, ..sent() };
    assert_eq!(truth(&loopback(), &[told_nothing], None).len(), 1);
    assert_eq!(truth(&loopback(), &[sent()], Some(Received { bytes: 399, ..Received::default() })).len(), 1);
    assert_eq!(
        truth(&loopback(), &[sent()], Some(Received { bytes: 400, ..Received::default() })),
        Vec::<String>::new()
    );
}

#[test]
fn amounts() {
    assert!(
        Amount::Below(1).holds(9, 1000) && !Amount::Below(1).holds(10, 1000) && Amount::Below(1).holds(0, 0)
    );
    assert!(Amount::All.holds(0, 0) && !Amount::All.holds(1, 2));
    assert!(Amount::AtLeast(20).holds(20, 100) && !Amount::AtLeast(20).holds(19, 100));
    assert!(Amount::Some.holds(1, 9) && !Amount::Some.holds(0, 9) && !Amount::None.holds(1, 9));
}

#[test]
fn the_back_end_must_be_the_forced_one_and_say_what_it_misses() {
    let mut stat = stat(figures());
    let one = |stat: &Stat, forced| sources(stat, forced).join("\n");
    assert_eq!(one(&stat, None), "");
    assert!(one(&stat, Some(Backend::Kprobe)).contains("not kprobe"));
    stat.sources.insert("send".into(), "tracepoint:sock_send_length".into());
    assert!(one(&stat, None).contains("`frags` should be listed as missing"));
    stat.missing = Backend::Tracepoint
        .must_miss()
        .iter()
        .map(|fact| Missing { fact: (*fact).into(), why: "no tracepoint".into() })
        .collect();
    assert_eq!(one(&stat, Some(Backend::Tracepoint)), "");
    stat.sources.clear();
    assert!(one(&stat, None).contains("not any back end"));
}

#[test]
fn a_missing_fact_needs_no_figure_but_may_not_have_one() {
    let mut figures = figures();
    let mut stat = stat(figures.clone());
    stat.missing.push(Missing { fact: "completion".into(), why: "x".into() });
    assert_eq!(ends(&figures, &sent(), &stat).len(), 1);
    figures.completions = None;
    assert_eq!(ends(&figures, &sent(), &stat), Vec::<String>::new());
    stat.missing.clear();
    assert_eq!(ends(&figures, &sent(), &stat), ["completions are not known"]);
}

#[test]
fn refused_calls_are_counted_by_reason() {
    let refused = |count| vec![Refused { reason: "optmem".into(), count }];
    let sent = Sent { errors: [("ENOBUFS".to_owned(), 3)].into(), ..sent() };
    let with = |refused| PathFigures { refused, ..figures() };
    let check = |figures: &PathFigures, expect| refusals(&expect, figures, &sent, &Stat::default());
    assert_eq!(check(&with(refused(3)), loopback()), Vec::<String>::new());
    assert_eq!(check(&with(refused(2)), loopback()).len(), 1);
    assert_eq!(check(&with(Vec::new()), loopback()).len(), 1);
    let memlock = Expect { refused: super::Refused::Must("memlock"), ..loopback() };
    assert_eq!(check(&with(refused(3)), memlock).len(), 2);
    assert_eq!(truth(&memlock, &[super::Sent { errors: Default::default(), ..sent.clone() }], None).len(), 1);
}

#[test]
fn what_tracepoints_conclude_must_be_marked() {
    let with = |kind: &str, inferred| {
        let mut figures = figures();
        let wrong = vec![Disagreement { kind: kind.into(), sends: 1, inferred }];
        figures.completions.as_mut().unwrap().disagreements = Some(wrong);
        figures
    };
    let (fentry, tracepoint) = (Some(Backend::Fentry), Some(Backend::Tracepoint));
    assert_eq!(marked(&with("merged_range", true), tracepoint), None);
    assert!(marked(&with("merged_range", false), tracepoint).is_some());
    assert!(marked(&with("merged_range", true), fentry).is_some());
    assert_eq!(marked(&with("failed_send", false), tracepoint), None);
    assert!(marked(&with("failed_send", true), tracepoint).is_some());
}

#[test]
fn what_io_uring_told_wrongly_is_counted_by_kind() {
    let uring = Sent { path: SendPath::UringSendZc, told_copied: 3, ..sent() };
    let mut figures = figures();
    figures.silent_copied_bytes = Some(100);
    let with = |figures: &PathFigures, kind: &str, sends| {
        let mut figures = figures.clone();
        let wrong = vec![Disagreement { kind: kind.into(), sends, inferred: false }];
        figures.completions.as_mut().unwrap().disagreements = Some(wrong);
        figures
    };
    let copied = |figures: &PathFigures| uring_disagreements(&loopback(), figures, &uring);
    assert_eq!(copied(&with(&figures, "told_zerocopy_but_copied", 1)), Vec::<String>::new());
    assert_eq!(copied(&with(&figures, "linked_notification", 1)).len(), 2);
    assert_eq!(copied(&with(&figures, "failed_send", 1)).len(), 2);
    let linked = |figures: &PathFigures| uring_disagreements(&ZERO_COPY, figures, &uring);
    assert_eq!(linked(&with(&figures, "linked_notification", 3)), Vec::<String>::new());
    assert_eq!(linked(&with(&figures, "linked_notification", 2)).len(), 1);

    assert_eq!(uring_silence(&loopback(), &figures, &uring), None);
    figures.silent_copied_bytes = Some(99);
    assert!(uring_silence(&loopback(), &figures, &uring).is_some());
}

#[test]
fn pages_frags_and_notes_are_checked() {
    let wanted = Expect {
        layout: Some(Layout { pages: (2, 3), frags: (1, 1) }),
        notes: &["frag_limit"],
        ..loopback()
    };
    let right = PathFigures {
        pages: Some(8),
        bytes_per_frag: Some(Spread { count: 4, max: 100 }),
        frags_per_skb: Some(Spread { count: 2, max: 2 }),
        notes: vec![Refused { reason: "frag_limit".into(), count: 1 }],
        ..figures()
    };
    let check = |figures: &PathFigures| layout(&wanted, figures, &sent(), &stat(figures.clone()));
    assert_eq!(check(&right), Vec::<String>::new());
    assert_eq!(check(&PathFigures { pages: Some(7), ..right.clone() }).len(), 1);
    assert_eq!(check(&PathFigures { notes: Vec::new(), ..right.clone() }).len(), 1);
    assert_eq!(check(&PathFigures { frags_per_skb: None, ..right.clone() }).len(), 1);
    let mut blind = stat(right.clone());
    blind.missing.push(Missing { fact: "frags".into(), why: "x".into() });
    assert_eq!(layout(&wanted, &right, &sent(), &blind).len(), 2);
}
