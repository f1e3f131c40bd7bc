//! What the tests of views over time share: the minute that moves, drawn in one view at every size.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::app::{App, Intent};
use super::draw;
use super::shown::Shown;
use super::theme::Theme;
use super::views::View;

/// Sizes that have snapshots.
pub(super) const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (200, 60), (40, 12)];

/// The screen on this view, after these intents.
pub(super) fn app(view: View, shown: &Shown, intents: &[Intent]) -> App {
    let mut app = App::new(Theme::colour());
    app.handle(Intent::Show(view), shown);
    intents.iter().for_each(|intent| app.handle(*intent, shown));
    app
}

/// Draws it.
pub(super) fn screen(app: &App, shown: &Shown, (width, height): (u16, u16)) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    terminal.draw(|frame| draw(frame, app, shown)).expect("a test terminal never fails");
    terminal.backend().clone()
}

/// Draws it at many sizes, for nothing but the absence of panics.
pub(super) fn draws_everywhere(app: &App, shown: &Shown) {
    for (width, height) in (1..=300).step_by(23).flat_map(|w| (1..=100).step_by(7).map(move |h| (w, h))) {
        let _ = screen(app, shown, (width, height));
    }
    let _ = screen(app, shown, (20, 5));
}
