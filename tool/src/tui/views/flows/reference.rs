//! All that a filter can say, in place of the table while one is written: `?` shows and hides it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{Scene, panel};
use crate::query::{FIELDS, Kind, RULES, units};
use crate::tui::views::page::Page;

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let frame = if scene.boxed { (4, 2) } else { (0, 1) };
    let lines = lines(scene, usize::from(area.width.saturating_sub(frame.0)));
    let visible = usize::from(area.height.saturating_sub(frame.1));
    let first = scene.app.states.flows.reference.clamp(lines.len(), visible);
    let arrows = [scene.theme.symbols.up, scene.theme.symbols.down].join(" ");
    let position = panel::position(first, visible, lines.len());
    let note = format!("{arrows} scroll, ? closes {} lines {position}", scene.theme.symbols.separator);
    let inner = panel::frame(scene, "What a filter can say", &note, true, area, buf);
    scene.app.regions.panel(area, super::list::PANEL);
    panel::lines(lines.into_iter().skip(first), inner, buf);
}

fn lines(scene: Scene<'_>, width: usize) -> Vec<Line<'static>> {
    let mut page = Page::new(scene, width);
    page.section("Examples");
    for rule in RULES {
        page.wide_entry(rule.example, rule.means);
    }
    for kind in Kind::ALL {
        page.section(kind.title());
        if kind == Kind::Figure {
            units().for_each(|(of, written)| page.entry(of, &format!("such as {written}")));
        }
        for field in FIELDS.iter().filter(|field| field.kind() == kind) {
            let words = match field.words().as_slice() {
                [] => String::new(),
                words => format!("; {}", words.join(" ")),
            };
            page.entry(field.name, &format!("{}, as in {}{words}", field.help, field.example));
        }
    }
    page.lines()
}
