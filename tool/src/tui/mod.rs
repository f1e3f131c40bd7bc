//! The screen: reads snapshots, turns keys into intents, draws. Knows no eBPF and no sample.

mod app;
mod clock;
mod effect;
#[cfg(test)]
mod fixtures;
mod keys;
mod player;
mod run;
#[cfg(test)]
mod screens;
mod shown;
mod source;
mod suspend;
mod table;
mod terminal;
mod text;
mod theme;
mod totals;
mod views;
mod waits;

use std::time::Duration;

pub use app::{App, Intent, RateUnit};
pub use clock::{Clock, Pace};
pub use effect::{Actions, NoActions};
pub use run::run;
pub use shown::Shown;
pub use source::{Archive, Feed, Replay, Source};
pub use terminal::{NotATerminal, require as require_terminal};
pub use theme::Theme;
pub use views::{View, draw};

/// How to show it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// End by itself after this time.
    pub duration: Option<Duration>,
    /// Time between two snapshots.
    pub tick: Duration,
    /// Styles.
    pub theme: Theme,
}

impl Default for Options {
    fn default() -> Self {
        Self { duration: None, tick: Duration::from_millis(250), theme: Theme::from_env() }
    }
}
