//! The view Flows: who sends, and how? A table of sockets, or of groups of them, that can be filtered and sorted; and
//! the page of one socket or process.

mod columns;
mod filter;
mod find;
mod group;
mod list;
mod order;
mod page;
mod reference;
mod state;
mod subject;
#[cfg(test)]
mod tests;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::input::{Input, Typed};
use super::{Scene, panel};
use crate::model::snapshot::Snapshot;
use crate::timeline::SPAN_NS;
use crate::tui::app::{App, Intent};
use crate::tui::effect::Effect;
use crate::tui::find::{Found, Wanted};
use crate::tui::shown::Shown;
pub(in crate::tui) use state::State;

/// Moments of the past that a page asks for: most of them of the time that is shown.
const MOMENTS: u64 = 40;
const OLDER_MOMENTS: u64 = 20;

/// Opens the page of a socket, wherever the cursor stands.
pub(in crate::tui) fn open_socket(app: &mut App, shown: &Shown, id: u64) {
    app.states.flows.page = Some(page::Page::new(page::Of::Socket(id)));
    ask_past(app, shown);
}

/// Asks for what the open page is about, at moments of the time that is shown, and fewer before it.
fn ask_past(app: &mut App, shown: &Shown) {
    let (now, window) = (shown.now_ns(), app.window_ns());
    let start = now.saturating_sub(window);
    let oldest = now.saturating_sub(SPAN_NS.max(window));
    let spread = |from: u64, to: u64, n: u64| (0..n).map(move |i| from + (to - from) / n * i);
    let times = spread(oldest, start, OLDER_MOMENTS).chain(spread(start, now, MOMENTS));
    let each = |app: &mut App, snapshot: &Snapshot| {
        app.states.flows.page.iter().for_each(|page| page.recall(snapshot));
    };
    app.ask(Effect::Recall { times_ns: times.collect(), each });
}

/// The row of the cursor as text.
fn copy_row(app: &mut App, shown: &Shown) -> bool {
    let scene = Scene { app, theme: &app.theme, shown, snapshot: &shown.snapshot, boxed: false };
    let text = list::row_text(scene);
    text.map(|text| app.copy("row", text)).is_some()
}

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    match &scene.app.states.flows.page {
        Some(page) => page.draw(scene, area, buf),
        None => list::draw(scene, area, buf),
    }
}

/// Goes to the row that has a text.
pub(super) fn find(app: &mut App, shown: &Shown, wanted: &Wanted) -> Option<Found> {
    let state = &mut app.states.flows;
    if state.page.is_some() { None } else { find::find(state, shown, wanted) }
}

/// The line of the filter.
pub(super) fn input(app: &mut App) -> Option<&mut Input> {
    Some(&mut app.states.flows.input)
}

/// What `?` offers: the columns, the sorted one first, and the reason of the selected row.
pub(super) fn topics(app: &App, shown: &Shown) -> Vec<String> {
    let state = &app.states.flows;
    if let Some(page) = &state.page {
        return page.topics(shown);
    }
    let sorted = state.columns().title(state.sort.by);
    let others = state.columns().table.iter().map(|column| column.title).filter(|title| *title != sorted);
    std::iter::once(sorted).chain(others).map(str::to_owned).collect()
}

pub(super) fn handle(app: &mut App, shown: &Shown, intent: Intent) -> bool {
    let state = &mut app.states.flows;
    if let Intent::Typed(typed) = intent {
        match typed {
            Typed::Changed | Typed::Cancelled => state.typed(),
            Typed::Accepted => state.accept(),
            Typed::Complete => state.complete(),
            Typed::Help => state.input.helps = !state.input.helps,
            Typed::Scroll(rows) => state.reference.by(rows),
        }
        return true;
    }
    if let Some(page) = &state.page {
        match intent {
            Intent::Close => state.page = None,
            Intent::Scroll(rows) | Intent::Wheel { rows, .. } => page.scroll.by(rows),
            _ => return false,
        }
        return true;
    }
    match intent {
        Intent::Scroll(rows) | Intent::Wheel { rows, .. } if state.input.helps => state.reference.by(rows),
        Intent::Scroll(rows) | Intent::Wheel { rows, .. } => state.scroll(shown, rows),
        Intent::Pick { row, .. } => drop(state.pick(shown, row)),
        Intent::Open => {
            state.open(shown);
            if state.page.is_some() {
                ask_past(app, shown);
            }
        }
        Intent::CopyRow => return copy_row(app, shown),
        Intent::Sort => {
            let by = state.columns().after(state.sort.by);
            state.sort = order::Sort { by, reverse: false };
        }
        Intent::Reverse => state.sort.reverse = !state.sort.reverse,
        Intent::SortBy(column) => {
            let Some(by) = state.columns().about.get(column).copied() else { return true };
            state.sort = order::Sort { by, reverse: state.sort.by == by && !state.sort.reverse };
        }
        Intent::Group => state.next_grouping(),
        Intent::Tree => state.turn_all(),
        Intent::Adjust(by) => return state.fold(shown, by > 0),
        Intent::Filter => state.input.open(),
        Intent::Close => return state.clear_filter(),
        _ => return false,
    }
    true
}
