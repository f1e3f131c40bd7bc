//! The frame around a panel (a rounded box, or a rule on top) and the list of lines inside it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Widget as _};

use super::Scene;
use crate::tui::text;

/// Draws a frame with a title and, dimmed at the right, a note; returns the room inside.
pub(super) fn frame(
    scene: Scene<'_>,
    title: &str,
    note: &str,
    focused: bool,
    area: Rect,
    buf: &mut Buffer,
) -> Rect {
    let theme = scene.theme;
    if area.height < 2 {
        return area;
    }
    let border = if focused { theme.border_focus } else { theme.border };
    let borders = if scene.boxed { Borders::ALL } else { Borders::TOP };
    // The focused panel carries a mark as well: colour is never the only sign.
    let mark = if focused { format!("{} ", theme.symbols.focus) } else { " ".to_owned() };
    let used = text::width(&mark) + text::width(title) + 1;
    let mut block =
        Block::new().borders(borders).border_set(theme.symbols.border).border_style(border).title(
            Line::from(vec![Span::styled(mark, border), Span::styled(format!("{title} "), theme.title)]),
        );
    let room = usize::from(area.width).saturating_sub(used + 6);
    if !note.is_empty() && text::width(note) <= room {
        block = block.title_top(Line::styled(format!(" {note} "), theme.dim).right_aligned());
    }
    let inner = block.inner(area);
    block.render(area, buf);
    if scene.boxed {
        // One column of air at both sides.
        Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }.intersection(inner)
    } else {
        inner
    }
}

/// Draws lines from the top, as many as fit.
pub(super) fn lines(lines: impl IntoIterator<Item = Line<'static>>, area: Rect, buf: &mut Buffer) {
    for (line, y) in lines.into_iter().zip(area.y..area.bottom()) {
        buf.set_line(area.x, y, &line, area.width);
    }
}

/// A sentence in the middle of an empty panel.
pub(super) fn centred(sentence: &str, style: Style, area: Rect, buf: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let wrapped = text::wrap(sentence, usize::from(area.width), usize::from(area.height));
    let top = area.y + (area.height.saturating_sub(wrapped.len() as u16)) / 2;
    for (line, y) in wrapped.iter().zip(top..area.bottom()) {
        let left = (usize::from(area.width).saturating_sub(text::width(line)) / 2) as u16;
        buf.set_stringn(area.x + left, y, line, usize::from(area.width), style);
    }
}

/// `1-9 of 1000` when not everything is visible.
pub(super) fn position(first: usize, visible: usize, rows: usize) -> String {
    if rows <= visible || visible == 0 {
        return rows.to_string();
    }
    format!("{}-{} of {rows}", first + 1, (first + visible).min(rows))
}
