//! Keys: the table of actions, and which keys ask for them here.

mod chord;
mod table;

use crossterm::event::{KeyEvent, KeyEventKind};

pub use chord::Chord;
use table::HINTS;
pub(super) use table::Place;
pub use table::{ACTIONS, Action};

use super::app::Intent;
use super::theme::Symbols;
use super::views::View;

/// Where a key is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Here {
    pub(super) view: View,
    /// A recording is played.
    pub(super) replay: bool,
    /// Something is explained; the view does not see keys.
    pub(super) explain: bool,
}

impl Place {
    pub(super) fn holds(self, here: Here) -> bool {
        match self {
            Place::Everywhere => true,
            Place::In(views) => !here.explain && views.contains(&here.view),
            Place::Replay => here.replay,
            Place::Explain => here.explain,
        }
    }

    /// In words.
    pub(super) fn name(self) -> String {
        match self {
            Place::Everywhere => "everywhere".into(),
            Place::Replay => "replay".into(),
            Place::Explain => "explanations".into(),
            Place::In(views) => views.iter().map(|view| view.entry().name).collect::<Vec<_>>().join(", "),
        }
    }

    /// True when there is a place that is both.
    fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Place::In(a), Place::In(b)) => a.iter().any(|view| b.contains(view)),
            (Place::In(_), Place::Explain) | (Place::Explain, Place::In(_)) => false,
            _ => true,
        }
    }
}

/// Which keys ask for which action: the defaults, changed by the configuration.
#[derive(Clone, Debug)]
pub struct Keymap {
    /// One row per row of [`ACTIONS`].
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    keys: Vec<Chord>,
    /// By the configuration.
    chosen: bool,
}

impl Default for Keymap {
    fn default() -> Self {
        let keys = |action: &Action| action.keys.iter().filter_map(|key| Chord::parse(key).ok()).collect();
        Self { rows: ACTIONS.iter().map(|action| Row { keys: keys(action), chosen: false }).collect() }
    }
}

impl Keymap {
    /// Gives an action other keys; none takes its keys away. A default of another action on one of these keys goes.
    ///
    /// # Errors
    /// There is no such action, or the configuration has given one of the keys to another one that can be asked for at
    /// the same place.
    pub fn bind(&mut self, name: &str, keys: Vec<Chord>) -> Result<(), String> {
        let at = ACTIONS.iter().position(|action| action.name == name);
        let at = at.ok_or_else(|| unknown(name))?;
        for (i, (other, row)) in ACTIONS.iter().zip(&mut self.rows).enumerate() {
            if i == at || !ACTIONS[at].place.meets(other.place) {
                continue;
            }
            match row.keys.iter().find(|key| keys.contains(key)) {
                Some(key) if row.chosen => {
                    return Err(format!("the key {key} cannot do both {} and {name}", other.name));
                }
                _ => row.keys.retain(|key| !keys.contains(key)),
            }
        }
        self.rows[at] = Row { keys, chosen: true };
        Ok(())
    }

    /// True when something can still be asked for by a key.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.keys(name).is_some_and(|keys| !keys.is_empty())
    }

    fn keys(&self, name: &str) -> Option<&[Chord]> {
        let at = ACTIONS.iter().position(|action| action.name == name)?;
        Some(&self.rows[at].keys)
    }

    /// The first key of an action, as shown.
    pub(super) fn label(&self, name: &str) -> Option<String> {
        self.keys(name)?.first().map(Chord::to_string)
    }

    /// What a key asks for there, if anything.
    pub(super) fn intent(&self, key: KeyEvent, here: Here) -> Option<Intent> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let chord = Chord::of(key);
        let of = |everywhere: bool| {
            self.actions(here)
                .find(|(action, keys)| {
                    (action.place == Place::Everywhere) == everywhere && keys.contains(&chord)
                })
                .map(|(action, _)| action.intent)
        };
        // What is bound for this place stands before what is bound for all.
        of(false).or_else(|| of(true))
    }

    /// The actions that mean something there, with their keys.
    pub(super) fn actions(&self, here: Here) -> impl Iterator<Item = (&'static Action, &[Chord])> {
        let rows = ACTIONS.iter().zip(&self.rows).filter(move |(action, _)| action.place.holds(here));
        rows.map(|(action, row)| (action, row.keys.as_slice()))
    }

    /// All actions, with their keys.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static Action, &[Chord])> {
        ACTIONS.iter().zip(&self.rows).map(|(action, row)| (action, row.keys.as_slice()))
    }

    /// The hints that mean something there: keys, and the word.
    pub(super) fn hints(&self, here: Here, symbols: &Symbols) -> Vec<(String, &'static str)> {
        let label = |name: &&str| {
            let (_, keys) = self.actions(here).find(|(action, _)| action.name == *name)?;
            let key = *keys.first()?;
            let arrows = [symbols.up, symbols.down, symbols.left, symbols.right];
            Some(key.arrow().map_or_else(|| short(&key.to_string()), |i| arrows[i].to_owned()))
        };
        let hint = |hint: &table::Hint| {
            let keys: Option<Vec<_>> = hint.actions.iter().map(label).collect();
            Some((keys?.join(" "), hint.word))
        };
        HINTS.iter().filter_map(hint).collect()
    }
}

