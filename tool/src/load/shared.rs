//! What the leader and the sending threads share while they run: orders, the stop flag, live counters.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::orders::Orders;
use super::paths::Tally;
use super::schedule::Schedule;

/// What all connections are to do next.
#[derive(Clone, Copy)]
pub(super) enum Order {
    /// Send as fast as the path goes: these bytes over all connections, or until told to stop.
    Closed { bytes: Option<u64>, last: bool },
    /// Send messages when they are due, however long the ones before them take.
    Open { schedule: Schedule, last: bool },
    /// Go home.
    End,
}

/// What all streams of a run share.
pub(super) struct Shared {
    /// What to do next.
    pub(super) orders: Orders<Order>,
    /// Stop sending.
    stop: AtomicBool,
    /// Changes when there is something to look at: the only thing a sending loop reads every time.
    attention: AtomicU32,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self { orders: Orders::new(), stop: AtomicBool::new(false), attention: AtomicU32::new(0) }
    }

    /// Ends the lap of every connection.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.look();
    }

    /// Makes every connection publish its counters soon.
    pub(super) fn look(&self) {
        self.attention.fetch_add(1, Ordering::Release);
    }

    /// Takes the stop back, between two laps.
    pub(super) fn rearm(&self) {
        self.stop.store(false, Ordering::Relaxed);
    }
}

/// A sending loop's view of the stop flag: one load, as long as there is nothing to look at.
pub(super) struct Watch<'a> {
    shared: &'a Shared,
    seen: Option<u32>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        Self { shared, seen: None }
    }

    /// True when the lap is over. Calls `publish` when somebody wants to see how far it is.
    pub(super) fn stopped(&mut self, publish: impl FnOnce()) -> bool {
        let now = self.shared.attention.load(Ordering::Acquire);
        if self.seen == Some(now) {
            return false;
        }
        self.seen = Some(now);
        publish();
        self.shared.stop.load(Ordering::Relaxed)
    }
}

/// A stream's counters while it runs, written by it alone, on cache lines of their own.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Live {
    pub(super) bytes: AtomicU64,
    pub(super) ended: AtomicU64,
    pub(super) copied: AtomicU64,
    pub(super) enobufs: AtomicU64,
    /// 99 % of its sends ended within so many ns; 0 when nothing ended.
    pub(super) p99_ns: AtomicU64,
}

impl Live {
    pub(super) fn publish(&self, tally: &Tally) {
        let set = |to: &AtomicU64, value| to.store(value, Ordering::Relaxed);
        set(&self.bytes, tally.bytes);
        set(&self.ended, tally.ends.sends);
        set(&self.copied, tally.ends.copied);
        set(&self.enobufs, tally.enobufs);
        set(&self.p99_ns, tally.ends.latency.percentile(990).unwrap_or(0));
    }
}
