use super::*;
use crate::host::facts::OwnCost;
use crate::tui::view_tests::{SIZES, app, draws_everywhere, screen};
use crate::tui::views::View;
use crate::tui::{fixtures, fixtures_timeline};

fn minute() -> Shown {
    let mut shown = fixtures_timeline::minute();
    let mut host = shown.snapshot.host.as_ref().clone();
    let cost = OwnCost { cpu_permille: Some(13), rss_bytes: Some(21 << 20), ..OwnCost::default() };
    host.own_cost = Some(cost);
    shown.snapshot.host = host.into();
    shown
}

#[test]
fn the_minute_at_all_sizes() {
    let shown = minute();
    for (width, height) in SIZES {
        let app = app(View::Host, &shown, &[]);
        insta::assert_snapshot!(format!("minute_{width}x{height}"), screen(&app, &shown, (width, height)));
    }
}

#[test]
fn unknown_is_said_to_be_unknown() {
    let shown = Shown::of(fixtures::blind());
    let text = screen(&app(View::Host, &shown, &[]), &shown, (120, 60)).to_string();
    assert!(text.matches("n/a").count() >= 5, "{text}");
    assert!(text.contains("no copy function can be traced on this kernel"), "{text}");
}

#[test]
fn tab_goes_from_section_to_section_and_back() {
    let shown = minute();
    let mut app = app(View::Host, &shown, &[]);
    let first = |app: &App| {
        let _ = screen(app, &shown, (80, 24));
        app.states.host.first.get()
    };
    let mut seen = vec![first(&app)];
    for _ in 0..4 {
        app.handle(Intent::NextPanel, &shown);
        seen.push(first(&app));
    }
    assert!(seen.is_sorted() && seen[1] > 0, "{seen:?}");
    for _ in 0..4 {
        app.handle(Intent::PreviousPanel, &shown);
        let _ = first(&app);
    }
    assert_eq!(first(&app), 0);
}

#[test]
fn what_is_worth_a_look_is_in_the_first_line() {
    let shown = minute();
    let text = screen(&app(View::Host, &shown, &[]), &shown, (40, 12)).to_string();
    let line = text.lines().nth(2).unwrap().to_owned();
    assert!(line.contains("Loss") && line.contains("Devices"), "{line}");
}

#[test]
fn every_topic_is_explained() {
    let shown = minute();
    for topic in topics(&app(View::Host, &shown, &[]), &shown) {
        assert!(!crate::explain::find(&topic).is_empty(), "{topic}");
    }
}

#[test]
fn it_is_drawn_at_every_size() {
    for shown in [minute(), Shown::default(), Shown::of(fixtures::blind())] {
        draws_everywhere(&app(View::Host, &shown, &[Intent::Scroll(7)]), &shown);
    }
}
