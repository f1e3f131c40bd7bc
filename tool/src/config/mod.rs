//! The configuration file of the screen: where it is, what it says. One table of settings; the commented sample that
//! `--print-config` prints is made of it.

mod file;
mod keys;
mod sample;
mod table;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ratatui::style::Color;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use file::load;
pub use sample::sample;

use crate::tui::{self, Depth, Environment, Keymap, Meaning, Named, RateUnit, Settings, View};
use table::SETTINGS;

/// What was chosen, or is so when nothing is.
#[derive(Clone, Debug)]
pub struct Config {
    theme: Named,
    /// `None`: what the terminal can.
    depth: Option<Depth>,
    colours: Vec<(Meaning, Color)>,
    /// `None`: by the locale.
    ascii: Option<bool>,
    tick: Duration,
    window_s: u64,
    units: RateUnit,
    view: View,
    mouse: bool,
    keys: Keymap,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            theme: Named::default(),
            depth: None,
            colours: Vec::new(),
            ascii: None,
            tick: Duration::from_millis(250),
            window_s: 60,
            units: RateUnit::default(),
            view: View::default(),
            mouse: true,
            keys: Keymap::default(),
        }
    }
}

impl Config {
    /// The screen's options in this environment.
    #[must_use]
    pub fn options(self, environment: &Environment) -> tui::Options {
        let depth = self.depth.unwrap_or_else(|| environment.depth());
        let ascii = self.ascii.unwrap_or_else(|| environment.ascii());
        let plain = tui::Theme::new(self.theme, depth, ascii);
        // Where there are no colours, none is chosen either.
        let colours = self.colours.iter().filter(|_| depth != Depth::None && self.theme != Named::Mono);
        let theme = colours.fold(plain, |theme, (meaning, colour)| theme.with(*meaning, *colour));
        let Self { window_s, units, view, mouse, keys, tick, .. } = self;
        let settings = Settings { theme, keys, view, window_s, units, mouse };
        tui::Options { tick, settings, ..tui::Options::default() }
    }
}

/// A configuration that cannot be used: one sentence, with file and line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1; `None` when it is not about one.
    pub line: Option<usize>,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// What is wrong, and at which byte of the text.
type Wrong = (Option<usize>, String);

/// Reads the text of a file.
///
/// # Errors
/// It is no TOML, or a setting is unknown or has no such value: line (from 1) and message.
fn parse(text: &str) -> Result<Config, (Option<usize>, String)> {
    let line = |at: usize| text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1;
    read(text).map_err(|(at, message)| (at.map(line), message))
}

fn read(text: &str) -> Result<Config, Wrong> {
    let document = DeTable::parse(text).map_err(|error| {
        let message = error.message().trim().lines().collect::<Vec<_>>().join(", ");
        (error.span().map(|span| span.start), format!("this is no TOML: {message}"))
    })?;
    let mut config = Config::default();
    settings(&mut config, "", document.get_ref())?;
    if config.keys.has("quit") {
        return Ok(config);
    }
    Err((None, "quit has no key left; give it one under [keys]".into()))
}

/// Applies the settings of one section; `""` is the part before the first section.
fn settings(config: &mut Config, section: &str, table: &DeTable<'_>) -> Result<(), Wrong> {
    // In the order of the file, so that the first thing wrong is told first.
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in entries {
        let at = value.span().start;
        match (section, value.get_ref()) {
            ("", DeValue::Table(inner)) if table::SECTIONS.contains(&name.get_ref().as_ref()) => {
                settings(config, name.get_ref(), inner)?;
            }
            ("keys", value) => {
                keys::bind(config, name.get_ref(), value).map_err(|message| (Some(at), message))?;
            }
            _ => setting(config, section, name, value)?,
        }
    }
    Ok(())
}

fn setting(
    config: &mut Config,
    section: &str,
    name: &Spanned<std::borrow::Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
) -> Result<(), Wrong> {
    let written = name.get_ref().as_ref();
    let of_section = || SETTINGS.iter().filter(|setting| setting.section == section);
    let Some(setting) = of_section().find(|setting| setting.name == written) else {
        return Err((Some(name.span().start), unknown(section, written)));
    };
    (setting.set)(config, value.get_ref())
        .map_err(|expected| (Some(value.span().start), format!("{written} must be {expected}")))
}

fn unknown(section: &str, name: &str) -> String {
    let known = SETTINGS.iter().filter(|setting| setting.section == section).map(|setting| setting.name);
    let sections = table::SECTIONS.iter().copied().filter(|_| section.is_empty());
    let place = if section.is_empty() { String::new() } else { format!(" in [{section}]") };
    match tui::nearest(name, known.chain(sections)) {
        Some(near) => format!("there is no setting `{name}`{place}; did you mean `{near}`?"),
        None => {
            format!("there is no setting `{name}`{place}; `zcscope top --print-config` prints them all")
        }
    }
}

#[cfg(test)]
mod tests;
