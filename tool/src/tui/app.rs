//! The screen's own state, changed only by intents. Knows no terminal and no data source.

use std::cell::Cell;

use super::clock::Clock;
use super::effect::{Effect, TimeMove, Toast};
use super::find::{Find, To};
use super::keys::Keymap;
use super::regions::Regions;
use super::shown::Shown;
use super::theme::Theme;
use super::views::input::Typed;
use super::views::{States, View, explain};
use crate::units;

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
    /// Write what is looked for in the list.
    Find,
    /// Go to the next row that has it (1), or to the one before (-1).
    FindAgain(isize),
    /// Say what the selected column or figure means.
    Explain,
    /// Freeze the screen, or let it follow again; data keeps flowing behind it.
    Freeze,
    /// Move the cursor in time by so many columns of the window.
    Seek(isize),
    /// Move it by so many windows.
    Page(isize),
    /// Move it by so many snapshots.
    Step(isize),
    /// To the newest data; live, follow it again.
    Newest,
    /// To the oldest data there is.
    Oldest,
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
    /// Hand the terminal to the shell, until it is wanted again.
    Suspend,
    /// Draw everything anew.
    Redraw,
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

/// Time windows the charts can show, s. A live screen remembers as much as the longest.
pub(super) const WINDOWS_S: [u64; 6] = [10, 30, 60, 120, 300, 600];
/// Longer ones, for recordings that are longer.
const LONGER_S: [u64; 10] =
    [1_200, 1_800, 3_600, 7_200, 14_400, 28_800, 57_600, 86_400, 3 * 86_400, 7 * 86_400];
/// The one at the start.
const FIRST_WINDOW: usize = 2;

/// Columns of the window that a seek moves by; at least a second each: snapshots of the past stand no nearer.
const SEEK_COLUMNS: u64 = 60;
const SEEK_LEAST_NS: u64 = 1_000_000_000;

/// How rates are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RateUnit {
    /// Bits per second, decimal prefixes.
    #[default]
    Bits,
    /// Bytes per second, binary prefixes, as amounts are.
    Bytes,
}

impl RateUnit {
    /// A rate in bytes per second as text, at most 11 columns.
    #[must_use]
    pub fn rate(self, bytes_per_s: u64) -> String {
        match self {
            RateUnit::Bits => units::rate(bytes_per_s),
            RateUnit::Bytes => units::byte_rate(bytes_per_s),
        }
    }

    const fn other(self) -> Self {
        match self {
            RateUnit::Bits => RateUnit::Bytes,
            RateUnit::Bytes => RateUnit::Bits,
        }
    }
}

/// State of the screen.
#[derive(Clone, Debug)]
pub struct App {
    pub(super) theme: Theme,
    pub(super) quit: bool,
    /// How rates are written.
    pub(super) units: RateUnit,
    /// What came of the last effect, while it is shown.
    pub(super) toast: Option<Toast>,
    effects: Vec<Effect>,
    pub(super) help: bool,
    pub(super) help_scroll: Scroll,
    pub(super) view: View,
    pub(super) states: States,
    /// What lies where on the screen that was drawn last.
    pub(super) regions: Regions,
    /// The row that was clicked last, until something else happens.
    pub(super) picked: Option<Intent>,
    pub(super) keys: Keymap,
    /// The mouse is ours; otherwise the terminal's.
    pub(super) mouse: bool,
    /// A line of text is being written: keys are letters.
    pub(super) writing: bool,
    /// What is looked for in lists.
    pub(super) find: Find,
    /// What `?` opened.
    pub(super) explain: Option<explain::State>,
    /// What a running recording has written.
    pub(super) recording: Option<String>,
    window: usize,
}

