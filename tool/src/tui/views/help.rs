//! The help overlay: keys (from their table), what the words mean, what is not known here and why, what was lost.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::Scene;
use super::page::{Overlay, Page};
use crate::tui::app::Intent;
use crate::tui::keys::{Chord, Place};

/// Words as the project uses them.
const WORDS: &[(&str, &str)] = &[
    ("requested", "bytes given to the kernel on a zero-copy path and accepted"),
    ("zero-copied", "requested and done without a copy on the way to the device"),
    ("copied", "requested and copied on that way; each byte counts once here, every time under the reasons"),
    ("silent", "copied, and the application was not told"),
    ("in flight", "accepted, and the buffer not released yet"),
    ("clone", "only a second consumer (a packet capture) got a copy; the transmission did not"),
    ("share", "of all copied bytes of the same kind (wire, clone or recv: received)"),
    ("until", "kernel: send accepted until the buffer is released; app read: until the notification is read"),
    ("+", "stages between the two: released until the notification is queued; queued until it is read"),
    (
        "told wrongly",
        "sends whose flag, as the application read it, is not what was done; zcscope stat names the kinds",
    ),
    ("pinned", "pages that sends in flight hold"),
    ("ns/KiB", "time inside the send call per KiB: a copy shows here; of plain sends a sample is measured"),
    ("held p99", "99 % of a socket's buffers were released within this time"),
    ("received", "bytes that came in: copied is what could not be mapped; in no sum with what is sent"),
    ("rates", "bits per second; amounts are bytes in binary units; each sparkline has its own scale"),
    ("n/a", "cannot be known here; never means 0"),
    ("-", "has no meaning there, such as the copied share of a path that never asked for zero-copy"),
    ("!  ≠", "bytes copied silently; the application was told something else than the kernel did"),
    ("~", "concluded from other events, not seen"),
];

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let overlay = Overlay::new(scene, area, buf);
    let lines = lines(scene, overlay.width());
    overlay.draw("Help", lines, &scene.app.help_scroll, 0, buf);
}

fn lines(scene: Scene<'_>, width: usize) -> Vec<Line<'static>> {
    let mut page = Page::new(scene, width);
    keys(scene, &mut page);
    let session = &scene.snapshot.session;
    if !session.missing.is_empty() {
        page.section("Not known here");
        for missing in &session.missing {
            page.entry(&missing.fact, &missing.why);
        }
    }
    let lost = &scene.snapshot.lost;
    if lost.total > 0 {
        page.section("Lost: figures may be too low by what these events would have added");
        for (cause, n) in &lost.by_cause {
            page.entry(cause, &crate::units::count(*n));
        }
    }
    page.section("Words");
    for (word, meaning) in WORDS {
        page.entry(word, meaning);
    }
    if !session.sources.is_empty() {
        page.section("Where the figures come from");
        for (fact, source) in &session.sources {
            page.entry(fact, source);
        }
    }
    page.lines()
}

/// Keys of this view and of all, then those that mean something elsewhere only.
fn keys(scene: Scene<'_>, page: &mut Page<'_>) {
    let here = scene.app.here(scene.shown);
    let label = |keys: &[Chord]| keys.iter().map(Chord::to_string).collect::<Vec<_>>().join(", ");
    let (mut own, mut general, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
    for (action, keys) in scene.app.keys.all().filter(|(_, keys)| !keys.is_empty()) {
        let list = match action.place {
            Place::Everywhere => &mut general,
            place if place.holds(here) => &mut own,
            _ => &mut elsewhere,
        };
        list.push((label(keys), action));
    }
    let name = scene.app.view.entry().name;
    let sections =
        [(format!("Keys in {name}"), own), ("Keys".into(), general), ("Elsewhere".into(), elsewhere)];
    for (title, list) in sections.into_iter().filter(|(_, list)| !list.is_empty()) {
        page.section(&title);
        for (keys, action) in list {
            let help = match action.intent {
                Intent::Show(view) => format!("{}: {}", view.entry().name, action.help),
                _ => action.help.to_owned(),
            };
            match action.place {
                place if place.holds(here) => page.entry(&keys, &help),
                place => page.entry(&keys, &format!("{help} ({})", place.name())),
            }
        }
    }
}
