//! All about one row: what it means, what to do, where, who, since when, and how it is known.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::rows::{Row, What};
use super::{DETAIL, Scene, panel};
use crate::diagnose::Finding;
use crate::model::reason::{self, ReasonInfo};
use crate::model::snapshot::{PathFigures, Snapshot};
use crate::tui::series::Window;
use crate::tui::text::{self, Align};
use crate::tui::views::overview::chart;
use crate::units;

/// Columns of the labels.
const LABEL: usize = 10;
/// Processes named.
const TOP: usize = 4;

pub(super) fn draw(scene: Scene<'_>, row: &Row, area: Rect, buf: &mut Buffer) {
    let state = &scene.app.states.copies;
    let info = reason::info(row.what.reason());
    let inner = panel::frame(scene, info.reason.name(), &note(row), state.open, area, buf);
    let lines = Detail { scene, row, info, width: usize::from(inner.width) }.lines();
    let visible = usize::from(inner.height);
    let first = state.detail.clamp(lines.len(), visible);
    panel::lines(lines.into_iter().skip(first), inner, buf);
    scene.app.regions.panel(area, DETAIL);
}

/// What kind of row it is, in words.
fn note(row: &Row) -> String {
    let kind = reason::info(row.what.reason()).kind.title().to_lowercase();
    let how = match &row.what {
        What::Copy { receives: true, .. } => "copied on receive",
        What::Copy { kind, .. } if kind.clone => "clone copy: not the wire bytes",
        What::Copy { .. } => "wire copy",
        What::Refused(_) => "calls refused",
        What::Note(_) => return kind,
    };
    format!("{kind} · {how}")
}

struct Detail<'a> {
    scene: Scene<'a>,
    row: &'a Row,
    info: &'static ReasonInfo,
    width: usize,
}

