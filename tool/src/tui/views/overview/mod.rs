//! The view Overview: is zero-copy working here, now? One file per panel.

pub(in crate::tui) mod chart;
pub(in crate::tui) mod findings;
mod flows;
mod latency;
mod layout;
mod ledger;
mod throughput;
pub(in crate::tui) mod verdict;
#[cfg(test)]
#[path = "overview_tests.rs"]
mod view_tests;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use zcscope_common::Reason;

use super::{Scene, View, panel};
use crate::tui::app::{App, Intent, Scroll};
use crate::tui::series::Window;
use crate::tui::shown::Shown;
use layout::Layout;

/// Panels that can be focused: scrolled, and on small screens shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::tui) enum Panel {
    /// Throughput per path, and over time.
    #[default]
    Throughput,
    /// What to know and what to do.
    Findings,
    /// How long buffers are held; told beside what the kernel did.
    Latency,
    /// The sockets that send most.
    Flows,
}

impl Panel {
    /// In the order of Tab.
    pub(in crate::tui) const ALL: [Panel; 4] =
        [Panel::Throughput, Panel::Findings, Panel::Latency, Panel::Flows];

    /// The name, as in its title.
    const fn name(self) -> &'static str {
        match self {
            Panel::Throughput => "Throughput",
            Panel::Findings => "Findings",
            Panel::Latency => "Ends of sends",
            Panel::Flows => "Top flows",
        }
    }
}

/// What the view remembers.
#[derive(Clone, Debug, Default)]
pub(in crate::tui) struct State {
    pub(in crate::tui) focus: Panel,
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
    let panels: [(Rect, super::Draw); 7] = [
        (layout.verdict, verdict::draw),
        (layout.summary, ledger::draw_summary),
        (layout.throughput, throughput::draw),
        (layout.ledger, ledger::draw),
        (layout.findings, findings::draw),
        (layout.latency, latency::draw),
        (layout.flows, flows::draw),
    ];
    for (rect, draw) in panels {
        if !rect.is_empty() {
            draw(scene, rect, buf);
        }
    }
    let scrolled = [
        (layout.throughput, Panel::Throughput),
        (layout.findings, Panel::Findings),
        (layout.latency, Panel::Latency),
        (layout.flows, Panel::Flows),
    ];
    for (rect, panel) in scrolled {
        // Any line of it: a click takes the focus there, another one opens what is behind it.
        scene.rows(rect, panel as usize, 0, usize::MAX);
    }
}

pub(super) fn handle(app: &mut App, shown: &Shown, intent: Intent) -> bool {
    let state = &mut app.states.overview;
    match intent {
        Intent::Open => return open(app, shown),
        Intent::NextPanel => state.move_focus(1),
        Intent::PreviousPanel => state.move_focus(Panel::ALL.len() - 1),
        Intent::Scroll(rows) => state.scroll(state.focus).by(rows),
        Intent::Pick { panel, .. } => state.focus = Panel::ALL[panel.min(Panel::ALL.len() - 1)],
        Intent::Wheel { panel, rows } => state.scrolls[panel.min(Panel::ALL.len() - 1)].by(rows),
        _ => return false,
    }
    true
}

/// Shows the view that has all about the focused panel; of the findings, about the first visible one.
fn open(app: &mut App, shown: &Shown) -> bool {
    let view = match app.states.overview.focus {
        Panel::Throughput => return false,
        Panel::Latency => View::Latency,
        Panel::Flows => View::Flows,
        Panel::Findings => {
            let first = app.states.overview.scroll(Panel::Findings).clamp(shown.findings.len(), 1);
            let finding = shown.findings.get(first);
            let Some(reason) = finding.and_then(|finding| Reason::from_name(&finding.id)) else {
                return false;
            };
            app.states.copies.show(reason, shown);
            View::Copies
        }
    };
    app.handle(Intent::Show(view), shown);
    true
}

/// What `?` offers: the findings, then the figures of the ledger and the columns.
pub(super) fn topics(_app: &App, shown: &Shown) -> Vec<String> {
    const FIGURES: [&str; 12] = [
        "requested_bytes",
        "zerocopied_bytes",
        "copied_bytes",
        "silent_copied_bytes",
        "clone_copied_bytes",
        "in_flight",
        "refused",
        "rate",
        "send_ns_per_kib",
        "latency_ns",
        "told_copied",
        "kernel_copied",
    ];
    let findings = shown.findings.iter().map(|finding| finding.id.clone());
    let paths = shown.snapshot.paths.iter().map(|path| path.path.name().to_owned());
    findings.chain(FIGURES.map(str::to_owned)).chain(paths).collect()
}

/// The time the charts show.
fn window(scene: Scene<'_>) -> Window<'_> {
    Window::new(scene.shown, scene.app.window_ns())
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
        assert_eq!(after(&[Intent::NextPanel]).focus, Panel::Findings);
        assert_eq!(after(&[Intent::NextPanel; 4]).focus, Panel::Throughput);
        assert_eq!(after(&[Intent::PreviousPanel]).focus, Panel::Flows);
    }

    #[test]
    fn enter_opens_the_view_with_all_about_the_panel() {
        let shown = Shown::of(crate::tui::fixtures::copied());
        let mut app = App::new(Theme::mono());
        app.states.overview.focus = Panel::Findings;
        let reason = |finding: &crate::diagnose::Finding| Reason::from_name(&finding.id);
        let first = shown.findings.iter().position(|finding| reason(finding).is_some()).expect("a reason");
        app.handle(Intent::Scroll(first as isize), &shown);
        app.handle(Intent::Open, &shown);
        assert_eq!(app.view, View::Copies);
        let topics = super::super::copies::topics(&app, &shown);
        assert_eq!(topics[0], shown.findings[first].id);
    }

    #[test]
    fn arrows_scroll_the_focused_panel() {
        let state = after(&[Intent::NextPanel, Intent::Scroll(3)]);
        assert_eq!(state.scroll(Panel::Findings).clamp(100, 10), 3);
        assert_eq!(state.scroll(Panel::Flows).clamp(100, 10), 0);
    }
}
