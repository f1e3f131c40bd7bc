//! The view Flows: who sends, and how? A table of sockets, or of groups of them, that can be filtered and sorted; and
//! the page of one socket or process.

mod columns;
mod filter;
mod group;
mod list;
mod order;
mod page;
mod state;
mod subject;
#[cfg(test)]
mod tests;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::input::{Input, Typed};
use super::{Scene, panel};
use crate::tui::app::{App, Intent};
use crate::tui::shown::Shown;
pub(in crate::tui) use state::State;

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    match &scene.app.states.flows.page {
        Some(page) => page.draw(scene, area, buf),
        None => list::draw(scene, area, buf),
    }
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
        Intent::Scroll(rows) | Intent::Wheel { rows, .. } => state.scroll(shown, rows),
        Intent::Pick { row, .. } => drop(state.pick(shown, row)),
        Intent::Open => state.open(shown),
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
