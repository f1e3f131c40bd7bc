//! The first line: what must not be missed at the right (where in time, loss, a recording, findings, missing facts), who
//! and where at the left.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::Scene;
use crate::diagnose::Severity;
use crate::tui::clock::Pace;
use crate::tui::text;
use crate::units;

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let signs = signs(scene, area.width);
    let signs_width = (signs.width() as u16).min(area.width);
    buf.set_line(area.right() - signs_width, area.y, &signs, signs_width);
    let room = area.width - signs_width;
    let left = facts(scene, usize::from(room.saturating_sub(1)));
    buf.set_line(area.x, area.y, &left, room);
}

/// Something that must not be missed, in full and in short.
struct Sign {
    long: Vec<Span<'static>>,
    short: Vec<Span<'static>>,
}

impl Sign {
    fn new(long: String, short: String, style: Style) -> Self {
        Self { long: vec![Span::styled(long, style)], short: vec![Span::styled(short, style)] }
    }
}

fn columns(spans: &[Span<'_>]) -> usize {
    spans.iter().map(Span::width).sum()
}

/// What must not be missed, the most important at the edge. The least important is left out first, and is the last to
/// be written in full.
fn signs(scene: Scene<'_>, width: u16) -> Line<'static> {
    let width = usize::from(width);
    // A third of a wide line stays for who and where.
    let room = if width < 40 { width } else { width - (width / 3).min(40) };
    let signs: Vec<Sign> =
        [clock(scene), lost(scene), recording(scene), since(scene), missing(scene), findings(scene)]
            .into_iter()
            .flatten()
            .collect();
    let mut used = 0;
    let mut chosen: Vec<(&Sign, bool)> = Vec::new();
    for sign in &signs {
        let needed = columns(&sign.short) + 1;
        if used + needed <= room {
            used += needed;
            chosen.push((sign, false));
        }
    }
    for (sign, long) in &mut chosen {
        let more = columns(&sign.long).saturating_sub(columns(&sign.short));
        if used + more <= room {
            used += more;
            *long = true;
        }
    }
    let spans = chosen.iter().rev().flat_map(|(sign, long)| {
        let words = if *long { &sign.long } else { &sign.short };
        std::iter::once(Span::raw(" ")).chain(words.iter().cloned())
    });
    Line::from(spans.collect::<Vec<_>>())
}

/// Where the cursor in time stands, unless at what happens now.
fn clock(scene: Scene<'_>) -> Option<Sign> {
    let clock = &scene.shown.clock;
    (clock.pace != Pace::Live)
        .then(|| Sign::new(format!(" {} ", clock.text()), clock.word().to_owned(), scene.theme.badge))
}

fn lost(scene: Scene<'_>) -> Option<Sign> {
    let total = scene.snapshot.lost.total;
    let (long, short) =
        (format!("LOST {} events", units::count(total)), format!("LOST {}", units::count_short(total)));
    (total > 0).then(|| Sign::new(long, short, scene.theme.alarm))
}

fn recording(scene: Scene<'_>) -> Option<Sign> {
    let sign = scene.theme.symbols.record;
    let words = scene.app.recording.as_ref()?;
    Some(Sign::new(format!("{sign} REC {words}"), format!("{sign} REC"), scene.theme.bad))
}

/// How many findings of each severity that matters.
fn findings(scene: Scene<'_>) -> Option<Sign> {
    let mut sign = Sign { long: Vec::new(), short: Vec::new() };
    for (severity, one, more) in
        [(Severity::Critical, "critical", "critical"), (Severity::Warning, "warning", "warnings")]
    {
        let n = scene.shown.findings.iter().filter(|finding| finding.severity == severity).count();
        if n > 0 {
            let (glyph, style) = scene.theme.severity(severity);
            let gap = if sign.short.is_empty() { "" } else { " " };
            let word = if n == 1 { one } else { more };
            sign.short.push(Span::styled(format!("{gap}{glyph}{n}"), style));
            sign.long.push(Span::styled(format!("{gap}{glyph} {n} {word}"), style));
        }
    }
    (!sign.short.is_empty()).then_some(sign)
}

/// Since when figures count, when not since tracing began.
fn since(scene: Scene<'_>) -> Option<Sign> {
    let since = scene.shown.clock.since()?;
    Some(Sign::new(since.clone(), since, scene.theme.warn))
}

fn missing(scene: Scene<'_>) -> Option<Sign> {
    let n = scene.snapshot.session.missing.len();
    let facts = if n == 1 { "fact" } else { "facts" };
    let help = scene.app.keys.label("help").map_or_else(String::new, |key| format!(" ({key})"));
    (n > 0).then(|| Sign::new(format!("{n} {facts} missing{help}"), format!("{n} n/a"), scene.theme.warn))
}

/// Name, host, kernel, back end and duration: as many as fit, in order of importance, never cut in the middle.
fn facts(scene: Scene<'_>, width: usize) -> Line<'static> {
    let theme = scene.theme;
    let session = &scene.snapshot.session;
    let known = |s: &str| if s.is_empty() { units::UNKNOWN.to_owned() } else { s.to_owned() };
    let mut spans = vec![Span::styled("zcscope", theme.title)];
    let mut used = 7;
    let items = [
        (3, "", units::clock(scene.shown.now_ns())),
        (1, "kernel ", known(&session.kernel)),
        (2, "via ", known(&session.backend)),
        (0, "", known(&session.host)),
    ];
    // Importance decides what stays; the place on the line is fixed.
    let mut chosen = Vec::new();
    for (place, label, value) in items {
        let needed = 3 + label.len() + text::width(&value);
        if used + needed > width {
            break;
        }
        used += needed;
        chosen.push((place, label, value));
    }
    chosen.sort_by_key(|(place, ..)| *place);
    for (_, label, value) in chosen {
        spans.push(Span::styled(format!(" {} ", theme.symbols.separator), theme.dim));
        spans.push(Span::styled(label, theme.dim));
        spans.push(Span::styled(text::cut(&value, 64).0, theme.text));
    }
    Line::from(spans)
}
