//! The view Latency: how long are my buffers held? A table of paths and stages to choose from, in the window and since
//! tracing began, and the chosen one as a heat map over time.

mod heat;
mod marks;
mod stages;
mod table;
#[cfg(test)]
mod tests;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use zcscope_common::{Hist, LatencyKind, Path};

use super::{Scene, panel};
use crate::tui::app::{App, Intent, Scroll};
use crate::tui::series::window_name;
use crate::tui::shown::Shown;
use crate::units;
use stages::Stage;

/// What can be in front where there is no room for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::tui) enum Panel {
    /// The heat map.
    #[default]
    Map,
    /// Percentiles of the window.
    Window,
    /// Percentiles since tracing began.
    Start,
}

impl Panel {
    /// In the order of Tab.
    const ALL: [Panel; 3] = [Panel::Map, Panel::Window, Panel::Start];
}

/// What the view remembers.
#[derive(Clone, Debug, Default)]
pub(in crate::tui) struct State {
    focus: Panel,
    /// The chosen row by what it is: rows that come later do not move it.
    chosen: Option<(Path, LatencyKind)>,
    scroll: Scroll,
}

impl State {
    /// The place of the chosen row.
    fn at(&self, shown: &Shown, rows: &[Stage]) -> usize {
        let same = |row: &Stage| self.chosen == Some((row.path, row.kind));
        rows.iter().position(same).unwrap_or_else(|| stages::first_choice(&shown.snapshot, rows))
    }

    fn choose(&mut self, row: Option<&Stage>) {
        self.chosen = row.map(|row| (row.path, row.kind)).or(self.chosen);
    }
}

/// All that the panels of a frame share.
struct Frame<'a> {
    scene: Scene<'a>,
    rows: Vec<Stage>,
    chosen: usize,
    /// Durations in the window, as many as rows.
    window: Vec<Hist>,
}

/// From this height on the map has the table below it; from this width on both tables stand side by side.
const WITH_BOTH: u16 = 14;
const SIDE_BY_SIDE: u16 = 118;
/// The least a map is worth, its frame included.
const LEAST_MAP: u16 = 9;

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let rows = stages::stages(scene.snapshot);
    if rows.is_empty() {
        let inner = panel::frame(scene, "Latency", "", true, area, buf);
        panel::centred("no path that sends is in use yet", scene.theme.dim, inner, buf);
        return;
    }
    let to_ns = scene.shown.now_ns();
    let from_ns = to_ns.saturating_sub(scene.app.window_ns());
    let window = stages::in_window(&scene.shown.timeline, (from_ns, to_ns), &rows, scene.snapshot);
    let chosen = scene.app.states.latency.at(scene.shown, &rows);
    let frame = Frame { scene, rows, chosen, window };
    let focus = scene.app.states.latency.focus;
    if area.height < WITH_BOTH {
        match focus {
            Panel::Map => draw_map(&frame, area, buf),
            of => table::draw(&frame, of, area, buf),
        }
        return;
    }
    let borders = if scene.boxed { 3 } else { 2 };
    let wanted = (frame.rows.len() as u16 + borders).min(area.height - LEAST_MAP).min(area.height / 2);
    let [map, below] = Layout::vertical([Constraint::Fill(1), Constraint::Length(wanted)]).areas(area);
    draw_map(&frame, map, buf);
    if area.width < SIDE_BY_SIDE {
        let of = if focus == Panel::Start { Panel::Start } else { Panel::Window };
        return table::draw(&frame, of, below, buf);
    }
    // The left one has the names; figures are as wide in both.
    let left = Constraint::Length(below.width / 2 + below.width / 10);
    let [left, right] = Layout::horizontal([left, Constraint::Fill(1)]).areas(below);
    table::draw(&frame, Panel::Window, left, buf);
    table::draw(&frame, Panel::Start, right, buf);
}

fn draw_map(frame: &Frame<'_>, area: Rect, buf: &mut Buffer) {
    let (scene, stage) = (frame.scene, frame.rows[frame.chosen]);
    let theme = scene.theme;
    let title = format!("{}: {}", stage.path.name(), stage.name());
    let focused = scene.app.states.latency.focus == Panel::Map;
    let mut inner = panel::frame(scene, &title, stage.meaning(), focused, area, buf);
    let released = frame.rows.iter().position(|row| {
        (row.path, row.kind) == (stage.path, LatencyKind::Release)
            && row.why_unknown(&scene.snapshot.session).is_none()
    });
    let released = released.and_then(|at| frame.window.get(at));
    if inner.height >= LEAST_MAP {
        let lines = if inner.height >= 14 { 3 } else { 2 };
        let width = usize::from(inner.width);
        let marks = marks::side_by_side(marks::marks(scene, stage.path, released), width, lines);
        let legend = heat::legend(theme, width);
        let extra = marks.len() as u16 + 1;
        let below = Rect { y: inner.bottom() - extra, height: extra, ..inner };
        panel::lines(std::iter::once(legend).chain(marks), below, buf);
        inner.height -= extra;
    }
    if let Some(why) = stage.why_unknown(&scene.snapshot.session) {
        panel::centred(&format!("{}: {why}", units::UNKNOWN), theme.warn, inner, buf);
        return;
    }
    let to_ns = scene.shown.now_ns();
    let (cells, rows) = (heat::cells_in(inner.width), heat::rows_in(inner.height));
    let span = (to_ns, scene.app.window_ns());
    let map = heat::Map::of(&scene.shown.timeline, stage, span, cells, rows);
    heat::draw(&map, theme, stage, to_ns, inner, buf);
    if map.is_empty() {
        let window = window_name(scene.app.window_ns());
        let middle = Rect { x: inner.x + 9.min(inner.width), ..inner }.intersection(inner);
        panel::centred(&format!("none ended in these {window}"), theme.dim, middle, buf);
    }
}

pub(super) fn handle(app: &mut App, shown: &Shown, intent: Intent) -> bool {
    let state = &mut app.states.latency;
    let rows = stages::stages(&shown.snapshot);
    match intent {
        Intent::NextPanel => state.focus = Panel::ALL[(state.focus as usize + 1) % 3],
        Intent::PreviousPanel => state.focus = Panel::ALL[(state.focus as usize + 2) % 3],
        Intent::Scroll(by) | Intent::Wheel { rows: by, .. } => {
            let at = state.at(shown, &rows).saturating_add_signed(by).min(rows.len().saturating_sub(1));
            state.choose(rows.get(at));
        }
        Intent::Pick { panel, row } => {
            state.focus = Panel::ALL[panel.min(2)];
            state.choose(rows.get(row));
        }
        _ => return false,
    }
    true
}

/// What `?` offers: the chosen stage, its path, then what the marks are about.
pub(super) fn topics(app: &App, shown: &Shown) -> Vec<String> {
    let rows = stages::stages(&shown.snapshot);
    let chosen = rows.get(app.states.latency.at(shown, &rows));
    let chosen = chosen.into_iter().flat_map(|row| [row.topic(), row.path.name()]);
    let others = ["stage", "sends", "p50", "p99", "p99.9", "delayed_ack", "slow_reader", "lost_ends"];
    chosen.chain(others).map(str::to_owned).collect()
}
