//! The view Receive: what arrives without a copy? A verdict, the paths, why bytes were not mapped, who receives, and
//! what this back end cannot see.

mod paths;
mod reasons;
mod sockets;
mod verdict;
#[cfg(test)]
#[path = "receive_tests.rs"]
mod view_tests;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use super::overview::verdict::lines;
use super::{Scene, View, panel};
use crate::model::snapshot::{PathFigures, Snapshot};
use crate::tui::app::{App, Intent, Scroll};
use crate::tui::shown::Shown;

/// Panels that can be scrolled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Panel {
    #[default]
    Paths,
    Reasons,
    Sockets,
}

impl Panel {
    const ALL: [Panel; 3] = [Panel::Paths, Panel::Reasons, Panel::Sockets];
}

/// What the view remembers.
#[derive(Clone, Debug, Default)]
pub(in crate::tui) struct State {
    focus: Panel,
    scrolls: [Scroll; Panel::ALL.len()],
}

impl State {
    const fn scroll(&self, panel: Panel) -> &Scroll {
        &self.scrolls[panel as usize]
    }

    fn move_focus(&mut self, steps: usize) {
        self.focus = Panel::ALL[(self.focus as usize + steps) % Panel::ALL.len()];
    }
}

/// What bytes are received by, in the order of [`zcscope_common::Path`].
fn receiving(snapshot: &Snapshot) -> impl Iterator<Item = &PathFigures> {
    snapshot.paths.iter().filter(|path| path.path.receives())
}

/// Facts about receiving that cannot be known here, with the reason.
fn unseen(snapshot: &Snapshot) -> impl Iterator<Item = (&str, &str)> {
    const FACTS: [&str; 4] = ["recv", "recv_zerocopy", "recv_splice", "uring_zcrx"];
    let missing = snapshot.session.missing.iter().filter(|missing| FACTS.contains(&missing.fact.as_str()));
    missing.map(|missing| (missing.fact.as_str(), missing.why.as_str()))
}

/// Lines of the verdict.
const VERDICT: u16 = 4;

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let verdict = verdict::verdict(scene.snapshot);
    if area.height < 8 {
        return panel::lines(lines(&verdict, scene.theme, area), area, buf);
    }
    let borders = if scene.boxed { 2 } else { 0 };
    let [top, body] =
        Layout::vertical([Constraint::Length(VERDICT + borders), Constraint::Fill(1)]).areas(area);
    let inner = if scene.boxed {
        panel::frame(scene, View::Receive.entry().question, "", false, top, buf)
    } else {
        top
    };
    panel::lines(lines(&verdict, scene.theme, inner), inner, buf);
    let state = &scene.app.states.receive;
    if body.height < 15 {
        let draw = [paths::draw, reasons::draw, sockets::draw][state.focus as usize];
        return draw(scene, body, buf);
    }
    let frame = if scene.boxed { 3 } else { 2 };
    let rows = |wanted: usize, most: u16| u16::try_from(wanted).unwrap_or(most).clamp(1, most) + frame;
    let third = body.height / 3;
    let paths = rows(receiving(scene.snapshot).count() + unseen(scene.snapshot).count(), third.max(4));
    let [first, second, third] =
        Layout::vertical([Constraint::Length(paths), Constraint::Fill(1), Constraint::Fill(1)]).areas(body);
    paths::draw(scene, first, buf);
    reasons::draw(scene, second, buf);
    sockets::draw(scene, third, buf);
}

pub(super) fn handle(app: &mut App, _shown: &Shown, intent: Intent) -> bool {
    let state = &mut app.states.receive;
    let panel = |number: usize| Panel::ALL[number.min(Panel::ALL.len() - 1)];
    match intent {
        Intent::NextPanel => state.move_focus(1),
        Intent::PreviousPanel => state.move_focus(Panel::ALL.len() - 1),
        Intent::Scroll(rows) => state.scroll(state.focus).by(rows),
        Intent::Pick { panel: number, .. } => state.focus = panel(number),
        Intent::Wheel { panel: number, rows } => state.scroll(panel(number)).by(rows),
        _ => return false,
    }
    true
}

/// What `?` offers: the reasons met, then the columns and the paths.
pub(super) fn topics(_app: &App, shown: &Shown) -> Vec<String> {
    const COLUMNS: [&str; 7] = ["received", "mapped", "rx copied", "left", "not mapped", "rate", "trend"];
    let paths = || receiving(&shown.snapshot);
    let mut ids: Vec<String> = Vec::new();
    let reasons = paths().flat_map(|path| &path.copies).map(|copy| copy.kind.reason.name());
    for id in reasons.chain(COLUMNS).chain(paths().map(|path| path.path.name())) {
        if !ids.iter().any(|known| known == id) {
            ids.push(id.to_owned());
        }
    }
    ids
}

/// The frame of a panel; where only one is shown, the others are named in the title.
fn frame(scene: Scene<'_>, of: Panel, title: &str, note: &str, area: Rect, buf: &mut Buffer) -> Rect {
    let inner = panel::frame(scene, title, note, scene.app.states.receive.focus == of, area, buf);
    scene.app.regions.panel(area, of as usize);
    inner
}
