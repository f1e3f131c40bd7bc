//! Why bytes were copied or sends refused, over all paths: what, where, how much, whether the application was told,
//! and what to do about it.

use std::collections::{HashMap, HashSet};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use zcscope_common::{Path, Reason};

use super::{Panel, Scene, panel};
use crate::diagnose::{Finding, Severity};
use crate::model::reason;
use crate::model::sample::CopyKind;
use crate::model::snapshot::PathFigures;
use crate::tui::table::{Column, Table, figures, hungry, names};
use crate::tui::text;
use crate::tui::totals::Totals;
use crate::units;

const COLUMNS: &[Column] = &[
    names("reason", 16, 23, 9),
    hungry("where", 12, 56, 4, 4),
    names("dev", 6, 15, 2),
    figures("events", 9, 1),
    figures("bytes", 8, 8),
    figures("rate", 11, 3),
    figures("share", 6, 5),
    names("kind", 5, 5, 6),
    names("app was", 8, 8, 7),
];

/// One row.
enum Row<'a> {
    /// Copy events of one kind on all send paths, or on all receive paths.
    Copies { kind: &'a CopyKind, receive: bool, count: u64, bytes: u64, bytes_per_s: u64 },
    /// Calls refused on one path.
    Refused { reason: Reason, path: Path, count: u64 },
}

impl Row<'_> {
    const fn reason(&self) -> Reason {
        match self {
            Row::Copies { kind, .. } => kind.reason,
            Row::Refused { reason, .. } => *reason,
        }
    }

    fn dev(&self) -> Option<&str> {
        match self {
            Row::Copies { kind, .. } => kind.dev.as_deref(),
            Row::Refused { .. } => None,
        }
    }
}

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let paths = &scene.snapshot.paths;
    let rows = rows(paths);
    let borders = if scene.boxed { 2 } else { 1 };
    let room = usize::from(area.height.saturating_sub(borders + 1));
    // One line stays for the fix of the first row shown.
    let shown = room - usize::from(room >= 2 && rows.len() >= room);
    let first = scene.app.states.overview.scroll(Panel::Reasons).clamp(rows.len(), shown);
    let note = panel::position(first, shown, rows.len());
    let inner = super::focusable(scene, Panel::Reasons, &note, area, buf);
    if rows.is_empty() {
        draw_empty(scene, inner, buf);
        return;
    }
    let table = Table::new(COLUMNS, inner.width);
    let totals = Sums::of(&rows);
    let heading = table.heading(scene.theme.heading);
    let width = usize::from(inner.width);
    let mut lines = vec![heading];
    let mut fixes = Fixes::new(room - shown.min(rows.len() - first));
    for row in rows.iter().skip(first).take(shown) {
        lines.push(line(scene, &table, row, &totals));
        lines.extend(fixes.lines(scene, row, width));
    }
    lines.extend(others(scene, &rows, width).into_iter().take(fixes.free));
    panel::lines(lines, inner, buf);
}

/// Findings that no row shows (loss stands in the header), one line each, the most severe first.
fn others(scene: Scene<'_>, rows: &[Row<'_>], width: usize) -> Vec<Line<'static>> {
    let found = &scene.shown.findings;
    let has_row = |id: &str| id == "lost" || rows.iter().any(|row| row.reason().name() == id);
    let shown = found.iter().filter(|finding| !has_row(&finding.id));
    let line = |finding: &Finding| {
        let style = match finding.severity {
            Severity::Critical => scene.theme.alarm,
            Severity::Warning => scene.theme.warn,
            Severity::Info => scene.theme.dim,
        };
        let mark = if finding.explained_by.is_some() { "  ↳" } else { "!" };
        Line::from(Span::styled(text::cut(&format!("{mark} {}", finding.title), width).0, style))
    };
    shown.map(line).collect()
}

/// No rows: say whether that means no copies, or that copies cannot be seen.
fn draw_empty(scene: Scene<'_>, inner: Rect, buf: &mut Buffer) {
    let totals = Totals::of(&scene.snapshot.paths);
    let (sentence, style) = match (totals.has_ledger, totals.copied) {
        (false, _) => ("nothing to explain yet", scene.theme.dim),
        (true, None) => ("n/a: copies cannot be seen here (h says why)", scene.theme.warn),
        (true, Some(0)) => ("no copies seen", scene.theme.good),
        (true, Some(_)) => {
            ("n/a: bytes were copied, the reason cannot be seen here (h says why)", scene.theme.warn)
        }
    };
    panel::centred(sentence, style, inner, buf);
}

