//! The overlay behind `?`: what a column, figure, reason or finding means, where it is measured in this session, and how
//! exact it is. The words are those of the room `explain`.

mod topic;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Scene;
use super::input::{Input, Typed};
use super::page::{Overlay, Page};
use crate::explain;
use crate::tui::app::{App, Intent, Scroll};
use crate::tui::shown::Shown;

/// What the overlay remembers.
#[derive(Clone, Debug, Default)]
pub(in crate::tui) struct State {
    /// Ids, or names on screen, to walk through.
    ids: Vec<String>,
    /// Those before the search.
    before: Vec<String>,
    at: usize,
    scroll: Scroll,
    pub(in crate::tui) search: Input,
}

/// Explained where a view has nothing of its own to say, and nothing has happened.
const FIRST: [&str; 8] = [
    "requested_bytes",
    "zerocopied_bytes",
    "copied_bytes",
    "silent_copied_bytes",
    "clone_copied_bytes",
    "in_flight",
    "latency_ns",
    "rate",
];
/// Matches of a search that can be walked through.
const MOST: usize = 100;

impl State {
    fn of(app: &App, shown: &Shown) -> Self {
        let mut ids = (app.view.entry().topics)(app, shown);
        // What the view shows first, then what was found, each once.
        ids.extend(shown.findings.iter().map(|finding| finding.id.clone()));
        ids.extend(FIRST.map(str::to_owned));
        Self { ids: known(ids), ..Self::default() }
    }

    fn walk(&mut self, by: isize) {
        if !self.ids.is_empty() {
            self.at = (self.at as isize + by).rem_euclid(self.ids.len() as isize) as usize;
            self.scroll = Scroll::default();
        }
    }

    /// What is typed decides what is shown.
    fn typed(&mut self, typed: Typed) {
        match typed {
            Typed::Changed | Typed::Complete => {
                let found = matches(self.search.text());
                if !found.is_empty() {
                    (self.ids, self.at, self.scroll) = (found, 0, Scroll::default());
                }
            }
            Typed::Accepted | Typed::Help | Typed::Scroll(_) => {}
            Typed::Cancelled => {
                (self.ids, self.at, self.scroll) = (self.before.clone(), 0, Scroll::default());
            }
        }
    }
}

/// Ids that are explained, each once, in their order.
fn known(ids: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for id in ids {
        if !out.contains(&id) && !explain::find(&id).is_empty() {
            out.push(id);
        }
    }
    out
}

/// Ids and names that contain what was typed, those that begin with it first; else the nearest.
fn matches(typed: &str) -> Vec<String> {
    let typed = typed.trim().to_lowercase();
    let names = || {
        explain::topics().flat_map(|topic| std::iter::once(topic.id).chain(topic.on_screen.iter().copied()))
    };
    let begin = names().filter(|name| name.to_lowercase().starts_with(&typed));
    let contain = names().filter(|name| name.to_lowercase().contains(&typed));
    let mut found = known(begin.chain(contain).map(str::to_owned).collect());
    if found.is_empty() {
        found = explain::nearest(&typed).into_iter().map(str::to_owned).collect();
    }
    found.truncate(MOST);
    found
}

/// Opens the overlay.
pub(in crate::tui) fn open(app: &mut App, shown: &Shown) {
    app.explain = Some(State::of(app, shown));
}

/// Opens it on one id, or name on screen, with those of the view behind it.
#[allow(dead_code, reason = "offered to every view")]
pub(in crate::tui) fn open_at(app: &mut App, shown: &Shown, id: &str) {
    let mut state = State::of(app, shown);
    state.ids.insert(0, id.to_owned());
    state.ids = known(std::mem::take(&mut state.ids));
    app.explain = Some(state);
}

/// Does what was asked while the overlay is open; false when it is for the whole screen.
pub(in crate::tui) fn handle(app: &mut App, intent: Intent) -> bool {
    let Some(state) = &mut app.explain else { return false };
    match intent {
        Intent::Close | Intent::Explain => app.explain = None,
        Intent::Adjust(by) => state.walk(by),
        Intent::NextPanel | Intent::NextView => state.walk(1),
        Intent::PreviousPanel | Intent::PreviousView => state.walk(-1),
        Intent::Scroll(rows) => state.scroll.by(rows),
        Intent::Filter => {
            state.before = state.ids.clone();
            state.search.set("");
            state.search.open();
        }
        Intent::Typed(typed) => state.typed(typed),
        Intent::Help => {
            app.explain = None;
            app.help = true;
        }
        Intent::Show(_) => {
            app.explain = None;
            return false;
        }
        Intent::Quit
        | Intent::Freeze
        | Intent::CopyScreen
        | Intent::Redraw
        | Intent::Suspend
        | Intent::Mouse => {
            return false;
        }
        _ => {}
    }
    true
}

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let Some(state) = &scene.app.explain else { return };
    let overlay = Overlay::new(scene, upper(area), buf);
    let mut page = Page::new(scene, overlay.width());
    let id = state.ids.get(state.at).map_or("", String::as_str);
    for topic in explain::find(id) {
        topic::put(&mut page, scene, &topic);
    }
    let arrows = [scene.theme.symbols.left, scene.theme.symbols.right].join(" ");
    let title = format!("{id} ({} of {})", state.at + 1, state.ids.len());
    let inner = overlay.draw(&title, page.lines(), &state.scroll, 1, buf);
    if inner.height == 0 {
        return;
    }
    let bottom = Rect { y: inner.bottom() - 1, height: 1, ..inner };
    if state.search.is_open() {
        let none = matches(state.search.text()).is_empty();
        let prompt = if none { "nothing like / " } else { "search / " };
        state.search.draw(prompt, scene.theme, bottom, buf);
    } else {
        let keys = |name: &str| scene.app.keys.label(name).unwrap_or_default();
        let hint = format!("{arrows} next   {} search   {} close", keys("search"), keys("close"));
        buf.set_stringn(bottom.x, bottom.y, hint, usize::from(bottom.width), scene.theme.dim);
    }
}

/// The part of the screen it takes: all of a small one, two thirds of a high one. Not as much as the text needs: nothing
/// should jump while walking.
fn upper(area: Rect) -> Rect {
    Rect { height: area.height.min(24).max(area.height * 2 / 3), ..area }
}

#[cfg(test)]
mod tests;
