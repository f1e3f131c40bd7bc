//! The view Overview as text, with a past, at several sizes.

use crate::tui::app::App;
use crate::tui::fixtures_timeline::minute;
use crate::tui::shown::Shown;
use crate::tui::theme::Theme;
use crate::tui::views::draw;

use super::Panel;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

fn screen(app: &App, shown: &Shown, width: u16, height: u16) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    terminal.draw(|frame| draw(frame, app, shown)).expect("a test terminal never fails");
    terminal.backend().clone()
}

#[test]
fn a_minute_at_all_sizes() {
    let (app, shown) = (App::new(Theme::colour()), minute());
    for (width, height) in [(80, 24), (120, 40), (200, 60), (40, 12), (20, 5)] {
        insta::assert_snapshot!(format!("minute_{width}x{height}"), screen(&app, &shown, width, height));
    }
}

#[test]
fn every_panel_can_be_brought_to_the_front_of_small_screens() {
    let shown = minute();
    for panel in Panel::ALL {
        let mut app = App::new(Theme::colour());
        app.states.overview.focus = panel;
        insta::assert_snapshot!(format!("{panel:?}_80x24"), screen(&app, &shown, 80, 24));
        insta::assert_snapshot!(format!("{panel:?}_40x12"), screen(&app, &shown, 40, 12));
    }
}
