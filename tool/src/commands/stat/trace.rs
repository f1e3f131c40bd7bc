//! The loop of `stat`: reads the tracer into the model until time is up, a signal comes, or the command ends.

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal as Sig, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, sleep_until};

pub(in crate::commands) use super::keep::Keep;
use super::output::ReadyFile;
use crate::commands::{Failure, add_last_facts};
use crate::diagnose;
use crate::host::facts::Watcher;
use crate::model::Model;
use crate::model::sample::{MapSample, Sample};
use crate::model::snapshot::{Session, Snapshot};
use crate::probe::Probe;

/// Time between two readings.
const TICK: Duration = Duration::from_millis(250);
/// Time the last sends get to complete after the command has ended, and how often that is looked at.
const DRAIN: Duration = Duration::from_secs(1);
const DRAIN_TICK: Duration = Duration::from_millis(50);

/// What the loop needs of a probe.
pub(in crate::commands) trait Tracer {
    /// See [`Probe::session`].
    fn session(&self) -> Session;
    /// See [`Probe::read`].
    fn read(&mut self) -> anyhow::Result<Sample>;
    /// See [`Probe::maps`].
    fn maps(&self) -> Vec<MapSample> {
        Vec::new()
    }
    /// See [`Probe::adopt_children`].
    fn adopt_children(&mut self, on: bool) -> anyhow::Result<()>;
}

impl Tracer for Probe {
    fn session(&self) -> Session {
        Probe::session(self)
    }
    fn read(&mut self) -> anyhow::Result<Sample> {
        Probe::read(self)
    }
    fn maps(&self) -> Vec<MapSample> {
        Probe::maps(self)
    }
    fn adopt_children(&mut self, on: bool) -> anyhow::Result<()> {
        Probe::adopt_children(self, on)
    }
}

/// What to do.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Plan<'a> {
    /// End after this long.
    pub(in crate::commands) duration: Option<Duration>,
    /// Command with its arguments; empty: none.
    pub(in crate::commands) command: &'a [String],
    /// File that exists while everything is attached.
    pub(in crate::commands) ready_file: Option<&'a Path>,
}

/// What was seen so far.
struct Seen<'a> {
    model: Model,
    facts: Watcher,
    keep: &'a mut Keep,
}

impl Seen<'_> {
    /// The final snapshot.
    fn last(&mut self) -> Snapshot {
        let mut snapshot = self.model.snapshot();
        add_last_facts(&self.facts, &mut snapshot);
        snapshot
    }
}

/// How it ended.
#[derive(Debug)]
pub(in crate::commands) enum Ending {
    /// There was no command.
    NoCommand,
    /// The command ended with this status.
    Status(ExitStatus),
    /// The trace ended first, and the command was ended by our SIGTERM.
    Stopped,
    /// The command could not be started.
    NotStarted(std::io::Error),
}

impl Ending {
    /// The exit code that says it: a signal counts as 128 + its number, as in shells.
    pub(in crate::commands) fn code(&self) -> u8 {
        use std::os::unix::process::ExitStatusExt as _;
        match self {
            Ending::NoCommand | Ending::Stopped => 0,
            // As in shells: 127 when there is no such command.
            Ending::NotStarted(_) => 127,
            Ending::Status(status) => {
                let code = status.code().or_else(|| status.signal().map(|n| 128 + n));
                code.and_then(|n| u8::try_from(n).ok()).unwrap_or(1)
            }
        }
    }
}

/// Runs the plan. `report` is called once with the final snapshot, before a command still running is ended.
pub(in crate::commands) fn run(
    tracer: &mut impl Tracer,
    plan: Plan<'_>,
    keep: &mut Keep,
    report: impl FnOnce(&Snapshot),
) -> Result<Ending, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("the event loop cannot be started: {error}")))?;
    runtime.block_on(drive(tracer, plan, keep, report))
}

/// Why the loop was left.
enum Left {
    Exited(ExitStatus),
    Asked,
}

async fn drive(
    tracer: &mut impl Tracer,
    plan: Plan<'_>,
    keep: &mut Keep,
    report: impl FnOnce(&Snapshot),
) -> Result<Ending, Failure> {
    // The order matters: whoever waits for the ready file may send a signal, or traffic, at once.
    let mut signals =
        Signals::new().map_err(|e| Failure::Failed(format!("signals cannot be received: {e}")))?;
    let _ready = plan.ready_file.map(ReadyFile::create).transpose()?;
    let mut model = Seen { model: Model::new(tracer.session()), facts: Watcher::start(), keep };
    let mut child = match spawn(tracer, plan.command)? {
        None => None,
        Some(Ok(child)) => Some(child),
        Some(Err(error)) => return Ok(Ending::NotStarted(error)),
    };
    let deadline = plan.duration.map(|duration| Instant::now() + duration);
    let traced = watch(tracer, &mut model, &mut child, &mut signals, deadline).await;
    match traced {
        Ok(Left::Exited(status)) => {
            drain(tracer, &mut model).await?;
            end(tracer, &mut model, report)?;
            Ok(Ending::Status(status))
        }
        Ok(Left::Asked) => {
            end(tracer, &mut model, report)?;
            stop(child, &mut signals).await
        }
        Err(failure) => {
            stop(child, &mut signals).await?;
            Err(failure)
        }
    }
}

