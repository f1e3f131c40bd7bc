//! The one cursor in time of all views: live or in a recording, going on or standing. Knows no real time.

use std::time::Duration;

use super::clock::{Clock, Pace};
use super::effect::TimeMove;
use super::shown::Shown;
use super::source::{Archive, Replay};
use crate::model::snapshot::Snapshot;
use crate::record::Memory;
use crate::timeline::Point;

/// Speeds of a replay, in hundredths of real time.
const SPEEDS: [u32; 9] = [25, 50, 100, 200, 400, 800, 1_600, 3_200, 6_400];

/// What the past of a live source may take, packed.
const PAST_BYTES: usize = 8 << 20;

/// What is shown, and where it comes from.
pub(super) struct Player<'a> {
    tape: Tape<'a>,
    shown: Shown,
    /// Live: follows the newest. Replay: plays.
    going: bool,
    /// Index into [`SPEEDS`].
    speed: usize,
    /// Where a replay stands; between two snapshots it stands after the one shown.
    cursor_ns: u64,
}

#[allow(clippy::large_enum_variant, reason = "there is one of it")]
enum Tape<'a> {
    Live {
        past: Memory,
        /// The newest, while it is not the one that is shown.
        newest: Option<Snapshot>,
    },
    Replay(&'a mut dyn Archive),
}

impl<'a> Player<'a> {
    /// Follows a live source that begins with this snapshot.
    pub(super) fn live(first: Snapshot) -> Self {
        let mut past = Memory::new(PAST_BYTES);
        past.push(&first);
        Self::new(Tape::Live { past, newest: None }, Shown::of(first), 2)
    }

    /// Plays a recording.
    ///
    /// # Errors
    /// There is no snapshot in it that can be read.
    pub(super) fn replay(replay: Replay<'a>) -> anyhow::Result<Self> {
        let Replay { archive, timeline, from_ns, speed } = replay;
        let first = archive.range_ns().and_then(|(oldest, newest)| archive.at(from_ns.clamp(oldest, newest)));
        let Some(first) = first else {
            anyhow::bail!("the recording cannot be shown: no snapshot in it can be read");
        };
        let mut shown = Shown::of(first);
        shown.timeline = timeline;
        let distance = |i: &usize| (f64::from(SPEEDS[*i]) / 100.0).ln() - speed.max(1e-3).ln();
        let nearest = (0..SPEEDS.len()).min_by(|a, b| distance(a).abs().total_cmp(&distance(b).abs()));
        Ok(Self::new(Tape::Replay(archive), shown, nearest.unwrap_or(2)))
    }

    fn new(tape: Tape<'a>, shown: Shown, speed: usize) -> Self {
        let cursor_ns = shown.now_ns();
        let mut player = Self { tape, shown, going: true, speed, cursor_ns };
        player.set_clock();
        player
    }

    pub(super) const fn shown(&self) -> &Shown {
        &self.shown
    }

    /// True for a recording.
    pub(super) const fn is_replay(&self) -> bool {
        matches!(self.tape, Tape::Replay(_))
    }

    /// True while time goes on by itself: snapshots come, or the recording plays.
    pub(super) const fn needs_ticks(&self) -> bool {
        self.going || !self.is_replay()
    }

    /// Takes in the next snapshot of a live source; a frozen screen keeps the one it shows.
    pub(super) fn offer(&mut self, snapshot: Snapshot) {
        let Tape::Live { past, newest } = &mut self.tape else { return };
        past.push(&snapshot);
        if self.going {
            self.shown.advance(snapshot);
        } else {
            let before = newest.as_ref().unwrap_or_else(|| self.shown.whole());
            let point = Point::told(before, &snapshot);
            self.shown.timeline.push(point);
            *newest = Some(snapshot);
        }
        self.set_clock();
    }

    /// Lets a replay play for so long in real time.
    pub(super) fn play(&mut self, elapsed: Duration) {
        let (true, Some((_, newest))) = (self.going && self.is_replay(), self.range()) else { return };
        let real = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        let played = u128::from(real) * u128::from(SPEEDS[self.speed]) / 100;
        self.cursor_ns = self.cursor_ns.saturating_add(u64::try_from(played).unwrap_or(u64::MAX)).min(newest);
        if self.after(self.shown.now_ns()).is_some_and(|next| next <= self.cursor_ns) {
            self.show(self.cursor_ns);
        }
        if self.cursor_ns == newest {
            self.going = false;
        }
        self.set_clock();
    }

