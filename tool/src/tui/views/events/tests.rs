use super::*;
use crate::tui::fixtures_timeline;
use crate::tui::view_tests::{SIZES, app, draws_everywhere, screen};
use crate::tui::views::View;

#[test]
fn the_minute_at_all_sizes() {
    let shown = fixtures_timeline::minute();
    for (width, height) in SIZES {
        let app = app(View::Events, &shown, &[]);
        insta::assert_snapshot!(format!("minute_{width}x{height}"), screen(&app, &shown, (width, height)));
    }
}

#[test]
fn the_page_of_an_event() {
    let shown = fixtures_timeline::minute();
    let mut app = app(View::Events, &shown, &[]);
    let of = rows(&app, &shown).iter().position(|row| row.latest.kind == EventKind::Refused).unwrap();
    app.handle(Intent::Scroll(of as isize), &shown);
    app.handle(Intent::Open, &shown);
    insta::assert_snapshot!("page_80x24", screen(&app, &shown, (80, 24)));
    app.handle(Intent::Close, &shown);
    assert!(!app.states.events.page);
}

#[test]
fn severities_are_filtered_and_go_round() {
    let shown = fixtures_timeline::minute();
    let counts: Vec<usize> =
        (0..4).map(|n| rows(&app(View::Events, &shown, &vec![Intent::Group; n]), &shown).len()).collect();
    assert!(counts[0] > counts[1] && counts[1] > counts[2], "{counts:?}");
    assert_eq!(counts[0], counts[3]);
}

#[test]
fn words_are_filtered() {
    let shown = fixtures_timeline::minute();
    let mut app = app(View::Events, &shown, &[]);
    app.states.events.filter.set("TCPDUMP");
    assert!(!rows(&app, &shown).is_empty());
    assert!(rows(&app, &shown).iter().all(|row| row.latest.text.contains("tcpdump")));
    app.states.events.filter.set("nothing of that");
    assert!(screen(&app, &shown, (80, 24)).to_string().contains("no event is of this severity"));
    app.handle(Intent::Close, &shown);
    assert!(rows(&app, &shown).len() > 5);
}

#[test]
fn the_selection_stays_on_its_event_when_others_come() {
    let shown = fixtures_timeline::after(30);
    let mut app = app(View::Events, &shown, &[Intent::Scroll(2)]);
    let before = rows(&app, &shown)[2].latest.text.clone();
    let later = fixtures_timeline::after(60);
    let now = rows(&app, &later);
    assert!(now.len() > 5);
    assert_eq!(now[app.states.events.at(&now)].latest.text, before);
    app.handle(Intent::Scroll(isize::MIN), &later);
    assert_eq!(app.states.events.selected, None, "the top follows");
}

#[test]
fn a_storm_is_one_row() {
    let shown = fixtures_timeline::minute();
    let app = app(View::Events, &shown, &[]);
    let storm = rows(&app, &shown).into_iter().filter(|row| row.latest.kind == EventKind::SocketEnd);
    let storm: Vec<_> = storm.collect();
    assert_eq!(storm.len(), 1);
    assert_eq!(storm[0].count, 120);
}

#[test]
fn every_event_of_the_minute_is_explained() {
    let shown = fixtures_timeline::minute();
    let app = app(View::Events, &shown, &[]);
    for row in rows(&app, &shown) {
        assert!(!crate::explain::find(&row.latest.id).is_empty(), "{:?}", row.latest);
    }
    assert!(topics(&app, &shown).iter().all(|topic| !crate::explain::find(topic).is_empty()));
}

#[test]
fn it_is_drawn_at_every_size() {
    for shown in [fixtures_timeline::minute(), Shown::default()] {
        for page in [false, true] {
            let mut app = app(View::Events, &shown, &[Intent::Scroll(4)]);
            app.states.events.page = page;
            draws_everywhere(&app, &shown);
        }
    }
}
