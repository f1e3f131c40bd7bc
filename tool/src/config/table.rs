//! The settings: section, name, default, what it is, and how its value is read.

use ratatui::style::Color;
use toml::de::DeValue;

use super::Config;
use crate::tui::{Depth, Meaning, Named, RateUnit, Settings, View};
use crate::units::parse_duration;

/// Sections of the file.
pub(super) const SECTIONS: [&str; 2] = ["colours", "keys"];

/// One setting.
pub(super) struct Setting {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    /// As in TOML.
    pub(super) default: &'static str,
    /// What it is: one line of the sample.
    pub(super) about: &'static str,
    /// Takes the value in.
    ///
    /// # Errors
    /// It is none: what it can be, as the end of "NAME must be".
    pub(super) set: fn(&mut Config, &DeValue<'_>) -> Result<(), String>,
}

type Taken = Result<(), String>;

/// Every setting but the keys, in the order of the sample.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        section: "",
        name: "theme",
        default: "\"terminal\"",
        about: "terminal (its own sixteen colours, for dark and light), dark, light, high-contrast or mono",
        set: theme,
    },
    Setting {
        section: "",
        name: "ascii",
        default: "\"auto\"",
        about: "draw with ASCII only: true, false, or auto (when the locale is not UTF-8)",
        set: ascii,
    },
    Setting {
        section: "",
        name: "tick",
        default: "\"250ms\"",
        about: "time between two looks at the counters: 50ms to 10s",
        set: tick,
    },
    Setting {
        section: "",
        name: "window",
        default: "\"60s\"",
        about: "time that charts show at the start: 10s, 30s, 60s, 2m, 5m or 10m",
        set: window,
    },
    Setting {
        section: "",
        name: "units",
        default: "\"bits\"",
        about: "rates in bits or in bytes per second",
        set: units,
    },
    Setting {
        section: "",
        name: "view",
        default: "\"overview\"",
        about: "the view at the start: overview, flows, copies, latency, pinning, receive, load, host or events",
        set: view,
    },
    Setting {
        section: "",
        name: "mouse",
        default: "true",
        about: "click and wheel are zcscope's (Shift selects text); false leaves the mouse to the terminal",
        set: mouse,
    },
    Setting {
        section: "colours",
        name: "depth",
        default: "\"auto\"",
        about: "how many: none, 16, 256, true, or auto (by NO_COLOR, COLORTERM and TERM)",
        set: depth,
    },
    colour("text", "text and figures", |c, v| chosen(c, Meaning::Text, v)),
    colour("dim", "headings, borders, units", |c, v| chosen(c, Meaning::Dim, v)),
    colour("good", "zero-copied bytes", |c, v| chosen(c, Meaning::Good, v)),
    colour("bad", "copied bytes, loss", |c, v| chosen(c, Meaning::Bad, v)),
    colour("warn", "what is worth a look", |c, v| chosen(c, Meaning::Warn, v)),
    colour("accent", "bytes in flight, names of keys, the focused panel", |c, v| {
        chosen(c, Meaning::Accent, v)
    }),
];

const fn colour(
    name: &'static str,
    about: &'static str,
    set: fn(&mut Config, &DeValue<'_>) -> Taken,
) -> Setting {
    Setting { section: "colours", name, default: "\"theme\"", about, set }
}

fn words<'a>(value: &'a DeValue<'_>) -> &'a str {
    value.as_str().unwrap_or_default()
}

fn theme(config: &mut Config, value: &DeValue<'_>) -> Taken {
    let named = Named::ALL.into_iter().find(|named| named.name() == words(value));
    config.theme = named.ok_or_else(|| one_of(Named::ALL.map(Named::name).into_iter()))?;
    Ok(())
}

fn ascii(config: &mut Config, value: &DeValue<'_>) -> Taken {
    config.ascii = match value {
        DeValue::Boolean(yes) => Some(*yes),
        other if words(other) == "auto" => None,
        _ => return Err("true, false or \"auto\"".into()),
    };
    Ok(())
}

fn tick(config: &mut Config, value: &DeValue<'_>) -> Taken {
    let time = parse_duration(words(value)).ok().filter(|time| (50..=10_000).contains(&time.as_millis()));
    config.tick = time.ok_or("a time from \"50ms\" to \"10s\"")?;
    Ok(())
}

fn window(config: &mut Config, value: &DeValue<'_>) -> Taken {
    let time = parse_duration(words(value)).ok();
    let known = time.and_then(|time| Settings::WINDOWS_S.iter().find(|s| time.as_secs_f64() == **s as f64));
    config.window_s = *known.ok_or("\"10s\", \"30s\", \"60s\", \"2m\", \"5m\" or \"10m\"")?;
    Ok(())
}

fn units(config: &mut Config, value: &DeValue<'_>) -> Taken {
    config.units = match words(value) {
        "bits" => RateUnit::Bits,
        "bytes" => RateUnit::Bytes,
        _ => return Err("\"bits\" or \"bytes\"".into()),
    };
    Ok(())
}

fn view(config: &mut Config, value: &DeValue<'_>) -> Taken {
    let found = View::names().find(|(_, name)| name.to_lowercase() == words(value));
    let names = || View::names().map(|(_, name)| name.to_lowercase()).collect::<Vec<_>>();
    config.view = found.map(|(view, _)| view).ok_or_else(|| one_of(names().iter().map(String::as_str)))?;
    Ok(())
}

fn mouse(config: &mut Config, value: &DeValue<'_>) -> Taken {
    config.mouse = value.as_bool().ok_or("true or false")?;
    Ok(())
}

fn depth(config: &mut Config, value: &DeValue<'_>) -> Taken {
    let number = value.as_integer().map(|number| number.as_str().to_owned());
    config.depth = match number.as_deref().unwrap_or(words(value)) {
        "auto" => None,
        "none" => Some(Depth::None),
        "16" => Some(Depth::Ansi16),
        "256" => Some(Depth::Indexed256),
        "true" => Some(Depth::True),
        _ => return Err("\"none\", 16, 256, \"true\" or \"auto\"".into()),
    };
    Ok(())
}

fn chosen(config: &mut Config, meaning: Meaning, value: &DeValue<'_>) -> Taken {
    let word = words(value);
    config.colours.retain(|(other, _)| *other != meaning);
    if word != "theme" {
        let colour: Result<Color, _> = word.parse();
        let wrong = "\"theme\", a name such as \"light-red\", a number to 255 or \"#rrggbb\"";
        config.colours.push((meaning, colour.map_err(|_| wrong)?));
    }
    Ok(())
}

fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
    let last = names.pop().unwrap_or_default();
    format!("{} or {last}", names.join(", "))
}