    /// Moves. What cannot be done here is said in one sentence.
    pub(super) fn apply(&mut self, time_move: TimeMove) -> Result<(), &'static str> {
        match time_move {
            TimeMove::Toggle => self.toggle(),
            TimeMove::By(ns) => self.by(ns),
            TimeMove::To(ns) => self.go(ns),
            TimeMove::Frames(n) => self.frames(n),
            TimeMove::Newest => self.go(u64::MAX),
            TimeMove::Oldest => self.go(0),
            TimeMove::Speed(steps) if self.is_replay() => {
                self.speed = self.speed.saturating_add_signed(steps).min(SPEEDS.len() - 1);
            }
            TimeMove::Speed(_) => return Err("a speed can be chosen only while a recording is replayed"),
            TimeMove::Mark => self.shown.mark(),
        }
        self.set_clock();
        Ok(())
    }

    /// Hands out the snapshots nearest at or before these times, ascending; each once.
    pub(super) fn recall(&mut self, times_ns: &[u64], mut each: impl FnMut(&Snapshot)) {
        let archive = self.archive();
        let mut last = None;
        for ns in times_ns {
            // Looked up by time first: a snapshot may have to be unpacked.
            let at = archive.before(ns.saturating_add(1));
            if at.is_some() && at != last {
                archive.at(*ns).iter().for_each(&mut each);
                last = at;
            }
        }
    }

    fn toggle(&mut self) {
        self.going = !self.going;
        match self.going {
            true if self.is_replay() => {
                // A recording that has ended begins again.
                if self.range().is_some_and(|(_, newest)| self.cursor_ns >= newest) {
                    self.go(0);
                    self.going = true;
                }
            }
            true => self.follow(),
            false => {}
        }
    }

    /// Shows the newest of a live source.
    fn follow(&mut self) {
        self.going = true;
        if let Tape::Live { newest, .. } = &mut self.tape
            && let Some(newest) = newest.take()
        {
            self.shown.put(newest);
        }
    }

    fn by(&mut self, ns: i64) {
        let now = self.now();
        let target = now.saturating_add_signed(ns);
        // At least one snapshot: columns may be shorter than the time between two.
        let target = match ns {
            0.. => self.after(now).map_or(u64::MAX, |next| next.max(target)),
            _ => self.before(self.shown.now_ns()).map_or(0, |previous| previous.min(target)),
        };
        self.go(target);
    }

    fn frames(&mut self, n: isize) {
        let mut target = self.shown.now_ns();
        for _ in 0..n.unsigned_abs() {
            let next = if n > 0 { self.after(target) } else { self.before(target) };
            match next {
                Some(next) => target = next,
                None if n > 0 => target = u64::MAX,
                None => target = 0,
            }
        }
        if self.is_replay() {
            self.going = false;
        }
        self.go(target);
    }

    /// To this moment; at the newest of a live source, to following it.
    fn go(&mut self, ns: u64) {
        let Some((oldest, newest)) = self.range() else { return };
        let ns = ns.clamp(oldest, newest);
        match &mut self.tape {
            Tape::Live { .. } if ns == newest => self.follow(),
            Tape::Live { newest, .. } => {
                newest.get_or_insert_with(|| self.shown.whole().clone());
                self.going = false;
                self.show(ns);
            }
            Tape::Replay(_) => {
                self.show(ns);
                self.cursor_ns = self.shown.now_ns();
            }
        }
    }

    fn show(&mut self, ns: u64) {
        if let Some(snapshot) = self.archive().at(ns) {
            self.shown.put(snapshot);
        }
    }

    const fn now(&self) -> u64 {
        if self.is_replay() { self.cursor_ns } else { self.shown.now_ns() }
    }

    fn archive(&mut self) -> &mut dyn Archive {
        match &mut self.tape {
            Tape::Live { past, .. } => past,
            Tape::Replay(archive) => &mut **archive,
        }
    }

    fn after(&self, ns: u64) -> Option<u64> {
        match &self.tape {
            Tape::Live { past, .. } => past.after(ns),
            Tape::Replay(archive) => archive.after(ns),
        }
    }

    fn before(&self, ns: u64) -> Option<u64> {
        match &self.tape {
            Tape::Live { past, .. } => past.before(ns),
            Tape::Replay(archive) => archive.before(ns),
        }
    }

    /// Times of the oldest and the newest moment that can be shown.
    fn range(&self) -> Option<(u64, u64)> {
        match &self.tape {
            Tape::Live { past, newest } => {
                let newest = newest.as_ref().unwrap_or_else(|| self.shown.whole()).duration_ns;
                Some((past.range_ns()?.0, newest))
            }
            Tape::Replay(archive) => archive.range_ns(),
        }
    }

    fn set_clock(&mut self) {
        let (oldest_ns, newest_ns) = self.range().unwrap_or_default();
        let pace = match (self.is_replay(), self.going) {
            (false, true) => Pace::Live,
            (false, false) => Pace::Frozen,
            (true, true) => Pace::Playing,
            (true, false) => Pace::Paused,
        };
        let at_ns = self.now();
        let speed_percent = SPEEDS[self.speed];
        self.shown.clock =
            Clock { pace, at_ns, oldest_ns, newest_ns, speed_percent, since_ns: self.shown.since_ns() };
    }
}

#[cfg(test)]
#[path = "player_tests.rs"]
mod tests;
