//! Tests of the findings.

use std::collections::BTreeMap;
use std::sync::Arc;

use zcscope_common::{Disagreement, Path, Reason};

use super::*;
use crate::model::sample::CopyKind;
use crate::model::sample::{BounceSample, FileReads, FileSample};
use crate::model::snapshot::{
    Completions, CopyFigures, DelayedAcks, GaugeFigures, Ledger, Limit, Lost, Percentiles, Place,
    ProcessFigures, Session, SocketFigures, SocketIdentity, WrongSends,
};

pub(super) fn copy(reason: Reason, bytes: u64, told: bool, clone: bool) -> CopyFigures {
    let kind = CopyKind {
        reason,
        site: "skb_segment".into(),
        caller: Some("__skb_gso_segment".into()),
        dev: Some("eth0".into()),
        clone,
        told,
        inferred: false,
    };
    CopyFigures { kind: kind.into(), count: 3, bytes, bytes_per_s: 0, first_ns: 0, last_ns: 0 }
}

pub(super) fn path(copied: u64, silent: u64, copies: Vec<CopyFigures>) -> PathFigures {
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
        completions: Some(Box::new(Completions { sends: 100, units: 50, ..Completions::default() })),
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
        p.completions = Some(Box::new(Completions {
            sends: 100,
            kernel_copied: kernel,
            told_sends: Some(told_sends),
            told_copied: Some(told_copied),
            ..Completions::default()
        }));
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
    p.completions =
        Some(Box::new(Completions { sends: 1_933, kernel_copied: 152, ..Completions::default() }));
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
    p.completions = Some(Box::new(Completions {
        sends: 1_000,
        told_sends: Some(100),
        told_copied: Some(0),
        unread_sends: Some(900),
        ..Completions::default()
    }));
    assert_eq!(of(p), [("slow_reader".to_owned(), Severity::Info)]);
    let lost = Lost { total: 3, by_cause: [("ring_full".to_owned(), 3)].into() };
    let found = findings(&Snapshot { lost, ..Snapshot::default() });
    assert_eq!((found[0].id.as_str(), found[0].evidence[0].as_str()), ("lost", "ring_full: 3"));
}

/// The ids found on a path after a change to its completions.
fn with(change: impl FnOnce(&mut Completions)) -> Vec<(String, Severity)> {
    let mut p = path(0, 0, vec![]);
    change(p.completions.as_mut().unwrap());
    of(p)
}

#[test]
fn every_kind_of_disagreement_has_a_finding_of_its_own() {
    let told = |kind, sends| {
        with(|c| {
            (c.told_sends, c.told_copied) = (Some(1_000), Some(0));
            c.disagreements = Some(vec![WrongSends { kind, sends, inferred: false }]);
        })
    };
    for kind in Disagreement::ALL {
        assert_eq!(told(kind, 10).len(), 1, "{kind:?}");
    }
    let one = |id: &str, severity| vec![(id.to_owned(), severity)];
    let silent = Disagreement::ToldZerocopyButCopied;
    assert_eq!(told(silent, 10), one("told_zerocopy_but_copied", Severity::Warning));
    assert_eq!(told(silent, 9), one("told_zerocopy_but_copied", Severity::Info), "less than 1 %");
    assert_eq!(told(Disagreement::ToldCopiedButNot, 10), one("told_copied_but_not", Severity::Warning));
    assert_eq!(told(Disagreement::MergedRange, 10), one("merged_range", Severity::Warning));
    assert_eq!(told(Disagreement::LinkedNotification, 999), one("linked_false_positive", Severity::Info));
    assert_eq!(told(Disagreement::FailedSend, 999), one("failed_send", Severity::Info));
}

#[test]
fn what_is_concluded_says_so() {
    let evidence = |inferred| {
        let mut p = path(0, 0, vec![]);
        let c = p.completions.as_mut().unwrap();
        let wrong = WrongSends { kind: Disagreement::ToldZerocopyButCopied, sends: 10, inferred };
        (c.told_sends, c.disagreements) = (Some(10), Some(vec![wrong]));
        told::disagreements(&p).remove(0).evidence
    };
    assert!(evidence(true).iter().any(|line| line.contains("concluded")));
    assert!(!evidence(false).iter().any(|line| line.contains("concluded")));
}

