//! The screen's own state, changed only by intents. Knows no terminal and no data source.

use std::cell::Cell;

use super::regions::Regions;
use super::shown::Shown;
use super::theme::Theme;
use super::views::input::Typed;
use super::views::{States, View};

/// What a key asks for. A view is asked first; what it leaves is done by [`App`] itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Leave.
    Quit,
    /// Show or hide the help.
    Help,
    /// Close what is open, one thing at a time: overlay, input, page.
    Close,
    /// Show this view.
    Show(View),
    /// Show the next view.
    NextView,
    /// Show the view before.
    PreviousView,
    /// Focus the next panel of the view.
    NextPanel,
    /// Focus the panel before.
    PreviousPanel,
    /// Move the selection (or the help) by rows; the extreme values mean first and last.
    Scroll(isize),
    /// Open the page of the selected row.
    Open,
    /// Sort by the next column.
    Sort,
    /// Turn the order round.
    Reverse,
    /// Next grouping of rows.
    Group,
    /// Rows as a tree, or flat.
    Tree,
    /// Write a filter.
    Filter,
    /// Say what the selected column or figure means.
    Explain,
    /// Freeze the screen, or let it follow again; data keeps flowing behind it.
    Freeze,
    /// Move the cursor in time by so many columns of the window.
    Seek(isize),
    /// Back to the newest data.
    Newest,
    /// Show a shorter time.
    ZoomIn,
    /// Show a longer time.
    ZoomOut,
    /// Bits or bytes per second.
    Units,
    /// Show changes since now, or since tracing began again.
    Baseline,
    /// Copy the selected row as text.
    CopyRow,
    /// Copy the whole screen as text.
    CopyScreen,
    /// Save the snapshot as text and JSON.
    Save,
    /// Begin or end a recording.
    Record,
    /// A replay: faster.
    Faster,
    /// A replay: slower.
    Slower,
    /// Start what the view can start, or stop it.
    Toggle,
    /// Change the selected setting by a step, or fold (-1) and unfold (1) a group. What no view takes goes to the next view.
    Adjust(isize),
    /// A row was clicked: focus the view's panel of this number and select the row. A second click asks [`Self::Open`].
    Pick {
        /// As given to `Scene::rows`.
        panel: usize,
        /// Counted from the first row of all, visible or not.
        row: usize,
    },
    /// The wheel turned over a panel. A view without panels leaves it and gets [`Self::Scroll`].
    Wheel {
        /// As given to `Scene::rows`.
        panel: usize,
        /// Downwards is positive.
        rows: isize,
    },
    /// Order by the column of this number; by the same again: reverse.
    SortBy(usize),
    /// The line the view lends by its function `input` was written to.
    Typed(Typed),
    /// Mouse on or off: without it the terminal's own selection of text works.
    Mouse,
}

/// A scroll position. Drawing alone knows how many rows there are and how many fit, so it keeps the position
/// inside ([`Scroll::clamp`]); hence the cell.
#[derive(Clone, Debug, Default)]
pub(super) struct Scroll(Cell<usize>);

impl Scroll {
    pub(super) fn by(&self, rows: isize) {
        self.0.set(self.0.get().saturating_add_signed(rows));
    }

    /// The first visible row, after keeping it inside `rows` with `visible` shown.
    pub(super) fn clamp(&self, rows: usize, visible: usize) -> usize {
        let first = self.0.get().min(rows.saturating_sub(visible));
        self.0.set(first);
        first
    }
}

/// Time windows the charts can show, ns.
const WINDOWS_S: [u64; 6] = [10, 30, 60, 120, 300, 600];
/// The one at the start.
const FIRST_WINDOW: usize = 2;

/// State of the screen.
#[derive(Clone, Debug)]
pub struct App {
    pub(super) theme: Theme,
    pub(super) quit: bool,
    pub(super) paused: bool,
    pub(super) help: bool,
    pub(super) help_scroll: Scroll,
    pub(super) view: View,
    pub(super) states: States,
    /// What lies where on the screen that was drawn last.
    pub(super) regions: Regions,
    window: usize,
}

impl App {
    /// At the start: the overview, following.
    #[must_use]
    pub fn new(theme: Theme) -> Self {
        Self {
            theme,
            quit: false,
            paused: false,
            help: false,
            help_scroll: Scroll::default(),
            view: View::Overview,
            states: States::default(),
            regions: Regions::default(),
            window: FIRST_WINDOW,
        }
    }

    /// The time that charts show, ns; it ends at the cursor.
    pub(super) const fn window_ns(&self) -> u64 {
        WINDOWS_S[self.window] * 1_000_000_000
    }

    /// Does what a key asked for.
    pub fn handle(&mut self, intent: Intent, shown: &Shown) {
        if self.help {
            return self.handle_help(intent);
        }
        if (self.view.entry().handle)(self, shown, intent) {
            return;
        }
        match intent {
            Intent::Quit => self.quit = true,
            Intent::Freeze => self.paused = !self.paused,
            Intent::Help => self.help = true,
            Intent::Show(view) => self.view = view,
            Intent::NextView => self.view = self.view.step(1),
            Intent::PreviousView => self.view = self.view.step(-1),
            Intent::Adjust(by) => self.view = self.view.step(by),
            Intent::Wheel { rows, .. } => self.handle(Intent::Scroll(rows), shown),
            Intent::ZoomIn => self.window = self.window.saturating_sub(1),
            Intent::ZoomOut => self.window = (self.window + 1).min(WINDOWS_S.len() - 1),
            _ => {}
        }
    }

    fn handle_help(&mut self, intent: Intent) {
        match intent {
            Intent::Quit => self.quit = true,
            Intent::Help | Intent::Close => self.help = false,
            Intent::Scroll(rows) => self.help_scroll.by(rows),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(intents: &[Intent]) -> App {
        let (mut app, shown) = (App::new(Theme::mono()), Shown::default());
        intents.iter().for_each(|intent| app.handle(*intent, &shown));
        app
    }

    #[test]
    fn arrows_scroll_the_help_while_it_is_open() {
        let app = after(&[Intent::Help, Intent::Scroll(2)]);
        assert_eq!(app.help_scroll.clamp(100, 10), 2);
    }

    #[test]
    fn scrolling_stays_inside() {
        let scroll = Scroll::default();
        scroll.by(isize::MAX);
        assert_eq!(scroll.clamp(100, 10), 90);
        scroll.by(1);
        assert_eq!(scroll.clamp(100, 10), 90);
        scroll.by(isize::MIN);
        assert_eq!(scroll.clamp(100, 10), 0);
        scroll.by(-1);
        assert_eq!(scroll.clamp(5, 10), 0);
    }

    #[test]
    fn views_go_round_and_windows_stop_at_the_ends() {
        assert_eq!(after(&[Intent::NextView]).view, View::Flows);
        assert_eq!(after(&[Intent::PreviousView]).view, View::Events);
        assert_eq!(after(&[Intent::ZoomIn; 9]).window_ns(), 10_000_000_000);
        assert_eq!(after(&[Intent::ZoomOut; 9]).window_ns(), 600_000_000_000);
    }
}
