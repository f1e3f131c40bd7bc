//! The views: one table, one module each. Each answers one question, draws what is shown, and decides nothing else.

mod balance;
pub(super) mod copies;
pub(super) mod events;
pub(super) mod explain;
pub(super) mod flows;
mod footer;
mod header;
mod help;
pub(super) mod host;
pub(super) mod input;
pub(super) mod latency;
pub(super) mod load;
pub(super) mod overview;
mod page;
mod panel;
pub(super) mod pinning;
pub(super) mod receive;
mod tabs;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use input::Input;

use super::app::{App, Intent};
use super::find::{self as finding, Found, Wanted};
use super::shown::Shown;
use super::table::Table;
use super::theme::{Theme, ascii};
use crate::model::snapshot::Snapshot;

/// A view, in the order of its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table says what each answers")]
pub enum View {
    #[default]
    Overview,
    Flows,
    Copies,
    Latency,
    Pinning,
    Receive,
    Load,
    Host,
    Events,
}

/// One row of the table of views.
pub(super) struct Entry {
    pub(super) view: View,
    /// Name on its tab.
    pub(super) name: &'static str,
    /// What it answers.
    pub(super) question: &'static str,
    draw: Draw,
    /// Does what was asked; true when it was the view's business.
    pub(super) handle: fn(&mut App, &Shown, Intent) -> bool,
    /// Ids of the room `explain` (or names on screen) that `?` offers, in the order on screen, the selected one first.
    pub(super) topics: fn(&App, &Shown) -> Vec<String>,
    /// Selects the row to go to that has a text; `None` when no row has it.
    pub(super) find: fn(&mut App, &Shown, &Wanted) -> Option<Found>,
    /// The line that is being written, or could be.
    pub(super) input: fn(&mut App) -> Option<&mut Input>,
}

/// The line of a view that has none.
fn input(_app: &mut App) -> Option<&mut Input> {
    None
}

/// A view without a list to find something in.
fn find(_app: &mut App, _shown: &Shown, _wanted: &Wanted) -> Option<Found> {
    None
}

/// Draws on a rectangle.
type Draw = fn(Scene<'_>, Rect, &mut Buffer);

/// A function of a view's module, or the one of the same name here where the module has none.
macro_rules! own_or_default {
    ($module:ident $function:ident) => {{
        // What the glob finds stands before what is outside of the block.
        #[allow(unused_imports, reason = "the module need not have it")]
        use $module::*;
        $function
    }};
}

macro_rules! views {
    ($($view:ident $module:ident $name:literal $question:literal;)*) => {
        /// Every view, in the order of the keys 1 to 9.
        pub(super) const VIEWS: &[Entry] = &[$(Entry {
            view: View::$view,
            name: $name,
            question: $question,
            draw: $module::draw,
            handle: $module::handle,
            topics: $module::topics,
            find: own_or_default!($module find),
            input: own_or_default!($module input),
        }),*];

        /// What each view remembers.
        #[derive(Clone, Debug, Default)]
        #[allow(dead_code, reason = "a view need not remember anything")]
        pub(super) struct States {
            $(pub(super) $module: $module::State,)*
        }
    };
}

views! {
    Overview overview "Overview" "is zero-copy working here, now?";
    Flows flows "Flows" "who sends, and how?";
    Copies copies "Copies" "why are bytes copied?";
    Latency latency "Latency" "how long are my buffers held?";
    Pinning pinning "Pinning" "what do I hold?";
    Receive receive "Receive" "what arrives without a copy?";
    Load load "Load" "what can this path do?";
    Host host "Host" "what can be known and done here?";
    Events events "Events" "what happened?";
}

impl View {
    /// Its row of the table.
    pub(super) const fn entry(self) -> &'static Entry {
        &VIEWS[self as usize]
    }

    /// Every view with the name on its tab.
    pub fn names() -> impl Iterator<Item = (Self, &'static str)> {
        VIEWS.iter().map(|entry| (entry.view, entry.name))
    }

    /// The view so many tabs away.
    pub(super) const fn step(self, by: isize) -> Self {
        let count = VIEWS.len() as isize;
        VIEWS[(self as isize + by).rem_euclid(count) as usize].view
    }
}

/// What every view gets.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) app: &'a App,
    pub(super) theme: &'a Theme,
    pub(super) shown: &'a Shown,
    /// `shown.snapshot`.
    pub(super) snapshot: &'a Snapshot,
    /// Full boxes around panels, or only a rule with the title above them.
    pub(super) boxed: bool,
}

impl Scene<'_> {
    /// A click on this area asks this.
    pub(super) fn click(&self, area: Rect, intent: Intent) {
        self.app.regions.click(area, intent);
    }

    /// A click on a heading of the table that stands on top of this area asks [`Intent::SortBy`].
    pub(super) fn headings(&self, table: &Table, area: Rect) {
        for (column, heading) in table.headings(area) {
            self.click(heading, Intent::SortBy(column));
        }
    }

    /// Each line of this area is a row of the view's panel of this number, from row `first` of `rows` on: a click asks
    /// [`Intent::Pick`], the wheel [`Intent::Wheel`].
    pub(super) fn rows(&self, area: Rect, panel: usize, first: usize, rows: usize) {
        self.app.regions.rows(area, panel, first, rows);
    }

    /// A rate in bytes per second, in the unit chosen: at most 11 columns.
    pub(super) fn rate(&self, bytes_per_s: u64) -> String {
        self.app.units.rate(bytes_per_s)
    }
}

/// From this height on there are tabs and hints.
const WITH_TABS: u16 = 10;
const WITH_HINTS: u16 = 8;

/// Draws the whole screen. The same state and data always give the same screen.
pub fn draw(frame: &mut Frame<'_>, app: &App, shown: &Shown) {
    let area = frame.area();
    let rows = [1, u16::from(area.height >= WITH_TABS), 0, u16::from(area.height >= WITH_HINTS)];
    let mut rows = rows.map(Constraint::Length);
    rows[2] = Constraint::Fill(1);
    let [header, tabs, body, footer] = Layout::vertical(rows).areas(area);
    let scene = Scene {
        app,
        theme: &app.theme,
        shown,
        snapshot: &shown.snapshot,
        boxed: area.width >= 120 && area.height >= 30,
    };
    let parts: [(Rect, Draw); 4] =
        [(header, header::draw), (tabs, tabs::draw), (body, app.view.entry().draw), (footer, footer::draw)];
    app.regions.clear();
    let buf = frame.buffer_mut();
    for (rect, draw) in parts {
        if !rect.is_empty() {
            draw(scene, rect, buf);
        }
    }
    finding::mark(app.find.line.text(), &app.theme, app.regions.lists(), buf);
    if app.find.line.is_open() && !area.is_empty() {
        // Over the footer; where there is none, over the last line of all.
        finding::draw(scene, Rect { y: area.bottom() - 1, height: 1, ..area }, buf);
    }
    if app.help {
        help::draw(scene, area, buf);
    } else if app.explain.is_some() {
        explain::draw(scene, area, buf);
    }
    if app.theme.is_ascii() {
        ascii::replace(buf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_indexed_in_table_order() {
        for (i, entry) in VIEWS.iter().enumerate() {
            assert_eq!(entry.view as usize, i);
        }
    }
}
