//! The verdict on screen: as much of it as the room holds.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::{Scene, Verdict, View, panel, verdict};
use crate::tui::text;
use crate::tui::theme::Theme;

pub(in crate::tui::views::overview) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let verdict = verdict(scene.shown, &super::super::window(scene));
    let inner = if scene.boxed && area.height >= 4 {
        panel::frame(scene, View::Overview.entry().question, "", false, area, buf)
    } else {
        area
    };
    panel::lines(lines(&verdict, scene.theme, inner), inner, buf);
}

/// As much as fits: the sentence first, then the first step of the fix, then why, then the other steps.
pub(in crate::tui) fn lines(verdict: &Verdict, theme: &Theme, area: Rect) -> Vec<Line<'static>> {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let word = format!(" {} ", verdict.answer.word());
    let indent = 2.min(width / 20);
    let room = |text: &str, lines: usize| text::wrap(text, width.saturating_sub(indent), lines);
    let style = verdict.answer.style(theme).add_modifier(Modifier::BOLD | Modifier::REVERSED);
    // The word takes part of the first line: wrapped with a stand-in of its width. Later lines are set in.
    let lead = "\u{2588}".repeat(text::width(&word));
    let wrap = |text: &str| text::wrap(&format!("{lead} {text}"), width.saturating_sub(indent), usize::MAX);
    let reserved = usize::from(!verdict.why.is_empty()) + usize::from(!verdict.fix.is_empty());
    let fits = |text: &&String| !text.is_empty() && wrap(text).len() + reserved <= height;
    let wide = || Some(&verdict.sentence).filter(|text| width >= 60 && wrap(text).len() <= height);
    let text = [&verdict.long, &verdict.sentence].into_iter().find(fits).or_else(wide);
    let pad = " ".repeat(indent);
    let styled =
        |line: String, style: Style| Line::from(vec![Span::raw(pad.clone()), Span::styled(line, style)]);
    let mut out = Vec::new();
    for line in wrap(text.unwrap_or(&verdict.short)).into_iter().take(height) {
        out.push(match line.strip_prefix(&lead) {
            Some(rest) => Line::from(vec![
                Span::styled(word.clone(), style),
                Span::styled(rest.to_owned(), theme.title),
            ]),
            None => styled(line, theme.title),
        });
    }
    let mut left = height.saturating_sub(out.len());
    let fixes = usize::from(!verdict.fix.is_empty() && left > 0);
    if !verdict.why.is_empty() && left > fixes {
        let why = room(&verdict.why, left - fixes);
        left -= why.len();
        out.extend(why.into_iter().map(|line| styled(line, theme.text)));
    }
    for step in &verdict.fix {
        let step = room(&format!("fix: {step}"), left);
        let step = &step[..step.len().min(left)];
        left -= step.len();
        out.extend(step.iter().map(|line| styled(line.clone(), theme.accent)));
    }
    out
}
