//! The commented sample: every setting at its default.

use std::fmt::Write as _;

use super::table::{SECTIONS, SETTINGS};
use crate::tui::keys::ACTIONS;

const HEAD: &str = "\
# zcscope: how its screen looks and answers. Everything here is the default; take a # away to change a line.
# Read from $XDG_CONFIG_HOME/zcscope/config.toml (~/.config without it); under sudo, of the user who called it.
";

/// The sample. A line that begins with `#` and no blank is a setting.
#[must_use]
pub fn sample() -> String {
    let mut out = HEAD.to_owned();
    section(&mut out, "");
    for name in SECTIONS {
        let _ = write!(out, "\n[{name}]\n");
        if name == "keys" {
            keys(&mut out);
        } else {
            out.push_str("# A name such as \"light-red\", a number to 255, \"#rrggbb\", or \"theme\".\n");
            section(&mut out, name);
        }
    }
    out
}

fn section(out: &mut String, section: &str) {
    for setting in SETTINGS.iter().filter(|setting| setting.section == section) {
        let blank = if section.is_empty() { "\n" } else { "" };
        let _ = write!(out, "{blank}# {}\n#{} = {}\n", setting.about, setting.name, setting.default);
    }
}

fn keys(out: &mut String) {
    out.push_str(
        "# A character, or space enter esc tab backspace delete insert left right up down pgup pgdn home end f1 to f12,\n\
         # with ctrl- alt- shift- in front; [] takes the keys away. A key chosen here is taken from other actions.\n",
    );
    for action in ACTIONS {
        let quoted: Vec<String> = action.keys.iter().map(|key| format!("\"{key}\"")).collect();
        let _ = write!(out, "# {}\n#{} = [{}]\n", action.help, action.name, quoted.join(", "));
    }
}
