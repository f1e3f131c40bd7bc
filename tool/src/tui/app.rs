//! The screen's own state, changed only by intents. Knows no terminal and no data source.

use std::cell::Cell;

use super::theme::Theme;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Leave.
    Quit,
    /// Freeze or thaw the view.
    Pause,
    /// Show or hide the help.
    Help,
    /// Hide the help.
    Close,
    /// Focus the next panel.
    NextPanel,
    /// Focus the panel before.
    PreviousPanel,
    /// Next order of the socket table.
    Sort,
    /// Move the focused panel (or the help) by rows; the extreme values mean first and last.
    Scroll(isize),
}

/// Panels that can be focused: scrolled, and on small screens shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Panel {
    /// One row per socket.
    Sockets,
    /// Reasons of copies, with the fix.
    Reasons,
    /// Ends of sends: told and kernel view, latency.
    Completions,
    /// Throughput per path.
    Throughput,
}

impl Panel {
    /// In the order of Tab.
    pub(super) const ALL: [Panel; 4] =
        [Panel::Sockets, Panel::Reasons, Panel::Completions, Panel::Throughput];

    const fn index(self) -> usize {
        self as usize
    }
}

/// Order of the socket table; always most first, except pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Rate, then bytes.
    Rate,
    /// Bytes.
    Bytes,
    /// Copied bytes.
    Copied,
    /// Process id, ascending.
    Pid,
}

impl Sort {
    const fn next(self) -> Self {
        match self {
            Sort::Rate => Sort::Bytes,
            Sort::Bytes => Sort::Copied,
            Sort::Copied => Sort::Pid,
            Sort::Pid => Sort::Rate,
        }
    }

    /// As shown in the panel's title.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Sort::Rate => "rate",
            Sort::Bytes => "bytes",
            Sort::Copied => "copied",
            Sort::Pid => "pid",
        }
    }
}

/// A scroll position. Drawing alone knows how many rows there are and how many fit, so it keeps the position
/// inside ([`Scroll::clamp`]); hence the cell.
#[derive(Clone, Debug, Default)]
pub(super) struct Scroll(Cell<usize>);

impl Scroll {
    fn by(&self, rows: isize) {
        self.0.set(self.0.get().saturating_add_signed(rows));
    }

    /// The first visible row, after keeping it inside `rows` with `visible` shown.
    pub(super) fn clamp(&self, rows: usize, visible: usize) -> usize {
        let first = self.0.get().min(rows.saturating_sub(visible));
        self.0.set(first);
        first
    }
}

/// State of the screen.
#[derive(Clone, Debug)]
pub struct App {
    pub(super) theme: Theme,
    pub(super) quit: bool,
    pub(super) paused: bool,
    pub(super) help: bool,
    pub(super) focus: Panel,
    pub(super) sort: Sort,
    pub(super) help_scroll: Scroll,
    scrolls: [Scroll; Panel::ALL.len()],
}

impl App {
    /// At the start: running, sockets focused, sorted by rate.
    #[must_use]
    pub fn new(theme: Theme) -> Self {
        Self {
            theme,
            quit: false,
            paused: false,
            help: false,
            focus: Panel::Sockets,
            sort: Sort::Rate,
            help_scroll: Scroll::default(),
            scrolls: Default::default(),
        }
    }

    /// Does what a key asked for.
    pub fn handle(&mut self, intent: Intent) {
        match intent {
            Intent::Quit => self.quit = true,
            Intent::Pause => self.paused = !self.paused,
            Intent::Help => self.help = !self.help,
            Intent::Close => self.help = false,
            Intent::NextPanel => self.move_focus(1),
            Intent::PreviousPanel => self.move_focus(Panel::ALL.len() - 1),
            Intent::Sort => self.sort = self.sort.next(),
            Intent::Scroll(rows) if self.help => self.help_scroll.by(rows),
            Intent::Scroll(rows) => self.scroll(self.focus).by(rows),
        }
    }

    fn move_focus(&mut self, steps: usize) {
        self.focus = Panel::ALL[(self.focus.index() + steps) % Panel::ALL.len()];
    }

    pub(super) const fn scroll(&self, panel: Panel) -> &Scroll {
        &self.scrolls[panel.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(intents: &[Intent]) -> App {
        let mut app = App::new(Theme::mono());
        intents.iter().for_each(|intent| app.handle(*intent));
        app
    }

    #[test]
    fn panels_are_indexed_in_tab_order() {
        for (i, panel) in Panel::ALL.iter().enumerate() {
            assert_eq!(panel.index(), i);
        }
    }

    #[test]
    fn tab_goes_round_both_ways() {
        assert_eq!(after(&[Intent::NextPanel]).focus, Panel::Reasons);
        assert_eq!(after(&[Intent::NextPanel; 4]).focus, Panel::Sockets);
        assert_eq!(after(&[Intent::PreviousPanel]).focus, Panel::Throughput);
    }

    #[test]
    fn arrows_scroll_the_focused_panel_or_the_help() {
        let app = after(&[Intent::NextPanel, Intent::Scroll(3), Intent::Help, Intent::Scroll(2)]);
        assert_eq!(app.scroll(Panel::Reasons).clamp(100, 10), 3);
        assert_eq!(app.scroll(Panel::Sockets).clamp(100, 10), 0);
        assert_eq!(app.help_scroll.clamp(100, 10), 2);
    }

    #[test]
    fn scrolling_stays_inside() {
        let app = after(&[Intent::Scroll(isize::MAX)]);
        assert_eq!(app.scroll(Panel::Sockets).clamp(100, 10), 90);
        let mut app = app;
        app.handle(Intent::Scroll(1));
        assert_eq!(app.scroll(Panel::Sockets).clamp(100, 10), 90);
        app.handle(Intent::Scroll(isize::MIN));
        assert_eq!(app.scroll(Panel::Sockets).clamp(100, 10), 0);
        app.handle(Intent::Scroll(-1));
        assert_eq!(app.scroll(Panel::Sockets).clamp(5, 10), 0);
    }

    #[test]
    fn sort_goes_round() {
        assert_eq!(after(&[Intent::Sort]).sort, Sort::Bytes);
        assert_eq!(after(&[Intent::Sort; 4]).sort, Sort::Rate);
    }
}
