//! The view Host: what can be known and done here? Sections one below the other, two columns of them where there is
//! room: what tracing knows and from where, devices, captures, settings, connections, and zcscope's own losses and cost.

mod devices;
mod own;
mod section;
mod settings;
#[cfg(test)]
mod tests;
mod tracing;

use std::cell::{Cell, RefCell};

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::{Scene, panel};
use crate::tui::app::{App, Intent, Scroll};
use crate::tui::find::{Found, Wanted};
use crate::tui::shown::Shown;
use crate::tui::text;
use section::Section;

/// What the view remembers.
#[derive(Clone, Debug, Default)]
pub(in crate::tui) struct State {
    scroll: Scroll,
    /// Where sections begin, as drawn last: rows that Tab goes to.
    begins: RefCell<Vec<usize>>,
    /// The first row shown, as drawn last.
    first: Cell<usize>,
    /// Columns of the view, as drawn last.
    width: Cell<u16>,
    /// The row where something was found, until the list is scrolled.
    found: Option<usize>,
}

/// Makes a section for a width.
type Make = fn(Scene<'_>, usize) -> Section;

/// Every section, in the order of one column. The number says which of two columns it stands in.
const SECTIONS: &[(usize, Make)] = &[
    (1, devices::devices),
    (1, devices::taps),
    (1, settings::settings),
    (1, settings::connections),
    (1, settings::machine),
    (0, own::loss),
    (0, own::cost),
    (0, own::tables),
    (0, tracing::missing),
    (0, tracing::known),
];

/// From this width on there are two columns.
const TWO_COLUMNS: u16 = 150;

/// Columns between two columns of sections.
const GAP: u16 = 3;

/// The sections for a view of this width: one list, or two side by side.
fn sections(scene: Scene<'_>, width: u16) -> Vec<Vec<Section>> {
    let columns: &[usize] = if width >= TWO_COLUMNS { &[0, 1] } else { &[2] };
    let gaps = GAP * (columns.len() as u16 - 1);
    // Two columns of the inner width; the frame takes four at most.
    let width = usize::from(width.saturating_sub(4 + gaps)) / columns.len();
    let of = |column: usize| {
        let made = SECTIONS.iter().filter(move |(of, _)| column == 2 || *of == column);
        made.map(|(_, make)| make(scene, width)).collect()
    };
    columns.iter().map(|column| of(*column)).collect()
}

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let sections = sections(scene, area.width);
    let heads = heads(scene, &sections, usize::from(area.width));
    let [line, area] =
        Layout::vertical([Constraint::Length(u16::from(area.height >= 8)), Constraint::Fill(1)]).areas(area);
    if !line.is_empty() {
        buf.set_line(line.x, line.y, &heads, line.width);
    }
    let lists: Vec<Vec<Line<'static>>> = sections.iter().map(|column| stacked(scene, column)).collect();
    let rows = lists.iter().map(Vec::len).max().unwrap_or(0);
    let borders = if scene.boxed { 2 } else { 1 };
    let visible = usize::from(area.height.saturating_sub(borders));
    let state = &scene.app.states.host;
    let first = state.scroll.clamp(rows, visible);
    state.first.set(first);
    state.width.set(area.width);
    *state.begins.borrow_mut() = begins(&sections);
    let inner = panel::frame(scene, "Host", &panel::position(first, visible, rows), true, area, buf);
    let parts = Layout::horizontal(lists.iter().map(|_| Constraint::Fill(1))).spacing(GAP).split(inner);
    for (list, part) in lists.into_iter().zip(parts.iter()) {
        panel::lines(list.into_iter().skip(first), *part, buf);
    }
    scene.rows(inner, 0, 0, 0);
}

/// Sections of a column with their titles and a blank line between.
fn stacked(scene: Scene<'_>, sections: &[Section]) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for section in sections {
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.push(section.heading(scene.theme));
        lines.extend(section.lines.iter().cloned());
    }
    lines
}

/// Rows where the sections of any column begin, ascending.
fn begins(columns: &[Vec<Section>]) -> Vec<usize> {
    let mut found = Vec::new();
    for column in columns {
        let mut at = 0;
        for section in column {
            found.push(at);
            at += section.lines.len() + 2;
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The names of all sections with their signs: what is worth a look can be seen without scrolling.
fn heads(scene: Scene<'_>, columns: &[Vec<Section>], width: usize) -> Line<'static> {
    let mut line = Line::default();
    let mut sections: Vec<&Section> = columns.iter().flatten().collect();
    // The most severe first: they are never cut off.
    sections.sort_by_key(|section| section.severity.map_or(3, |severity| severity as usize));
    for section in sections {
        let (sign, style) = section.sign(scene.theme);
        let gap = if line.spans.is_empty() { 0 } else { 3 };
        if line.width() + gap + 2 + text::width(section.name) > width {
            break;
        }
        line.push_span(Span::raw(" ".repeat(gap)));
        line.push_span(Span::styled(format!("{sign} {}", section.name), style));
    }
    line
}

pub(super) fn handle(app: &mut App, _shown: &Shown, intent: Intent) -> bool {
    let state = &mut app.states.host;
    if matches!(intent, Intent::Scroll(_) | Intent::Wheel { .. } | Intent::NextPanel | Intent::PreviousPanel)
    {
        state.found = None;
    }
    let first = state.first.get();
    let go = |to: Option<usize>| {
        if let Some(to) = to {
            state.scroll.by(to as isize - first as isize);
        }
    };
    match intent {
        Intent::Scroll(rows) | Intent::Wheel { rows, .. } => state.scroll.by(rows),
        Intent::NextPanel => go(state.begins.borrow().iter().copied().find(|at| *at > first)),
        Intent::PreviousPanel => go(state.begins.borrow().iter().rev().copied().find(|at| *at < first)),
        _ => return false,
    }
    true
}

/// Goes to the line that has a text.
pub(super) fn find(app: &mut App, shown: &Shown, wanted: &Wanted) -> Option<Found> {
    let scene = Scene { app, theme: &app.theme, shown, snapshot: &shown.snapshot, boxed: false };
    let state = &app.states.host;
    let columns = sections(scene, state.width.get());
    let lists: Vec<Vec<Line<'static>>> = columns.iter().map(|column| stacked(scene, column)).collect();
    let rows = lists.iter().map(Vec::len).max().unwrap_or(0);
    let has = |row: &usize| {
        lists.iter().filter_map(|list| list.get(*row)).any(|line| wanted.is_in([line.to_string().as_str()]))
    };
    let first = state.first.get();
    let found = wanted.among(rows, state.found.unwrap_or(first), has)?;
    state.scroll.by(found.row as isize - first as isize);
    app.states.host.found = Some(found.row);
    Some(found)
}

/// What `?` offers.
pub(super) fn topics(_app: &App, _shown: &Shown) -> Vec<String> {
    let ids = [
        "sources",
        "missing",
        "device_features",
        "sniffer",
        "optmem_max_bytes",
        "ktls",
        "pacing",
        "wrong_node",
        "dma_bounce",
        "lost",
        "maps",
    ];
    ids.map(str::to_owned).into()
}
