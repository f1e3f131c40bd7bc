//! The view Overview: is zero-copy working here, now? One file per panel.

mod chart;
mod completions;
mod layout;
mod ledger;
mod reasons;
mod sockets;
mod throughput;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Scene;
use super::panel;
use crate::tui::app::{App, Intent, Scroll};
use crate::tui::shown::Shown;
use layout::Layout;

/// Panels that can be focused: scrolled, and on small screens shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::tui) enum Panel {
    /// One row per socket.
    #[default]
    Sockets,
    /// Reasons of copies, with the fix.
    Reasons,
    /// Ends of sends: told and kernel view, latency.
    Completions,
    /// Throughput per path.
    Throughput,
}

impl Panel {
    /// In the order of Tab.
    pub(in crate::tui) const ALL: [Panel; 4] =
        [Panel::Sockets, Panel::Reasons, Panel::Completions, Panel::Throughput];

    /// The name, as in its title.
    const fn name(self) -> &'static str {
        match self {
            Panel::Sockets => "Sockets",
            Panel::Reasons => "Why bytes were copied",
            Panel::Completions => "Completions",
            Panel::Throughput => "Throughput",
        }
    }
}

/// Order of the socket table; always most first, except pid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sort {
    #[default]
    Rate,
    Bytes,
    Copied,
    Pid,
}

impl Sort {
    const fn next(self) -> Self {
        match self {
            Sort::Rate => Sort::Bytes,
            Sort::Bytes => Sort::Copied,
            Sort::Copied => Sort::Pid,
            Sort::Pid => Sort::Rate,
        }
    }

    /// As shown in the panel's title.
    const fn name(self) -> &'static str {
        match self {
            Sort::Rate => "rate",
            Sort::Bytes => "bytes",
            Sort::Copied => "copied",
            Sort::Pid => "pid",
        }
    }
}

/// What the view remembers.
#[derive(Clone, Debug, Default)]
pub(in crate::tui) struct State {
    pub(in crate::tui) focus: Panel,
    sort: Sort,
    scrolls: [Scroll; Panel::ALL.len()],
}

impl State {
    fn move_focus(&mut self, steps: usize) {
        self.focus = Panel::ALL[(self.focus as usize + steps) % Panel::ALL.len()];
    }

    const fn scroll(&self, panel: Panel) -> &Scroll {
        &self.scrolls[panel as usize]
    }
}

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let layout = Layout::new(area, scene.app.states.overview.focus);
    let scene = Scene { boxed: layout.boxed, ..scene };
    let panels: [(Rect, super::Draw); 6] = [
        (layout.summary, ledger::draw_summary),
        (layout.throughput, throughput::draw),
        (layout.ledger, ledger::draw),
        (layout.reasons, reasons::draw),
        (layout.completions, completions::draw),
        (layout.sockets, sockets::draw),
    ];
    for (rect, draw) in panels {
        if !rect.is_empty() {
            draw(scene, rect, buf);
        }
    }
}

pub(super) fn handle(app: &mut App, _shown: &Shown, intent: Intent) -> bool {
    let state = &mut app.states.overview;
    match intent {
        Intent::NextPanel => state.move_focus(1),
        Intent::PreviousPanel => state.move_focus(Panel::ALL.len() - 1),
        Intent::Sort => state.sort = state.sort.next(),
        Intent::Scroll(rows) => state.scroll(state.focus).by(rows),
        _ => return false,
    }
    true
}

/// Draws the frame of a panel and returns the room inside.
fn focusable(scene: Scene<'_>, panel: Panel, note: &str, area: Rect, buf: &mut Buffer) -> Rect {
    panel::frame(scene, panel.name(), note, scene.app.states.overview.focus == panel, area, buf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Theme;

    fn after(intents: &[Intent]) -> State {
        let (mut app, shown) = (App::new(Theme::mono()), Shown::default());
        intents.iter().for_each(|intent| app.handle(*intent, &shown));
        app.states.overview
    }

    #[test]
    fn panels_are_indexed_in_tab_order() {
        for (i, panel) in Panel::ALL.iter().enumerate() {
            assert_eq!(*panel as usize, i);
        }
    }

    #[test]
    fn tab_goes_round_both_ways() {
        assert_eq!(after(&[Intent::NextPanel]).focus, Panel::Reasons);
        assert_eq!(after(&[Intent::NextPanel; 4]).focus, Panel::Sockets);
        assert_eq!(after(&[Intent::PreviousPanel]).focus, Panel::Throughput);
    }

    #[test]
    fn arrows_scroll_the_focused_panel() {
        let state = after(&[Intent::NextPanel, Intent::Scroll(3)]);
        assert_eq!(state.scroll(Panel::Reasons).clamp(100, 10), 3);
        assert_eq!(state.scroll(Panel::Sockets).clamp(100, 10), 0);
    }

    #[test]
    fn sort_goes_round() {
        assert_eq!(after(&[Intent::Sort]).sort, Sort::Bytes);
        assert_eq!(after(&[Intent::Sort; 4]).sort, Sort::Rate);
    }
}
