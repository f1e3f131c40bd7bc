//! Where the cursor in time stands, in figures and in words.

use crate::units;

/// How time goes on the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// What happens, as it happens.
    #[default]
    Live,
    /// A moment of the past; what happens now is kept behind it.
    Frozen,
    /// A recording that plays.
    Playing,
    /// A recording that stands.
    Paused,
}

/// The cursor in time. All times are ns since tracing began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// How time goes on.
    pub pace: Pace,
    /// The moment shown.
    pub at_ns: u64,
    /// The oldest moment that can be shown.
    pub oldest_ns: u64,
    /// The newest moment that can be shown.
    pub newest_ns: u64,
    /// How fast a recording plays, in hundredths of real time.
    pub speed_percent: u32,
    /// Figures are changes since this moment, if not since tracing began.
    pub since_ns: Option<u64>,
}

impl Clock {
    /// True when the screen does not go on by itself.
    #[must_use]
    pub const fn stands(&self) -> bool {
        matches!(self.pace, Pace::Frozen | Pace::Paused)
    }

    /// True for a recording.
    #[must_use]
    pub const fn is_replay(&self) -> bool {
        matches!(self.pace, Pace::Playing | Pace::Paused)
    }

    /// In one word: `LIVE`, `FROZEN`, `REPLAY`, `PAUSED`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self.pace {
            Pace::Live => "LIVE",
            Pace::Frozen => "FROZEN",
            Pace::Playing => "REPLAY",
            Pace::Paused => "PAUSED",
        }
    }

    /// In words: `LIVE 01:35`, `FROZEN 01:35 (-12 s)`, `REPLAY 4x 01:35/10:00`, `PAUSED 01:35/10:00`.
    #[must_use]
    pub fn text(&self) -> String {
        let (word, at, newest) = (self.word(), units::clock(self.at_ns), units::clock(self.newest_ns));
        match self.pace {
            Pace::Live => format!("{word} {at}"),
            Pace::Frozen => format!("{word} {at} (-{})", behind(self.newest_ns.saturating_sub(self.at_ns))),
            Pace::Playing => format!("{word} {} {at}/{newest}", self.speed()),
            Pace::Paused => format!("{word} {at}/{newest}"),
        }
    }

    /// `since 01:10`, when figures are changes since a mark.
    #[must_use]
    pub fn since(&self) -> Option<String> {
        self.since_ns.map(|ns| format!("since {}", units::clock(ns)))
    }

    /// The speed: `4x`, `0.25x`.
    #[must_use]
    pub fn speed(&self) -> String {
        format!("{}x", f64::from(self.speed_percent) / 100.0)
    }
}

/// Whole seconds, so that it does not flicker: `12 s`, `3m05s`.
fn behind(ns: u64) -> String {
    match ns / 1_000_000_000 {
        s @ 0..100 => format!("{s} s"),
        s => units::duration(s * 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn clock(pace: Pace) -> Clock {
        Clock { pace, at_ns: 95 * SECOND, newest_ns: 107 * SECOND, speed_percent: 400, ..Clock::default() }
    }

    #[test]
    fn says_where_the_cursor_stands() {
        assert_eq!(clock(Pace::Live).text(), "LIVE 01:35");
        assert_eq!(clock(Pace::Frozen).text(), "FROZEN 01:35 (-12 s)");
        assert_eq!(clock(Pace::Playing).text(), "REPLAY 4x 01:35/01:47");
        assert_eq!(clock(Pace::Paused).text(), "PAUSED 01:35/01:47");
        let slow = Clock { speed_percent: 25, ..clock(Pace::Playing) };
        assert_eq!(slow.speed(), "0.25x");
        let old = Clock { newest_ns: 400 * SECOND, ..clock(Pace::Frozen) };
        assert_eq!(old.text(), "FROZEN 01:35 (-5m05s)");
        assert_eq!(clock(Pace::Live).since(), None);
        let since = Clock { since_ns: Some(70 * SECOND), ..clock(Pace::Live) };
        assert_eq!(since.since().as_deref(), Some("since 01:10"));
    }
}
