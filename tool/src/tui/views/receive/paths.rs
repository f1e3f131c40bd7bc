//! Receive paths: bytes read, mapped, copied, left, and what this back end cannot see.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::verdict::Offered;
use super::{Panel, Scene, panel, receiving, unseen};
use crate::model::snapshot::PathFigures;
use crate::tui::series::Window;
use crate::tui::table::{Column, Table, figures, names};
use crate::tui::text::{self, Align};
use crate::tui::views::overview::chart;
use crate::units;

const COLUMNS: &[Column] = &[
    names("path", 13, 19, 9),
    figures("rate", 11, 5),
    figures("received", 8, 7),
    figures("mapped", 8, 8),
    figures("rx copied", 9, 6),
    figures("left", 8, 4),
    figures("not mapped", 10, 3),
    figures("calls", 9, 1),
    names("trend", 8, 60, 2),
];

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let paths: Vec<&PathFigures> = receiving(scene.snapshot).collect();
    let rate = scene.rate(paths.iter().map(|path| path.bytes_per_s).sum());
    let inner = super::frame(scene, Panel::Paths, "Paths", &rate, area, buf);
    let table = Table::new(COLUMNS, inner.width);
    let mut lines: Vec<Line<'static>> = paths.iter().map(|path| row(scene, &table, path)).collect();
    lines.extend(unseen(scene.snapshot).map(|(fact, why)| unseen_row(scene, fact, why, inner.width)));
    if lines.is_empty() {
        panel::centred("nothing received yet", scene.theme.dim, inner, buf);
        return;
    }
    let visible = usize::from(inner.height.saturating_sub(1));
    let first = scene.app.states.receive.scroll(Panel::Paths).clamp(lines.len(), visible);
    let heading = std::iter::once(table.heading(scene.theme.heading));
    panel::lines(heading.chain(lines.into_iter().skip(first)), inner, buf);
}

fn row(scene: Scene<'_>, table: &Table, path: &PathFigures) -> Line<'static> {
    let theme = scene.theme;
    let offered = Offered::of(path);
    let part = |of: fn(&Offered) -> Option<u64>| match &offered {
        None => units::NOT_APPLICABLE.into(),
        Some(offered) => units::bytes_or_unknown(of(offered)),
    };
    let not_mapped = offered.as_ref().map(|offered| (offered.not_mapped(), offered.all));
    let worst = not_mapped.and_then(|(part, all)| theme.copied(part, all.unwrap_or(0)));
    table.row(|column, width| match column {
        0 => (path.path.name().into(), theme.text),
        1 => (scene.rate(path.bytes_per_s), theme.text),
        2 => (units::bytes(path.bytes), theme.text),
        3 => (part(|offered| offered.mapped), theme.good),
        4 => (part(|offered| offered.copied), worst.unwrap_or(theme.text)),
        // Only mapping leaves bytes to another call.
        5 if path.skip_hint_bytes.is_none() => (units::NOT_APPLICABLE.into(), theme.text),
        5 => (part(|offered| offered.left), theme.text),
        6 => match not_mapped {
            None => (units::NOT_APPLICABLE.into(), theme.text),
            Some((part, all)) => (units::percent_or_unknown(part, all), worst.unwrap_or(theme.text)),
        },
        7 => (units::count(path.calls), theme.dim),
        _ => {
            let window = Window::new(scene.shown, scene.app.window_ns());
            let rates = window.path_rates(width, path.path, |path| Some(path.bytes));
            (chart::sparkline(&rates), theme.accent)
        }
    })
}

/// A fact that is missing stands where its figures would.
fn unseen_row(scene: Scene<'_>, fact: &str, why: &str, width: u16) -> Line<'static> {
    let name = text::fit(fact, 14, Align::Left);
    let room = usize::from(width).saturating_sub(14);
    let why = text::cut(&format!("n/a: {why}"), room).0;
    Line::from(vec![Span::styled(name, scene.theme.text), Span::styled(why, scene.theme.warn)])
}
