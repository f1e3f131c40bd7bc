//! One event in full: what happened, to whom, what it means and what to do about it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::{Scene, panel};
use crate::explain;
use crate::timeline::events::Episode;
use crate::tui::text;
use crate::units;

/// Below the list, as much as fits.
pub(super) fn draw(scene: Scene<'_>, row: &Episode<'_>, area: Rect, buf: &mut Buffer) {
    let note = if area.width >= 60 { "Enter: all of it" } else { "" };
    let inner = panel::frame(scene, title(row), note, false, area, buf);
    panel::lines(lines(scene, row, usize::from(inner.width)), inner, buf);
}

/// The page: scrolled.
pub(super) fn draw_page(scene: Scene<'_>, row: &Episode<'_>, area: Rect, buf: &mut Buffer) {
    let note = if row.socket.is_some() { "Enter: its flow · Esc: back" } else { "Esc: back" };
    let inner = panel::frame(scene, title(row), note, true, area, buf);
    let lines = lines(scene, row, usize::from(inner.width));
    let first = scene.app.states.events.page_scroll.clamp(lines.len(), usize::from(inner.height));
    panel::lines(lines.into_iter().skip(first), inner, buf);
    scene.rows(inner, 0, 0, 0);
}

fn title<'a>(row: &Episode<'a>) -> &'a str {
    if row.latest.id.is_empty() { row.latest.kind.name() } else { &row.latest.id }
}

fn lines(scene: Scene<'_>, row: &Episode<'_>, width: usize) -> Vec<Line<'static>> {
    let (theme, event) = (scene.theme, row.latest);
    let (sign, style) = theme.severity(row.severity);
    let mut lines = Vec::new();
    let mut put = |lead: &str, words: &str, style: Style| {
        let room = width.saturating_sub(text::width(lead)).max(1);
        for (n, part) in text::wrap(words, room, usize::MAX).into_iter().enumerate() {
            let lead = if n == 0 { lead.to_owned() } else { " ".repeat(text::width(lead)) };
            lines.push(Line::from(vec![Span::styled(lead, theme.dim), Span::styled(part, style)]));
        }
    };
    put("", &format!("{sign} {}: {}", row.severity.name(), event.text), style);
    put("when: ", &when(row), theme.text);
    if let Some(who) = socket(scene, row) {
        put("socket: ", &who, theme.text);
    }
    let now = scene.shown.findings.iter().find(|finding| finding.id == event.id);
    // A reason and a column may have the same name: what happened is no column.
    let mut topics = explain::find(&event.id);
    if topics.iter().any(|topic| topic.kind != explain::Kind::Figure) {
        topics.retain(|topic| topic.kind != explain::Kind::Figure);
    }
    for topic in topics {
        put("means: ", topic.meaning, theme.text);
        for (lead, words) in [
            ("application sees: ", topic.app_sees),
            ("how zcscope knows: ", topic.how),
            ("read on: ", topic.reading),
        ] {
            if !words.is_empty() {
                put(lead, words, theme.dim);
            }
        }
        // The finding knows devices and processes by name.
        for step in topic.fix.lines().filter(|_| now.is_none()) {
            put("fix: ", step, theme.good);
        }
    }
    if let Some(finding) = now {
        put("now: ", &finding.title, theme.text);
        finding.evidence.iter().for_each(|seen| put("  seen: ", seen, theme.dim));
        finding.fix.iter().for_each(|step| put("  fix: ", step, theme.good));
    }
    lines
}

fn when(row: &Episode<'_>) -> String {
    let (first, last) = (units::clock(row.first_ns), units::clock(row.latest.at_ns));
    match row.events {
        0 | 1 => format!("{last} after tracing began"),
        _ => format!("{first} to {last}, {} in all; the newest is told", units::exact(row.count)),
    }
}

fn socket(scene: Scene<'_>, row: &Episode<'_>) -> Option<String> {
    let id = row.socket?;
    let known = scene.snapshot.sockets.iter().find(|socket| socket.id == id);
    Some(known.map_or_else(
        || format!("number {id}, no longer listed"),
        |socket| {
            let end = if socket.alive { "" } else { ", ended" };
            format!("{} ({}) {} > {}{end}", socket.comm, socket.pid, socket.local, socket.remote)
        },
    ))
}