impl App {
    /// At the start: the overview, following.
    #[must_use]
    pub fn new(theme: Theme) -> Self {
        Self {
            theme,
            quit: false,
            units: RateUnit::default(),
            toast: None,
            effects: Vec::new(),
            help: false,
            help_scroll: Scroll::default(),
            view: View::Overview,
            states: States::default(),
            regions: Regions::default(),
            picked: None,
            keys: Keymap::default(),
            mouse: true,
            writing: false,
            find: Find::default(),
            explain: None,
            recording: None,
            window: FIRST_WINDOW,
        }
    }

    /// The time that charts show, ns; it ends at the cursor.
    pub(super) const fn window_ns(&self) -> u64 {
        let longer = self.window.saturating_sub(WINDOWS_S.len());
        let s = if self.window < WINDOWS_S.len() { WINDOWS_S[self.window] } else { LONGER_S[longer] };
        s * 1_000_000_000
    }

    /// Shows a longer time: at most what a live screen remembers, or as much as holds the whole recording.
    fn zoom_out(&mut self, clock: &Clock) {
        let next = self.window + 1;
        let recorded = clock.newest_ns.saturating_sub(clock.oldest_ns);
        let longer = clock.is_replay() && self.window_ns() < recorded;
        if next < WINDOWS_S.len() || (longer && next < WINDOWS_S.len() + LONGER_S.len()) {
            self.window = next;
        }
    }

    /// The time a seek moves by, ns.
    const fn seek_ns(&self) -> u64 {
        let column = self.window_ns() / SEEK_COLUMNS;
        if column > SEEK_LEAST_NS { column } else { SEEK_LEAST_NS }
    }

