use std::sync::Arc;

use super::*;
use crate::model::snapshot::{GaugeFigures, Limit};
use crate::tui::view_tests::{SIZES, app, draws_everywhere, screen};
use crate::tui::views::View;
use crate::tui::{fixtures, fixtures_timeline};

#[test]
fn the_minute_at_all_sizes() {
    let shown = fixtures_timeline::minute();
    for (width, height) in SIZES {
        let app = app(View::Pinning, &shown, &[]);
        insta::assert_snapshot!(format!("minute_{width}x{height}"), screen(&app, &shown, (width, height)));
    }
}

#[test]
fn processes_and_the_other_panels() {
    let shown = fixtures_timeline::minute();
    let of = |intents: &[Intent]| app(View::Pinning, &shown, intents);
    insta::assert_snapshot!("processes_80x24", screen(&of(&[Intent::Group]), &shown, (80, 24)));
    insta::assert_snapshot!("paths_40x12", screen(&of(&[Intent::NextPanel]), &shown, (40, 12)));
    insta::assert_snapshot!("spreads_40x12", screen(&of(&[Intent::PreviousPanel]), &shown, (40, 12)));
}

fn gauges(used: u64, peak: u64) -> GaugeFigures {
    GaugeFigures {
        optmem_bytes: Some(used),
        optmem_peak_bytes: Some(peak),
        optmem_max_bytes: Some(1_000),
        locked_pages: Some(10),
        ..GaugeFigures::default()
    }
}

#[test]
fn the_fullest_comes_first_and_the_dead_hold_nothing() {
    let mut snapshot = fixtures::many(5);
    let uses = [(100, 900), (500, 500), (100, 950), (999, 999), (300, 300)];
    for (socket, (used, peak)) in snapshot.sockets.iter_mut().zip(uses) {
        let socket = Arc::make_mut(socket);
        socket.gauges = Some(gauges(used, peak).into());
        socket.alive = used != 999;
    }
    assert_eq!(fill::rows(&snapshot, By::Socket, 0, 9), [1, 4, 2, 0]);
    assert_eq!(fill::rows(&snapshot, By::Socket, 2, 1), [2]);
    let id = snapshot.sockets[2].id;
    assert_eq!(fill::place(&snapshot, By::Socket, Some(id)), 2);
    assert_eq!(fill::id_at(&snapshot, By::Socket, 99), Some(snapshot.sockets[0].id));
    assert!(fill::fullest(&snapshot).is_some_and(|(share, _)| share == 500_000));
}

#[test]
fn a_process_is_as_full_as_its_fullest_limit() {
    let mut snapshot = fixtures_timeline::minute().snapshot;
    snapshot.session.page_bytes = 4_096;
    for (process, limit) in
        snapshot.processes.iter_mut().zip([Some(Limit::Unlimited), Some(Limit::Bytes(40_960)), None])
    {
        (process.gauges, process.memlock_limit) = (Some(gauges(10, 100)), limit);
    }
    assert_eq!(fill::memlock(&snapshot.processes[0], 4_096), None);
    assert_eq!(fill::memlock(&snapshot.processes[1], 4_096), Some(1_000_000));
    assert_eq!(fill::memlock(&snapshot.processes[1], 0), None, "pages of unknown size");
    assert_eq!(fill::rows(&snapshot, By::Process, 0, 1), [1]);
}

#[test]
fn bars_are_empty_only_for_nothing_and_full_only_for_all() {
    assert_eq!(fill::share(5, 0), None);
    assert_eq!(fill::cells(0, 10), 0);
    assert_eq!(fill::cells(1, 10), 1);
    assert_eq!(fill::cells(500_000, 10), 5);
    assert_eq!(fill::cells(5_000_000, 10), 10);
}

#[test]
fn what_cannot_be_seen_says_why() {
    let mut shown = fixtures_timeline::minute();
    for socket in &mut shown.snapshot.sockets {
        Arc::make_mut(socket).gauges = None;
    }
    let missing = crate::model::snapshot::Missing { fact: "gauges".into(), why: "no way to see".into() };
    shown.snapshot.session.missing.push(missing);
    let text = screen(&app(View::Pinning, &shown, &[]), &shown, (80, 24)).to_string();
    assert!(text.contains("n/a: no way to see"), "{text}");
}

#[test]
fn every_topic_is_explained() {
    let shown = fixtures_timeline::minute();
    for topic in topics(&app(View::Pinning, &shown, &[]), &shown) {
        assert!(!crate::explain::find(&topic).is_empty(), "{topic}");
    }
}

#[test]
fn it_is_drawn_at_every_size() {
    let many = Shown::of(fixtures::many(300));
    for shown in [fixtures_timeline::minute(), Shown::default(), many] {
        for intents in [&[][..], &[Intent::Group], &[Intent::NextPanel], &[Intent::PreviousPanel]] {
            draws_everywhere(&app(View::Pinning, &shown, intents), &shown);
        }
    }
}
