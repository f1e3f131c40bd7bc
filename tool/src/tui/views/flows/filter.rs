//! The line of the filter: what is written, what is wrong with it and where, and what can follow.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Scene, panel};
use crate::query;
use crate::tui::text;

const PROMPT: &str = "filter: ";
/// Lines of the bar where there is room: the text, the place of an error, the words.
const LINES: u16 = 3;
/// From this height on the bar is whole; below it is the text and one line more.
const ROOMY: u16 = 10;

/// Divides the view between the table and the bar, which is empty unless something is being written.
pub(super) fn place(scene: Scene<'_>, area: Rect) -> (Rect, Rect) {
    if !scene.app.states.flows.input.is_open() {
        return (area, Rect::default());
    }
    let height = if area.height >= ROOMY { LINES } else { 2.min(area.height) };
    let table = Rect { height: area.height - height, ..area };
    (table, Rect { y: table.bottom(), height, ..area })
}

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let state = &scene.app.states.flows;
    state.input.draw(PROMPT, scene.theme, Rect { height: 1, ..area }, buf);
    let below = Rect { y: area.y + 1, height: area.height - 1, ..area };
    match &state.error {
        Some(error) => panel::lines(complaint(scene, error, below), below, buf),
        None => panel::lines(hints(scene, usize::from(below.width)), below, buf),
    }
}

/// Marks the place under the text, and says what is wrong beside it or below.
fn complaint(scene: Scene<'_>, error: &query::Error, area: Rect) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let width = usize::from(area.width);
    let text = scene.app.states.flows.input.text();
    let before = text.get(..error.at.start).unwrap_or(text);
    let part = text.get(error.at.clone()).unwrap_or_default();
    let start = text::width(PROMPT) + text::width(before);
    let marks = text::width(part).max(1);
    // A text longer than the line is moved; then there is no place to point at.
    let pointable = text::width(PROMPT) + text::width(text) < width;
    let says = text::width(&error.what);
    if pointable && start + marks + 1 + says <= width {
        let line = vec![
            Span::raw(" ".repeat(start)),
            Span::styled(format!("{} ", "^".repeat(marks)), theme.bad),
            Span::styled(error.what.clone(), theme.bad),
        ];
        return vec![Line::from(line)];
    }
    let message = Line::styled(text::cut(&error.what, width).0, theme.bad);
    if pointable && area.height >= 2 {
        let place = Span::styled("^".repeat(marks), theme.bad);
        return vec![Line::from(vec![Span::raw(" ".repeat(start)), place]), message];
    }
    vec![message]
}

/// What can stand at the cursor; of a single field what it is.
fn hints(scene: Scene<'_>, width: usize) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let input = &scene.app.states.flows.input;
    let found = query::complete(input.text(), input.cursor());
    let field = |word: &str| query::FIELDS.iter().find(|field| word.trim_end_matches(':') == field.name);
    if let [only] = found.words.as_slice()
        && let Some(field) = field(only)
    {
        let line = format!("Tab: {only}  {}, as in {}", field.help, field.example);
        return vec![Line::styled(text::cut(&line, width).0, theme.dim)];
    }
    if !found.words.is_empty() {
        let words: Vec<_> = found.words.iter().map(|word| word.trim_end_matches(':')).collect();
        let lines = text::wrap(&words.join(" "), width, usize::from(LINES - 1));
        return lines.into_iter().map(|line| Line::styled(line, theme.dim)).collect();
    }
    let word = query::field_at(input.text(), input.cursor());
    let line = match word {
        Some(field) => format!("{}: {}, as in {}", field.name, field.help, field.example),
        None => "? all that can be asked; terms side by side must all hold; Enter keeps, Esc undoes".into(),
    };
    vec![Line::styled(text::cut(&line, width).0, theme.dim)]
}
