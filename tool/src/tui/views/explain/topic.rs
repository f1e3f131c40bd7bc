//! One topic as text: what it means, its unit, where it is measured here, how exact, and what to do.

use super::super::Scene;
use super::super::page::Page;
use crate::explain::{Topic, measured};
use crate::units;

pub(super) fn put(page: &mut Page<'_>, scene: Scene<'_>, topic: &Topic) {
    page.section(&format!("{} ({})", topic.id, topic.describe()));
    page.text(&format!("{}.", units::capital(topic.meaning)), scene.theme.text);
    let on_screen = topic.on_screen.join(", ");
    let unit = measured::unit(topic).unwrap_or_default();
    let cells = [
        ("unit", unit),
        ("on screen", on_screen.as_str()),
        ("app sees", topic.app_sees),
        ("how known", topic.how),
        ("kernels", topic.kernels),
    ];
    for (label, text) in cells.into_iter().filter(|(_, text)| !text.is_empty()) {
        page.entry(label, text);
    }
    for fact in measured::facts(topic) {
        let (label, text) = here(scene, fact);
        page.entry(label, &text);
    }
    for (i, step) in topic.fix.lines().enumerate() {
        page.entry(if i == 0 { "fix" } else { "" }, step);
    }
    if !topic.reading.is_empty() {
        page.entry("read on", topic.reading);
    }
}

/// Where this session measures a fact, and how exact.
fn here(scene: Scene<'_>, fact: &str) -> (&'static str, String) {
    let session = &scene.snapshot.session;
    if let Some(missing) = session.missing.iter().find(|missing| missing.fact == fact) {
        return ("n/a here", format!("fact {fact}: {}", missing.why));
    }
    let Some(source) = session.sources.get(fact) else {
        return ("here", format!("fact {fact}: known in this session"));
    };
    let concluded = measured::concluded(fact) && session.infers(fact);
    let exact = match (concluded, scene.snapshot.lost.total) {
        (true, _) => "concluded from other events, not seen: marked ~",
        (false, 0) => "counted there, nothing lost so far",
        (false, _) => "counted there; with LOST above zero it may be too low by those",
    };
    ("here", format!("fact {fact} by {source}; {exact}"))
}
