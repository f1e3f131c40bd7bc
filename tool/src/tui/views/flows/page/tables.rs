//! The tables of a page: its paths with every figure, and why its bytes were copied, with the fix.

use ratatui::text::{Line, Span};
use zcscope_common::Reason;

use super::portrait::Portrait;
use super::{Scene, Section};
use crate::model::reason;
use crate::model::snapshot::{CopyFigures, PathFigures};
use crate::tui::table::{Column, Table, figures, hungry, names};
use crate::tui::text;
use crate::units;

const PATHS: &[Column] = &[
    names("path", 13, 19, 9),
    figures("calls", 9, 3),
    figures("errors", 7, 4),
    figures("refused", 7, 4),
    figures("bytes", 8, 8),
    figures("rate", 11, 7),
    figures("copied", 8, 8),
    figures("silent", 8, 6),
    figures("clone", 8, 2),
    figures("in_flight", 9, 5),
    figures("frags", 9, 0),
    figures("ns/KiB", 6, 1),
];

const COPIES: &[Column] = &[
    names("reason", 16, 23, 9),
    hungry("where", 12, 56, 4, 4),
    names("dev", 6, 15, 2),
    names("path", 13, 19, 0),
    figures("events", 9, 1),
    figures("bytes", 8, 8),
    figures("rate", 11, 3),
    names("kind", 5, 5, 6),
    names("app was", 8, 8, 7),
];

/// What stands in front of a fix.
const LEAD: &str = "  fix: ";
/// Lines of one fix at most.
const FIX_LINES: usize = 4;

/// Every path with its figures.
pub(super) fn paths(scene: Scene<'_>, portrait: &Portrait<'_>, width: usize) -> Section {
    let table = Table::new(PATHS, width as u16);
    let rows = portrait.paths.iter().map(|figures| path_line(scene, &table, figures));
    let lines = std::iter::once(table.heading(scene.theme.heading)).chain(rows).collect();
    Section { title: "Paths", lines }
}

