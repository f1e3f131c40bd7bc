use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::tui::theme::{Depth, Named, Theme};
use crate::tui::{draw as draw_screen, fixtures};

fn app(intents: &[Intent], shown: &Shown) -> App {
    let mut app = App::new(Theme::colour());
    intents.iter().for_each(|intent| app.handle(*intent, shown));
    app
}

fn screen(app: &App, shown: &Shown, width: u16, height: u16) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    terminal.draw(|frame| draw_screen(frame, app, shown)).expect("a test terminal never fails");
    terminal.backend().clone()
}

#[test]
fn a_reason_and_a_figure_at_two_sizes() {
    let shown = Shown::of(fixtures::copied());
    let mut app = app(&[Intent::Explain], &shown);
    open_at(&mut app, &shown, "no_scatter_gather");
    insta::assert_snapshot!("reason_120x40", screen(&app, &shown, 120, 40));
    open_at(&mut app, &shown, "held p99");
    insta::assert_snapshot!("figure_80x24", screen(&app, &shown, 80, 24));
    insta::assert_snapshot!("figure_40x12", screen(&app, &shown, 40, 12));
}

#[test]
fn every_topic_is_drawn_at_every_size_and_charset() {
    let shown = Shown::of(fixtures::blind());
    let mut app = App::with(crate::tui::Settings {
        theme: Theme::new(Named::Dark, Depth::True, true),
        ..crate::tui::Settings::default()
    });
    for topic in explain::topics() {
        open_at(&mut app, &shown, topic.id);
        let text = screen(&app, &shown, 100, 50).to_string();
        assert!(text.contains(topic.id) && text.is_ascii(), "{}", topic.id);
    }
    for (width, height) in [(1, 1), (20, 5), (39, 7), (300, 100)] {
        let _ = screen(&app, &shown, width, height);
    }
}

#[test]
fn walks_round_and_closes() {
    let shown = Shown::of(fixtures::copied());
    let id = |app: &App| app.explain.as_ref().map(|state| state.ids[state.at].clone());
    let first = app(&[Intent::Explain], &shown);
    let count = first.explain.as_ref().map_or(0, |state| state.ids.len());
    assert!(count > FIRST.len());
    let mut round = first.clone();
    (0..count).for_each(|_| round.handle(Intent::Adjust(1), &shown));
    assert_eq!(id(&round), id(&first));
    assert_ne!(id(&app(&[Intent::Explain, Intent::Adjust(-1)], &shown)), id(&first));
    assert!(app(&[Intent::Explain, Intent::Close], &shown).explain.is_none());
    let gone = app(&[Intent::Explain, Intent::Show(crate::tui::View::Copies)], &shown);
    assert!(gone.explain.is_none() && gone.view == crate::tui::View::Copies);
}

#[test]
fn a_search_finds_by_part_and_by_likeness() {
    assert_eq!(matches("optmem")[0], "optmem");
    assert!(matches("optmem").contains(&"optmem_max_bytes".to_owned()));
    assert_eq!(matches("held")[0], "held p99");
    assert!(matches("no_scater").contains(&"no_scatter_gather".to_owned()));
    assert!(matches("zzzzzzzz").is_empty());
}

#[test]
fn where_a_figure_is_measured_is_said() {
    let shown = Shown::of(fixtures::healthy());
    let mut app = app(&[Intent::Explain], &shown);
    open_at(&mut app, &shown, "latency_ns");
    let text = screen(&app, &shown, 120, 40).to_string();
    assert!(text.contains("fentry:__msg_zerocopy_callback"), "{text}");
}
