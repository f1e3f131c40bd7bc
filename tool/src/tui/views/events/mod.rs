//! The view Events: what happened? Newest first; what goes on is one row. The selected event is explained below the
//! list, or on a page of its own.

mod detail;
mod list;
#[cfg(test)]
mod tests;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use super::input::{Input, Typed};
use super::{Scene, View, panel};
use crate::diagnose::Severity;
use crate::timeline::events::{Episode, EventKind, episodes};
use crate::tui::app::{App, Intent, Scroll};
use crate::tui::find::{Found, Wanted};
use crate::tui::shown::Shown;

/// Which events are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Least {
    /// All.
    #[default]
    Info,
    /// Warnings and what is worse.
    Warning,
    /// Only what is critical.
    Critical,
}

impl Least {
    const fn next(self) -> Self {
        match self {
            Least::Info => Least::Warning,
            Least::Warning => Least::Critical,
            Least::Critical => Least::Info,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Least::Info => "all",
            Least::Warning => "warnings and worse",
            Least::Critical => "critical",
        }
    }

    fn admits(self, severity: Severity) -> bool {
        severity
            <= match self {
                Least::Info => Severity::Info,
                Least::Warning => Severity::Warning,
                Least::Critical => Severity::Critical,
            }
    }
}

/// What makes an episode the same one in the next frame: its begin, and where that is not enough, its text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    first_ns: u64,
    kind: EventKind,
    id: String,
    text: Option<String>,
}

impl Key {
    fn of(episode: &Episode<'_>) -> Self {
        let event = episode.latest;
        let text = (!event.kind.goes_on()).then(|| event.text.clone());
        Self { first_ns: episode.first_ns, kind: event.kind, id: event.id.clone(), text }
    }
}

/// What the view remembers.
#[derive(Clone, Debug, Default)]
pub(in crate::tui) struct State {
    least: Least,
    /// The selected episode; `None` follows the newest.
    selected: Option<Key>,
    scroll: Scroll,
    /// The page of the selected event is open.
    page: bool,
    page_scroll: Scroll,
    filter: Input,
}

impl State {
    fn at(&self, rows: &[Episode<'_>]) -> usize {
        let Some(key) = &self.selected else { return 0 };
        rows.iter().position(|row| Key::of(row) == *key).unwrap_or(0)
    }

    fn select(&mut self, rows: &[Episode<'_>], at: usize) {
        // At the top the selection follows what comes.
        self.selected = rows.get(at).filter(|_| at > 0).map(Key::of);
    }

    fn select_fixed(&mut self, rows: &[Episode<'_>], at: usize) {
        self.selected = rows.get(at).map(Key::of);
    }
}

/// Events looked at for a frame: the newest. More are in the timeline of a long storm only.
const LOOKED_AT: usize = 5_000;

/// What happened up to the cursor, as far as the filter admits it, newest first.
fn rows<'a>(app: &App, shown: &'a Shown) -> Vec<Episode<'a>> {
    let state = &app.states.events;
    let points = shown.timeline.points().rev().skip_while(|point| point.at_ns > shown.now_ns());
    let newest = points.flat_map(|point| point.events.iter().rev()).take(LOOKED_AT);
    let mut rows = episodes(newest);
    let wanted = state.filter.text().to_lowercase();
    rows.retain(|row| {
        let event = row.latest;
        let has = |text: &str| text.to_lowercase().contains(&wanted);
        state.least.admits(row.severity) && (has(&event.text) || has(&event.id) || has(event.kind.name()))
    });
    rows
}

/// From this height on the selected event is explained below the list.
const WITH_DETAIL: u16 = 15;

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let rows = rows(scene.app, scene.shown);
    let state = &scene.app.states.events;
    let selected = state.at(&rows);
    if let Some(row) = rows.get(selected).filter(|_| state.page) {
        return detail::draw_page(scene, row, area, buf);
    }
    let writing = state.filter.is_open() || !state.filter.text().is_empty();
    let [line, area] =
        Layout::vertical([Constraint::Length(u16::from(writing)), Constraint::Fill(1)]).areas(area);
    if writing {
        state.filter.draw("events with: ", scene.theme, line, buf);
    }
    let detail =
        if area.height >= WITH_DETAIL && !rows.is_empty() { (area.height / 3).clamp(6, 16) } else { 0 };
    let [top, below] = Layout::vertical([Constraint::Fill(1), Constraint::Length(detail)]).areas(area);
    list::draw(scene, &rows, selected, top, buf);
    if let Some(row) = rows.get(selected).filter(|_| detail > 0) {
        detail::draw(scene, row, below, buf);
    }
}

pub(super) fn handle(app: &mut App, shown: &Shown, intent: Intent) -> bool {
    if app.states.events.page && handle_page(app, shown, intent) {
        return true;
    }
    let rows = rows(app, shown);
    let state = &mut app.states.events;
    let at = state.at(&rows);
    match intent {
        Intent::Scroll(by) | Intent::Wheel { rows: by, .. } => {
            let to = at.saturating_add_signed(by).min(rows.len().saturating_sub(1));
            state.select(&rows, to);
        }
        Intent::Pick { row, .. } => state.select(&rows, row),
        Intent::Open if !rows.is_empty() => {
            // What comes while the page is open does not turn it.
            state.select_fixed(&rows, at);
            state.page = true;
            state.page_scroll = Scroll::default();
        }
        Intent::Group => state.least = state.least.next(),
        Intent::Filter => state.filter.open(),
        Intent::Close if !state.filter.text().is_empty() => state.filter.set(""),
        Intent::Typed(Typed::Help) => app.say("words that events must have; Enter keeps them, Esc undoes"),
        Intent::Typed(_) => state.scroll = Scroll::default(),
        _ => return false,
    }
    true
}

fn handle_page(app: &mut App, shown: &Shown, intent: Intent) -> bool {
    match intent {
        Intent::Scroll(by) | Intent::Wheel { rows: by, .. } => app.states.events.page_scroll.by(by),
        Intent::Close => app.states.events.page = false,
        Intent::Open => {
            let rows = rows(app, shown);
            let socket = rows.get(app.states.events.at(&rows)).and_then(|row| row.socket);
            match socket.filter(|id| shown.snapshot.sockets.iter().any(|socket| socket.id == *id)) {
                Some(id) => {
                    super::flows::open_socket(app, shown, id);
                    app.view = View::Flows;
                }
                None => app.states.events.page = false,
            }
        }
        _ => return false,
    }
    true
}

/// Goes to the row that has a text.
pub(super) fn find(app: &mut App, shown: &Shown, wanted: &Wanted) -> Option<Found> {
    let rows = rows(app, shown);
    let state = &mut app.states.events;
    let has = |row: &usize| {
        let event = rows[*row].latest;
        wanted.is_in([event.text.as_str(), event.id.as_str(), event.kind.name()])
    };
    let found = wanted.among(rows.len(), state.at(&rows), has).filter(|_| !state.page)?;
    state.select(&rows, found.row);
    Some(found)
}

/// The line the filter is written on.
pub(super) fn input(app: &mut App) -> Option<&mut Input> {
    Some(&mut app.states.events.filter)
}

/// What `?` offers: what the selected event is about, then the columns.
pub(super) fn topics(app: &App, shown: &Shown) -> Vec<String> {
    let rows = rows(app, shown);
    let selected = rows.get(app.states.events.at(&rows)).map(|row| row.latest.id.clone());
    let about = selected.filter(|id| !crate::explain::find(id).is_empty());
    about.into_iter().chain(["event", "severity"].map(str::to_owned)).collect()
}
