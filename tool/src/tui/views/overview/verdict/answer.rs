//! The answer in a word, and when it is which.

use ratatui::style::Style;

use crate::tui::theme::Theme;

/// The answer in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) enum Answer {
    /// Nothing has been sent.
    Waiting,
    /// Bytes are sent, and none of them asked for zero-copy.
    NotAsked,
    /// Zero-copy was asked for, and what became of it cannot be seen.
    NotKnown,
    /// Less than 1 % was copied.
    Yes,
    /// A part was copied.
    Partly,
    /// Nine tenths or more were copied.
    No,
}

/// From this share on, copies are worth a word.
const PARTLY_PERCENT: u64 = 1;
/// From this share on, the answer is no.
const NO_PERCENT: u64 = 90;

impl Answer {
    /// Of a share of copied bytes.
    pub(in crate::tui) const fn of(copied: u64, requested: u64) -> Self {
        match (copied.saturating_mul(100), requested) {
            (copied, all) if copied >= all.saturating_mul(NO_PERCENT) => Self::No,
            (copied, all) if copied >= all.saturating_mul(PARTLY_PERCENT) => Self::Partly,
            _ => Self::Yes,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::NotAsked => "NOT ASKED FOR",
            Self::NotKnown => "NOT KNOWN",
            Self::Yes => "YES",
            Self::Partly => "PARTLY",
            Self::No => "NO",
        }
    }

    pub(super) const fn style(self, theme: &Theme) -> Style {
        match self {
            Self::Waiting | Self::NotAsked => theme.accent,
            Self::Yes => theme.good,
            Self::Partly | Self::NotKnown => theme.warn,
            Self::No => theme.bad,
        }
    }
}
