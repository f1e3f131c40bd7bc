//! Gauges of sockets or processes against their limits, the fullest first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::super::{Scene, panel};
use super::Panel;
use super::fill::{self, By, Share};
use crate::model::snapshot::{Limit, ProcessFigures, SocketFigures};
use crate::tui::selection;
use crate::tui::table::{Column, Table, figures, hungry, names};
use crate::tui::text;
use crate::tui::theme::Theme;
use crate::units;

const SOCKETS: &[Column] = &[
    figures("pid", 7, 6),
    names("name", 8, 16, 7),
    hungry("local", 13, 47, 2, 1),
    hungry("remote", 13, 47, 2, 4),
    names("optmem", 10, 24, 8),
    figures("fill", 6, 9),
    figures("used", 8, 6),
    figures("limit", 8, 3),
    figures("most", 8, 2),
    figures("unread", 6, 7),
    figures("pages", 6, 5),
];

const PROCESSES: &[Column] = &[
    figures("pid", 7, 6),
    names("name", 8, 16, 9),
    names("optmem", 10, 24, 4),
    figures("fill", 6, 8),
    figures("most", 8, 2),
    figures("unread", 6, 7),
    figures("pages", 6, 5),
    names("memlock", 10, 24, 4),
    figures("fill", 6, 8),
    figures("locked", 8, 3),
    figures("limit", 9, 3),
];

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let (snapshot, state) = (scene.snapshot, &scene.app.states.pinning);
    let borders = if scene.boxed { 3 } else { 2 };
    let visible = usize::from(area.height.saturating_sub(borders));
    let count = fill::count(snapshot, state.by);
    let selected = fill::place(snapshot, state.by, state.selected);
    let first = selection::first_row(&state.scroll, selected, count, visible);
    let (title, columns) = match state.by {
        By::Socket => ("Limits per socket", SOCKETS),
        By::Process => ("Limits per process", PROCESSES),
    };
    let note = format!(
        "{} · g: by {}",
        panel::position(first, visible, count),
        match state.by {
            By::Socket => "process",
            By::Process => "socket",
        }
    );
    let inner = panel::frame(scene, title, &note, state.focus == Panel::Gauges, area, buf);
    if count == 0 {
        return empty(scene, inner, buf);
    }
    let table = Table::new(columns, inner.width.saturating_sub(selection::MARK));
    let heading = selection::marked(scene.theme, false, table.heading(scene.theme.heading));
    let rows = fill::rows(snapshot, state.by, first, visible);
    let lines = rows.iter().enumerate().filter_map(|(n, at)| {
        let line = match state.by {
            By::Socket => socket(scene.theme, &table, snapshot.sockets.get(*at)?),
            By::Process => {
                process(scene.theme, &table, snapshot.processes.get(*at)?, snapshot.session.page_bytes)
            }
        };
        Some(selection::marked(scene.theme, first + n == selected, line))
    });
    panel::lines(std::iter::once(heading).chain(lines), inner, buf);
    let below = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    scene.rows(below.intersection(inner), Panel::Gauges as usize, first, count);
}

fn empty(scene: Scene<'_>, inner: Rect, buf: &mut Buffer) {
    let missing = scene.snapshot.session.missing.iter().find(|missing| missing.fact == "gauges");
    match missing {
        Some(missing) => {
            let text = format!("{}: {}", units::UNKNOWN, missing.why);
            panel::centred(&text, scene.theme.warn, inner, buf);
        }
        None => {
            panel::centred("no living socket has sent with notifications", scene.theme.dim, inner, buf);
        }
    }
}

/// A bar, its filled part as long as the share; of what is not known, no bar.
fn bar(theme: &Theme, share: Option<Share>, width: usize) -> (String, Style) {
    let Some(used) = share else { return (String::new(), theme.dim) };
    let full = fill::cells(used, width);
    let text = theme.symbols.full.repeat(full) + &theme.symbols.empty.repeat(width - full);
    (text, fill::style(theme, share))
}

fn share_text(theme: &Theme, share: Option<Share>) -> (String, Style) {
    (share.map_or_else(|| units::UNKNOWN.into(), fill::percent), fill::style(theme, share))
}

fn number(n: Option<u64>, theme: &Theme) -> (String, Style) {
    (n.map_or_else(|| units::UNKNOWN.into(), units::count_short), theme.text)
}

fn socket(theme: &Theme, table: &Table, of: &SocketFigures) -> Line<'static> {
    let gauges = of.gauges.as_deref().copied().unwrap_or_default();
    let share = fill::optmem(&gauges);
    let bytes = |n: Option<u64>| (units::bytes_or_unknown(n), theme.text);
    table.row(|column, width| match column {
        0 => (of.pid.to_string(), theme.text),
        1 => (of.comm.clone(), theme.text),
        2 => (text::address(of.local, width), theme.text),
        3 => (text::address(of.remote, width), theme.text),
        4 => bar(theme, share, width),
        5 => share_text(theme, share),
        6 => bytes(gauges.optmem_bytes),
        7 => bytes(gauges.optmem_max_bytes),
        8 => (
            units::bytes_or_unknown(gauges.optmem_peak_bytes),
            fill::style(theme, fill::optmem_peak(&gauges)),
        ),
        9 => number(gauges.unread_notifications, theme),
        _ => number(gauges.pages_in_flight, theme),
    })
}

fn process(theme: &Theme, table: &Table, of: &ProcessFigures, page_bytes: u64) -> Line<'static> {
    let gauges = of.gauges.unwrap_or_default();
    let (optmem, locked) = (fill::optmem_peak(&gauges), fill::memlock(of, page_bytes));
    let unlimited = of.memlock_limit == Some(Limit::Unlimited);
    let none = || (units::NOT_APPLICABLE.to_owned(), theme.dim);
    table.row(|column, width| match column {
        0 => (of.pid.to_string(), theme.text),
        1 => (of.comm.clone(), theme.text),
        2 => bar(theme, optmem, width),
        3 => share_text(theme, optmem),
        4 => (units::bytes_or_unknown(gauges.optmem_peak_bytes), theme.text),
        5 => number(gauges.unread_notifications, theme),
        6 => number(gauges.pages_in_flight, theme),
        7 => bar(theme, locked, width),
        8 if unlimited => none(),
        8 => share_text(theme, locked),
        9 => (units::bytes_or_unknown(fill::locked_bytes(of, page_bytes)), theme.text),
        _ => match of.memlock_limit {
            None => (units::UNKNOWN.into(), theme.dim),
            Some(Limit::Unlimited) => ("unlimited".into(), theme.dim),
            Some(Limit::Bytes(bytes)) => (units::bytes(bytes), theme.text),
        },
    })
}