/// Reads for the last time, then hands on the final snapshot.
fn end(tracer: &mut impl Tracer, seen: &mut Seen<'_>, report: impl FnOnce(&Snapshot)) -> Result<(), Failure> {
    read_maps(tracer, seen)?;
    let last = seen.last();
    seen.keep.finish(&last);
    report(&last);
    Ok(())
}

/// Starts the command, traced from its first instruction on.
fn spawn(tracer: &mut impl Tracer, command: &[String]) -> Result<Option<std::io::Result<Child>>, Failure> {
    let Some((program, arguments)) = command.split_first() else { return Ok(None) };
    tracer.adopt_children(true).map_err(|e| cannot_trace(&e))?;
    let child = Command::new(program).args(arguments).spawn();
    tracer.adopt_children(false).map_err(|e| cannot_trace(&e))?;
    Ok(Some(child))
}

/// Reads on every tick until the end, and once more at the end.
async fn watch(
    tracer: &mut impl Tracer,
    model: &mut Seen<'_>,
    child: &mut Option<Child>,
    signals: &mut Signals,
    deadline: Option<Instant>,
) -> Result<Left, Failure> {
    let mut ticks = ticks(model.keep.tick().map_or(TICK, |tick| tick.min(TICK)));
    let mut interrupts = 0;
    let left = loop {
        tokio::select! {
            _ = ticks.tick() => {
                read(tracer, model)?;
                if child.is_none() && model.keep.is_over() {
                    break Left::Asked;
                }
            }
            status = exit_of(child.as_mut()) => break Left::Exited(status.map_err(|e| cannot_wait(&e))?),
            () = at(deadline) => break Left::Asked,
            _ = signals.interrupt.recv() => {
                // Ctrl-C reaches the command too, which decides; a second one ends the trace all the same.
                interrupts += 1;
                if child.is_none() || interrupts > 1 {
                    break Left::Asked;
                }
            }
            _ = signals.terminate.recv() => match child.as_ref() {
                Some(child) => send(child, Sig::SIGTERM),
                None => break Left::Asked,
            },
        }
    };
    read(tracer, model)?;
    Ok(left)
}

fn ticks(tick: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + tick, tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

fn read(tracer: &mut impl Tracer, model: &mut Seen<'_>) -> Result<(), Failure> {
    let sample = tracer.read().map_err(|e| cannot_trace(&e))?;
    let at_ns = sample.at_ns;
    model.model.absorb(sample);
    // Facts of connections can only be read while there are any.
    if model.facts.is_due() {
        model.facts.ask(diagnose::wanted(&model.model.snapshot()));
    }
    let Seen { model, facts, keep } = model;
    keep.offer(at_ns, || Snapshot { host: facts.latest(), ..model.snapshot() });
    Ok(())
}

/// The last reading, with how full the maps are.
fn read_maps(tracer: &mut impl Tracer, model: &mut Seen<'_>) -> Result<(), Failure> {
    let sample = tracer.read().map_err(|e| cannot_trace(&e))?;
    model.model.absorb(Sample { maps: tracer.maps(), ..sample });
    Ok(())
}

/// The command has ended; what it sent last may still wait for the peer's ACK.
async fn drain(tracer: &mut impl Tracer, model: &mut Seen<'_>) -> Result<(), Failure> {
    let until = Instant::now() + DRAIN;
    while Instant::now() < until && has_open_sends(model) {
        sleep(DRAIN_TICK).await;
        read(tracer, model)?;
    }
    Ok(())
}

fn has_open_sends(model: &mut Seen<'_>) -> bool {
    model.model.snapshot().paths.iter().filter_map(|path| path.in_flight).any(|open| open.sends > 0)
}

/// Ends a command that is still running: SIGTERM, and SIGKILL if the user loses patience.
async fn stop(child: Option<Child>, signals: &mut Signals) -> Result<Ending, Failure> {
    use std::os::unix::process::ExitStatusExt as _;
    let Some(mut child) = child else { return Ok(Ending::NoCommand) };
    send(&child, Sig::SIGTERM);
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.map_err(|e| cannot_wait(&e))?,
            _ = signals.interrupt.recv() => send(&child, Sig::SIGKILL),
            _ = signals.terminate.recv() => send(&child, Sig::SIGKILL),
        }
    };
    let ours = [Sig::SIGTERM, Sig::SIGKILL].map(|sig| Some(sig as i32));
    Ok(if ours.contains(&status.signal()) { Ending::Stopped } else { Ending::Status(status) })
}

/// A command that is gone already needs no signal.
fn send(child: &Child, signal: Sig) {
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

async fn exit_of(child: Option<&mut Child>) -> std::io::Result<ExitStatus> {
    match child {
        Some(child) => child.wait().await,
        None => std::future::pending().await,
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }
}

fn cannot_trace(error: &anyhow::Error) -> Failure {
    Failure::CannotTrace(format!("{error:#}"))
}

fn cannot_wait(error: &std::io::Error) -> Failure {
    Failure::Failed(format!("the command cannot be waited for: {error}"))
}
