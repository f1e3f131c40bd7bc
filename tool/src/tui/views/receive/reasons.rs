//! Why bytes were not mapped, and what to do about it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::verdict::reasons;
use super::{Panel, Scene, panel, receiving};
use crate::model::reason;
use crate::model::snapshot::{CopyFigures, PathFigures};
use crate::tui::table::{Column, Table, figures, hungry, names};
use crate::tui::text;
use crate::units;

const COLUMNS: &[Column] = &[
    names("reason", 16, 23, 9),
    names("dev", 6, 15, 4),
    figures("bytes", 8, 8),
    figures("rate", 11, 5),
    figures("share", 6, 6),
    names("went", 10, 10, 7),
    hungry("path", 13, 19, 1, 3),
    figures("events", 9, 2),
];

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let rows = reasons(scene.snapshot);
    let note = rows.len().to_string();
    let inner = super::frame(scene, Panel::Reasons, "Why bytes were not mapped", &note, area, buf);
    if rows.is_empty() {
        let (sentence, style) = empty(scene);
        panel::centred(sentence, style, inner, buf);
        return;
    }
    let table = Table::new(COLUMNS, inner.width);
    let all: u64 = rows.iter().map(|(.., bytes)| bytes).sum();
    let width = usize::from(inner.width);
    let room = usize::from(inner.height.saturating_sub(1));
    let first = scene.app.states.receive.scroll(Panel::Reasons).clamp(rows.len(), room.min(1));
    let mut told = Vec::new();
    let mut lines = vec![table.heading(scene.theme.heading)];
    for (path, copy, _) in rows.into_iter().skip(first) {
        lines.push(row(scene, &table, path, copy, all));
        // What a reason means and its fix stand once, below the first row that has it.
        if !told.contains(&copy.kind.reason) {
            told.push(copy.kind.reason);
            lines.extend(words(scene, copy, width));
        }
    }
    panel::lines(lines, inner, buf);
}

/// No rows: all was mapped, nobody asked, or that cannot be seen.
fn empty(scene: Scene<'_>) -> (&'static str, Style) {
    let maps = receiving(scene.snapshot).any(|path| path.ledger.is_some());
    match (maps, scene.snapshot.session.knows("recv_zerocopy")) {
        (true, _) => ("everything offered was mapped", scene.theme.good),
        (false, true) => ("nobody asked for mapping", scene.theme.dim),
        (false, false) => ("n/a: whether anybody asks for mapping cannot be seen here", scene.theme.warn),
    }
}

fn row(scene: Scene<'_>, table: &Table, path: &PathFigures, copy: &CopyFigures, all: u64) -> Line<'static> {
    let theme = scene.theme;
    table.row(|column, _| match column {
        0 => {
            (format!("{}{}", if copy.kind.inferred { "~" } else { "" }, copy.kind.reason.name()), theme.warn)
        }
        1 => (copy.kind.dev.clone().unwrap_or_else(|| units::UNKNOWN.into()), theme.text),
        2 => (units::bytes(copy.bytes), theme.text),
        3 => (scene.rate(copy.bytes_per_s), theme.text),
        4 => (units::percent(copy.bytes, all), theme.text),
        5 => (went(copy).into(), theme.text),
        6 => (path.path.name().into(), theme.text),
        _ => (units::count(copy.count), theme.dim),
    })
}

/// Copied by the mapping call itself, or left to a read that copies.
fn went(copy: &CopyFigures) -> &'static str {
    if copy.kind.site == zcscope_common::Site::SkipHint.name() { "left" } else { "copied" }
}

fn words(scene: Scene<'_>, copy: &CopyFigures, width: usize) -> Vec<Line<'static>> {
    const INDENT: &str = "    ";
    let theme = scene.theme;
    let info = reason::info(copy.kind.reason);
    let room = width.saturating_sub(INDENT.len());
    let meaning = std::iter::once((info.meaning.to_owned(), theme.dim));
    let fix = reason::fix_for(copy.kind.reason, copy.kind.dev.as_deref());
    let fixes: Vec<_> = fix.lines().map(|step| (format!("fix: {step}"), theme.accent)).collect();
    let lines = meaning.chain(fixes).map(|(line, style)| {
        Line::from(vec![Span::raw(INDENT), Span::styled(text::cut(&line, room).0, style)])
    });
    lines.collect()
}