    /// Asks the loop for something. What came of it appears as a toast.
    pub(super) fn ask(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// For views: gives the text to the terminal's clipboard; `what` is its name in the answer ("row").
    #[allow(dead_code, reason = "asked by views with rows")]
    pub(super) fn copy(&mut self, what: &str, text: String) {
        self.ask(Effect::Copy { what: what.to_owned(), text });
    }

    /// What was asked for since the last time.
    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Shows a line for some seconds.
    pub(super) fn say(&mut self, text: &str) {
        self.ask(Effect::Say(text.to_owned()));
    }

    /// Does what a key asked for.
    pub fn handle(&mut self, intent: Intent, shown: &Shown) {
        if self.help {
            return self.handle_help(intent, shown);
        }
        if explain::handle(self, intent) {
            return;
        }
        // What is marked goes first: one thing at a time.
        if intent == Intent::Close && self.find.clear() {
            return;
        }
        if (self.view.entry().handle)(self, shown, intent) {
            return;
        }
        match intent {
            Intent::Quit => self.quit = true,
            Intent::Help => self.help = true,
            Intent::Explain => explain::open(self, shown),
            Intent::Show(view) => self.view = view,
            Intent::NextView => self.view = self.view.step(1),
            Intent::PreviousView => self.view = self.view.step(-1),
            Intent::Adjust(by) => self.view = self.view.step(by),
            Intent::Wheel { rows, .. } => self.handle(Intent::Scroll(rows), shown),
            Intent::ZoomIn => self.window = self.window.saturating_sub(1),
            Intent::ZoomOut => self.zoom_out(&shown.clock),
            Intent::Mouse => self.toggle_mouse(),
            Intent::Find => self.begin_find(),
            Intent::FindAgain(by) => self.find_again(if by > 0 { To::Next } else { To::Previous }, shown),
            Intent::Units => self.units = self.units.other(),
            Intent::CopyRow => self.say("there is no row to copy here; Y copies the whole screen"),
            other => self.effects.extend(self.effect_of(other)),
        }
    }

    fn toggle_mouse(&mut self) {
        self.mouse = !self.mouse;
        self.say(if self.mouse {
            "mouse on: click and wheel; with Shift the terminal selects text"
        } else {
            "mouse off: the terminal selects text"
        });
    }

    /// Shows this much time at first; the nearest that can be shown.
    pub(super) fn set_window(&mut self, seconds: u64) {
        let near = (0..WINDOWS_S.len()).min_by_key(|&i| WINDOWS_S[i].abs_diff(seconds));
        self.window = near.unwrap_or(FIRST_WINDOW);
    }

    /// What the loop does for an intent that no view took.
    fn effect_of(&self, intent: Intent) -> Option<Effect> {
        let by = |ns: u64, n: isize| {
            let ns = i64::try_from(ns).unwrap_or(i64::MAX).saturating_mul(n as i64);
            Effect::Time(TimeMove::By(ns))
        };
        Some(match intent {
            Intent::Freeze => Effect::Time(TimeMove::Toggle),
            Intent::Seek(columns) => by(self.seek_ns(), columns),
            Intent::Page(windows) => by(self.window_ns(), windows),
            Intent::Step(frames) => Effect::Time(TimeMove::Frames(frames)),
            Intent::Newest => Effect::Time(TimeMove::Newest),
            Intent::Oldest => Effect::Time(TimeMove::Oldest),
            Intent::Faster => Effect::Time(TimeMove::Speed(1)),
            Intent::Slower => Effect::Time(TimeMove::Speed(-1)),
            Intent::Baseline => Effect::Time(TimeMove::Mark),
            Intent::CopyScreen => Effect::CopyScreen,
            Intent::Save => Effect::Save,
            Intent::Record => Effect::Record,
            Intent::Suspend => Effect::Suspend,
            Intent::Redraw => Effect::Redraw,
            _ => return None,
        })
    }

    fn handle_help(&mut self, intent: Intent, shown: &Shown) {
        match intent {
            Intent::Quit => self.quit = true,
            Intent::Help | Intent::Close => self.help = false,
            Intent::Scroll(rows) => self.help_scroll.by(rows),
            Intent::Explain => {
                self.help = false;
                explain::open(self, shown);
            }
            Intent::Wheel { rows, .. } => self.help_scroll.by(rows),
            Intent::Mouse => self.toggle_mouse(),
            Intent::Suspend | Intent::Redraw | Intent::CopyScreen => {
                self.effects.extend(self.effect_of(intent));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::clock::Pace;

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
    fn time_is_moved_by_the_loop() {
        let moves = |intents: &[Intent]| {
            let effects = after(intents).take_effects().into_iter();
            effects.filter_map(|e| if let Effect::Time(m) = e { Some(m) } else { None }).collect::<Vec<_>>()
        };
        let second = 1_000_000_000;
        assert_eq!(moves(&[Intent::Seek(-1), Intent::Freeze]), [TimeMove::By(-second), TimeMove::Toggle]);
        assert_eq!(moves(&[Intent::ZoomOut, Intent::ZoomOut, Intent::Seek(2)]), [TimeMove::By(10 * second)]);
        assert_eq!(moves(&[Intent::Page(-1)]), [TimeMove::By(-60 * second)]);
        assert_eq!(moves(&[Intent::Help, Intent::Seek(1)]), []);
    }

    #[test]
    fn units_change_and_change_back() {
        assert_eq!(after(&[]).units.rate(1 << 20), "8.39 Mbit/s");
        assert_eq!(after(&[Intent::Units]).units.rate(1 << 20), "1.00 MiB/s");
        assert_eq!(after(&[Intent::Units; 2]).units, RateUnit::Bits);
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

    #[test]
    fn the_window_grows_until_it_holds_the_whole_recording() {
        let second = 1_000_000_000;
        let longest = |recorded_s: u64| {
            let clock = Clock { pace: Pace::Paused, newest_ns: recorded_s * second, ..Clock::default() };
            let (mut app, mut shown) = (App::new(Theme::mono()), Shown::default());
            shown.clock = clock;
            (0..99).for_each(|_| app.handle(Intent::ZoomOut, &shown));
            app.window_ns() / second
        };
        assert_eq!(
            [80, 601, 3_600, 3_601, u32::MAX.into()].map(longest),
            [600, 1_200, 3_600, 7_200, 604_800]
        );
    }
}
