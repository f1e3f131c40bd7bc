//! The screen: reads snapshots, turns keys into intents, draws. Knows no eBPF and no sample.

mod app;
mod clock;
mod dispatch;
mod effect;
mod find;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod fixtures_timeline;
mod generator;
mod hangup;
pub mod keys;
mod order;
#[cfg(test)]
mod picture;
mod player;
mod regions;
mod run;
#[cfg(test)]
mod screens;
mod selection;
mod series;
mod settings;
mod shown;
mod source;
mod suspend;
mod table;
mod terminal;
mod text;
mod theme;
mod totals;
#[cfg(test)]
mod view_tests;
mod views;
mod waits;

use std::time::Duration;

pub use app::{App, Intent, RateUnit};
pub use clock::{Clock, Pace};
pub use effect::{Actions, NoActions};
pub use generator::{
    Generator, LONGEST_LOAD, LoadCopied, LoadPath, LoadProgress, LoadRun, LoadSettings, LoadState,
    LoadTarget, LoadTold, LoadVerdict,
};
pub use keys::{Chord, Keymap};
pub use run::run;
pub use settings::Settings;
pub use shown::Shown;
pub use source::{Archive, Feed, Replay, Source};
pub use terminal::{NotATerminal, require as require_terminal};
pub use text::nearest;
pub use theme::{Depth, Environment, Meaning, Named, Theme};
pub use views::input::Typed;
pub use views::{View, draw};

/// How to show it.
#[derive(Clone, Debug)]
pub struct Options {
    /// End by itself after this time.
    pub duration: Option<Duration>,
    /// Time between two snapshots.
    pub tick: Duration,
    /// How it looks and starts.
    pub settings: Settings,
}

impl Default for Options {
    fn default() -> Self {
        let settings = Settings { theme: Theme::from_env(), ..Settings::default() };
        Self { duration: None, tick: Duration::from_millis(250), settings }
    }
}
