//! One file per panel. Each draws what the snapshot says and decides nothing else.

mod chart;
mod completions;
mod footer;
mod header;
mod help;
mod ledger;
mod panel;
mod reasons;
mod sockets;
mod throughput;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::app::{App, Panel};
use super::layout::Layout;
use super::theme::Theme;
use crate::model::snapshot::Snapshot;

/// What every view gets.
#[derive(Clone, Copy)]
struct Scene<'a> {
    app: &'a App,
    theme: &'a Theme,
    snapshot: &'a Snapshot,
    boxed: bool,
}

/// Draws one panel.
type View = fn(Scene<'_>, Rect, &mut Buffer);

/// Draws the whole screen. The same state and snapshot always give the same screen.
pub fn draw(frame: &mut Frame<'_>, app: &App, snapshot: &Snapshot) {
    let area = frame.area();
    let layout = Layout::new(area, app.focus);
    let scene = Scene { app, theme: &app.theme, snapshot, boxed: layout.boxed };
    let views: [(Rect, View); 8] = [
        (layout.header, header::draw),
        (layout.summary, ledger::draw_summary),
        (layout.throughput, throughput::draw),
        (layout.ledger, ledger::draw),
        (layout.reasons, reasons::draw),
        (layout.completions, completions::draw),
        (layout.sockets, sockets::draw),
        (layout.footer, footer::draw),
    ];
    let buf = frame.buffer_mut();
    for (rect, view) in views {
        if !rect.is_empty() {
            view(scene, rect, buf);
        }
    }
    if app.help {
        help::draw(scene, area, buf);
    }
}

/// The panel's name, as in its title.
const fn name(panel: Panel) -> &'static str {
    match panel {
        Panel::Sockets => "Sockets",
        Panel::Reasons => "Why bytes were copied",
        Panel::Completions => "Completions",
        Panel::Throughput => "Throughput",
    }
}
