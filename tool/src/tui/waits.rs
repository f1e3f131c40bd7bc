//! Everything that can wake the loop of the screen: signals, input, the end, ticks, and a frame that is due.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context as _;
use crossterm::event::{Event, EventStream};
use futures_core::Stream as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::Options;
use super::hangup::HangUp;

/// What woke it.
pub(super) enum Wake {
    Tick,
    Input(Event),
    InputFailed(std::io::Error),
    /// The screen that was put off may be drawn now, or the line that was shown for a while may go.
    Due,
    /// A stop from the keyboard or from another process.
    Suspend,
    /// It goes on after a stop, whoever stopped it.
    Continued,
    Stop,
}

/// Ticks come less often when one takes more CPU time than this part of the time between two (tens of thousands of
/// sockets at work),
const COST_PARTS: u32 = 50;
/// but at least this often.
const MAX_TICK: Duration = Duration::from_secs(1);

/// What it waits for.
pub(super) struct Waits {
    ticks: Interval,
    /// Time between two of them, unless reading costs too much.
    tick: Duration,
    keys: EventStream,
    stops: [Signal; 3],
    hang_up: HangUp,
    suspend: Signal,
    continued: Signal,
    end: Option<Instant>,
}

impl Waits {
    pub(super) fn new(options: &Options) -> anyhow::Result<Self> {
        let mut ticks = tokio::time::interval_at(Instant::now() + options.tick, options.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Before anything reads the terminal.
        let hang_up = HangUp::watch().context("the terminal cannot be watched")?;
        let listen = |kind| signal(kind).context("signals cannot be received");
        Ok(Self {
            ticks,
            tick: options.tick,
            keys: EventStream::new(),
            stops: [
                listen(SignalKind::interrupt())?,
                listen(SignalKind::terminate())?,
                listen(SignalKind::hangup())?,
            ],
            hang_up,
            suspend: listen(SignalKind::from_raw(libc::SIGTSTP))?,
            continued: listen(SignalKind::from_raw(libc::SIGCONT))?,
            end: options.duration.map(|duration| Instant::now() + duration),
        })
    }

    /// Waits for the next of them; without ticks when there is nothing to read, and until `due`, if anything is.
    pub(super) async fn next(&mut self, ticking: bool, due: Option<Instant>) -> Wake {
        let [interrupt, terminate, hangup] = &mut self.stops;
        tokio::select! {
            biased;
            _ = interrupt.recv() => Wake::Stop,
            _ = terminate.recv() => Wake::Stop,
            _ = hangup.recv() => Wake::Stop,
            () = self.hang_up.told() => Wake::Stop,
            _ = self.suspend.recv() => Wake::Suspend,
            _ = self.continued.recv() => Wake::Continued,
            input = next_input(&mut self.keys) => input,
            () = at(self.end) => Wake::Stop,
            () = at(due) => Wake::Due,
            _ = self.ticks.tick(), if ticking => Wake::Tick,
        }
    }

    /// A tick took so much CPU time: the next one comes late enough to keep the share of a CPU small.
    pub(super) fn ticked(&mut self, cost: Duration) {
        let due = (cost * COST_PARTS).min(MAX_TICK);
        if due > self.tick {
            self.ticks.reset_after(due);
        }
    }

    /// The next tick comes a whole tick from now.
    pub(super) fn restart_ticks(&mut self) {
        self.ticks.reset();
    }
}

/// The next key, resize or end of the terminal's input.
async fn next_input(keys: &mut EventStream) -> Wake {
    match poll_fn(|cx| Pin::new(&mut *keys).poll_next(cx)).await {
        Some(Ok(event)) => Wake::Input(event),
        Some(Err(error)) => Wake::InputFailed(error),
        None => Wake::Stop,
    }
}

/// Waits until then, or for ever.
async fn at(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}
