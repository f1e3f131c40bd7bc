//! The loop of the screen: waits, reads the source, does what keys ask for, and draws when something has changed.

use std::time::Duration;

use anyhow::Context as _;
use crossterm::event::Event;
use tokio::time::Instant;

use super::app::App;
use super::effect::{Actions, Effect, Toast};
use super::player::Player;
use super::source::{Feed, Source};
use super::suspend::{self, Whom};
use super::terminal::{self, Screen};
use super::waits::{Waits, Wake};
use super::{Options, views};
use crate::host::cpu::thread_ns;

/// Nearest two frames may stand: what comes faster is drawn once, in its last state.
const FRAME: Duration = Duration::from_millis(16);
/// How long a toast stays.
const TOAST: Duration = Duration::from_secs(4);
/// Time between two looks at a recording that plays.
const REPLAY_TICK: Duration = Duration::from_millis(50);

/// Shows the source until the user quits, a SIGINT, SIGTERM or SIGHUP arrives, or the duration is over. The terminal
/// is as it was when this returns.
///
/// # Errors
/// [`terminal::NotATerminal`] when standard output is none; the source's own errors; input or output errors of the
/// terminal.
pub fn run<'a>(source: Source<'a>, actions: &'a mut dyn Actions, options: &Options) -> anyhow::Result<()> {
    terminal::require()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the event loop cannot start")?;
    runtime.block_on(async {
        let tick = if matches!(source, Source::Replay(_)) { REPLAY_TICK } else { options.tick };
        // Signals first: from the moment the terminal is ours, none may end the process without giving it back.
        let waits = Waits::new(&Options { tick, ..options.clone() })?;
        Live::start(source, actions, options)?.run(waits).await
    })
}

/// The running screen.
struct Live<'a> {
    feed: Option<&'a mut dyn Feed>,
    actions: &'a mut dyn Actions,
    player: Player<'a>,
    app: App,
    screen: Screen,
    /// Something has changed since the last frame.
    changed: bool,
    drawn: Instant,
    /// When a replay was last looked at.
    played: Instant,
    /// When the toast goes.
    toast_ends: Option<Instant>,
}

impl<'a> Live<'a> {
    /// Takes the terminal and draws the first frame.
    fn start(source: Source<'a>, actions: &'a mut dyn Actions, options: &Options) -> anyhow::Result<Self> {
        let (feed, player) = match source {
            Source::Live(feed) => {
                let first = feed.next()?;
                actions.observe(&first);
                (Some(feed), Player::live(first))
            }
            Source::Replay(replay) => (None, Player::replay(replay)?),
        };
        let screen = Screen::take().context("the terminal cannot be taken over")?;
        let (mut app, now) = (App::with(options.settings.clone()), Instant::now());
        app.states.load.offer(actions.generator().map(|generator| generator.paths()));
        let mut live = Self {
            feed,
            actions,
            player,
            app,
            screen,
            changed: true,
            drawn: now,
            played: now,
            toast_ends: None,
        };
        live.draw()?;
        Ok(live)
    }

    async fn run(mut self, mut waits: Waits) -> anyhow::Result<()> {
        while !self.app.quit {
            let ticking = self.player.needs_ticks();
            match waits.next(ticking, self.due()).await {
                Wake::Stop => return Ok(()),
                Wake::Tick => {
                    // CPU time: what others do on the machine does not count.
                    let before = thread_ns();
                    self.tick()?;
                    // A recording plays as fast as it was asked to.
                    if self.feed.is_some() {
                        waits.ticked(Duration::from_nanos(thread_ns().saturating_sub(before)));
                    }
                }
                Wake::Input(event) => self.input(&event)?,
                Wake::InputFailed(error) if terminal::is_gone(&error) => return Ok(()),
                Wake::InputFailed(error) => {
                    return Err(error).context("the keyboard cannot be read any more");
                }
                Wake::Due => self.end_toast(),
                Wake::Suspend => self.suspend(Whom::Self_)?,
                Wake::Continued => self.retake()?,
            }
            anyhow::ensure!(!self.screen.is_lost(), "a part of zcscope failed; its message stands above");
            if !ticking && self.player.needs_ticks() {
                (self.played, _) = (Instant::now(), waits.restart_ticks());
            }
            if self.changed && self.drawn.elapsed() >= FRAME {
                self.draw()?;
            }
        }
        Ok(())
    }

    /// When to wake next without a cause: for a frame that was put off, or for the end of a toast.
    fn due(&self) -> Option<Instant> {
        let frame = self.changed.then(|| self.drawn + FRAME);
        frame.into_iter().chain(self.toast_ends).min()
    }