#[test]
fn known_agreement_silences_the_guess_from_counts() {
    let differ = |known: bool| {
        with(|c| {
            (c.kernel_copied, c.told_sends, c.told_copied) = (50, Some(100), Some(20));
            c.disagreements = known.then(Vec::new);
        })
    };
    assert!(has(&differ(false), "told_disagrees", Severity::Warning));
    assert!(!differ(true).iter().any(|(id, _)| id == "told_disagrees"));
}

#[test]
fn late_reading_is_a_slow_reader() {
    let late = |p50| {
        with(|c| {
            (c.told_sends, c.unread_sends) = (Some(100), Some(0));
            c.read_latency = Some(Percentiles { p50, ..Percentiles::default() });
        })
    };
    assert_eq!(late(99_000_000), []);
    assert_eq!(late(100_000_000), [("slow_reader".to_owned(), Severity::Info)]);
}

#[test]
fn releases_at_forty_milliseconds_are_delayed_acks_unless_the_peer_is_far() {
    let delayed = |sends, before, min| {
        with(|c| {
            c.latency = Some(Percentiles { count: 100, min, ..Percentiles::default() });
            c.delayed_acks = Some(DelayedAcks { sends, before, ..DelayedAcks::default() });
        })
    };
    assert_eq!(delayed(10, 5, 50_000), [("delayed_ack".to_owned(), Severity::Warning)]);
    assert_eq!(delayed(9, 0, 50_000), [], "few");
    assert_eq!(delayed(100, 0, 39_000_000), [], "a round trip of 40 ms");
    assert_eq!(delayed(10, 6, 50_000), [], "no peak");
}

#[test]
fn lost_ends_are_told() {
    let lost = |n| with(|c| (c.lost_ends, c.lost_end_bytes) = (n, n));
    assert_eq!(lost(0), []);
    assert_eq!(lost(1), [("lost_ends".to_owned(), Severity::Warning)]);
}

#[test]
fn small_zerocopy_sends_are_told() {
    let sends = |calls, failed| {
        let mut p = path(0, 0, vec![]);
        (p.calls, p.send_ns_per_kib) = (calls, Some(900));
        p.errors.insert("EAGAIN", failed);
        p
    };
    assert_eq!(of(sends(97, 0)), [], "too few to say");
    assert_eq!(of(sends(100, 3)), [], "10.3 KB each, in 97 sends");
    assert_eq!(of(sends(100, 0)), [("small_send".to_owned(), Severity::Warning)], "9.77 KiB each");
    let plain = PathFigures { send_ns_per_kib: Some(200), ..PathFigures::nothing(Path::Copy) };
    let both = Snapshot { paths: vec![plain, sends(1_000, 0)], ..Snapshot::default() };
    assert_eq!(
        findings(&both)[0].evidence[1],
        "time in the call: 900 ns per KiB, plain sends 200 ns per KiB"
    );
    let sendfile = PathFigures { path: Path::Sendfile, completions: None, ..sends(1_000, 0) };
    assert_eq!(of(sendfile), [], "sendfile neither pins nor notifies");
}

#[test]
fn full_packets_matter_when_their_fragments_are_small() {
    let limit = |splits, frags| {
        let mut p = path(0, 0, vec![]);
        p.notes = Some(vec![(Reason::FragLimit, splits)]);
        (p.attached_bytes, p.frags) = (Some(1_000_000), Some(frags));
        of(p)
    };
    assert_eq!(limit(5, 1_000), [("frag_limit".to_owned(), Severity::Warning)]);
    assert_eq!(limit(4, 1_000), [], "fewer than 10 % of the calls");
    assert_eq!(limit(50, 244), [], "whole pages fill a packet of 64 KiB");
    assert_eq!(limit(50, 277), [], "memory that begins within a page nearly does");
}

