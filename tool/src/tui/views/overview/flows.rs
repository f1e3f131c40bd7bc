//! The sockets with the highest rate, one row each; the view Flows has all about them. Only the visible rows are
//! ordered and formatted: ten thousand sockets cost what ten do.

use std::cmp::Reverse;
use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{Panel, Scene, panel};

use crate::model::snapshot::{PathFigures, SocketFigures};
use crate::tui::order;
use crate::tui::table::{Column, Table, figures, hungry, names};
use crate::tui::text;
use crate::tui::totals::{Totals, main_path};
use crate::units;

const COLUMNS: &[Column] = &[
    figures("pid", 7, 6),
    names("name", 8, 16, 7),
    hungry("local", 13, 47, 2, 2),
    hungry("remote", 13, 47, 2, 5),
    names("dev", 6, 15, 1),
    names("path", 13, 21, 4),
    figures("rate", 11, 9),
    figures("bytes", 8, 3),
    figures("copied", 6, 8),
    names("top reason", 16, 24, 4),
    figures("held p99", 8, 0),
    figures("pinned", 6, 0),
    names("runs in", 16, 32, 0),
];

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let sockets = &scene.snapshot.sockets;
    let borders = if scene.boxed { 2 } else { 1 };
    let visible = usize::from(area.height.saturating_sub(borders + 1));
    let first = scene.app.states.overview.scroll(Panel::Flows).clamp(sockets.len(), visible);
    let note = format!("{} · by rate", panel::position(first, visible, sockets.len()));
    let inner = super::focusable(scene, Panel::Flows, &note, area, buf);
    if sockets.is_empty() {
        panel::centred("no socket has sent anything yet", scene.theme.dim, inner, buf);
        return;
    }
    let table = Table::new(COLUMNS, inner.width);
    let shown = ordered(sockets, first, visible);
    let rows = shown.iter().map(|&i| row(scene, &table, &sockets[i]));
    panel::lines(std::iter::once(table.heading(scene.theme.heading)).chain(rows), inner, buf);
}

/// What a socket is ordered by; smallest first, its place in the snapshot last, so that the order is total.
type Key = (Reverse<u64>, Reverse<u64>, usize);

/// The places in the snapshot of the rows `first..first + visible`, highest rate first.
fn ordered(sockets: &[Arc<SocketFigures>], first: usize, visible: usize) -> Vec<usize> {
    let keys = sockets.iter().enumerate().map(|(i, socket)| key(socket, i)).collect();
    order::visible(keys, first, visible).into_iter().map(|(.., i)| i).collect()
}

fn key(socket: &SocketFigures, place: usize) -> Key {
    let receive = main_path(&socket.paths).is_some_and(|p| p.path.receives());
    let main = || socket.paths.iter().filter(|p| p.path.receives() == receive);
    let sum = |of: fn(&PathFigures) -> u64| main().map(of).sum::<u64>();
    (Reverse(sum(|p| p.bytes_per_s)), Reverse(sum(|p| p.bytes)), place)
}

fn row(scene: Scene<'_>, table: &Table, socket: &SocketFigures) -> Line<'static> {
    let theme = scene.theme;
    let totals = Totals::of_main(&socket.paths);
    let text = if socket.alive { theme.text } else { theme.dim };
    let copied = theme.copied(totals.copied, totals.requested).unwrap_or(text);
    table.row(|column, width| match column {
        0 => (socket.pid.to_string(), text),
        1 => (socket.comm.clone(), text),
        2 => (text::address(socket.local, width), text),
        3 => (text::address(socket.remote, width), text),
        4 => (socket.dev.clone().unwrap_or_else(|| units::UNKNOWN.into()), text),
        5 => (path(&socket.paths, width), text),
        6 if !socket.alive => ("ended".into(), text),
        6 => (scene.rate(totals.bytes_per_s), text),
        7 => (units::bytes(totals.bytes), text),
        8 => (totals.copied_share(), copied),
        9 => (top_reason(&socket.paths), copied),
        10 => (held(&socket.paths), text),
        11 => (pinned(socket), text),
        _ => (place(socket), theme.dim),
    })
}

/// The path with most bytes, and how many others.
fn path(paths: &[PathFigures], width: usize) -> String {
    let Some(most) = main_path(paths) else { return String::new() };
    match paths.len() - 1 {
        0 => most.path.name().into(),
        others => {
            let others = format!("+{others}");
            text::cut(most.path.name(), width.saturating_sub(others.len())).0 + &others
        }
    }
}

/// How long its buffers were held, 99 % of them, on the path with most releases.
fn held(paths: &[PathFigures]) -> String {
    let ends = || paths.iter().filter_map(|p| p.completions.as_deref());
    match ends().filter_map(|c| c.latency).max_by_key(|latency| latency.count) {
        Some(latency) => units::duration(latency.p99),
        None if ends().next().is_none() => units::NOT_APPLICABLE.into(),
        None => units::UNKNOWN.into(),
    }
}

/// Pages held for sends in flight.
fn pinned(socket: &SocketFigures) -> String {
    match socket.gauges.as_deref() {
        None => units::NOT_APPLICABLE.into(),
        Some(gauges) => gauges.pages_in_flight.map_or_else(|| units::UNKNOWN.into(), units::count_short),
    }
}

/// Its container, or its network namespace or cgroup.
fn place(socket: &SocketFigures) -> String {
    let place = &socket.place;
    // Of a cgroup's path the end tells most.
    let cgroup = place.cgroup.as_deref().and_then(|path| path.rsplit('/').next());
    let name = place.container.as_deref().or(place.netns_name.as_deref()).or(cgroup);
    name.unwrap_or_default().to_owned()
}

/// The reason with most copied bytes; `~` when concluded and not seen.
fn top_reason(paths: &[PathFigures]) -> String {
    paths.iter().flat_map(|p| &p.copies).max_by_key(|c| c.bytes).map_or_else(String::new, |copy| {
        let inferred = if copy.kind.inferred { "~" } else { "" };
        format!("{inferred}{}", copy.kind.reason.name())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixtures;

    #[test]
    fn rates_descend() {
        let sockets = fixtures::many(50).sockets;
        let rate = |i: &usize| Totals::of(&sockets[*i].paths).bytes_per_s;
        let places = ordered(&sockets, 10, 20);
        assert_eq!(places.len(), 20);
        assert!(places.iter().map(rate).is_sorted_by(|a, b| a >= b));
    }
}
