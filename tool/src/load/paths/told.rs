//! What paths whose sends end later share: buffers, the window of outstanding sends, and how an end is booked.

use std::io;
use std::time::{Duration, Instant};

use super::payload::Payload;
use super::{Ends, Setup, Stall};
use crate::load::window::{Sent, Window};

/// One reading of the clock serves sends of so many bytes together: a large send has its own.
const CLOCK_BYTES: usize = 16 << 10;
/// How long the kernel may refuse every send while none is outstanding: nothing we hold could make room.
const REFUSED_LIMIT: Duration = Duration::from_secs(1);
const REFUSED_PAUSE: Duration = Duration::from_millis(10);

/// What stopped the last attempt to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// Every buffer is held by the kernel.
    Buffers,
    /// The socket buffer is full.
    Space,
    /// No room to track or lock another send.
    Refused,
}

/// Buffers, outstanding sends and the clock of one connection.
pub(super) struct Told {
    pub(super) payload: Payload,
    pub(super) window: Window,
    pub(super) blocked: Blocked,
    reap_every: usize,
    since_reap: usize,
    clock: Clock,
    /// When the kernel began to refuse with nothing outstanding.
    refused_since: Option<Instant>,
}

impl Told {
    /// Maps the buffers, each in `parts` parts.
    pub(super) fn new(setup: &Setup, parts: usize) -> io::Result<Self> {
        let payload = Payload::new(setup, parts)?;
        let window = Window::new(setup.depth, payload.buffers().count());
        Ok(Self {
            payload,
            window,
            blocked: Blocked::Space,
            reap_every: setup.reap_every(),
            since_reap: 0,
            clock: Clock::default(),
            refused_since: None,
        })
    }

    /// The time just before a send of `len` bytes, or of a few small ones before it.
    pub(super) fn now(&mut self, len: usize) -> Instant {
        self.clock.read(len)
    }

    /// Whether the next send should look at ends first, or at the same time.
    pub(super) fn reap_is_due(&self) -> bool {
        self.since_reap >= self.reap_every
    }

    /// Ends have been looked at: what is sent from now on is later.
    pub(super) fn reaped(&mut self) {
        self.since_reap = 0;
        self.clock = Clock::default();
    }

    /// The kernel took `bytes` of the buffer the window named, none if the request failed, and will tell of the end.
    pub(super) fn accept(&mut self, slot: usize, at: Instant, bytes: usize) {
        self.window.accept(at, bytes as u64);
        self.payload.taken(slot, bytes);
        self.since_reap += 1;
        if bytes > 0 {
            self.refused_since = None;
        }
    }

    /// Whether the kernel refuses although nothing it took is outstanding: no end of ours can make room.
    pub(super) fn refused_for_nothing(&self) -> bool {
        self.blocked == Blocked::Refused && self.window.held() == 0
    }

    /// Somebody else may make room, for a while.
    ///
    /// # Errors
    /// With `why`, when nobody did.
    pub(super) fn pause_refused(&mut self, why: &'static str) -> io::Result<Stall> {
        let since = *self.refused_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= REFUSED_LIMIT {
            return Err(io::Error::other(why));
        }
        Ok(Stall::Pause(REFUSED_PAUSE))
    }
}

/// Books the end of one send, as told at `now`.
pub(super) fn end(payload: &mut Payload, ends: &mut Ends, sent: &Sent, copied: bool, now: Instant) {
    payload.ended(sent.slot);
    if sent.bytes == 0 {
        return; // a request that failed after the kernel had begun with it
    }
    ends.sends += 1;
    ends.bytes += sent.bytes;
    if copied {
        ends.copied += 1;
        ends.copied_bytes += sent.bytes;
    }
    let ns = now.saturating_duration_since(sent.at).as_nanos();
    ends.latency.record(u64::try_from(ns).unwrap_or(u64::MAX));
}

/// The clock, read once for a few small sends.
#[derive(Default)]
struct Clock {
    at: Option<Instant>,
    left: usize,
}

impl Clock {
    fn read(&mut self, len: usize) -> Instant {
        let at = match self.at {
            Some(at) if self.left >= len => at,
            _ => {
                self.left = CLOCK_BYTES;
                Instant::now()
            }
        };
        self.at = Some(at);
        self.left = self.left.saturating_sub(len);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_sends_read_the_clock_and_small_ones_share_it() {
        let mut clock = Clock::default();
        let large = clock.read(CLOCK_BYTES);
        let first = clock.read(CLOCK_BYTES / 4);
        assert!(first > large);
        assert!((0..3).all(|_| clock.read(CLOCK_BYTES / 4) == first));
        assert!(clock.read(CLOCK_BYTES / 4) > first);
    }

    #[test]
    fn an_end_is_booked_with_its_bytes_and_a_failed_request_is_not() {
        let setup = Setup { size: 100, depth: 2, ..Setup::default() };
        let mut told = Told::new(&setup, 1).unwrap();
        let mut ends = Ends::default();
        let at = told.now(100);
        told.accept(0, at, 70);
        told.accept(1, at, 0);
        for number in [0, 1] {
            let sent = told.window.complete_one(number).unwrap();
            end(&mut told.payload, &mut ends, &sent, number == 0, at + Duration::from_nanos(500));
        }
        assert_eq!((ends.sends, ends.bytes, ends.copied, ends.copied_bytes), (1, 70, 1, 70));
        assert_eq!((ends.latency.count, ends.latency.max), (1, 500));
    }
}