#[test]
fn mixed_sends_are_told_when_they_are_a_habit() {
    let mixed = |times| {
        let mut p = path(0, 0, vec![]);
        (p.calls, p.notes) = (90, Some(vec![(Reason::MixedSocket, times)]));
        of(p)
    };
    assert_eq!(mixed(1), [("mixed_socket".to_owned(), Severity::Info)]);
    assert_eq!(mixed(0), []);
}

#[test]
fn every_refusal_is_named_and_abort_is_ordinary() {
    let refused = |reason| {
        let mut p = path(0, 0, vec![]);
        p.refused = vec![(reason, 7)];
        of(p)
    };
    assert_eq!(refused(Reason::Unsupported), [("unsupported".to_owned(), Severity::Critical)]);
    assert_eq!(refused(Reason::Aborted), [("aborted".to_owned(), Severity::Info)]);
}

pub(super) fn socket_with(gauges: GaugeFigures) -> SocketFigures {
    SocketFigures {
        identity: Arc::new(SocketIdentity {
            id: 1,
            cookie: None,
            pid: 7,
            comm: "app".into(),
            local: "10.9.0.1:4".parse().unwrap(),
            remote: "10.9.0.2:9999".parse().unwrap(),
            dev: None,
            uid: 0,
            place: Place::default(),
        }),
        gauges: Some(gauges.into()),
        alive: true,
        paths: Vec::new(),
    }
}

pub(super) fn process(paths: Vec<PathFigures>) -> ProcessFigures {
    ProcessFigures {
        pid: 7,
        comm: "app".into(),
        place: Place::default(),
        gauges: None,
        memlock_limit: None,
        paths,
    }
}

fn ids(snapshot: &Snapshot) -> Vec<String> {
    findings(snapshot).into_iter().map(|f| f.id).collect()
}

#[test]
fn option_memory_near_its_limit_is_told_unless_it_was_reached() {
    let near = |peak, refused: bool| {
        let gauges = GaugeFigures {
            optmem_peak_bytes: Some(peak),
            optmem_max_bytes: Some(1_000),
            ..GaugeFigures::default()
        };
        let mut p = path(0, 0, vec![]);
        p.refused = refused.then_some((Reason::Optmem, 1)).into_iter().collect();
        ids(&Snapshot { paths: vec![p], sockets: vec![socket_with(gauges).into()], ..Snapshot::default() })
    };
    assert_eq!(near(799, false), [] as [String; 0]);
    assert_eq!(near(800, false), ["optmem_near"]);
    assert_eq!(near(1_000, true), ["optmem"]);
}

#[test]
fn pinned_memory_near_its_limit_is_told() {
    let near = |limit, page_bytes| {
        let gauges = GaugeFigures { locked_pages: Some(80), ..GaugeFigures::default() };
        let process = ProcessFigures { gauges: Some(gauges), memlock_limit: limit, ..process(vec![]) };
        let session = Session { page_bytes, ..Session::default() };
        findings(&Snapshot { session, processes: vec![process], ..Snapshot::default() })
    };
    let found = near(Some(Limit::Bytes(409_600)), 4_096);
    assert_eq!(found[0].id, "memlock_near");
    assert!(found[0].fix[0].contains("--pid 7 "), "{found:?}");
    assert_eq!(near(Some(Limit::Bytes(409_601)), 4_096), []);
    assert_eq!(near(Some(Limit::Unlimited), 4_096), []);
    assert_eq!(near(None, 4_096), []);
    assert_eq!(near(Some(Limit::Bytes(1)), 0), [], "the size of a page is not known");
}

#[test]
fn a_server_that_reads_and_sends_could_use_sendfile() {
    const MIB: u64 = 1 << 20;
    let server = |read, sent, path| {
        let figures = PathFigures { bytes: sent, ..PathFigures::nothing(path) };
        ids(&Snapshot {
            processes: vec![process(vec![figures])],
            file_reads: Some(vec![FileReads { pid: 7, comm: "app".into(), bytes: read }]),
            ..Snapshot::default()
        })
    };
    assert_eq!(server(MIB, MIB, Path::Copy), ["sendfile_possible"]);
    assert_eq!(server(2 * MIB, 4 * MIB, Path::Copy), ["sendfile_possible"]);
    assert!(server(MIB - 1, MIB, Path::Copy).is_empty(), "too little");
    assert!(server(2 * MIB, 4 * MIB + 1, Path::Copy).is_empty(), "less than half of what it sends");
    assert!(server(2 * MIB, 2 * MIB, Path::Sendfile).is_empty(), "it does already");
}