impl Detail<'_> {
    /// Everything, the most needed first.
    fn lines(&self) -> Vec<Line<'static>> {
        let theme = self.scene.theme;
        let mut lines = self.plain(&format!("{}.", units::capital(self.info.meaning)), theme.title);
        for (i, step) in self.fix().iter().enumerate() {
            lines.extend(self.item(if i == 0 { "fix" } else { "" }, step, theme.accent));
        }
        lines.extend(self.item("app sees", self.info.app_sees, theme.text));
        lines.extend(self.place());
        lines.extend(self.item("how known", &self.how(), theme.text));
        lines.extend(self.item("paths", &self.paths(), theme.text));
        lines.extend(self.item("who", &self.processes(), theme.text));
        lines.extend(self.item("seen", &self.seen(), theme.text));
        lines.extend(self.trend());
        if let Some(finding) = self.finding() {
            for (i, line) in finding.evidence.iter().enumerate() {
                lines.extend(self.item(if i == 0 { "evidence" } else { "" }, line, theme.text));
            }
            lines.extend(self.item("follows", finding.explained_by.unwrap_or_default(), theme.text));
        }
        lines.extend(self.item("kernels", reason::kernels(self.info.reason), theme.dim));
        lines.extend(self.item("read on", reason::reading(self.info.reason), theme.dim));
        lines
    }

    fn plain(&self, text: &str, style: Style) -> Vec<Line<'static>> {
        text::wrap(text, self.width, usize::MAX).into_iter().map(|line| Line::styled(line, style)).collect()
    }

    /// A label and what belongs to it; nothing when there is nothing to say.
    fn item(&self, label: &'static str, value: &str, style: Style) -> Vec<Line<'static>> {
        if value.is_empty() {
            return Vec::new();
        }
        let room = self.width.saturating_sub(LABEL);
        if room < LABEL {
            return self.plain(&format!("{label}: {value}"), style);
        }
        let lines = text::wrap(value, room, usize::MAX).into_iter().enumerate().map(|(i, line)| {
            let label = text::fit(if i == 0 { label } else { "" }, LABEL, Align::Left);
            Line::from(vec![Span::styled(label, self.scene.theme.dim), Span::styled(line, style)])
        });
        lines.collect()
    }

    /// The finding about the same reason.
    fn finding(&self) -> Option<&Finding> {
        self.scene.shown.findings.iter().find(|finding| finding.id == self.info.reason.name())
    }

    /// What can be done on this host; in general, where no finding says so.
    fn fix(&self) -> Vec<String> {
        let general = || reason::fix_for(self.info.reason, self.row.what.dev());
        match self.finding() {
            Some(finding) if !finding.fix.is_empty() => finding.fix.clone(),
            _ => general().lines().map(str::to_owned).collect(),
        }
    }

    /// The function that copied and who asked for it, or why that is not known.
    fn place(&self) -> Vec<Line<'static>> {
        let What::Copy { kind, .. } = &self.row.what else { return Vec::new() };
        let on = kind.dev.as_ref().map_or_else(|| ", device n/a".to_owned(), |dev| format!(" on {dev}"));
        let mark = if kind.inferred { "~" } else { "" };
        let caller = match &kind.caller {
            Some(caller) => format!("{mark}{} ← {caller}{on}", kind.site),
            None => format!("{mark}{}{on}", kind.site),
        };
        let mut lines = self.item("where", &caller, self.scene.theme.text);
        let missing = &self.scene.snapshot.session.missing;
        let unseen = missing.iter().find(|missing| missing.fact == "copy_site");
        if let Some(unseen) = unseen.filter(|_| kind.caller.is_none()) {
            let why = format!("the caller is n/a: {}", unseen.why);
            lines.extend(self.item("", &why, self.scene.theme.dim));
        }
        lines
    }

    fn how(&self) -> String {
        match &self.row.what {
            What::Copy { kind, .. } if kind.inferred => {
                format!("~ concluded from other events, not seen; seen it would be: {}", self.info.how)
            }
            _ => self.info.how.to_owned(),
        }
    }

    fn paths(&self) -> String {
        let copies = matches!(self.row.what, What::Copy { .. });
        let one = |(path, n): &(zcscope_common::Path, u64)| match n {
            0 => path.name().to_owned(),
            n if copies => format!("{} {}", path.name(), units::bytes(*n)),
            n => format!("{} {}", path.name(), units::count(*n)),
        };
        self.row.paths.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn processes(&self) -> String {
        let mut all = concerned(self.scene.snapshot, &self.row.what);
        all.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let copies = matches!(self.row.what, What::Copy { .. });
        let amount = |n: u64| if copies { units::bytes(n) } else { units::count(n) };
        let named = all.iter().take(TOP).map(|(n, pid, comm)| format!("{comm} ({pid}) {}", amount(*n)));
        let more = all.len().saturating_sub(TOP);
        let more = (more > 0).then(|| format!("{more} more"));
        named.chain(more).collect::<Vec<_>>().join(", ")
    }

    fn seen(&self) -> String {
        let events = self.row.count.map(units::count);
        match (self.row.seen, events) {
            (Some((first, last)), Some(events)) => {
                format!("first {}, last {}; {events} events", units::clock(first), units::clock(last))
            }
            (None, Some(events)) => format!("{events} times"),
            _ => String::new(),
        }
    }

    /// Bytes per second over the window.
    fn trend(&self) -> Vec<Line<'static>> {
        let What::Copy { kind, receives } = &self.row.what else { return Vec::new() };
        let window = Window::new(self.scene.shown, self.scene.app.window_ns());
        let columns = self.width.saturating_sub(LABEL + 30).min(60);
        let rates = window.rates(columns, |point| {
            let same = point.copies.iter().filter(|copy| copy.receives == *receives && copy.kind == *kind);
            Some(same.map(|copy| copy.bytes).sum())
        });
        let peak = rates.iter().copied().flatten().max();
        let Some(peak) = peak.filter(|_| columns >= 10) else { return Vec::new() };
        let line =
            format!("{} last {}, peak {}", chart::sparkline(&rates), window.name(), self.scene.rate(peak));
        // Not wrapped: blanks at the left of a trend are a part of it.
        let label = Span::styled(text::fit("over time", LABEL, Align::Left), self.scene.theme.dim);
        vec![Line::from(vec![label, Span::styled(line, self.scene.theme.text)])]
    }
}

/// Processes a row is about, each with its bytes (copies) or counts.
fn concerned<'a>(snapshot: &'a Snapshot, what: &What) -> Vec<(u64, u32, &'a str)> {
    let of_path = |path: &PathFigures| -> u64 {
        match what {
            What::Copy { kind, receives } if path.path.receives() == *receives => {
                path.copies.iter().filter(|copy| copy.kind == *kind).map(|copy| copy.bytes).sum()
            }
            What::Copy { .. } => 0,
            What::Refused(reason) => path.refused.iter().filter(|(of, _)| of == reason).map(|(_, n)| n).sum(),
            What::Note(reason) => {
                let notes = path.notes.iter().flatten();
                notes.filter(|(of, _)| of == reason).map(|(_, n)| n).sum()
            }
        }
    };
    let rows = snapshot
        .processes
        .iter()
        .map(|process| (process.paths.iter().map(of_path).sum::<u64>(), process.pid, process.comm.as_str()));
    rows.filter(|(n, ..)| *n > 0).collect()
}
