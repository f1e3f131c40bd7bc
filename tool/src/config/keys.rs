//! Section `[keys]`: an action, and the key or keys that ask for it.

use toml::de::DeValue;

use super::Config;
use crate::tui::Chord;

/// Gives an action its keys.
///
/// # Errors
/// No action, no key, or a key that is taken: one sentence.
pub(super) fn bind(config: &mut Config, action: &str, value: &DeValue<'_>) -> Result<(), String> {
    let wrong =
        || format!("{action} must be a key, or a list of keys, in quotes: \"x\" or [\"x\", \"ctrl-x\"]");
    let texts: Vec<&str> = match value {
        DeValue::String(key) => vec![key.as_ref()],
        DeValue::Array(keys) => {
            let keys: Option<Vec<&str>> = keys.iter().map(|key| key.get_ref().as_str()).collect();
            keys.ok_or_else(wrong)?
        }
        _ => return Err(wrong()),
    };
    let chords: Result<Vec<Chord>, String> = texts.iter().map(|text| Chord::parse(text)).collect();
    config.keys.bind(action, chords?)
}