/// Sums the copies of each kind over the paths; most bytes first, refusals last.
fn rows(paths: &[PathFigures]) -> Vec<Row<'_>> {
    let mut sums: HashMap<(bool, &CopyKind), (u64, u64, u64)> = HashMap::new();
    for (path, copy) in paths.iter().flat_map(|p| p.copies.iter().map(move |copy| (p.path, copy))) {
        let sum = sums.entry((path.receives(), &copy.kind)).or_default();
        *sum = (sum.0 + copy.count, sum.1 + copy.bytes, sum.2 + copy.bytes_per_s);
    }
    let mut copies: Vec<_> = sums.into_iter().collect();
    copies.sort_by(|(kind_a, a), (kind_b, b)| b.1.cmp(&a.1).then_with(|| kind_a.cmp(kind_b)));
    let refused = paths
        .iter()
        .flat_map(|p| p.refused.iter().map(|&(reason, count)| Row::Refused { reason, path: p.path, count }));
    copies
        .into_iter()
        .map(|((receive, kind), (count, bytes, bytes_per_s))| Row::Copies {
            kind,
            receive,
            count,
            bytes,
            bytes_per_s,
        })
        .chain(refused)
        .collect()
}

/// Copied bytes of all rows; wire copies, clone copies and what was received stay apart.
#[derive(Default)]
struct Sums {
    wire: u64,
    clone: u64,
    received: u64,
}

impl Sums {
    fn of(rows: &[Row<'_>]) -> Self {
        let mut sums = Sums::default();
        for row in rows {
            if let Row::Copies { kind, receive, bytes, .. } = row {
                let sum = match (receive, kind.clone) {
                    (true, _) => &mut sums.received,
                    (_, true) => &mut sums.clone,
                    _ => &mut sums.wire,
                };
                *sum += bytes;
            }
        }
        sums
    }

    /// The word for a row's kind, and what its share is of.
    const fn kind(&self, kind: &CopyKind, receive: bool) -> (&'static str, u64) {
        match (receive, kind.clone) {
            (true, _) => ("recv", self.received),
            (_, true) => ("clone", self.clone),
            _ => ("wire", self.wire),
        }
    }
}

fn line(scene: Scene<'_>, table: &Table, row: &Row<'_>, sums: &Sums) -> Line<'static> {
    match row {
        Row::Copies { kind, receive, count, bytes, bytes_per_s } => {
            copies_line(scene, table, kind, (*count, *bytes, *bytes_per_s), sums.kind(kind, *receive))
        }
        Row::Refused { reason, path, count } => refused_line(scene, table, *reason, *path, *count),
    }
}

fn copies_line(
    scene: Scene<'_>,
    table: &Table,
    kind: &CopyKind,
    (count, bytes, rate): (u64, u64, u64),
    (word, whole): (&'static str, u64),
) -> Line<'static> {
    let theme = scene.theme;
    let name = if kind.clone { theme.warn } else { theme.bad };
    let silent = !kind.told;
    table.row(|column, _| match column {
        0 => (kind.reason.name().into(), name),
        1 => (place(kind), theme.text),
        2 => (kind.dev.clone().unwrap_or_else(|| units::UNKNOWN.into()), theme.text),
        3 => (units::count(count), theme.dim),
        4 => (units::bytes(bytes), theme.text),
        5 => (scene.rate(rate), theme.text),
        6 => (units::percent(bytes, whole), theme.text),
        7 => (word.into(), theme.text),
        _ => (if silent { "not told" } else { "told" }.into(), if silent { theme.alarm } else { theme.text }),
    })
}

