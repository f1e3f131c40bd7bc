//! The one table of keys. Dispatch, the help overlay and the footer hints all come from it.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::app::Intent;
use super::views::View;

/// One binding.
pub(super) struct Binding {
    /// Keys that do it; any of them.
    keys: &'static [(KeyModifiers, KeyCode)],
    /// The keys as text.
    pub(super) label: &'static str,
    /// One word for the footer; empty keeps it out of the footer.
    pub(super) hint: &'static str,
    /// The keys as text in the footer.
    pub(super) short: &'static str,
    /// What it does.
    pub(super) help: &'static str,
    /// What it asks of the screen.
    pub(super) intent: Intent,
}

const NONE: KeyModifiers = KeyModifiers::NONE;
const CTRL: KeyModifiers = KeyModifiers::CONTROL;
const SHIFT: KeyModifiers = KeyModifiers::SHIFT;

const fn plain(c: char) -> (KeyModifiers, KeyCode) {
    (NONE, KeyCode::Char(c))
}

/// Every key, in the order of the help overlay.
pub(super) const BINDINGS: &[Binding] = &[
    Binding {
        keys: &[plain('q'), (CTRL, KeyCode::Char('c'))],
        label: "q, Ctrl-C",
        hint: "quit",
        short: "q",
        help: "quit",
        intent: Intent::Quit,
    },
    Binding {
        keys: &[plain(' '), plain('p')],
        label: "space, p",
        hint: "freeze",
        short: "space",
        help: "freeze the screen; counting goes on behind it",
        intent: Intent::Freeze,
    },
    Binding {
        keys: &[plain('h'), plain('?')],
        label: "h, ?",
        hint: "help",
        short: "?",
        help: "this help; what is not known here, and why",
        intent: Intent::Help,
    },
    Binding {
        keys: &[(NONE, KeyCode::Right), plain('l')],
        label: "Right, l",
        hint: "",
        short: "",
        help: "next view",
        intent: Intent::NextView,
    },
    Binding {
        keys: &[(NONE, KeyCode::Left)],
        label: "Left",
        hint: "",
        short: "",
        help: "view before",
        intent: Intent::PreviousView,
    },
    Binding {
        keys: &[plain('1')],
        label: "1",
        hint: "",
        short: "",
        help: "view Overview",
        intent: Intent::Show(View::Overview),
    },
    Binding {
        keys: &[plain('2')],
        label: "2",
        hint: "",
        short: "",
        help: "view Flows",
        intent: Intent::Show(View::Flows),
    },
    Binding {
        keys: &[plain('3')],
        label: "3",
        hint: "",
        short: "",
        help: "view Copies",
        intent: Intent::Show(View::Copies),
    },
    Binding {
        keys: &[plain('4')],
        label: "4",
        hint: "",
        short: "",
        help: "view Latency",
        intent: Intent::Show(View::Latency),
    },
    Binding {
        keys: &[plain('5')],
        label: "5",
        hint: "",
        short: "",
        help: "view Pinning",
        intent: Intent::Show(View::Pinning),
    },
    Binding {
        keys: &[plain('6')],
        label: "6",
        hint: "",
        short: "",
        help: "view Receive",
        intent: Intent::Show(View::Receive),
    },
    Binding {
        keys: &[plain('7')],
        label: "7",
        hint: "",
        short: "",
        help: "view Load",
        intent: Intent::Show(View::Load),
    },
    Binding {
        keys: &[plain('8')],
        label: "8",
        hint: "",
        short: "",
        help: "view Host",
        intent: Intent::Show(View::Host),
    },
    Binding {
        keys: &[plain('9')],
        label: "9",
        hint: "",
        short: "",
        help: "view Events",
        intent: Intent::Show(View::Events),
    },
    Binding {
        keys: &[plain('+'), plain('=')],
        label: "+",
        hint: "",
        short: "",
        help: "show a shorter time",
        intent: Intent::ZoomIn,
    },
    Binding {
        keys: &[plain('-')],
        label: "-",
        hint: "",
        short: "",
        help: "show a longer time",
        intent: Intent::ZoomOut,
    },
    Binding {
        keys: &[(NONE, KeyCode::Enter)],
        label: "Enter",
        hint: "",
        short: "",
        help: "open the page of the selected row",
        intent: Intent::Open,
    },
    Binding {
        keys: &[(NONE, KeyCode::Tab)],
        label: "Tab",
        hint: "panel",
        short: "tab",
        help: "next panel: the arrows scroll it, and small screens show it",
        intent: Intent::NextPanel,
    },
    Binding {
        keys: &[(KeyModifiers::SHIFT, KeyCode::BackTab), (NONE, KeyCode::BackTab)],
        label: "Shift-Tab",
        hint: "",
        short: "",
        help: "panel before",
        intent: Intent::PreviousPanel,
    },
    Binding {
        keys: &[plain('s')],
        label: "s",
        hint: "sort",
        short: "s",
        help: "sort sockets by rate, bytes, copied bytes, pid",
        intent: Intent::Sort,
    },
    Binding {
        keys: &[(NONE, KeyCode::Up), plain('k')],
        label: "Up, k",
        hint: "",
        short: "",
        help: "one row up",
        intent: Intent::Scroll(-1),
    },
    Binding {
        keys: &[(NONE, KeyCode::Down), plain('j')],
        label: "Down, j",
        hint: "scroll",
        short: "↑↓",
        help: "one row down",
        intent: Intent::Scroll(1),
    },
    Binding {
        keys: &[(NONE, KeyCode::PageUp)],
        label: "PgUp",
        hint: "",
        short: "",
        help: "ten rows up",
        intent: Intent::Scroll(-10),
    },
    Binding {
        keys: &[(NONE, KeyCode::PageDown)],
        label: "PgDn",
        hint: "",
        short: "",
        help: "ten rows down",
        intent: Intent::Scroll(10),
    },
    Binding {
        keys: &[(NONE, KeyCode::Home)],
        label: "Home",
        hint: "",
        short: "",
        help: "first row",
        intent: Intent::Scroll(isize::MIN),
    },
    Binding {
        keys: &[(NONE, KeyCode::End)],
        label: "End",
        hint: "",
        short: "",
        help: "last row",
        intent: Intent::Scroll(isize::MAX),
    },
    Binding {
        keys: &[(NONE, KeyCode::Esc)],
        label: "Esc",
        hint: "",
        short: "",
        help: "close the help",
        intent: Intent::Close,
    },
    Binding {
        keys: &[plain('['), (SHIFT, KeyCode::Left)],
        label: "[, Shift-Left",
        hint: "",
        short: "",
        help: "back in time by a column",
        intent: Intent::Seek(-1),
    },
    Binding {
        keys: &[plain(']'), (SHIFT, KeyCode::Right)],
        label: "], Shift-Right",
        hint: "",
        short: "",
        help: "forward in time by a column",
        intent: Intent::Seek(1),
    },
    Binding {
        keys: &[plain('{')],
        label: "{",
        hint: "",
        short: "",
        help: "back in time by the whole window",
        intent: Intent::Page(-1),
    },
    Binding {
        keys: &[plain('}')],
        label: "}",
        hint: "",
        short: "",
        help: "forward in time by the whole window",
        intent: Intent::Page(1),
    },
    Binding {
        keys: &[plain(',')],
        label: ",",
        hint: "",
        short: "",
        help: "one snapshot back",
        intent: Intent::Step(-1),
    },
    Binding {
        keys: &[plain('.')],
        label: ".",
        hint: "",
        short: "",
        help: "one snapshot forward",
        intent: Intent::Step(1),
    },
    Binding {
        keys: &[plain('0')],
        label: "0",
        hint: "",
        short: "",
        help: "to the oldest moment kept",
        intent: Intent::Oldest,
    },
    Binding {
        keys: &[plain('e')],
        label: "e",
        hint: "",
        short: "",
        help: "to the newest moment; live, follow it again",
        intent: Intent::Newest,
    },
    Binding {
        keys: &[plain('>')],
        label: ">",
        hint: "",
        short: "",
        help: "replay faster",
        intent: Intent::Faster,
    },
    Binding {
        keys: &[plain('<')],
        label: "<",
        hint: "",
        short: "",
        help: "replay slower",
        intent: Intent::Slower,
    },
    Binding {
        keys: &[plain('u')],
        label: "u",
        hint: "",
        short: "",
        help: "rates in bits or in bytes per second",
        intent: Intent::Units,
    },
    Binding {
        keys: &[plain('b')],
        label: "b",
        hint: "",
        short: "",
        help: "count from here on, or from the begin again",
        intent: Intent::Baseline,
    },
    Binding {
        keys: &[plain('y')],
        label: "y",
        hint: "",
        short: "",
        help: "copy the selected row to the clipboard",
        intent: Intent::CopyRow,
    },
    Binding {
        keys: &[plain('Y')],
        label: "Y",
        hint: "",
        short: "",
        help: "copy the screen to the clipboard",
        intent: Intent::CopyScreen,
    },
    Binding {
        keys: &[plain('w')],
        label: "w",
        hint: "",
        short: "",
        help: "save what is shown, as text and as JSON",
        intent: Intent::Save,
    },
    Binding {
        keys: &[plain('R')],
        label: "R",
        hint: "",
        short: "",
        help: "begin a recording, or end it",
        intent: Intent::Record,
    },
    Binding {
        keys: &[(CTRL, KeyCode::Char('l'))],
        label: "Ctrl-L",
        hint: "",
        short: "",
        help: "draw the screen anew",
        intent: Intent::Redraw,
    },
    Binding {
        keys: &[(CTRL, KeyCode::Char('z'))],
        label: "Ctrl-Z",
        hint: "",
        short: "",
        help: "back to the shell; fg comes back",
        intent: Intent::Suspend,
    },
];

