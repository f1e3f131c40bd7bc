//! The one table of actions: name, default keys, what it does, where. Dispatch, help, footer and the sample of the
//! configuration come from it.

use crate::tui::app::Intent;
use crate::tui::views::View;

/// Where an action means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) enum Place {
    /// In every view.
    Everywhere,
    /// In these views.
    In(&'static [View]),
    /// While a recording is played.
    Replay,
    /// While something is explained.
    Explain,
}

/// Something a key can ask for.
#[derive(Debug)]
pub struct Action {
    /// As in the configuration.
    pub name: &'static str,
    /// What it asks of the screen.
    pub(in crate::tui) intent: Intent,
    /// Its keys when the configuration says nothing, as [`super::Chord::parse`] reads them.
    pub keys: &'static [&'static str],
    /// What it does.
    pub help: &'static str,
    pub(in crate::tui) place: Place,
}

type Keys = &'static [&'static str];

const fn everywhere(name: &'static str, intent: Intent, keys: Keys, help: &'static str) -> Action {
    Action { name, intent, keys, help, place: Place::Everywhere }
}

const fn within(
    views: &'static [View],
    name: &'static str,
    intent: Intent,
    keys: Keys,
    help: &'static str,
) -> Action {
    Action { name, intent, keys, help, place: Place::In(views) }
}

const fn replay(name: &'static str, intent: Intent, keys: Keys, help: &'static str) -> Action {
    Action { name, intent, keys, help, place: Place::Replay }
}

const fn explaining(name: &'static str, intent: Intent, keys: Keys, help: &'static str) -> Action {
    Action { name, intent, keys, help, place: Place::Explain }
}

/// Views whose rows can be ordered.
const SORTED: &[View] = &[View::Flows, View::Copies];
/// Views whose rows can be filtered.
const FILTERED: &[View] = &[View::Flows, View::Events];
/// Views with a list to find something in.
const FOUND: &[View] = &[View::Flows, View::Copies, View::Host, View::Events];
/// Views whose rows have a page of their own, or a detail.
const OPENED: &[View] = &[View::Overview, View::Flows, View::Copies, View::Pinning, View::Events];
/// Views of several panels.
const PANELS: &[View] =
    &[View::Overview, View::Latency, View::Pinning, View::Receive, View::Load, View::Host];
const GROUPED: &[View] = &[View::Flows, View::Pinning, View::Events];
const TREE: &[View] = &[View::Flows];
const STARTED: &[View] = &[View::Load];

