use super::*;
use crate::tui::fixtures_timeline;
use crate::tui::view_tests::{SIZES, app, draws_everywhere, screen};
use crate::tui::views::View;

#[test]
fn the_minute_at_all_sizes() {
    let shown = fixtures_timeline::minute();
    for (width, height) in SIZES {
        let app = app(View::Latency, &shown, &[]);
        insta::assert_snapshot!(format!("minute_{width}x{height}"), screen(&app, &shown, (width, height)));
    }
}

#[test]
fn tables_where_there_is_room_for_one_panel() {
    let shown = fixtures_timeline::minute();
    let window = app(View::Latency, &shown, &[Intent::NextPanel]);
    insta::assert_snapshot!("window_40x12", screen(&window, &shown, (40, 12)));
    let start = app(View::Latency, &shown, &[Intent::PreviousPanel]);
    insta::assert_snapshot!("start_80x24", screen(&start, &shown, (80, 24)));
}

#[test]
fn an_unknown_stage_says_why() {
    let shown = fixtures_timeline::minute();
    let rows = stages::stages(&shown.snapshot);
    let mut app = app(View::Latency, &shown, &[]);
    app.states.latency.chosen = Some((Path::UringSendZcFixed, LatencyKind::Release));
    assert!(rows.iter().any(|row| app.states.latency.chosen == Some((row.path, row.kind))));
    let text = screen(&app, &shown, (120, 40)).to_string();
    assert!(text.contains("n/a: no tracepoint tells when io_uring"), "{text}");
}

#[test]
fn the_choice_stays_when_a_path_comes_before_it() {
    let mut shown = fixtures_timeline::after(5);
    let mut app = app(View::Latency, &shown, &[Intent::Scroll(1), Intent::Scroll(isize::MAX)]);
    let chosen = app.states.latency.chosen;
    assert_eq!(chosen, Some((Path::Sendfile, LatencyKind::SendCall)));
    shown = fixtures_timeline::after(12);
    let rows = stages::stages(&shown.snapshot);
    assert_eq!(rows[app.states.latency.at(&shown, &rows)].path, Path::Sendfile);
    app.handle(Intent::Scroll(isize::MIN), &shown);
    assert_eq!(app.states.latency.chosen, Some((rows[0].path, rows[0].kind)));
    app.handle(Intent::Pick { panel: 1, row: 2 }, &shown);
    assert_eq!(app.states.latency.chosen, Some((rows[2].path, rows[2].kind)));
}

#[test]
fn every_topic_is_explained() {
    let shown = fixtures_timeline::minute();
    for topic in topics(&app(View::Latency, &shown, &[]), &shown) {
        assert!(!crate::explain::find(&topic).is_empty(), "{topic}");
    }
}

#[test]
fn it_is_drawn_at_every_size() {
    for shown in [fixtures_timeline::minute(), Shown::default()] {
        for focus in [0, 1, 2] {
            draws_everywhere(&app(View::Latency, &shown, &vec![Intent::NextPanel; focus]), &shown);
        }
    }
}
