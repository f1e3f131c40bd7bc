//! The view Pinning: what do I hold? Sends in flight per path, what their packets are made of, and how near sockets and
//! processes are to the limits on what may be held.

mod fill;
mod gauges;
mod paths;
mod spreads;
#[cfg(test)]
mod tests;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use zcscope_common::Reason;

use super::{Scene, View};
use crate::model::snapshot::{PathFigures, Snapshot};
use crate::tui::app::{App, Intent, Scroll};
use crate::tui::shown::Shown;
use crate::tui::text;
use crate::tui::totals::Totals;
use crate::units;
use fill::By;

/// Panels that can be focused, and on small screens shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Panel {
    /// Limits per socket or process.
    #[default]
    Gauges,
    /// In flight per path.
    Paths,
    /// Distributions of one path.
    Spreads,
}

impl Panel {
    /// In the order of Tab.
    const ALL: [Panel; 3] = [Panel::Gauges, Panel::Paths, Panel::Spreads];
}

/// What the view remembers.
#[derive(Clone, Debug, Default)]
pub(in crate::tui) struct State {
    focus: Panel,
    by: By,
    /// The selected row by socket number or process id; `None` is the fullest.
    selected: Option<u64>,
    scroll: Scroll,
    /// The path whose distributions are shown; `None` is the first.
    path: Option<zcscope_common::Path>,
    path_scroll: Scroll,
}

impl State {
    /// The place of the chosen path.
    fn path_at(&self, paths: &[&PathFigures]) -> usize {
        paths.iter().position(|figures| Some(figures.path) == self.path).unwrap_or(0)
    }
}

/// Paths that hold anything: those that ask for no copy when they send.
fn holding(snapshot: &Snapshot) -> Vec<&PathFigures> {
    snapshot.paths.iter().filter(|of| of.path.wants_zerocopy() && !of.path.receives()).collect()
}

/// From this height on more than one panel is shown, and from this one on all of them.
const WITH_TWO: u16 = 14;
const WITH_ALL: u16 = 22;
/// From this width on distributions stand beside the paths.
const SIDE_BY_SIDE: u16 = 170;

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let [line, area] =
        Layout::vertical([Constraint::Length(u16::from(area.height >= 6)), Constraint::Fill(1)]).areas(area);
    if !line.is_empty() {
        buf.set_line(line.x, line.y, &summary(scene, usize::from(line.width)), line.width);
    }
    let focus = scene.app.states.pinning.focus;
    if area.height < WITH_TWO {
        match focus {
            Panel::Gauges => gauges::draw(scene, area, buf),
            Panel::Paths => paths::draw(scene, area, buf),
            Panel::Spreads => spreads::draw(scene, area, buf),
        }
        return;
    }
    let borders = if scene.boxed { 3 } else { 2 };
    let rows = holding(scene.snapshot).len() as u16 + borders;
    let spreads = spreads::ROWS + borders;
    if area.width >= SIDE_BY_SIDE {
        let top = rows.max(spreads).min(area.height / 2);
        let [top, below] = Layout::vertical([Constraint::Length(top), Constraint::Fill(1)]).areas(area);
        let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(62)]).areas(top);
        paths::draw(scene, left, buf);
        spreads::draw(scene, right, buf);
        return gauges::draw(scene, below, buf);
    }
    let both = area.height >= WITH_ALL;
    let rows = rows.max(4).min(area.height / 3);
    let middle = Constraint::Length(if both { spreads } else { 0 });
    let heights = [Constraint::Length(rows), middle, Constraint::Fill(1)];
    let [top, middle, below] = Layout::vertical(heights).areas(area);
    if !both && focus == Panel::Spreads {
        spreads::draw(scene, top, buf);
    } else {
        paths::draw(scene, top, buf);
    }
    if both {
        spreads::draw(scene, middle, buf);
    }
    gauges::draw(scene, below, buf);
}

