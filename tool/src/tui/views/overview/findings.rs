//! What to know and what to do: the findings, the most severe first, each with its fix, as far as there is room.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Panel, Scene, panel};
use crate::diagnose::{Finding, Severity};
use crate::tui::text;
use crate::tui::theme::Theme;

/// Lines of one fix at most, and of the evidence of one finding.
const FIX_LINES: usize = 3;

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let findings = &scene.shown.findings;
    let borders = if scene.boxed { 2 } else { 1 };
    let room = usize::from(area.height.saturating_sub(borders));
    let first = scene.app.states.overview.scroll(Panel::Findings).clamp(findings.len(), room.min(1));
    let inner = super::focusable(scene, Panel::Findings, &note(findings, first), area, buf);
    if findings.is_empty() {
        panel::centred("nothing found that needs mending", scene.theme.dim, inner, buf);
        return;
    }
    let list = Lines::new(&findings[first..], scene.theme, usize::from(inner.width));
    panel::lines(list.fitting(room), inner, buf);
}

/// How many of each severity; what is scrolled away is counted as well.
fn note(findings: &[Finding], first: usize) -> String {
    let of = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let all = [Severity::Critical, Severity::Warning, Severity::Info];
    let counts = all.map(|severity| (of(severity), severity.name()));
    let words = counts.iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}"));
    let counts = words.collect::<Vec<_>>().join(", ");
    if first == 0 { counts } else { format!("from {} of {}: {counts}", first + 1, findings.len()) }
}

/// The lines of each finding by importance: title, fix, evidence.
struct Lines<'a> {
    findings: &'a [Finding],
    theme: &'a Theme,
    width: usize,
}

impl<'a> Lines<'a> {
    const fn new(findings: &'a [Finding], theme: &'a Theme, width: usize) -> Self {
        Self { findings, theme, width }
    }

    /// Fixes stand with the first findings and take up to half of the room from the titles of later ones; what is
    /// left then goes to the evidence.
    fn fitting(&self, room: usize) -> Vec<Line<'static>> {
        let mut left = room;
        let mut extra = room / 2;
        let mut blocks: Vec<Vec<Line<'static>>> = Vec::new();
        for finding in self.findings {
            if left == 0 {
                break;
            }
            let mut block = vec![self.title(finding)];
            left -= 1;
            let fix = self.fix(finding);
            let spare = left.saturating_sub(self.findings.len() - blocks.len() - 1);
            if fix.len() <= left && fix.len() <= extra.max(spare) {
                extra = extra.saturating_sub(fix.len());
                left -= fix.len();
                block.extend(fix);
            }
            blocks.push(block);
        }
        for (block, finding) in blocks.iter_mut().zip(self.findings) {
            let evidence = self.evidence(finding);
            if evidence.len() <= left {
                left -= evidence.len();
                block.splice(1..1, evidence);
            }
        }
        blocks.into_iter().flatten().collect()
    }

    fn title(&self, finding: &Finding) -> Line<'static> {
        let (sign, style) = self.theme.severity(finding.severity);
        let branch = format!("  {} ", self.theme.symbols.last_branch);
        let lead = if finding.explained_by.is_some() { branch.as_str() } else { " " };
        let room = self.width.saturating_sub(text::width(sign) + text::width(lead));
        let title = text::cut(&finding.title, room).0;
        // What is by design is told, not alarmed about; its title is read all the same.
        let text = if finding.severity == Severity::Info { self.theme.text } else { style };
        Line::from(vec![Span::styled(sign, style), Span::styled(format!("{lead}{title}"), text)])
    }

    /// A finding that another one explains goes away with it: its own fix says nothing more.
    fn fix(&self, finding: &Finding) -> Vec<Line<'static>> {
        const LEAD: &str = "    fix: ";
        if finding.explained_by.is_some() || self.width < LEAD.len() + 8 {
            return Vec::new();
        }
        let steps = finding.fix.iter().take(FIX_LINES).enumerate().map(|(i, step)| {
            let lead = if i == 0 { LEAD.to_owned() } else { " ".repeat(LEAD.len()) };
            let step = text::cut(step, self.width - LEAD.len()).0;
            Line::from(vec![Span::styled(lead, self.theme.dim), Span::styled(step, self.theme.accent)])
        });
        steps.collect()
    }

    fn evidence(&self, finding: &Finding) -> Vec<Line<'static>> {
        let lines = finding
            .evidence
            .iter()
            .take(FIX_LINES)
            .map(|line| Line::styled(text::cut(&format!("    {line}"), self.width).0, self.theme.dim));
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::Shown;
    use crate::tui::fixtures;

    fn lines(findings: &[Finding], room: usize) -> Vec<String> {
        let theme = Theme::mono();
        Lines::new(findings, &theme, 100).fitting(room).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn never_more_lines_than_there_is_room_and_the_first_fix_stands_early() {
        let findings = Shown::of(fixtures::copied()).findings;
        assert!(findings.len() > 4);
        for room in 0..60 {
            assert!(lines(&findings, room).len() <= room);
        }
        assert!(lines(&findings, 4)[1].starts_with("    fix: "), "{:?}", lines(&findings, 4));
        let evidence = findings[0].evidence[0].as_str();
        assert!(lines(&findings, 60)[1].contains(evidence));
    }

    #[test]
    fn every_title_is_there_when_there_is_room() {
        let findings = Shown::of(fixtures::copied()).findings;
        let all = lines(&findings, 60);
        let titles = all.iter().filter(|line| !line.starts_with(' '));
        assert_eq!(titles.count(), findings.len());
    }
}
