//! Every glyph that is not text, by meaning; one column each. The ASCII table is for terminals without UTF-8.

use ratatui::symbols::border::{self, Set};

/// The glyphs of one character set.
#[derive(Debug)]
#[allow(dead_code, reason = "a vocabulary: offered to every view")]
pub(in crate::tui) struct Symbols {
    /// Boxes and rules around panels.
    pub(in crate::tui) border: Set<'static>,
    /// In front of the title of the focused panel.
    pub(in crate::tui) focus: &'static str,
    /// In front of the selected row.
    pub(in crate::tui) selected: &'static str,
    /// Between facts on a line.
    pub(in crate::tui) separator: &'static str,
    /// Fills of the ledger bar.
    pub(in crate::tui) zerocopied: &'static str,
    pub(in crate::tui) copied: &'static str,
    pub(in crate::tui) in_flight: &'static str,
    /// A gauge: the part that is used, and the rest.
    pub(in crate::tui) full: &'static str,
    pub(in crate::tui) empty: &'static str,
    /// Eighths of a cell, from nothing to full: bars and sparklines.
    pub(in crate::tui) eighths: [&'static str; 9],
    /// Shades of a heat map, from nothing to most; see [`super::Theme::heat`].
    pub(in crate::tui) heat: [&'static str; 9],
    pub(in crate::tui) up: &'static str,
    pub(in crate::tui) down: &'static str,
    pub(in crate::tui) left: &'static str,
    pub(in crate::tui) right: &'static str,
    /// Beside the heading of the sorted column.
    pub(in crate::tui) ascending: &'static str,
    pub(in crate::tui) descending: &'static str,
    /// A group whose rows are shown, and one whose rows are hidden.
    pub(in crate::tui) expanded: &'static str,
    pub(in crate::tui) collapsed: &'static str,
    /// In front of a row of a group, and of its last one.
    pub(in crate::tui) branch: &'static str,
    pub(in crate::tui) last_branch: &'static str,
    /// Severities of findings and events.
    pub(in crate::tui) critical: &'static str,
    pub(in crate::tui) warning: &'static str,
    pub(in crate::tui) info: &'static str,
    /// The application was told something else than the kernel did.
    pub(in crate::tui) not_equal: &'static str,
    pub(in crate::tui) at_least: &'static str,
    /// A moment in a chart: the cursor, a mark.
    pub(in crate::tui) cursor: &'static str,
    pub(in crate::tui) mark: &'static str,
    /// A recording: being made, played, held.
    pub(in crate::tui) record: &'static str,
    pub(in crate::tui) play: &'static str,
    pub(in crate::tui) pause: &'static str,
}

pub(super) const UNICODE: Symbols = Symbols {
    border: border::ROUNDED,
    focus: "▸",
    selected: "›",
    separator: "·",
    zerocopied: "█",
    copied: "▒",
    in_flight: "░",
    full: "█",
    empty: "░",
    eighths: [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    heat: [" ", "·", "░", "░", "▒", "▒", "▓", "▓", "█"],
    up: "↑",
    down: "↓",
    left: "←",
    right: "→",
    ascending: "▲",
    descending: "▼",
    expanded: "▾",
    collapsed: "▸",
    branch: "├",
    last_branch: "└",
    critical: "■",
    warning: "▲",
    info: "•",
    not_equal: "≠",
    at_least: "≥",
    cursor: "│",
    mark: "┆",
    record: "●",
    play: "▸",
    pause: "‖",
};

pub(super) const ASCII: Symbols = Symbols {
    border: Set {
        top_left: "+",
        top_right: "+",
        bottom_left: "+",
        bottom_right: "+",
        vertical_left: "|",
        vertical_right: "|",
        horizontal_top: "-",
        horizontal_bottom: "-",
    },
    focus: ">",
    selected: ">",
    separator: "|",
    zerocopied: "#",
    copied: "%",
    in_flight: ":",
    full: "#",
    empty: ".",
    eighths: [" ", "_", ".", ":", "-", "=", "+", "*", "#"],
    heat: [" ", ".", ":", "-", "=", "+", "*", "%", "#"],
    up: "^",
    down: "v",
    left: "<",
    right: ">",
    ascending: "^",
    descending: "v",
    expanded: "-",
    collapsed: "+",
    branch: "|",
    last_branch: "`",
    critical: "X",
    warning: "!",
    info: "*",
    not_equal: "*",
    at_least: ">",
    cursor: "|",
    mark: ":",
    record: "*",
    play: ">",
    pause: "=",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::text::width;

    #[test]
    fn every_glyph_takes_one_column() {
        for set in [&UNICODE, &ASCII] {
            let text = format!("{set:?}");
            // Every quoted string of the table.
            for glyph in text.split('"').skip(1).step_by(2) {
                assert_eq!(width(glyph), 1, "{glyph:?}");
            }
        }
        assert!(format!("{ASCII:?}").is_ascii());
    }

    #[test]
    fn what_stands_side_by_side_differs() {
        for set in [&UNICODE, &ASCII] {
            assert!(set.eighths.windows(2).all(|pair| pair[0] != pair[1]));
            assert!(set.zerocopied != set.copied && set.copied != set.in_flight && set.full != set.empty);
            assert!(set.critical != set.warning && set.warning != set.info);
            assert!(set.expanded != set.collapsed && set.ascending != set.descending);
        }
    }
}
