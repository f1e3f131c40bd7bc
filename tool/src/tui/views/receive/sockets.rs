//! The sockets that receive most. Only the visible rows are ordered and formatted.

use std::cmp::Reverse;
use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::verdict::Offered;
use super::{Panel, Scene, panel};
use crate::model::snapshot::{PathFigures, SocketFigures};
use crate::tui::order;
use crate::tui::table::{Column, Table, figures, hungry, names};
use crate::tui::text;
use crate::units;

const COLUMNS: &[Column] = &[
    figures("pid", 7, 4),
    names("name", 8, 16, 7),
    hungry("local", 13, 47, 2, 2),
    hungry("remote", 13, 47, 2, 5),
    names("path", 13, 19, 3),
    figures("rate", 11, 9),
    figures("received", 8, 6),
    figures("not mapped", 10, 8),
    names("top reason", 14, 23, 1),
];

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let borders = if scene.boxed { 2 } else { 1 };
    let visible = usize::from(area.height.saturating_sub(borders + 1));
    let keys = keys(&scene.snapshot.sockets);
    let first = scene.app.states.receive.scroll(Panel::Sockets).clamp(keys.len(), visible);
    let note = format!("{} · by rate", panel::position(first, visible, keys.len()));
    let inner = super::frame(scene, Panel::Sockets, "Top receiving sockets", &note, area, buf);
    if keys.is_empty() {
        panel::centred("no socket has received anything yet", scene.theme.dim, inner, buf);
        return;
    }
    let table = Table::new(COLUMNS, inner.width);
    let places = order::visible(keys, first, visible).into_iter().map(|(.., place)| place);
    let rows = places.map(|place| row(scene, &table, &scene.snapshot.sockets[place]));
    panel::lines(std::iter::once(table.heading(scene.theme.heading)).chain(rows), inner, buf);
}

fn paths(socket: &SocketFigures) -> impl Iterator<Item = &PathFigures> {
    socket.paths.iter().filter(|path| path.path.receives())
}

/// Sockets that receive, with what they are ordered by and their place in the snapshot.
fn keys(sockets: &[Arc<SocketFigures>]) -> Vec<(Reverse<u64>, Reverse<u64>, usize)> {
    let receives = sockets.iter().enumerate().filter(|(_, socket)| paths(socket).next().is_some());
    let sum = |socket, of: fn(&PathFigures) -> u64| Reverse(paths(socket).map(of).sum());
    receives.map(|(i, socket)| (sum(socket, |p| p.bytes_per_s), sum(socket, |p| p.bytes), i)).collect()
}

fn row(scene: Scene<'_>, table: &Table, socket: &SocketFigures) -> Line<'static> {
    let theme = scene.theme;
    let text = if socket.alive { theme.text } else { theme.dim };
    let sum = |of: fn(&PathFigures) -> u64| paths(socket).map(of).sum::<u64>();
    let offered: Vec<Offered> = paths(socket).filter_map(Offered::of).collect();
    let not_mapped = offered.iter().map(Offered::not_mapped).sum::<Option<u64>>();
    let all = offered.iter().map(|offered| offered.all).sum::<Option<u64>>();
    let copies = paths(socket).flat_map(|path| &path.copies);
    let reason = copies.max_by_key(|copy| copy.bytes).map_or("", |copy| copy.kind.reason.name());
    let main = paths(socket).max_by_key(|path| path.bytes).map_or("", |path| path.path.name());
    table.row(|column, width| match column {
        0 => (socket.pid.to_string(), text),
        1 => (socket.comm.clone(), text),
        2 => (text::address(socket.local, width), text),
        3 => (text::address(socket.remote, width), text),
        4 => (main.into(), text),
        5 if !socket.alive => ("ended".into(), text),
        5 => (scene.rate(sum(|path| path.bytes_per_s)), text),
        6 => (units::bytes(sum(|path| path.bytes)), text),
        7 if offered.is_empty() => (units::NOT_APPLICABLE.into(), text),
        7 => (
            units::percent_or_unknown(not_mapped, all),
            theme.copied(not_mapped, all.unwrap_or(0)).unwrap_or(text),
        ),
        _ => (reason.into(), text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixtures;

    #[test]
    fn only_receivers_have_rows() {
        let sockets = fixtures::copied().sockets;
        assert_eq!(keys(&sockets).len(), 1);
        assert!(keys(&fixtures::many(50).sockets).is_empty());
    }
}
