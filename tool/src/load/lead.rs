//! Leads the sending threads through a run: warm-up, then one measured lap, or a lap per level of an open loop.
//! Each lap begins for all of them at once, ends in time, and is collected before the next one begins.

use std::io::{PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::LoadError;
use super::account::Span;
use super::engine::{Plan, Progress, Stage, Watcher};
use super::lap::{Lap, ThreadLap};
use super::schedule::Schedule;
use super::shared::{Live, Order, Shared};
use super::warmup::{Detector, INTERVAL, WarmUp};
use crate::host::cpu::CpuTime;

/// Time between two calls of the watcher.
const TICK: Duration = Duration::from_millis(250);
/// How long the maximum is measured that levels are a share of.
const MAXIMUM: Duration = Duration::from_secs(2);
/// What a level may be late before it is cut off.
const GRACE: Duration = Duration::from_millis(200);

/// What the threads are led by.
pub(super) struct Leader<'a, W> {
    pub(super) shared: &'a Shared,
    pub(super) live: &'a [Live],
    /// One of each thread.
    pub(super) slots: &'a [Mutex<Option<ThreadLap>>],
    /// A byte comes for every thread that has ended its lap.
    pub(super) ears: &'a PipeReader,
    pub(super) stop: Option<BorrowedFd<'a>>,
    pub(super) watcher: &'a mut W,
}

/// A run, as far as it has come.
pub(super) struct Lead<'a, W> {
    leader: Leader<'a, W>,
    plan: &'a Plan,
    interrupted: bool,
    spans: Vec<Span>,
}

impl<'a, W: Watcher> Lead<'a, W> {
    pub(super) fn new(leader: Leader<'a, W>, plan: &'a Plan) -> Self {
        Self { leader, plan, interrupted: false, spans: Vec::new() }
    }

    /// All laps of the plan, as long as nothing fails and nobody interrupts.
    pub(super) fn all(mut self) -> Result<Vec<Span>, LoadError> {
        if let Some(limit) = self.plan.warm_up.limit() {
            let order = Order::Closed { bytes: None, last: false };
            if !self.lap(Stage::WarmUp, order, limit)? {
                return Ok(self.spans);
            }
        }
        if self.plan.levels.is_empty() {
            self.leader.watcher.measuring();
            let order = Order::Closed { bytes: self.plan.bytes, last: true };
            self.lap(Stage::Measure, order, self.plan.duration)?;
        } else {
            self.levels()?;
        }
        Ok(self.spans)
    }

    fn levels(&mut self) -> Result<(), LoadError> {
        let size = self.plan.setup.size as u64;
        let max = if self.plan.levels.iter().any(|rate| rate.messages(size, None).is_none()) {
            let order = Order::Closed { bytes: None, last: false };
            if !self.lap(Stage::Maximum, order, MAXIMUM)? {
                return Ok(());
            }
            self.spans.last().map(|span| span.messages_per_s(size))
        } else {
            None
        };
        self.leader.watcher.measuring();
        let count = self.plan.levels.len();
        for (index, rate) in self.plan.levels.iter().enumerate() {
            let Some(rate) = rate.messages(size, max) else { continue };
            let schedule = Schedule::new(rate, self.plan.duration);
            let order = Order::Open { schedule, last: index + 1 == count };
            if !self.lap(Stage::Level(index), order, self.plan.duration + GRACE)? {
                break;
            }
        }
        Ok(())
    }

