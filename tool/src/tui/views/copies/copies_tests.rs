//! The view Copies as text, and how it is handled.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use zcscope_common::Reason;

use super::rows::What;
use crate::tui::fixtures;
use crate::tui::fixtures_timeline::minute;
use crate::tui::theme::Theme;
use crate::tui::views::{View, draw};
use crate::tui::{App, Intent, Shown};

fn app(shown: &Shown, intents: &[Intent]) -> App {
    let mut app = App::new(Theme::colour());
    app.handle(Intent::Show(View::Copies), shown);
    intents.iter().for_each(|intent| app.handle(*intent, shown));
    app
}

fn screen(app: &App, shown: &Shown, width: u16, height: u16) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    terminal.draw(|frame| draw(frame, app, shown)).expect("a test terminal never fails");
    terminal.backend().clone()
}

#[test]
fn at_all_sizes() {
    let shown = minute();
    for (width, height) in [(80, 24), (120, 40), (200, 60), (40, 12), (20, 5)] {
        insta::assert_snapshot!(
            format!("copies_{width}x{height}"),
            screen(&app(&shown, &[]), &shown, width, height)
        );
    }
}

#[test]
fn the_page_of_a_refusal_tells_use_and_limit() {
    let shown = minute();
    let rows = app(&shown, &[]).states.copies.ordered(&shown);
    let refused = What::Refused(Reason::Optmem);
    let row = rows.iter().position(|row| row.what == refused).expect("a refusal");
    let app = app(&shown, &[Intent::Pick { panel: 0, row }, Intent::Open]);
    insta::assert_snapshot!("page_80x24", screen(&app, &shown, 80, 24));
}

#[test]
fn nothing_copied_and_nothing_seen_are_told_apart() {
    for (name, snapshot) in [("empty", fixtures::empty()), ("blind", fixtures::blind())] {
        let mut shown = Shown::of(snapshot);
        shown.findings.clear();
        insta::assert_snapshot!(format!("{name}_80x24"), screen(&app(&shown, &[]), &shown, 80, 24));
    }
}

#[test]
fn the_selection_stays_with_its_row_when_the_order_changes() {
    let shown = minute();
    let selected = |app: &App| {
        let state = &app.states.copies;
        let rows = state.ordered(&shown);
        rows[state.place(&rows)].what.reason()
    };
    let first = selected(&app(&shown, &[]));
    let mut app = app(&shown, &[Intent::Scroll(1)]);
    let before = selected(&app);
    assert_ne!(before, first);
    for intent in [Intent::Sort, Intent::Reverse, Intent::SortBy(0), Intent::SortBy(0)] {
        app.handle(intent, &shown);
        assert_eq!(selected(&app), before, "{intent:?}");
    }
}

#[test]
fn the_selected_row_is_always_visible() {
    let shown = minute();
    for height in [5, 7, 12, 24] {
        let app = app(&shown, &[Intent::Scroll(isize::MAX)]);
        let rows = app.states.copies.ordered(&shown);
        let last = rows.last().expect("rows").what.reason().name();
        let text = screen(&app, &shown, 60, height).to_string();
        assert!(text.contains(&last[..8]), "{last} at {height} lines:\n{text}");
    }
}

#[test]
fn every_size_is_drawn_without_a_panic() {
    let shown = minute();
    for intents in [&[][..], &[Intent::Open, Intent::Scroll(99)]] {
        let app = app(&shown, intents);
        for (width, height) in (1..=220).step_by(17).flat_map(|w| (1..=70).step_by(7).map(move |h| (w, h))) {
            let _ = screen(&app, &shown, width, height);
        }
    }
}