fn path_line(scene: Scene<'_>, table: &Table, figures: &PathFigures) -> Line<'static> {
    let theme = scene.theme;
    let ledger = figures.ledger.unwrap_or_default();
    let part = |bytes: Option<u64>| match figures.ledger {
        Some(_) => units::bytes_or_unknown(bytes),
        None => units::NOT_APPLICABLE.into(),
    };
    let count = |n: u64| (units::count(n), if n > 0 { theme.warn } else { theme.text });
    let copied = theme.copied(ledger.copied_bytes, ledger.requested_bytes).unwrap_or(theme.text);
    let silent = if ledger.silent_copied_bytes > Some(0) { theme.alarm } else { theme.text };
    let open = |ends: bool| match figures.in_flight {
        Some(open) => units::bytes(open.bytes),
        None if ends => units::UNKNOWN.into(),
        None => units::NOT_APPLICABLE.into(),
    };
    table.row(|column, _| match column {
        0 => (figures.path.name().into(), theme.text),
        1 => (units::count(figures.calls), theme.text),
        2 => count(figures.errors.values().sum()),
        3 => count(figures.refused.iter().map(|(_, n)| n).sum()),
        4 => (units::bytes(figures.bytes), theme.text),
        5 => (scene.rate(figures.bytes_per_s), theme.text),
        6 => (part(ledger.copied_bytes), copied),
        7 => (part(ledger.silent_copied_bytes), silent),
        8 => (part(ledger.clone_copied_bytes), theme.text),
        9 => (open(figures.path.has_completion()), theme.text),
        10 => (figures.frags.map_or_else(|| units::NOT_APPLICABLE.into(), units::count), theme.text),
        _ => (
            figures.send_ns_per_kib.map_or_else(|| units::NOT_APPLICABLE.into(), units::count_short),
            theme.text,
        ),
    })
}

/// Copies with their reasons, refusals and notes; below each reason, once, what to do.
pub(super) fn copies(scene: Scene<'_>, portrait: &Portrait<'_>, width: usize) -> Section {
    let table = Table::new(COPIES, width as u16);
    let mut copies: Vec<(&PathFigures, &CopyFigures)> =
        portrait.paths.iter().flat_map(|p| p.copies.iter().map(move |copy| (p, copy))).collect();
    copies.sort_by_key(|(_, copy)| std::cmp::Reverse(copy.bytes));
    let mut told = Vec::new();
    let mut lines = Vec::new();
    for (path, copy) in copies {
        lines.push(copy_line(scene, &table, path, copy));
        let fix = reason::fix_for(copy.kind.reason, copy.kind.dev.as_deref());
        lines.extend(fix_lines(scene, &mut told, fix, width));
    }
    for figures in portrait.paths {
        let notes = figures.notes.iter().flatten().map(|note| (*note, "noted"));
        for ((reason, count), word) in
            figures.refused.iter().map(|refused| (*refused, "refused")).chain(notes)
        {
            lines.push(count_line(scene, &table, figures, (reason, count, word)));
            lines.extend(fix_lines(scene, &mut told, reason::fix_for(reason, None), width));
        }
    }
    if !lines.is_empty() {
        lines.insert(0, table.heading(scene.theme.heading));
    }
    Section { title: "Why", lines }
}

fn copy_line(scene: Scene<'_>, table: &Table, path: &PathFigures, copy: &CopyFigures) -> Line<'static> {
    let (theme, kind) = (scene.theme, &copy.kind);
    let inferred = if kind.inferred { "~" } else { "" };
    let place = match &kind.caller {
        Some(caller) => format!("{inferred}{} {} {caller}", kind.site, theme.symbols.left),
        None => format!("{inferred}{}", kind.site),
    };
    let word = match (path.path.receives(), kind.clone) {
        (true, _) => "recv",
        (false, true) => "clone",
        (false, false) => "wire",
    };
    table.row(|column, _| match column {
        0 => (kind.reason.name().into(), if kind.clone { theme.warn } else { theme.bad }),
        1 => (place.clone(), theme.text),
        2 => (kind.dev.clone().unwrap_or_else(|| units::UNKNOWN.into()), theme.text),
        3 => (path.path.name().into(), theme.text),
        4 => (units::count(copy.count), theme.dim),
        5 => (units::bytes(copy.bytes), theme.text),
        6 => (scene.rate(copy.bytes_per_s), theme.text),
        7 => (word.into(), theme.text),
        _ if kind.told => ("told".into(), theme.text),
        _ => ("not told".into(), theme.alarm),
    })
}

fn count_line(
    scene: Scene<'_>,
    table: &Table,
    path: &PathFigures,
    (reason, count, word): (Reason, u64, &str),
) -> Line<'static> {
    let theme = scene.theme;
    table.row(|column, _| match column {
        0 => (reason.name().into(), theme.warn),
        1 => (reason::info(reason).meaning.into(), theme.dim),
        3 => (path.path.name().into(), theme.text),
        4 => (units::count(count), theme.text),
        8 => (word.into(), theme.warn),
        _ => (units::NOT_APPLICABLE.into(), theme.dim),
    })
}

/// A fix, unless it was told already.
fn fix_lines(scene: Scene<'_>, told: &mut Vec<String>, fix: String, width: usize) -> Vec<Line<'static>> {
    if fix.is_empty() || told.contains(&fix) {
        return Vec::new();
    }
    let room = width.saturating_sub(LEAD.len());
    let steps = fix.lines().flat_map(|step| text::wrap(step, room, usize::MAX)).take(FIX_LINES);
    let leads = std::iter::once(LEAD.to_owned()).chain(std::iter::repeat(" ".repeat(LEAD.len())));
    let lines = steps.zip(leads).map(|(step, lead)| {
        Line::from(vec![Span::styled(lead, scene.theme.dim), Span::styled(step, scene.theme.accent)])
    });
    let lines = lines.collect();
    told.push(fix);
    lines
}
