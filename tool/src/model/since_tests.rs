//! The change since a mark: the ledger still adds up, and what moved is what came between.

use std::net::SocketAddr;

use zcscope_common::{Disagreement, Hist, Reason};

use super::*;
use crate::model::sample::CopyKind;
use crate::model::snapshot::{InFlight, Percentiles, Place, SocketIdentity, SpreadFigures};

/// A path with a ledger: requested, copied and in-flight bytes; the rest is zero-copied.
fn path(requested: u64, copied: u64, in_flight: u64) -> PathFigures {
    PathFigures {
        calls: requested / 10,
        bytes: requested,
        ledger: Some(Ledger {
            requested_bytes: requested,
            zerocopied_bytes: Some(requested - copied - in_flight),
            copied_bytes: Some(copied),
            clone_copied_bytes: Some(0),
            silent_copied_bytes: Some(copied / 2),
        }),
        in_flight: Some(InFlight { sends: in_flight / 10, bytes: in_flight, pages: None }),
        completions: Some(Box::new(Completions {
            sends: (requested - in_flight) / 10,
            ..Completions::default()
        })),
        ..PathFigures::nothing(Path::MsgZerocopy)
    }
}

fn snapshot(second: u64, paths: Vec<PathFigures>) -> Snapshot {
    Snapshot { duration_ns: second * 1_000_000_000, paths, ..Snapshot::default() }
}

fn socket(id: u64, paths: Vec<PathFigures>) -> Arc<SocketFigures> {
    let any: SocketAddr = ([127, 0, 0, 1], 1).into();
    Arc::new(SocketFigures {
        identity: Arc::new(SocketIdentity {
            id,
            cookie: None,
            pid: 7,
            comm: "sender".into(),
            local: any,
            remote: any,
            dev: None,
            uid: 0,
            place: Place::default(),
        }),
        gauges: None,
        alive: true,
        paths,
    })
}

fn adds_up(path: &PathFigures) -> bool {
    let ledger = path.ledger.unwrap();
    let parts = [ledger.zerocopied_bytes, ledger.copied_bytes, path.in_flight.map(|held| held.bytes)];
    let lost = path.completions.as_deref().unwrap().lost_end_bytes;
    parts.into_iter().sum::<Option<u64>>().unwrap() + lost == ledger.requested_bytes
}

#[test]
fn the_ledger_is_the_difference_and_adds_up() {
    let since = snapshot(9, vec![path(1_000, 300, 50)]).since(&snapshot(4, vec![path(400, 100, 0)]));
    assert_eq!(since.duration_ns, 5_000_000_000);
    let ledger = since.paths[0].ledger.unwrap();
    assert_eq!(
        (ledger.requested_bytes, ledger.copied_bytes, ledger.zerocopied_bytes),
        (600, Some(200), Some(350))
    );
    assert_eq!((since.paths[0].bytes, ledger.silent_copied_bytes), (600, Some(100)));
    assert!(adds_up(&since.paths[0]));
}

#[test]
fn what_was_in_flight_at_the_mark_is_settled_after_it() {
    let since = snapshot(2, vec![path(400, 0, 0)]).since(&snapshot(1, vec![path(400, 0, 100)]));
    let ledger = since.paths[0].ledger.unwrap();
    assert_eq!((ledger.requested_bytes, ledger.zerocopied_bytes), (100, Some(100)));
    assert_eq!(since.paths[0].bytes, 0);
}

#[test]
fn bytes_copied_after_the_mark_count_though_they_were_requested_before() {
    let since = snapshot(2, vec![path(400, 300, 0)]).since(&snapshot(1, vec![path(400, 0, 0)]));
    let ledger = since.paths[0].ledger.unwrap();
    assert_eq!(
        (ledger.requested_bytes, ledger.copied_bytes, ledger.zerocopied_bytes),
        (300, Some(300), Some(0))
    );
}

/// Any two states of a growing ledger.
#[test]
fn it_adds_up_for_any_two_moments() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for _ in 0..20_000 {
        // Copied never shrinks, and never goes beyond what is not in flight.
        let (first, more) = (random(1_000), random(1_000));
        let held = random(first + 1);
        let copied = random(first - held + 1);
        let held_now = random(first + more - copied + 1);
        let copied_now = copied + random(first + more - held_now - copied + 1);
        let now = path(first + more, copied_now, held_now);
        let since = snapshot(2, vec![now]).since(&snapshot(1, vec![path(first, copied, held)]));
        for figures in &since.paths {
            assert!(adds_up(figures), "{first} {more} {held} {held_now} {copied} {copied_now}: {figures:?}");
            assert_eq!(figures.ledger.unwrap().copied_bytes, Some(copied_now - copied));
        }
    }
}

#[test]
fn unknown_stays_unknown() {
    let blind = |requested| {
        let ledger = Ledger { requested_bytes: requested, ..Ledger::default() };
        PathFigures {
            calls: requested,
            bytes: requested,
            ledger: Some(ledger),
            ..PathFigures::nothing(Path::Sendfile)
        }
    };
    let since = snapshot(2, vec![blind(30)]).since(&snapshot(1, vec![blind(10)]));
    let ledger = since.paths[0].ledger.unwrap();
    assert_eq!((ledger.requested_bytes, ledger.copied_bytes, ledger.zerocopied_bytes), (20, None, None));
}