pub(super) fn file(copied: u64, missed: u64) -> Snapshot {
    let row = FileSample {
        pid: 7,
        comm: "app".into(),
        path: Path::Sendfile,
        name: "movie.mkv".into(),
        filesystem: "ext4".into(),
        inode: 9,
        calls: Some(1),
        chunks: 2,
        bytes: 200 << 20,
        cache_miss_bytes: Some(missed),
        copy_read_bytes: Some(copied),
        direct: true,
    };
    Snapshot { files: Some(vec![row.into()]), ..Snapshot::default() }
}

#[test]
fn files_that_are_copied_or_not_cached_are_named() {
    let found = findings(&file(100 << 20, 0));
    assert_eq!((found[0].id.as_str(), found[0].bytes), ("splice_copy_read", 100 << 20));
    assert_eq!(
        found[0].evidence[0],
        "7 app movie.mkv: 100 MiB of 200 MiB read into new pages (ext4, O_DIRECT)"
    );
    assert!(ids(&file(2 << 20, 2 << 20)).is_empty(), "1 % is not over 1 %");
    assert_eq!(ids(&file(0, 50 << 20)), ["page_cache_miss"]);
    // Their copies say so already: one finding, with the files.
    let copies = vec![copy(Reason::SpliceCopyRead, 900_000, false, false)];
    let sendfile = PathFigures { path: Path::Sendfile, completions: None, ..path(900_000, 0, copies) };
    let found = findings(&Snapshot { paths: vec![sendfile], ..file(100 << 20, 0) });
    let one: Vec<_> = found.iter().filter(|f| f.id == "splice_copy_read").collect();
    assert_eq!(one.len(), 1);
    assert!(one[0].evidence.last().unwrap().contains("movie.mkv"));
}

#[test]
fn received_bytes_that_were_not_mapped_have_reasons() {
    let received = |bytes, reason| {
        let ledger = Ledger {
            requested_bytes: 1_000,
            zerocopied_bytes: Some(900),
            copied_bytes: Some(100),
            silent_copied_bytes: Some(0),
            clone_copied_bytes: Some(0),
        };
        of(PathFigures {
            bytes: 1_000,
            ledger: Some(ledger),
            skip_hint_bytes: Some(9_000),
            copies: vec![copy(reason, bytes, true, false)],
            ..PathFigures::nothing(Path::RecvZerocopy)
        })
    };
    assert_eq!(received(9_000, Reason::RxUnaligned), [("rx_unaligned".to_owned(), Severity::Warning)]);
    assert_eq!(received(9_000, Reason::RxMappedPage), [("rx_mapped_page".to_owned(), Severity::Info)]);
    assert_eq!(received(100, Reason::RxSmallQueue), [], "1 % of what was offered");
}

#[test]
fn bounce_buffers_are_told_where_something_was_sent_without_a_copy() {
    let bounced = |bytes, paths| {
        let row = BounceSample { device: "0000:00:03.0".into(), count: 2, bytes };
        findings(&Snapshot { bounces: Some(vec![row]), paths, ..Snapshot::default() })
    };
    let found = bounced(8_192, vec![path(1_000_000, 0, Vec::new())]);
    assert_eq!((found[0].id.as_str(), found[0].bytes), ("dma_bounce", 8_192));
    assert_eq!(
        found[0].evidence,
        ["0000:00:03.0: 8.00 KiB in 2 mappings, of all programs on this host together"]
    );
    assert!(bounced(0, vec![path(1_000_000, 0, Vec::new())]).is_empty());
    assert!(bounced(8_192, vec![PathFigures { bytes: 7, ..PathFigures::nothing(Path::Copy) }]).is_empty());
}
