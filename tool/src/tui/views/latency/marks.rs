//! What stands out in the times of one path: delayed ACKs, notifications nobody reads, ends that were not seen.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use zcscope_common::{Hist, Path, Reason};

use super::super::Scene;
use crate::diagnose::{Finding, Severity};
use crate::model::distributions::delayed_acks;
use crate::model::snapshot::Completions;
use crate::tui::text;
use crate::tui::theme::Theme;
use crate::units::{UNKNOWN, count, percent};

/// The marks of a path, one sentence each; `released` are its releases in the window, `None` when not known.
pub(super) fn marks(scene: Scene<'_>, path: Path, released: Option<&Hist>) -> Vec<Line<'static>> {
    let figures = scene.snapshot.paths.iter().find(|figures| figures.path == path);
    let Some(ends) = figures.and_then(|figures| figures.completions.as_deref()) else { return Vec::new() };
    let found = |id: &str| {
        let mut all = scene.shown.findings.iter();
        all.find(|finding| finding.id == id && finding.about.paths.contains(&path))
    };
    let theme = scene.theme;
    let mut lines = vec![
        delayed(theme, ends, released, found(Reason::DelayedAck.name())),
        unread(theme, ends, found(Reason::SlowReader.name())),
    ];
    if ends.lost_ends > 0 {
        let text = format!("ends not seen: {} sends, given up after a while", count(ends.lost_ends));
        lines.push(line(theme, Some(Severity::Warning), text));
    }
    lines
}

fn delayed(
    theme: &Theme,
    ends: &Completions,
    released: Option<&Hist>,
    finding: Option<&Finding>,
) -> Line<'static> {
    let (Some(released), Some(all)) = (released, ends.delayed_acks) else {
        return line(theme, None, format!("36 to 50 ms (delayed ACKs): {UNKNOWN}"));
    };
    let now = delayed_acks(released).sends;
    let text = format!(
        "36 to 50 ms (delayed ACKs): {} of {} releases here ({}), {} in all",
        count(now),
        count(released.count),
        percent(now, released.count),
        count(all.sends)
    );
    line(theme, finding.map(|finding| finding.severity), text)
}

fn unread(theme: &Theme, ends: &Completions, finding: Option<&Finding>) -> Line<'static> {
    let unread = ends.unread_sends.map_or_else(|| UNKNOWN.to_owned(), count);
    let slow = if finding.is_some() { ": slow reader" } else { "" };
    let text = format!("released and not read: {unread} sends{slow}");
    line(theme, finding.map(|finding| finding.severity.min(Severity::Warning)), text)
}

fn line(theme: &Theme, severity: Option<Severity>, text: String) -> Line<'static> {
    let (sign, style) = severity.map_or((" ", theme.dim), |severity| theme.severity(severity));
    Line::from(vec![Span::styled(format!("{sign} "), style), Span::styled(text, style)])
}

/// As many marks as fit on each line, whole ones only, on at most `lines` lines.
pub(super) fn side_by_side(marks: Vec<Line<'static>>, width: usize, lines: usize) -> Vec<Line<'static>> {
    let mut found: Vec<Line<'static>> = Vec::new();
    for mark in marks {
        let room = found.len() < lines;
        match found.last_mut() {
            Some(last) if last.width() + mark.width() + 3 <= width => {
                last.push_span(Span::styled("   ", Style::new()));
                last.spans.extend(mark.spans);
            }
            _ if room => found.push(mark),
            _ => break,
        }
    }
    let cut = |line: Line<'static>| {
        if line.width() <= width {
            return line;
        }
        let style = line.spans.first().map_or_else(Style::new, |span| span.style);
        let text: String = line.spans.iter().map(|span| span.content.as_ref()).collect();
        Line::from(Span::styled(text::cut(&text, width).0, style))
    };
    found.into_iter().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_share_a_line_or_are_cut() {
        let marks = || ["one", "two", "seven"].map(Line::from).to_vec();
        let text = |lines: Vec<Line<'_>>| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(text(side_by_side(marks(), 80, 2)), ["one   two   seven"]);
        assert_eq!(text(side_by_side(marks(), 9, 2)), ["one   two", "seven"]);
        assert_eq!(text(side_by_side(marks(), 4, 3)), ["one", "two", "sev…"]);
        assert_eq!(text(side_by_side(marks(), 4, 1)), ["one"]);
    }
}