/// Names of keys are lower case in the footer; single characters are what they are.
fn short(label: &str) -> String {
    if label.chars().count() > 1 { label.to_lowercase() } else { label.to_owned() }
}

fn unknown(name: &str) -> String {
    let names = ACTIONS.iter().map(|action| action.name);
    match super::text::nearest(name, names) {
        Some(near) => format!("there is no action `{name}`; did you mean `{near}`?"),
        None => format!("there is no action `{name}`; `zcscope top --print-config` lists them"),
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;

    const OVERVIEW: Here = Here { view: View::Overview, replay: false, explain: false };
    const FLOWS: Here = Here { view: View::Flows, replay: false, explain: false };

    fn press(keymap: &Keymap, here: Here, code: KeyCode) -> Option<Intent> {
        keymap.intent(KeyEvent::new(code, KeyModifiers::NONE), here)
    }

    fn chord(text: &str) -> Vec<Chord> {
        vec![Chord::parse(text).expect("a key")]
    }

    #[test]
    fn the_table_is_sound() {
        for (i, action) in ACTIONS.iter().enumerate() {
            assert!(!action.keys.is_empty() && !action.help.is_empty(), "{}", action.name);
            assert!(action.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", action.name);
            for other in &ACTIONS[i + 1..] {
                assert_ne!(action.name, other.name);
                assert!(action.intent != other.intent || !action.place.meets(other.place), "{}", action.name);
                let same = action.keys.iter().find(|key| other.keys.contains(key));
                assert!(same.is_none() || !action.place.meets(other.place), "{same:?} twice");
            }
            for key in action.keys {
                assert!(Chord::parse(key).is_ok(), "{key}");
            }
        }
        let known = |name: &&str| ACTIONS.iter().any(|action| action.name == *name);
        assert!(HINTS.iter().flat_map(|hint| hint.actions).all(known));
    }

    #[test]
    fn questions_of_views_are_those_of_their_table() {
        for entry in super::super::views::VIEWS {
            let action = ACTIONS.iter().find(|a| a.intent == Intent::Show(entry.view));
            assert_eq!(action.map(|a| a.help), Some(entry.question));
        }
    }

    #[test]
    fn keys_reach_their_intent_where_they_mean_something() {
        let keymap = Keymap::default();
        assert_eq!(press(&keymap, OVERVIEW, KeyCode::Char('q')), Some(Intent::Quit));
        assert_eq!(press(&keymap, OVERVIEW, KeyCode::PageDown), Some(Intent::Scroll(10)));
        assert_eq!(press(&keymap, OVERVIEW, KeyCode::Char('g')), None);
        assert_eq!(press(&keymap, FLOWS, KeyCode::Char('g')), Some(Intent::Group));
        assert_eq!(press(&keymap, FLOWS, KeyCode::Char('>')), None);
        let replay = Here { replay: true, ..FLOWS };
        assert_eq!(press(&keymap, replay, KeyCode::Char('>')), Some(Intent::Faster));
        let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(keymap.intent(ctrl_c, OVERVIEW), Some(Intent::Quit));
        let release = KeyEvent { kind: KeyEventKind::Release, ..ctrl_c };
        assert_eq!(keymap.intent(release, OVERVIEW), None);
    }

    #[test]
    fn chosen_keys_displace_defaults_and_collide_with_each_other() {
        let mut keymap = Keymap::default();
        keymap.bind("freeze", chord("q")).expect("free to choose");
        assert_eq!(press(&keymap, OVERVIEW, KeyCode::Char('q')), Some(Intent::Freeze));
        assert_eq!(press(&keymap, OVERVIEW, KeyCode::Char(' ')), None);
        assert!(keymap.has("quit"), "by Ctrl-C");
        let message = keymap.bind("units", chord("q")).expect_err("taken");
        assert_eq!(message, "the key q cannot do both freeze and units");
        // Where two never meet they may share a key.
        keymap.bind("group", chord("x")).expect("only in Flows");
        keymap.bind("toggle", chord("x")).expect("only in Load");
        keymap.bind("quit", Vec::new()).expect("allowed here");
        assert!(!keymap.has("quit"));
    }

    #[test]
    fn unknown_actions_are_named_with_the_nearest() {
        let message = Keymap::default().bind("zoomin", Vec::new()).expect_err("unknown");
        assert_eq!(message, "there is no action `zoomin`; did you mean `zoom-in`?");
    }

    #[test]
    fn hints_are_those_of_the_place() {
        let keymap = Keymap::default();
        let words = |here| keymap.hints(here, Theme::mono().symbols);
        assert!(words(FLOWS).contains(&("g".into(), "group")));
        assert!(!words(OVERVIEW).iter().any(|(_, word)| *word == "group"));
        assert!(words(OVERVIEW).contains(&("↑ ↓".into(), "rows")));
        assert!(words(OVERVIEW).contains(&("space".into(), "freeze")));
    }

    use super::super::theme::Theme;
}
