//! The view Receive as text.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use crate::model::snapshot::Missing;
use crate::tui::fixtures;
use crate::tui::theme::Theme;
use crate::tui::views::{View, draw};
use crate::tui::{App, Intent, Shown};

fn past() -> Shown {
    let at = |tick| {
        let mut snapshot = fixtures::moving(tick, 3);
        snapshot.session.missing.push(Missing {
            fact: "recv_splice".into(),
            why: "no tracepoint sees splice out of a socket; fentry or kprobes are needed".into(),
        });
        snapshot
    };
    let mut shown = Shown::of(at(1));
    (2..=160).for_each(|tick| shown.advance(at(tick)));
    shown
}

fn app(shown: &Shown, intents: &[Intent]) -> App {
    let mut app = App::new(Theme::colour());
    app.handle(Intent::Show(View::Receive), shown);
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
    let shown = past();
    for (width, height) in [(80, 24), (120, 40), (200, 60), (40, 12), (20, 5)] {
        insta::assert_snapshot!(
            format!("receive_{width}x{height}"),
            screen(&app(&shown, &[]), &shown, width, height)
        );
    }
}

#[test]
fn nothing_received_yet() {
    let shown = Shown::of(fixtures::empty());
    insta::assert_snapshot!("empty_80x24", screen(&app(&shown, &[]), &shown, 80, 24));
}

#[test]
fn every_panel_can_be_brought_to_the_front_of_small_screens() {
    let shown = past();
    for (steps, word) in [(0, "left"), (1, "rx_unaligned"), (2, "received")] {
        let app = app(&shown, &vec![Intent::NextPanel; steps]);
        let text = screen(&app, &shown, 80, 14).to_string();
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn every_size_is_drawn_without_a_panic() {
    for shown in [past(), Shown::of(fixtures::empty()), Shown::of(fixtures::blind())] {
        let app = app(&shown, &[Intent::Scroll(3)]);
        for (width, height) in (1..=220).step_by(17).flat_map(|w| (1..=70).step_by(7).map(move |h| (w, h))) {
            let _ = screen(&app, &shown, width, height);
        }
    }
}
