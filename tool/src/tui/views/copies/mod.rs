//! The view Copies: why are bytes copied? A table of reasons, places and devices, and all about the selected row.

mod detail;
mod rows;
mod table;
#[cfg(test)]
#[path = "copies_tests.rs"]
mod view_tests;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use zcscope_common::Reason;

use super::{Scene, panel};
use crate::tui::app::{App, Intent, Scroll};
use crate::tui::find::{Found, Wanted};
use crate::tui::shown::Shown;
use crate::tui::totals::Totals;
use rows::{By, Row, What};

/// What the view remembers.
#[derive(Clone, Debug, Default)]
pub(in crate::tui) struct State {
    /// The selected row; the first one until a row was selected.
    selected: Option<What>,
    by: By,
    reverse: bool,
    /// The detail takes the whole view.
    open: bool,
    rows: Scroll,
    detail: Scroll,
}

/// Numbers of the panels, for the mouse.
const TABLE: usize = 0;
const DETAIL: usize = 1;

impl State {
    /// The rows in the order on screen.
    fn ordered(&self, shown: &Shown) -> Vec<Row> {
        let mut rows = rows::rows(shown);
        rows::sort(&mut rows, self.by, self.reverse);
        rows
    }

    /// The place of the selected row; the first one when it is gone.
    fn place(&self, rows: &[Row]) -> usize {
        let is_it = |what: &What| rows.iter().position(|row| row.what == *what);
        self.selected.as_ref().and_then(is_it).unwrap_or(0)
    }

    fn select(&mut self, rows: &[Row], at: usize) {
        if let Some(row) = rows.get(at.min(rows.len().saturating_sub(1))) {
            self.selected = Some(row.what.clone());
            self.detail = Scroll::default();
        }
    }

    /// Selects the row of most bytes that is about a reason.
    pub(in crate::tui) fn show(&mut self, reason: Reason, shown: &Shown) {
        let mut rows = rows::rows(shown);
        rows::sort(&mut rows, By::Bytes, false);
        if let Some(at) = rows.iter().position(|row| row.what.reason() == reason) {
            self.select(&rows, at);
        }
    }

    fn order(&mut self, by: By) {
        (self.by, self.reverse) = (by, by == self.by && !self.reverse);
    }

    fn next_column(&mut self) {
        let at = By::ALL.iter().position(|by| *by == self.by).unwrap_or(0);
        (self.by, self.reverse) = (By::ALL[(at + 1) % By::ALL.len()], false);
    }
}

/// From this height on the detail stands below the table, from this width on beside it.
const WITH_DETAIL: u16 = 12;
const BESIDE: u16 = 180;
/// Columns of the table with the detail beside it: all but the place, which the detail tells.
const TABLE_BESIDE: u16 = 108;

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let state = &scene.app.states.copies;
    let rows = state.ordered(scene.shown);
    let Some(selected) = rows.get(state.place(&rows)) else {
        return draw_empty(scene, area, buf);
    };
    let (table, detail) = match (state.open, area.width, area.height) {
        (true, ..) => (Rect::default(), area),
        (_, BESIDE.., WITH_DETAIL..) => split(Layout::horizontal, area, TABLE_BESIDE),
        (_, _, WITH_DETAIL..) => split(Layout::vertical, area, table_height(rows.len(), area.height)),
        _ => (area, Rect::default()),
    };
    if !table.is_empty() {
        table::draw(scene, &rows, table, buf);
    }
    if !detail.is_empty() {
        detail::draw(scene, selected, detail, buf);
    }
}

/// As many lines as the rows need, in steps, so that a new row seldom moves the detail; two fifths of all at most.
fn table_height(rows: usize, height: u16) -> u16 {
    const STEP: usize = 4;
    let wanted = u16::try_from(rows.next_multiple_of(STEP)).unwrap_or(u16::MAX).saturating_add(3);
    wanted.min((height * 2 / 5).max(6))
}

/// The first `length` and the rest.
fn split(direction: fn([Constraint; 2]) -> Layout, area: Rect, length: u16) -> (Rect, Rect) {
    let [first, second] = direction([Constraint::Length(length), Constraint::Fill(1)]).areas(area);
    (first, second)
}

/// No rows: say whether that means no copies, or that copies or their reasons cannot be seen.
fn draw_empty(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let inner = panel::frame(scene, "Why bytes were copied", "", true, area, buf);
    let totals = Totals::of(&scene.snapshot.paths);
    let missing = scene.snapshot.session.missing.iter().find(|missing| missing.fact.starts_with("cop"));
    let why = missing.map_or_else(String::new, |missing| format!(": {}", missing.why));
    let (sentence, style) = match (totals.has_ledger, totals.copied) {
        (false, _) => ("nothing has asked for zero-copy yet: nothing to explain".to_owned(), scene.theme.dim),
        (true, None) => (format!("n/a: copies cannot be seen here{why}"), scene.theme.warn),
        (true, Some(0)) => ("no byte was copied, no call refused".to_owned(), scene.theme.good),
        (true, Some(_)) => {
            (format!("n/a: bytes were copied, and the reason cannot be seen here{why}"), scene.theme.warn)
        }
    };
    panel::centred(&sentence, style, inner, buf);
}

pub(super) fn handle(app: &mut App, shown: &Shown, intent: Intent) -> bool {
    let state = &mut app.states.copies;
    match intent {
        Intent::CopyRow => {
            let rows = state.ordered(shown);
            let text = rows.get(state.place(&rows)).map(Row::text);
            return text.map(|text| app.copy("row", text)).is_some();
        }
        Intent::Open => state.open = true,
        Intent::Close if state.open => state.open = false,
        Intent::Sort => state.next_column(),
        Intent::Reverse => state.reverse = !state.reverse,
        Intent::SortBy(column) => match By::ALL.get(column) {
            Some(by) => state.order(*by),
            None => return false,
        },
        Intent::Wheel { panel: DETAIL, rows } => state.detail.by(rows),
        Intent::Scroll(rows) if state.open => state.detail.by(rows),
        Intent::Scroll(by) | Intent::Wheel { rows: by, .. } => {
            let rows = state.ordered(shown);
            state.select(&rows, state.place(&rows).saturating_add_signed(by));
        }
        Intent::Pick { panel: TABLE, row } => {
            let rows = state.ordered(shown);
            state.select(&rows, row);
        }
        _ => return false,
    }
    true
}

/// Goes to the row that has a text.
pub(super) fn find(app: &mut App, shown: &Shown, wanted: &Wanted) -> Option<Found> {
    let state = &mut app.states.copies;
    let rows = state.ordered(shown);
    let has = |row: &usize| wanted.is_in([rows[*row].text().as_str()]);
    let found = wanted.among(rows.len(), state.place(&rows), has).filter(|_| !state.open)?;
    state.select(&rows, found.row);
    Some(found)
}

/// What `?` offers: the reason of the selected row, then the columns.
pub(super) fn topics(app: &App, shown: &Shown) -> Vec<String> {
    const COLUMNS: [&str; 13] = [
        "reason", "dev", "bytes", "rate", "share", "kind", "app was", "events", "where", "first", "last",
        "~", "caller",
    ];
    let state = &app.states.copies;
    let rows = state.ordered(shown);
    let reason = rows.get(state.place(&rows)).map(|row| row.what.reason().name());
    reason.into_iter().chain(COLUMNS).map(str::to_owned).collect()
}