fn refused_line(scene: Scene<'_>, table: &Table, reason: Reason, path: Path, count: u64) -> Line<'static> {
    let theme = scene.theme;
    table.row(|column, _| match column {
        0 => (reason.name().into(), theme.warn),
        1 => (format!("{} calls on {}", units::count(count), path.name()), theme.text),
        3 => (units::count(count), theme.dim),
        8 => ("refused".into(), theme.warn),
        _ => (units::NOT_APPLICABLE.into(), theme.dim),
    })
}

/// Where it was copied, who asked for it; `~` when concluded and not seen.
fn place(kind: &CopyKind) -> String {
    let inferred = if kind.inferred { "~" } else { "" };
    match &kind.caller {
        Some(caller) => format!("{inferred}{} ← {caller}", kind.site),
        None => format!("{inferred}{}", kind.site),
    }
}

/// Lines of one fix at most.
const FIX_LINES: usize = 3;
/// What stands in front of a fix.
const LEAD: &str = "  ↳ fix: ";

/// Hands out the lines that the rows leave free to the fixes of the top reasons, each once.
struct Fixes {
    free: usize,
    told: HashSet<String>,
}

impl Fixes {
    fn new(free: usize) -> Self {
        Self { free, told: HashSet::new() }
    }

    fn lines(&mut self, scene: Scene<'_>, row: &Row<'_>, width: usize) -> Vec<Line<'static>> {
        let lead = text::width(LEAD);
        let fix = reason::fix_for(row.reason(), row.dev());
        if self.free == 0 || width <= lead + 8 || self.told.contains(&fix) {
            return Vec::new();
        }
        let steps = steps(&fix, width - lead, self.free.min(FIX_LINES));
        self.told.insert(fix);
        self.free -= steps.len();
        let leads = std::iter::once(LEAD.to_owned()).chain(std::iter::repeat(" ".repeat(lead)));
        let style: Style = scene.theme.accent;
        steps
            .into_iter()
            .zip(leads)
            .map(|(step, lead)| {
                Line::from(vec![Span::styled(lead, scene.theme.dim), Span::styled(step, style)])
            })
            .collect()
    }
}

/// The steps of a fix, each from the start of a line; an ellipsis says that more would follow.
fn steps(fix: &str, width: usize, max_lines: usize) -> Vec<String> {
    let mut lines: Vec<String> =
        fix.lines().flat_map(|step| text::wrap(step, width, usize::MAX)).take(max_lines + 1).collect();
    if lines.len() > max_lines {
        lines.truncate(max_lines);
        if let Some(last) = lines.last_mut() {
            *last = text::cut(&format!("{last} …"), width).0;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixtures;

    #[test]
    fn kinds_are_summed_over_paths_and_refusals_follow() {
        let snapshot = fixtures::copied();
        let rows = rows(&snapshot.paths);
        let bytes: Vec<u64> = rows
            .iter()
            .map_while(|r| if let Row::Copies { bytes, .. } = r { Some(*bytes) } else { None })
            .collect();
        assert!(bytes.is_sorted_by(|a, b| a >= b) && !bytes.is_empty());
        assert!(matches!(rows.last(), Some(Row::Refused { .. })));
        let all: u64 = snapshot.paths.iter().flat_map(|p| &p.copies).map(|c| c.bytes).sum();
        assert_eq!(bytes.iter().sum::<u64>(), all);
        let sums = Sums::of(&rows);
        assert_eq!(sums.wire + sums.clone + sums.received, all);
        assert!(sums.received > 0);
        assert!(sums.clone > 0);
    }

    #[test]
    fn the_last_row_can_be_reached() {
        use crate::tui::{App, Intent, Shown, Theme, draw};
        use ratatui::{Terminal, backend::TestBackend};
        let (mut app, shown) = (App::new(Theme::mono()), Shown::of(fixtures::copied()));
        [Intent::NextPanel, Intent::Scroll(isize::MAX)].iter().for_each(|intent| app.handle(*intent, &shown));
        for height in [7, 8, 12, 24] {
            let mut terminal = Terminal::new(TestBackend::new(90, height)).expect("a test terminal");
            terminal.draw(|frame| draw(frame, &app, &shown)).expect("a test terminal");
            assert!(terminal.backend().to_string().contains("optmem"), "at {height} lines");
        }
    }

    #[test]
    fn a_cut_fix_says_so() {
        assert_eq!(steps("one\ntwo", 10, 2), ["one", "two"]);
        assert_eq!(steps("one\ntwo", 10, 1), ["one …"]);
        assert_eq!(steps("one two three", 9, 1), ["one two …"]);
    }

    #[test]
    fn inferred_places_are_marked() {
        let snapshot = fixtures::copied();
        let kinds: Vec<&CopyKind> = snapshot.paths.iter().flat_map(|p| &p.copies).map(|c| &*c.kind).collect();
        assert!(kinds.iter().any(|k| k.inferred));
        assert!(kinds.iter().all(|k| place(k).starts_with('~') == k.inferred));
    }
}
