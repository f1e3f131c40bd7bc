//! The live screen: reads snapshots, turns keys into intents, draws. Knows no eBPF and no sample.

mod app;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod fixtures_timeline;
mod keys;
mod regions;
#[cfg(test)]
mod screens;
mod series;
mod shown;
mod table;
mod terminal;
mod text;
mod theme;
mod totals;
mod views;

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context as _;
use crossterm::event::{Event, EventStream};
use futures_core::Stream as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior};

pub use app::{App, Intent};
pub use shown::Shown;
pub use terminal::{NotATerminal, require as require_terminal};
pub use theme::{Depth, Environment, Meaning, Named, Theme};
pub use views::input::Typed;
pub use views::{View, draw};

use crate::model::snapshot::Snapshot;
use terminal::Screen;

/// Where snapshots come from: a probe with a model, a recording, a test.
pub trait Feed {
    /// The state of the world now. Called at the start and then on every tick, paused or not.
    ///
    /// # Errors
    /// The source can no longer be read; the screen ends with this error.
    fn next(&mut self) -> anyhow::Result<Snapshot>;
}

/// How to show it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// End by itself after this time.
    pub duration: Option<Duration>,
    /// Time between two snapshots.
    pub tick: Duration,
    /// Styles.
    pub theme: Theme,
}

impl Default for Options {
    fn default() -> Self {
        Self { duration: None, tick: Duration::from_millis(250), theme: Theme::from_env() }
    }
}

/// Shows the feed until the user quits, a SIGINT, SIGTERM or SIGHUP arrives, or the duration is over. The terminal
/// is as it was when this returns.
///
/// # Errors
/// [`NotATerminal`] when standard output is none; the feed's own errors; input or output errors of the terminal.
pub fn run(feed: &mut dyn Feed, options: &Options) -> anyhow::Result<()> {
    terminal::require()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the event loop cannot start")?;
    runtime.block_on(async {
        // Signals first: from the moment the terminal is ours, none may end the process without giving it back.
        let waits = Waits::new(options)?;
        Live::start(feed, options)?.run(waits).await
    })
}

/// What the loop waits for.
enum Wake {
    Tick,
    Input(Event),
    InputFailed(std::io::Error),
    Stop,
}

/// The running screen.
struct Live<'a> {
    feed: &'a mut dyn Feed,
    app: App,
    held: Held,
    screen: Screen,
}

impl<'a> Live<'a> {
    /// Takes the terminal and draws the first frame.
    fn start(feed: &'a mut dyn Feed, options: &Options) -> anyhow::Result<Self> {
        let held = Held::new(feed.next()?);
        let screen = Screen::take().context("the terminal cannot be taken over")?;
        let mut live = Self { feed, app: App::new(options.theme), held, screen };
        live.draw()?;
        Ok(live)
    }

    async fn run(mut self, mut waits: Waits) -> anyhow::Result<()> {
        while !self.app.quit {
            match waits.next().await {
                Wake::Stop => return Ok(()),
                Wake::Tick => self.held.offer(self.feed.next()?, self.app.paused),
                Wake::Input(Event::Key(key)) => match keys::intent(key) {
                    Some(intent) => self.handle(intent),
                    None => continue,
                },
                Wake::Input(_) => {}
                Wake::InputFailed(error) if terminal::is_gone(&error) => return Ok(()),
                Wake::InputFailed(error) => {
                    return Err(error).context("the keyboard cannot be read any more");
                }
            }
            anyhow::ensure!(!self.screen.is_lost(), "a part of zcscope failed; its message stands above");
            self.draw()?;
        }
        Ok(())
    }

    fn handle(&mut self, intent: Intent) {
        self.app.handle(intent, &self.held.shown);
        if !self.app.paused {
            self.held.catch_up();
        }
    }

    fn draw(&mut self) -> anyhow::Result<()> {
        if self.app.quit {
            return Ok(());
        }
        let (app, held) = (&self.app, &self.held);
        match self.screen.draw(|frame| draw(frame, app, &held.shown)) {
            // The signal that says so is on its way.
            Err(error) if terminal::is_gone(&error) => self.app.quit = true,
            other => other.context("the terminal cannot be written")?,
        }
        Ok(())
    }
}

/// What is on screen, and what came while it was frozen.
struct Held {
    shown: Shown,
    waiting: Vec<Snapshot>,
}

impl Held {
    fn new(snapshot: Snapshot) -> Self {
        Self { shown: Shown::of(snapshot), waiting: Vec::new() }
    }

    /// Takes in a new snapshot; the screen keeps the old one while paused.
    fn offer(&mut self, snapshot: Snapshot, paused: bool) {
        if paused {
            self.waiting.push(snapshot);
        } else {
            self.shown.advance(snapshot);
        }
    }

    /// Shows the newest.
    fn catch_up(&mut self) {
        for snapshot in std::mem::take(&mut self.waiting) {
            self.shown.advance(snapshot);
        }
    }
}

/// Everything that can wake the loop.
struct Waits {
    ticks: tokio::time::Interval,
    keys: EventStream,
    signals: [Signal; 3],
    end: Option<Instant>,
}

impl Waits {
    fn new(options: &Options) -> anyhow::Result<Self> {
        let mut ticks = tokio::time::interval_at(Instant::now() + options.tick, options.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let listen = |kind| signal(kind).context("signals cannot be received");
        Ok(Self {
            ticks,
            keys: EventStream::new(),
            signals: [
                listen(SignalKind::interrupt())?,
                listen(SignalKind::terminate())?,
                listen(SignalKind::hangup())?,
            ],
            end: options.duration.map(|duration| Instant::now() + duration),
        })
    }

    async fn next(&mut self) -> Wake {
        let [interrupt, terminate, hangup] = &mut self.signals;
        let keys = &mut self.keys;
        let end = self.end;
        tokio::select! {
            biased;
            _ = interrupt.recv() => Wake::Stop,
            _ = terminate.recv() => Wake::Stop,
            _ = hangup.recv() => Wake::Stop,
            input = next_input(keys) => input,
            () = at(end) => Wake::Stop,
            _ = self.ticks.tick() => Wake::Tick,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at_second(s: u64) -> Snapshot {
        Snapshot { duration_ns: s * 1_000_000_000, ..Snapshot::default() }
    }

    #[test]
    fn pause_freezes_and_resume_shows_the_newest() {
        let mut view = Held::new(at_second(1));
        view.offer(at_second(2), false);
        assert_eq!(view.shown.now_ns(), 2_000_000_000);
        view.offer(at_second(3), true);
        view.offer(at_second(4), true);
        assert_eq!(view.shown.now_ns(), 2_000_000_000);
        view.catch_up();
        assert_eq!(view.shown.now_ns(), 4_000_000_000);
        view.catch_up();
        assert_eq!(view.shown.now_ns(), 4_000_000_000);
    }
}
