//! From what the terminal sends (keys, mouse, pasted text) to intents: through the line that is being written, the
//! keymap, and what was drawn where.

use crossterm::event::{Event, KeyEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::app::{App, Intent};
use super::keys::Here;
use super::shown::Shown;
use super::views::input::Input;

impl App {
    /// Takes in what the terminal sent; true when the screen may have to be drawn again.
    pub(super) fn event(&mut self, event: &Event, shown: &Shown) -> bool {
        let changed = self.take(event, shown);
        self.writing = self.line().is_some();
        changed
    }

    fn take(&mut self, event: &Event, shown: &Shown) -> bool {
        match event {
            Event::Key(key) if key.kind == KeyEventKind::Release => false,
            Event::Key(key) => self.key(*key, shown),
            Event::Mouse(mouse) => self.mouse_event(*mouse, shown),
            Event::Paste(text) => self.pasted(text, shown),
            Event::Resize(..) => true,
            Event::FocusGained | Event::FocusLost => false,
        }
    }

    /// Where keys are pressed now.
    pub(super) fn here(&self, shown: &Shown) -> Here {
        Here { view: self.view, replay: shown.clock.is_replay(), explain: self.explain.is_some() }
    }

    /// The line that is being written.
    fn line(&mut self) -> Option<&mut Input> {
        if self.help {
            return None;
        }
        let line = if self.explain.is_some() {
            self.explain.as_mut().map(|explain| &mut explain.search)
        } else {
            (self.view.entry().input)(self)
        };
        line.filter(|line| line.is_open())
    }

    fn key(&mut self, key: KeyEvent, shown: &Shown) -> bool {
        self.picked = None;
        if self.find.line.is_open() {
            if let Some(typed) = self.find.line.key(key) {
                self.typed_find(typed, shown);
            }
            return true;
        }
        if let Some(line) = self.line() {
            if let Some(typed) = line.key(key) {
                self.handle(Intent::Typed(typed), shown);
            }
            return true;
        }
        let intent = self.keys.intent(key, self.here(shown));
        if let Some(intent) = intent {
            self.handle(intent, shown);
        }
        intent.is_some()
    }

    /// Pasted text is text: it presses no keys.
    fn pasted(&mut self, text: &str, shown: &Shown) -> bool {
        if self.find.line.is_open() {
            self.find.line.paste(text).inspect(|typed| self.typed_find(*typed, shown));
            return true;
        }
        let typed = self.line().and_then(|line| line.paste(text));
        if let Some(typed) = typed {
            self.handle(Intent::Typed(typed), shown);
        }
        typed.is_some()
    }

    fn mouse_event(&mut self, mouse: MouseEvent, shown: &Shown) -> bool {
        let at = Position::new(mouse.column, mouse.row);
        let intent = match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => self.clicked(at),
            MouseEventKind::ScrollDown => self.regions.wheel(at, true),
            MouseEventKind::ScrollUp => self.regions.wheel(at, false),
            _ => None,
        };
        if let Some(intent) = intent {
            self.handle(intent, shown);
        }
        intent.is_some()
    }

    /// A row that was clicked just before is opened by another click.
    fn clicked(&mut self, at: Position) -> Option<Intent> {
        let intent = self.regions.clicked(at);
        match intent {
            Some(Intent::Pick { .. }) if self.picked == intent => {
                self.picked = None;
                Some(Intent::Open)
            }
            Some(Intent::Pick { .. }) => {
                self.picked = intent;
                intent
            }
            other => {
                self.picked = None;
                other
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::layout::Rect;

    use super::*;
    use crate::tui::theme::Theme;
    use crate::tui::views::{View, draw};

    fn key(code: KeyCode) -> Event {
        Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn mouse(kind: MouseEventKind, column: u16, row: u16) -> Event {
        Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
    }

    const CLICK: MouseEventKind = MouseEventKind::Down(MouseButton::Left);

    #[test]
    fn a_click_on_a_tab_shows_its_view() {
        let (mut app, shown) = (App::new(Theme::mono()), Shown::default());
        let mut terminal = Terminal::new(TestBackend::new(120, 40)).expect("a test terminal");
        terminal.draw(|frame| draw(frame, &app, &shown)).expect("a test terminal never fails");
        let tabs: String =
            (0..120).map(|x| terminal.backend().buffer()[(x, 1)].symbol().to_owned()).collect();
        let x = tabs.find("Latency").expect("a tab") as u16;
        assert!(app.event(&mouse(CLICK, x, 1), &shown));
        assert_eq!(app.view, View::Latency);
        assert!(!app.event(&mouse(MouseEventKind::Moved, x, 1), &shown));
    }

    #[test]
    fn a_second_click_opens_unless_something_came_between() {
        let mut app = App::new(Theme::mono());
        app.regions.rows(Rect::new(0, 0, 10, 5), 1, 0, 5);
        let at = Position::new(3, 2);
        assert_eq!(app.clicked(at), Some(Intent::Pick { panel: 1, row: 2 }));
        assert_eq!(app.clicked(at), Some(Intent::Open));
        assert_eq!(app.clicked(at), Some(Intent::Pick { panel: 1, row: 2 }));
        app.event(&key(KeyCode::F(12)), &Shown::default());
        assert_eq!(app.clicked(at), Some(Intent::Pick { panel: 1, row: 2 }));
        assert_eq!(app.clicked(Position::new(3, 3)), Some(Intent::Pick { panel: 1, row: 3 }));
    }

    #[test]
    fn what_is_pasted_presses_no_keys() {
        let (mut app, shown) = (App::new(Theme::mono()), Shown::default());
        assert!(!app.event(&Event::Paste("q".into()), &shown));
        assert!(!app.quit);
    }

    #[test]
    fn keys_are_letters_while_a_line_is_written() {
        let (mut app, shown) = (App::new(Theme::mono()), Shown::default());
        for code in ['?', '/', 'q', 'p'].map(KeyCode::Char) {
            app.event(&key(code), &shown);
        }
        assert_eq!(
            app.explain.as_ref().map(|explain| explain.search.text().to_owned()).as_deref(),
            Some("qp")
        );
        assert!(!app.quit);
        app.event(&key(KeyCode::Esc), &shown);
        app.event(&key(KeyCode::Esc), &shown);
        assert!(app.explain.is_none());
        app.event(&key(KeyCode::Char('q')), &shown);
        assert!(app.quit);
    }
}
