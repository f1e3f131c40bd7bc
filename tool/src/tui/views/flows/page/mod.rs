//! The page of one socket or process: who it is, every figure of it, its own ledger and reasons, its past. Sections of
//! lines under headings, in one column or two, scrolled together.

mod facts;
mod ledger;
mod news;
mod over_time;
mod portrait;
mod tables;
mod track;

use std::cell::RefCell;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Scene, panel};
use crate::model::snapshot::Snapshot;
use crate::tui::app::Scroll;
use crate::tui::shown::Shown;
use crate::tui::text;
use portrait::Portrait;
use track::Track;

/// Whose page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// A socket by zcscope's number.
    Socket(u64),
    /// A process by its id.
    Process(u32),
}

/// An open page.
#[derive(Clone, Debug)]
pub(super) struct Page {
    of: Of,
    pub(super) scroll: Scroll,
    /// What moved while the page was open.
    track: RefCell<Track>,
}

/// One part of the page.
pub(super) struct Section {
    title: &'static str,
    lines: Vec<Line<'static>>,
}

/// From this width on there are two columns.
const TWO_COLUMNS: u16 = 110;
/// Columns between them.
const GAP: u16 = 2;
/// Width of the left one: names and single figures.
const LEFT: u16 = 48;

impl Page {
    pub(super) fn new(of: Of) -> Self {
        Self { of, scroll: Scroll::default(), track: RefCell::default() }
    }

    pub(super) fn draw(&self, scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
        let Some(portrait) = Portrait::of(scene.snapshot, self.of) else {
            let inner = panel::frame(scene, "Flow", "Esc: back", true, area, buf);
            let sentence =
                "nothing is known of it at this moment: it had not begun, or its detail was let go";
            panel::centred(sentence, scene.theme.dim, inner, buf);
            return;
        };
        let mut track = self.track.borrow_mut();
        track.observe(scene.shown.whole(), self.of);
        let inner = panel::frame(scene, &portrait.title, "Esc: back", true, area, buf);
        let columns: Vec<(Rect, Vec<Line<'static>>)> = if inner.width >= TWO_COLUMNS {
            let left = Rect { width: LEFT, ..inner };
            let right = Rect { x: inner.x + LEFT + GAP, width: inner.width - LEFT - GAP, ..inner };
            vec![
                (left, stacked(scene, left.width, about(scene, &portrait, left.width))),
                (right, stacked(scene, right.width, moving(scene, &portrait, &track, right.width))),
            ]
        } else {
            let mut all = summary(scene, &portrait, inner.width);
            all.extend(moving(scene, &portrait, &track, inner.width));
            all.extend(about(scene, &portrait, inner.width).into_iter().skip(1));
            vec![(inner, stacked(scene, inner.width, all))]
        };
        let longest = columns.iter().map(|(_, lines)| lines.len()).max().unwrap_or(0);
        let first = self.scroll.clamp(longest, usize::from(inner.height));
        for (rect, lines) in columns {
            panel::lines(lines.into_iter().skip(first), rect, buf);
        }
        scene.app.regions.panel(inner, 0);
    }

    /// Takes in a moment of the past.
    pub(super) fn recall(&self, snapshot: &Snapshot) {
        self.track.borrow_mut().observe(snapshot, self.of);
    }

    /// What `?` offers: its reasons, then its paths.
    pub(super) fn topics(&self, shown: &Shown) -> Vec<String> {
        let Some(portrait) = Portrait::of(&shown.snapshot, self.of) else { return Vec::new() };
        let mut topics: Vec<String> = Vec::new();
        let reasons = portrait.paths.iter().flat_map(|p| p.copies.iter().map(|copy| copy.kind.reason));
        let refused = portrait.paths.iter().flat_map(|p| p.refused.iter().map(|(reason, _)| *reason));
        let reasons = reasons.chain(refused).map(|reason| reason.name());
        let paths = portrait.paths.iter().map(|p| p.path.name());
        let figures = ["copied", "silent", "held p99", "optmem_bytes", "pages_in_flight", "rate"];
        for topic in reasons.chain(paths).chain(figures) {
            if !topics.iter().any(|known| known == topic) {
                topics.push(topic.to_owned());
            }
        }
        topics
    }
}

/// Who it is and what it holds.
fn about(scene: Scene<'_>, portrait: &Portrait<'_>, width: u16) -> Vec<Section> {
    let width = usize::from(width);
    vec![
        ledger::section(scene, portrait, width),
        ledger::told(scene, portrait, width),
        facts::holds(scene, portrait, width),
        facts::identity(scene, portrait, width),
        facts::tcp(scene, portrait, width),
    ]
}

/// What comes first where there is one column: the ledger.
fn summary(scene: Scene<'_>, portrait: &Portrait<'_>, width: u16) -> Vec<Section> {
    vec![ledger::section(scene, portrait, usize::from(width))]
}

/// What it does, why, and how that went over time.
fn moving(scene: Scene<'_>, portrait: &Portrait<'_>, track: &Track, width: u16) -> Vec<Section> {
    let width = usize::from(width);
    vec![
        tables::copies(scene, portrait, width),
        over_time::throughput(scene, track, width),
        over_time::held(scene, portrait, track, width),
        tables::paths(scene, portrait, width),
        news::findings(scene, portrait, width),
        news::events(scene, portrait, width),
    ]
}

/// Sections under their headings, without the empty ones.
fn stacked(scene: Scene<'_>, width: u16, sections: Vec<Section>) -> Vec<Line<'static>> {
    let rule = scene.theme.symbols.border.horizontal_top;
    let mut lines = Vec::new();
    for section in sections.into_iter().filter(|section| !section.lines.is_empty()) {
        let title = format!("{rule}{rule} {} ", section.title);
        let rest = usize::from(width).saturating_sub(text::width(&title));
        lines.push(Line::from(vec![
            Span::styled(title, scene.theme.title),
            Span::styled(rule.repeat(rest), scene.theme.border),
        ]));
        lines.extend(section.lines);
    }
    lines
}