/// What a key asks for, if anything. Shift is ignored on characters: `?` needs it on most keyboards.
pub(super) fn intent(key: KeyEvent) -> Option<Intent> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let modifiers = match key.code {
        KeyCode::Char(_) => key.modifiers.difference(KeyModifiers::SHIFT),
        _ => key.modifiers,
    };
    BINDINGS.iter().find(|binding| binding.keys.contains(&(modifiers, key.code))).map(|b| b.intent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_bound_twice() {
        let all: Vec<_> = BINDINGS.iter().flat_map(|b| b.keys).collect();
        for (i, key) in all.iter().enumerate() {
            assert!(!all[i + 1..].contains(key), "{key:?} twice");
        }
    }

    #[test]
    fn keys_reach_their_intent() {
        let press = |m, c| intent(KeyEvent::new(c, m));
        assert_eq!(press(NONE, KeyCode::Char('q')), Some(Intent::Quit));
        assert_eq!(press(CTRL, KeyCode::Char('c')), Some(Intent::Quit));
        assert_eq!(press(NONE, KeyCode::Char('c')), None);
        assert_eq!(press(KeyModifiers::SHIFT, KeyCode::Char('?')), Some(Intent::Help));
        assert_eq!(press(NONE, KeyCode::PageDown), Some(Intent::Scroll(10)));
        assert_eq!(press(NONE, KeyCode::Char('x')), None);
        let release =
            KeyEvent { kind: KeyEventKind::Release, ..KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE) };
        assert_eq!(intent(release), None);
    }

    #[test]
    fn every_footer_hint_names_its_key() {
        assert!(BINDINGS.iter().all(|b| b.hint.is_empty() == b.short.is_empty()));
        assert!(BINDINGS.iter().all(|b| !b.help.is_empty() && !b.label.is_empty()));
    }
}