/// Every action, in the order of the help.
#[rustfmt::skip]
pub const ACTIONS: &[Action] = &[
    everywhere("quit", Intent::Quit, &["q", "ctrl-c"], "leave"),
    everywhere("help", Intent::Help, &["h", "f1"], "keys, words, what is not known here and why"),
    everywhere("explain", Intent::Explain, &["?"], "what a column, figure, reason or finding of this view means"),
    everywhere("close", Intent::Close, &["esc"], "close what is open: help, page, filter"),

    everywhere("view-overview", Intent::Show(View::Overview), &["1"], "is zero-copy working here, now?"),
    everywhere("view-flows", Intent::Show(View::Flows), &["2"], "who sends, and how?"),
    everywhere("view-copies", Intent::Show(View::Copies), &["3"], "why are bytes copied?"),
    everywhere("view-latency", Intent::Show(View::Latency), &["4"], "how long are my buffers held?"),
    everywhere("view-pinning", Intent::Show(View::Pinning), &["5"], "what do I hold?"),
    everywhere("view-receive", Intent::Show(View::Receive), &["6"], "what arrives without a copy?"),
    everywhere("view-load", Intent::Show(View::Load), &["7"], "what can this path do?"),
    everywhere("view-host", Intent::Show(View::Host), &["8"], "what can be known and done here?"),
    everywhere("view-events", Intent::Show(View::Events), &["9"], "what happened?"),
    everywhere("next-view", Intent::NextView, &["ctrl-right"], "the next view"),
    everywhere("previous-view", Intent::PreviousView, &["ctrl-left"], "the view before"),
    everywhere("right", Intent::Adjust(1), &["right", "l"], "unfold, or raise the setting; else the next view"),
    everywhere("left", Intent::Adjust(-1), &["left"], "fold, or lower the setting; else the view before"),

    everywhere("up", Intent::Scroll(-1), &["up", "k"], "one row up"),
    everywhere("down", Intent::Scroll(1), &["down", "j"], "one row down"),
    everywhere("page-up", Intent::Scroll(-10), &["pgup", "ctrl-u"], "ten rows up"),
    everywhere("page-down", Intent::Scroll(10), &["pgdn", "ctrl-d"], "ten rows down"),
    everywhere("first", Intent::Scroll(isize::MIN), &["home"], "first row"),
    everywhere("last", Intent::Scroll(isize::MAX), &["end", "G"], "last row"),
    within(PANELS, "next-panel", Intent::NextPanel, &["tab"], "next panel: the arrows move in it, and small screens show it"),
    within(PANELS, "previous-panel", Intent::PreviousPanel, &["shift-tab"], "panel before"),
    within(OPENED, "open", Intent::Open, &["enter"], "open the page of the selected row"),
    within(FILTERED, "filter", Intent::Filter, &["/"], "write a filter"),
    within(FOUND, "find", Intent::Find, &["f", "ctrl-f"], "find a text: go to the next row that has it; no row is left out"),
    within(FOUND, "find-next", Intent::FindAgain(1), &["n"], "the next row that has it"),
    within(FOUND, "find-previous", Intent::FindAgain(-1), &["N"], "the row before that has it"),
    explaining("search", Intent::Filter, &["/"], "search among all that can be explained"),
    within(SORTED, "sort", Intent::Sort, &["s"], "order by the next column"),
    within(SORTED, "reverse", Intent::Reverse, &["r"], "turn the order round"),
    within(GROUPED, "group", Intent::Group, &["g"], "next grouping of the rows; of events: next severity"),
    within(TREE, "tree", Intent::Tree, &["t"], "groups with their rows, or rows alone"),
    within(STARTED, "toggle", Intent::Toggle, &["enter", "x"], "start the load, or stop it"),

    everywhere("freeze", Intent::Freeze, &["space", "p"], "hold the screen, counting goes on behind it; a replay: pause"),
    everywhere("back", Intent::Seek(-1), &["[", "shift-left"], "back in time by a column of the charts"),
    everywhere("forward", Intent::Seek(1), &["]", "shift-right"], "forward in time by a column"),
    everywhere("window-back", Intent::Page(-1), &["{"], "back in time by the whole window"),
    everywhere("window-forward", Intent::Page(1), &["}"], "forward in time by the whole window"),
    everywhere("step-back", Intent::Step(-1), &[","], "one snapshot back"),
    everywhere("step-forward", Intent::Step(1), &["."], "one snapshot forward"),
    everywhere("newest", Intent::Newest, &["e"], "to the newest moment; live: follow it again"),
    everywhere("oldest", Intent::Oldest, &["0"], "to the oldest moment kept"),
    replay("faster", Intent::Faster, &[">"], "replay faster"),
    replay("slower", Intent::Slower, &["<"], "replay slower"),
    everywhere("zoom-in", Intent::ZoomIn, &["+", "="], "show a shorter time"),
    everywhere("zoom-out", Intent::ZoomOut, &["-"], "show a longer time"),
    everywhere("units", Intent::Units, &["u"], "rates in bits or in bytes per second"),
    everywhere("baseline", Intent::Baseline, &["b"], "count from here on, or from the begin again"),

    everywhere("copy-row", Intent::CopyRow, &["y"], "copy the selected row to the clipboard"),
    everywhere("copy-screen", Intent::CopyScreen, &["Y"], "copy the screen to the clipboard"),
    everywhere("save", Intent::Save, &["w"], "save what is shown, as text and as JSON"),
    everywhere("record", Intent::Record, &["R"], "begin a recording, or end it"),
    everywhere("mouse", Intent::Mouse, &["m"], "mouse on or off; off, the terminal selects text (on: with Shift)"),
    everywhere("redraw", Intent::Redraw, &["ctrl-l"], "draw the screen anew"),
    everywhere("suspend", Intent::Suspend, &["ctrl-z"], "back to the shell; fg comes back"),
];

/// A hint in the footer: the actions it stands for, and a word.
pub(in crate::tui) struct Hint {
    pub(in crate::tui) actions: &'static [&'static str],
    pub(in crate::tui) word: &'static str,
}

const fn hint(actions: &'static [&'static str], word: &'static str) -> Hint {
    Hint { actions, word }
}

/// The hints, the most wanted first. Those of actions that mean nothing in the view are left out.
pub(in crate::tui) const HINTS: &[Hint] = &[
    hint(&["quit"], "quit"),
    hint(&["help"], "help"),
    hint(&["explain"], "explain"),
    hint(&["toggle"], "start/stop"),
    hint(&["search"], "search"),
    hint(&["filter"], "filter"),
    hint(&["find"], "find"),
    hint(&["open"], "open"),
    hint(&["freeze"], "freeze"),
    hint(&["slower", "faster"], "speed"),
    hint(&["next-panel"], "panel"),
    hint(&["sort"], "sort"),
    hint(&["group"], "group"),
    hint(&["tree"], "tree"),
    hint(&["up", "down"], "rows"),
    hint(&["back", "forward"], "time"),
    hint(&["zoom-in", "zoom-out"], "zoom"),
    hint(&["baseline"], "baseline"),
    hint(&["units"], "units"),
    hint(&["save"], "save"),
];