#[test]
fn what_did_not_move_is_left_out_and_what_is_new_is_whole() {
    let idle = socket(1, vec![path(500, 0, 0)]);
    let busy = |bytes| socket(2, vec![path(bytes, 0, 0)]);
    let held = socket(3, vec![path(20, 0, 10)]);
    let mark =
        Snapshot { sockets: vec![Arc::clone(&idle), busy(50), Arc::clone(&held)], ..snapshot(1, vec![]) };
    let sockets = vec![idle, socket(4, vec![path(40, 0, 0)]), busy(120), held];
    let since = Snapshot { sockets, ..snapshot(2, vec![]) }.since(&mark);
    let rows: Vec<_> = since.sockets.iter().map(|row| (row.id, row.paths[0].bytes)).collect();
    assert_eq!(rows, [(2, 70), (4, 40), (3, 0)], "most bytes first");
    assert!(since.paths.is_empty());
}

#[test]
fn copies_refusals_and_notifications_are_those_since() {
    let kind = |site: &str| {
        Arc::new(CopyKind {
            reason: Reason::Loopback,
            site: site.into(),
            caller: None,
            dev: None,
            clone: false,
            told: true,
            inferred: false,
        })
    };
    let with = |counts: [u64; 2], refused: u64, wrong: u64| {
        let copies = ["a", "b"].iter().zip(counts).map(|(site, n)| CopyFigures {
            kind: kind(site),
            count: n,
            bytes: n * 100,
            bytes_per_s: 0,
            first_ns: 0,
            last_ns: 0,
        });
        let ends = Completions {
            sends: wrong,
            told_sends: Some(wrong),
            disagreements: Some(vec![WrongSends {
                kind: Disagreement::ALL[0],
                sends: wrong,
                inferred: false,
            }]),
            range_length: Some(SpreadFigures::default()),
            ..Completions::default()
        };
        let mut figures =
            PathFigures { copies: copies.collect(), completions: Some(Box::new(ends)), ..path(100, 0, 0) };
        figures.refused = vec![(Reason::Optmem, refused)];
        figures.errors = [("EAGAIN", refused), ("ENOBUFS", 3)].into();
        figures
    };
    let since = snapshot(2, vec![with([5, 9], 2, 8)]).since(&snapshot(1, vec![with([5, 2], 2, 3)]));
    let figures = &since.paths[0];
    assert_eq!(figures.copies.iter().map(|c| (c.count, c.bytes)).collect::<Vec<_>>(), [(7, 700)]);
    assert!(figures.refused.is_empty());
    assert_eq!(figures.errors, [("ENOBUFS", 0)].into());
    let ends = figures.completions.as_deref().unwrap();
    assert_eq!((ends.told_sends, ends.range_length), (Some(5), None));
    assert_eq!(ends.disagreements.as_ref().unwrap()[0].sends, 5);
}

#[test]
fn percentiles_are_of_what_ended_since() {
    let with = |durations: &[u64]| {
        let mut hist = Hist::default();
        durations.iter().for_each(|ns| hist.record(*ns));
        let mut figures = path(100 * durations.len() as u64, 0, 0);
        let all = percentiles(&hist);
        figures.completions =
            Some(Box::new(Completions { latency: all, sends: hist.count, ..Completions::default() }));
        let latency =
            LatencyFigures { path: Path::MsgZerocopy, kind: LatencyKind::Release, hist: Arc::new(hist) };
        Snapshot { latency: vec![latency], ..snapshot(durations.len() as u64, vec![figures]) }
    };
    let slow = [40_000_000; 9];
    let mark = with(&slow);
    let now = with(&[&slow[..], &[5_000, 5_000, 6_000]].concat());
    let since = now.since(&mark);
    let latency: Percentiles = since.paths[0].completions.as_deref().unwrap().latency.unwrap();
    assert_eq!((latency.count, latency.min), (3, 5_000));
    assert!(latency.max < 10_000 && latency.p50 < 6_000, "{latency:?}");
    // Of a socket without a histogram, what it was at the mark hides what came after; of one with, it does not.
    let mark = Snapshot { sockets: vec![socket(1, mark.paths.clone())], ..mark };
    let now = Snapshot { sockets: vec![socket(1, now.paths.clone())], ..now };
    let of_socket = |now: &Snapshot, mark: &Snapshot| {
        now.since(mark).sockets[0].paths[0].completions.as_deref().unwrap().latency
    };
    assert_eq!(of_socket(&now, &mark), None);
    let with_histogram = |snapshot: &Snapshot| {
        let mut paths = snapshot.paths.clone();
        let sparse = SparseHist::of(&snapshot.latency[0].hist);
        paths[0].completions.as_mut().unwrap().release = Some(Arc::new(sparse));
        Snapshot { sockets: vec![socket(1, paths)], ..snapshot.clone() }
    };
    assert_eq!(of_socket(&with_histogram(&now), &with_histogram(&mark)), Some(latency));
}

#[test]
fn programs_are_a_price_per_call_only_when_every_call_counts() {
    let costs = |runs, filtered| {
        let program = ProgramSample { name: "p".into(), runs, run_ns: runs * 100 };
        Some(ProgramCosts { programs: vec![program], filtered })
    };
    let at = |calls, filtered| {
        let copy = PathFigures { calls, ..PathFigures::nothing(Path::Copy) };
        Snapshot { paths: vec![copy], programs: costs(2 * calls, filtered), ..Snapshot::default() }
    };
    assert_eq!(at(10, false).program_ns_per_call(), Some(200));
    assert_eq!(at(10, true).program_ns_per_call(), None, "they ran for others, too");
    assert_eq!(at(0, false).program_ns_per_call(), None);
    let since = at(10, false).since(&at(4, false));
    assert_eq!((since.programs.clone(), since.program_ns_per_call()), (costs(12, false), Some(200)));
}