    fn tick(&mut self) -> anyhow::Result<()> {
        let before = self.player.shown().clock.text();
        match &mut self.feed {
            Some(feed) => {
                let snapshot = feed.next()?;
                self.actions.observe(&snapshot);
                self.player.offer(snapshot);
                self.app.recording = self.actions.recording();
                self.hear_load();
            }
            None => self.player.play(self.played.elapsed()),
        }
        self.played = Instant::now();
        // A screen that stands shows only how far behind it is.
        let clock = self.player.shown().clock;
        self.changed |= !clock.stands() || clock.text() != before;
        Ok(())
    }

    fn input(&mut self, event: &Event) -> anyhow::Result<()> {
        if !self.app.event(event, self.player.shown()) {
            return Ok(());
        }
        self.changed = true;
        for effect in self.app.take_effects() {
            self.execute(effect)?;
        }
        Ok(())
    }

    /// Does what the state asked for. Only a terminal that fails is an error; anything else is told.
    fn execute(&mut self, effect: Effect) -> anyhow::Result<()> {
        match effect {
            Effect::Time(time_move) => {
                if let Err(why) = self.player.apply(time_move) {
                    self.toast(Err(anyhow::anyhow!(why)));
                }
            }
            Effect::Copy { what, text } => self.copy(&what, &text)?,
            Effect::CopyScreen => {
                let (app, shown) = (&self.app, self.player.shown());
                let text = self.screen.text(|frame| views::draw(frame, app, shown))?;
                self.copy("screen", &text)?;
            }
            Effect::Save => {
                let done = self.actions.save(self.player.shown());
                self.toast(done);
            }
            Effect::Record => {
                let done = self.actions.record();
                self.toast(done);
                self.app.recording = self.actions.recording();
            }
            Effect::StartLoad(settings) => {
                if let Some(done) = self.actions.generator().map(|generator| generator.start(&settings)) {
                    self.toast(done);
                }
                self.hear_load();
            }
            Effect::StopLoad => {
                if let Some(generator) = self.actions.generator() {
                    generator.stop();
                }
            }
            Effect::Say(text) => self.toast(Ok(text)),
            Effect::Redraw => self.retake()?,
            Effect::Suspend => self.suspend(Whom::Job)?,
            Effect::Recall { times_ns, each } => {
                let app = &mut self.app;
                self.player.recall(&times_ns, |snapshot| each(app, snapshot));
            }
        }
        Ok(())
    }

    /// Takes in how the load stands.
    fn hear_load(&mut self) {
        if let Some(state) = self.actions.generator().and_then(|generator| generator.poll()) {
            self.app.states.load.hear(state);
            self.changed = true;
        }
    }

    fn copy(&mut self, what: &str, text: &str) -> anyhow::Result<()> {
        self.screen.copy(text)?;
        let lines = text.lines().count();
        let size = if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") };
        // Terminals do not answer, so more cannot be said.
        let tmux = std::env::var_os("TMUX").is_some();
        let condition = if tmux { " (tmux takes it with: set -g set-clipboard on)" } else { "" };
        self.toast(Ok(format!("{what} sent to the terminal's clipboard: {size}{condition}")));
        Ok(())
    }

    fn toast(&mut self, done: anyhow::Result<String>) {
        let toast = match done {
            Ok(text) => Toast { text, failed: false },
            Err(error) => Toast { text: format!("{error:#}"), failed: true },
        };
        self.app.toast = Some(toast);
        self.toast_ends = Some(Instant::now() + TOAST);
        self.changed = true;
    }

    fn end_toast(&mut self) {
        if self.toast_ends.is_some_and(|end| end <= Instant::now()) {
            self.toast_ends = None;
            self.app.toast = None;
            self.changed = true;
        }
    }

    /// Gives the terminal back, stops, and takes it again when continued.
    fn suspend(&mut self, whom: Whom) -> anyhow::Result<()> {
        self.screen.give_back();
        suspend::stop(whom).context("the screen cannot be suspended")?;
        self.retake()
    }

    fn retake(&mut self) -> anyhow::Result<()> {
        match self.screen.retake() {
            Err(error) if terminal::is_gone(&error) => self.app.quit = true,
            other => other.context("the terminal cannot be taken over again")?,
        }
        self.played = Instant::now();
        self.changed = true;
        Ok(())
    }

    fn draw(&mut self) -> anyhow::Result<()> {
        if self.app.quit {
            return Ok(());
        }
        let (app, shown) = (&self.app, self.player.shown());
        match self.screen.draw(app.mouse, |frame| views::draw(frame, app, shown)) {
            // The signal that says so is on its way.
            Err(error) if terminal::is_gone(&error) => self.app.quit = true,
            other => other.context("the terminal cannot be written")?,
        }
        (self.changed, self.drawn) = (false, Instant::now());
        Ok(())
    }
}
