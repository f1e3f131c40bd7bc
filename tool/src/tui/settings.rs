//! How the screen starts and looks: what the configuration decides.

use super::app::{App, RateUnit, WINDOWS_S};
use super::keys::Keymap;
use super::theme::Theme;
use super::views::View;

/// What a user can choose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Styles and glyphs.
    pub theme: Theme,
    /// Keys.
    pub keys: Keymap,
    /// The view at the start.
    pub view: View,
    /// Time that the charts show at the start, s: one of [`Settings::WINDOWS_S`].
    pub window_s: u64,
    /// How rates are written at the start.
    pub units: RateUnit,
    /// The mouse is ours; otherwise the terminal's, for selecting text.
    pub mouse: bool,
}

impl Settings {
    /// Times that charts can show, s.
    pub const WINDOWS_S: &'static [u64] = &WINDOWS_S;
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: Theme::default(),
            keys: Keymap::default(),
            view: View::default(),
            window_s: 60,
            units: RateUnit::default(),
            mouse: true,
        }
    }
}

impl App {
    /// At the start, as chosen.
    #[must_use]
    pub fn with(settings: Settings) -> Self {
        let mut app = Self::new(settings.theme);
        app.keys = settings.keys;
        app.view = settings.view;
        app.units = settings.units;
        app.mouse = settings.mouse;
        app.set_window(settings.window_s);
        app
    }
}
