//! Tests of the findings.

use std::collections::BTreeMap;

use zcscope_common::{Path, Reason};

use super::*;
use crate::model::sample::CopyKind;
use crate::model::snapshot::{Completions, CopyFigures, Ledger, Lost};

fn copy(reason: Reason, bytes: u64, told: bool, clone: bool) -> CopyFigures {
    let kind = CopyKind {
        reason,
        site: "skb_segment".into(),
        caller: Some("__skb_gso_segment".into()),
        dev: Some("eth0".into()),
        clone,
        told,
        inferred: false,
    };
    CopyFigures { kind: kind.into(), count: 3, bytes, bytes_per_s: 0 }
}

fn path(copied: u64, silent: u64, copies: Vec<CopyFigures>) -> PathFigures {
    PathFigures {
        calls: 50,
        errors: BTreeMap::from([("ENOBUFS", 0)]),
        bytes: 1_000_000,
        ledger: Some(Ledger {
            requested_bytes: 1_000_000,
            zerocopied_bytes: Some(1_000_000 - copied),
            copied_bytes: Some(copied),
            clone_copied_bytes: Some(0),
            silent_copied_bytes: Some(silent),
        }),
        copies,
        completions: Some(Completions { sends: 100, units: 50, ..Completions::default() }),
        ..PathFigures::nothing(Path::MsgZerocopy)
    }
}

fn of(path: PathFigures) -> Vec<(String, Severity)> {
    let snapshot = Snapshot { paths: vec![path], ..Snapshot::default() };
    findings(&snapshot).into_iter().map(|f| (f.id, f.severity)).collect()
}

fn has(found: &[(String, Severity)], id: &str, severity: Severity) -> bool {
    found.iter().any(|(i, s)| i == id && *s == severity)
}

#[test]
fn a_clean_path_has_no_findings() {
    assert_eq!(of(path(0, 0, vec![])), []);
    assert_eq!(of(path(10_000, 0, vec![copy(Reason::Xfrm, 10_000, true, false)])), [], "1 % is not over 1 %");
}

#[test]
fn silent_copies_are_critical_and_come_first() {
    let found = of(path(
        900_000,
        900_000,
        vec![
            copy(Reason::NoScatterGather, 900_000, false, false),
            copy(Reason::Loopback, 50_000, true, false),
        ],
    ));
    assert!(has(&found, "no_scatter_gather", Severity::Critical), "{found:?}");
    assert!(has(&found, "silent_copies", Severity::Critical), "{found:?}");
    assert_eq!(found.last(), Some(&("loopback".to_owned(), Severity::Info)));
}

#[test]
fn the_fix_names_the_device() {
    let path = path(900_000, 0, vec![copy(Reason::NoScatterGather, 900_000, false, false)]);
    let found = findings(&Snapshot { paths: vec![path], ..Snapshot::default() });
    assert_eq!(found[0].fix, ["ethtool -K eth0 sg on tso on"]);
    assert_eq!(found[0].bytes, 900_000);
    assert!(found[0].evidence[1].contains("skb_segment called by __skb_gso_segment: 3 copies"), "{found:?}");
}

#[test]
fn severity_follows_the_share_and_clones_are_warnings() {
    assert!(has(
        &of(path(20_000, 0, vec![copy(Reason::NoTxChecksum, 20_000, true, false)])),
        "no_tx_checksum",
        Severity::Warning
    ));
    assert!(has(
        &of(path(200_000, 0, vec![copy(Reason::NoTxChecksum, 200_000, true, false)])),
        "no_tx_checksum",
        Severity::Critical
    ));
    assert!(has(
        &of(path(0, 0, vec![copy(Reason::PacketTap, 990_000, true, true)])),
        "packet_tap",
        Severity::Warning
    ));
    assert!(has(
        &of(path(990_000, 0, vec![copy(Reason::LocalDelivery, 990_000, true, false)])),
        "local_delivery",
        Severity::Warning
    ));
}

#[test]
fn told_and_kernel_are_compared_within_what_was_read() {
    let told = |kernel, told_sends, told_copied| {
        let mut p = path(500_000, 0, vec![]);
        p.completions = Some(Completions {
            sends: 100,
            kernel_copied: kernel,
            told_sends: Some(told_sends),
            told_copied: Some(told_copied),
            ..Completions::default()
        });
        has(&of(p), "told_disagrees", Severity::Warning)
    };
    assert!(!told(50, 100, 50));
    assert!(told(50, 100, 20), "30 copied sends are hidden");
    assert!(told(20, 100, 50), "30 clean sends are called copied");
    assert!(!told(50, 60, 20), "the 40 unread sends may be the ones");
    assert!(told(50, 90, 20));
    assert!(!told(50, 0, 0), "nothing read, nothing told");
}

#[test]
fn flags_without_bytes_are_called_so() {
    let mut p = path(1_456, 0, vec![]);
    p.completions = Some(Completions { sends: 1_933, kernel_copied: 152, ..Completions::default() });
    assert!(has(&of(p), "told_more_than_copied", Severity::Info));
}

#[test]
fn refusals_by_reason_or_without() {
    let mut named = path(0, 0, vec![]);
    named.refused = vec![(Reason::Optmem, 7)];
    named.errors.insert("ENOBUFS", 7);
    assert_eq!(of(named.clone()), [("optmem".to_owned(), Severity::Critical)]);
    named.refused.clear();
    assert_eq!(of(named), [("enobufs".to_owned(), Severity::Critical)]);
}

#[test]
fn unread_notifications_and_loss_are_told() {
    let mut p = path(0, 0, vec![]);
    p.completions = Some(Completions {
        sends: 1_000,
        told_sends: Some(100),
        told_copied: Some(0),
        ..Completions::default()
    });
    assert_eq!(of(p), [("slow_reader".to_owned(), Severity::Info)]);
    let lost = Lost { total: 3, by_cause: [("ring_full".to_owned(), 3)].into() };
    let found = findings(&Snapshot { lost, ..Snapshot::default() });
    assert_eq!((found[0].id.as_str(), found[0].evidence[0].as_str()), ("lost", "ring_full: 3"));
}