/// What is held now, the fullest limit, and what was refused: as many facts as fit, whole ones.
fn summary(scene: Scene<'_>, width: usize) -> Line<'static> {
    let theme = scene.theme;
    let mut facts = vec![in_flight(scene)];
    if let Some((share, what)) = fill::fullest(scene.snapshot) {
        let style = fill::style(theme, Some(share));
        facts.push((format!("fullest: {what} {}", fill::percent(share)), style));
    }
    facts.push(refused(scene));
    let mut line = Line::default();
    for (text, style) in facts.into_iter().filter(|(text, _)| !text.is_empty()) {
        let gap = if line.spans.is_empty() { "" } else { " · " };
        if line.width() + text::width(gap) + text::width(&text) > width {
            break;
        }
        line.push_span(Span::styled(gap, theme.dim));
        line.push_span(Span::styled(text, style));
    }
    line
}

fn in_flight(scene: Scene<'_>) -> (String, ratatui::style::Style) {
    let theme = scene.theme;
    let completing = scene.snapshot.paths.iter().any(|figures| figures.path.has_completion());
    match Totals::of(&scene.snapshot.paths).in_flight {
        _ if !completing => ("nothing is held: no path with notifications is in use".into(), theme.dim),
        None => (format!("in flight {}", units::UNKNOWN), theme.warn),
        Some(held) => {
            let pages = held.pages.map_or_else(|| units::UNKNOWN.into(), units::count);
            let text = format!(
                "held now {} in {} sends, pages {pages}",
                units::bytes(held.bytes),
                units::count(held.sends)
            );
            (text, theme.text)
        }
    }
}

/// `ENOBUFS` by true cause.
fn refused(scene: Scene<'_>) -> (String, ratatui::style::Style) {
    let theme = scene.theme;
    let paths = &scene.snapshot.paths;
    let all: u64 = paths.iter().filter_map(|figures| figures.errors.get("ENOBUFS")).sum();
    let of = |reason: Reason| {
        let n: u64 =
            paths.iter().flat_map(|of| &of.refused).filter(|(r, _)| *r == reason).map(|(_, n)| n).sum();
        (n > 0).then(|| format!(" {} {}", reason.name(), units::count(n)))
    };
    let causes: Vec<String> = [Reason::Optmem, Reason::Memlock].into_iter().filter_map(of).collect();
    match (all, causes.is_empty()) {
        (0, _) => ("no ENOBUFS".into(), theme.dim),
        (all, true) => (format!("ENOBUFS {}, cause {}", units::count(all), units::UNKNOWN), theme.warn),
        (all, false) => (format!("ENOBUFS {}:{}", units::count(all), causes.join(",")), theme.warn),
    }
}

pub(super) fn handle(app: &mut App, shown: &Shown, intent: Intent) -> bool {
    let state = &mut app.states.pinning;
    match intent {
        Intent::NextPanel => state.focus = Panel::ALL[(state.focus as usize + 1) % 3],
        Intent::PreviousPanel => state.focus = Panel::ALL[(state.focus as usize + 2) % 3],
        Intent::Group => {
            (state.by, state.selected) = (state.by.other(), None);
        }
        Intent::Wheel { panel, rows } => {
            state.focus = Panel::ALL[panel.min(2)];
            scroll(state, shown, rows);
        }
        Intent::Scroll(rows) => scroll(state, shown, rows),
        Intent::Open if state.focus == Panel::Gauges && state.by == By::Socket => {
            let at = fill::place(&shown.snapshot, state.by, state.selected);
            let Some(id) = fill::id_at(&shown.snapshot, state.by, at) else { return false };
            super::flows::open_socket(app, shown, id);
            app.view = View::Flows;
        }
        Intent::Pick { panel, row } => {
            state.focus = Panel::ALL[panel.min(2)];
            match state.focus {
                Panel::Gauges => state.selected = fill::id_at(&shown.snapshot, state.by, row),
                _ => {
                    state.path = holding(&shown.snapshot).get(row).map(|figures| figures.path).or(state.path);
                }
            }
        }
        _ => return false,
    }
    true
}

fn scroll(state: &mut State, shown: &Shown, by: isize) {
    if state.focus == Panel::Gauges {
        let at = fill::place(&shown.snapshot, state.by, state.selected);
        let to = at.saturating_add_signed(by);
        state.selected = fill::id_at(&shown.snapshot, state.by, to);
        return;
    }
    let paths = holding(&shown.snapshot);
    let to = state.path_at(&paths).saturating_add_signed(by).min(paths.len().saturating_sub(1));
    state.path = paths.get(to).map(|figures| figures.path);
}

/// What `?` offers, in the order on screen.
pub(super) fn topics(_app: &App, _shown: &Shown) -> Vec<String> {
    let ids = [
        "in_flight",
        "optmem",
        "fill",
        "optmem_bytes",
        "optmem_peak_bytes",
        "optmem_max_bytes",
        "memlock",
        "locked_pages",
        "memlock_limit_bytes",
        "unread_notifications",
        "pages_in_flight",
        "frags_per_skb",
        "bytes_per_frag",
        "range_length",
        "enobufs",
    ];
    ids.map(str::to_owned).into()
}
