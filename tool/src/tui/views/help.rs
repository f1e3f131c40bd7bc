//! The help overlay: keys (from their table), what the words mean, what is not known here and why, what was lost.

use ratatui::buffer::Buffer;
use ratatui::layout::{Margin, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget as _};

use super::{Scene, panel};
use crate::tui::keys::BINDINGS;
use crate::tui::text::{Align, fit, wrap};

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

const LABEL: usize = 12;

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let margin = Margin::new((area.width / 10).min(area.width.saturating_sub(100) / 2), area.height / 16);
    let area = area.inner(margin);
    Clear.render(area, buf);
    let scene = Scene { boxed: area.width >= 40 && area.height >= 8, ..scene };
    let lines = lines(scene, usize::from(area.width.saturating_sub(if scene.boxed { 4 } else { 0 })));
    let visible = usize::from(area.height.saturating_sub(if scene.boxed { 2 } else { 1 }));
    let first = scene.app.help_scroll.clamp(lines.len(), visible);
    let note = if lines.len() > visible {
        format!("lines {}", panel::position(first, visible, lines.len()))
    } else {
        String::new()
    };
    let inner = panel::frame(scene, "Help", &note, true, area, buf);
    panel::lines(lines.into_iter().skip(first), inner, buf);
}

fn lines(scene: Scene<'_>, width: usize) -> Vec<Line<'static>> {
    let mut page = Page { scene, width, lines: Vec::new() };
    page.section("Keys");
    for binding in BINDINGS {
        page.entry(binding.label, binding.help);
    }
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
    page.lines
}

/// Lines being put together.
struct Page<'a> {
    scene: Scene<'a>,
    width: usize,
    lines: Vec<Line<'static>>,
}

impl Page<'_> {
    fn section(&mut self, title: &str) {
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
        self.lines.push(Line::styled(title.to_owned(), self.scene.theme.title));
    }

    /// A label with its text beside it, or below it where the label is long or the screen narrow.
    fn entry(&mut self, label: &str, text: &str) {
        let theme = self.scene.theme;
        let beside = crate::tui::text::width(label) < LABEL && self.width >= 40;
        let indent = if beside { LABEL + 1 } else { 2 };
        let mut lead = if beside { fit(label, LABEL + 1, Align::Left) } else { " ".repeat(indent) };
        if !beside {
            self.lines.push(Line::styled(label.to_owned(), theme.accent));
        }
        for line in wrap(text, self.width.saturating_sub(indent).max(8), usize::MAX) {
            let lead = std::mem::replace(&mut lead, " ".repeat(indent));
            self.lines
                .push(Line::from(vec![Span::styled(lead, theme.accent), Span::styled(line, theme.text)]));
        }
    }
}