    /// One lap of all threads; false when the run is over with it.
    fn lap(&mut self, stage: Stage, order: Order, limit: Duration) -> Result<bool, LoadError> {
        self.leader.shared.rearm();
        let before = CpuTime::read().ok();
        self.leader.shared.orders.give(order);
        let drift = self.wait(stage, order, limit);
        let machine = before.zip(CpuTime::read().ok()).map(|(before, after)| after.since(&before));
        let threads: Option<Vec<ThreadLap>> = self
            .leader
            .slots
            .iter()
            .map(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner).take())
            .collect();
        let threads = threads
            .ok_or_else(|| LoadError::Failed("a sending thread ended by a bug; please report it".into()))?;
        let used = threads.iter().map(|thread| thread.used).collect();
        // Threads have neighbours, so this is the order of the streams.
        let laps: Vec<Lap> = threads.into_iter().flat_map(|thread| thread.laps).collect();
        let failed = laps.iter().any(|lap| lap.error.is_some());
        let rate = match order {
            Order::Open { schedule, .. } => Some(schedule),
            _ => None,
        };
        self.spans.push(Span {
            stage,
            laps,
            used,
            machine,
            drift,
            schedule: rate,
            interrupted: self.interrupted,
        });
        Ok(!failed && !self.interrupted)
    }

    /// Watches a lap until its last thread is done. Returns the drift of the rate at the end, on a warm-up that
    /// waits for it.
    fn wait(&mut self, stage: Stage, order: Order, limit: Duration) -> Option<f64> {
        let (shared, begin) = (self.leader.shared, Instant::now());
        let goal = match order {
            Order::Closed { bytes, .. } => bytes,
            _ => None,
        };
        let mut detector =
            (stage == Stage::WarmUp && self.plan.warm_up == WarmUp::Auto).then(Detector::default);
        let step = if detector.is_some() { INTERVAL } else { TICK };
        let (mut next, mut next_tick, mut bytes_before) = (step, TICK, 0);
        let mut running = self.leader.slots.len();
        let mut stopped = false;
        loop {
            let elapsed = begin.elapsed();
            if !stopped && elapsed >= limit {
                shared.stop();
                stopped = true;
            }
            if elapsed >= next {
                shared.look();
                let now = Progress { stage, elapsed, limit, goal, ..self.sum() };
                let moved = now.bytes.saturating_sub(bytes_before);
                bytes_before = now.bytes;
                if !stopped && detector.as_mut().is_some_and(|detector| detector.push(moved)) {
                    shared.stop();
                    stopped = true;
                }
                if elapsed >= next_tick {
                    self.leader.watcher.progress(&now);
                    next_tick = elapsed + TICK;
                }
                next += step;
            }
            let until = if stopped { next } else { next.min(limit) };
            let [rung, interrupted] = self.listen(until.saturating_sub(elapsed));
            if rung {
                let mut bytes = [0; 256];
                running -= self.leader.ears.read(&mut bytes).unwrap_or(0).min(running);
            }
            if interrupted {
                self.interrupted = true;
                shared.stop();
                stopped = true;
            }
            if running == 0 {
                return detector.and_then(|detector| detector.drift());
            }
        }
    }

    /// Sleeps until a thread has ended its lap, or somebody wants all of it to stop.
    fn listen(&self, time: Duration) -> [bool; 2] {
        let ms = u16::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u16::MAX);
        let mut fds = vec![PollFd::new(self.leader.ears.as_fd(), PollFlags::POLLIN)];
        fds.extend(
            self.leader.stop.filter(|_| !self.interrupted).map(|fd| PollFd::new(fd, PollFlags::POLLIN)),
        );
        if poll(&mut fds, PollTimeout::from(ms)).is_err() {
            return [false; 2];
        }
        [0, 1].map(|index| fds.get(index).and_then(PollFd::any) == Some(true))
    }

    fn sum(&self) -> Progress {
        self.leader.live.iter().fold(Progress::default(), |mut sum, live| {
            sum.bytes += live.bytes.load(Relaxed);
            sum.ended += live.ended.load(Relaxed);
            sum.copied += live.copied.load(Relaxed);
            sum.enobufs += live.enobufs.load(Relaxed);
            sum.p99_ns = sum.p99_ns.max(live.p99_ns.load(Relaxed));
            sum
        })
    }
}
