//! The load that the screen starts: one bounded, traced run at a time, on a thread of its own that owns both ends.

use std::io::{PipeReader, PipeWriter, Write as _};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::SigSet;

use super::load::run_traced;
use super::place::{PlaceArgs, Placed};
use crate::load::engine::{Plan, Progress, Stage, Watcher};
use crate::load::knobs::default_depth;
use crate::load::paths::{Class, PATHS, PathEntry, Setup};
use crate::load::place::SinkChild;
use crate::load::result::{EndedBy, LoadReport};
use crate::load::sink::Rules;
use crate::load::warmup::{self, WarmUp};
use crate::load::{Family, LoadError, resolve};
use crate::tui::{
    Generator, LONGEST_LOAD, LoadCopied, LoadPath, LoadProgress, LoadRun, LoadSettings, LoadState,
    LoadTarget, LoadTold, LoadVerdict,
};

/// Most bytes of one run.
const MOST_BYTES: u64 = 1 << 40;
/// Buffers over all streams: more than a CPU's cache holds, as `zcscope load` has it.
const WORKING_SET: u64 = 16 << 20;
/// A sink of a run lives so much longer than the run may, should nobody end it.
const SINK_SPARE: Duration = Duration::from_secs(30);
/// Who leaves the screen waits so long for a run to end; the end of the process ends it in any case.
const GRACE: Duration = Duration::from_secs(3);
/// The watcher is called about four times a second; if so long never, the process did not run.
const STILL: Duration = Duration::from_secs(5);

/// What the screen's thread has not heard yet.
type News = Arc<Mutex<Option<LoadState>>>;

/// Starts and stops loads for the screen.
#[derive(Default)]
pub(super) struct ScreenLoad {
    run: Option<Run>,
}

/// A run under way.
struct Run {
    thread: JoinHandle<()>,
    stop: PipeWriter,
    news: News,
}

impl Generator for ScreenLoad {
    fn paths(&self) -> Vec<LoadPath> {
        PATHS.iter().map(|entry| LoadPath { name: entry.name, about: entry.about }).collect()
    }

    fn start(&mut self, settings: &LoadSettings) -> anyhow::Result<String> {
        if self.run.is_some() {
            bail!("a load is still under way; stop it first");
        }
        let (stopped, stop) = std::io::pipe().context("the load cannot be started: no pipe")?;
        let news = News::new(Mutex::new(Some(LoadState::Connecting)));
        let (told, asked) = (Arc::clone(&news), settings.clone());
        let work = move || {
            // Signals are for the screen's thread, and a call of a sending thread should not be cut short by one.
            let _ = SigSet::all().thread_block();
            let ended =
                run(&asked, &stopped, &told).unwrap_or_else(|error| LoadState::Failed(error.to_string()));
            tell(&told, ended);
        };
        let thread = std::thread::Builder::new().name("load".into()).spawn(work);
        self.run = Some(Run { thread: thread.context("the load cannot be started")?, stop, news });
        Ok(format!("load {} to {} started", settings.path, settings.target.name()))
    }

    fn stop(&mut self) {
        if let Some(run) = &mut self.run {
            // It can only have ended by itself.
            let _ = run.stop.write_all(b".");
        }
    }

    fn poll(&mut self) -> Option<LoadState> {
        let run = self.run.as_ref()?;
        // First: what it told last, it told before it ended.
        let over = run.thread.is_finished();
        let state = run.news.lock().unwrap_or_else(PoisonError::into_inner).take();
        if !over {
            // Figures of a thread that has not gone yet are told when it has: then another run may be started.
            return match state {
                Some(state) if !state.is_active() => {
                    tell(&run.news, state);
                    None
                }
                state => state,
            };
        }
        self.run = None;
        Some(state.filter(|state| !state.is_active()).unwrap_or_else(|| {
            LoadState::Failed("the run ended without a word; `zcscope load` shows more".into())
        }))
    }
}

impl Drop for ScreenLoad {
    fn drop(&mut self) {
        self.stop();
        let Some(run) = self.run.take() else { return };
        let asked = Instant::now();
        while !run.thread.is_finished() && asked.elapsed() < GRACE {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn tell(news: &News, state: LoadState) {
    *news.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
}

/// Both ends, as far as they are ours.
#[allow(clippy::large_enum_variant, reason = "there is one of it")]
enum Ends {
    Placed(Placed),
    Loopback(SinkChild),
    Theirs(Vec<SocketAddr>),
}

impl Ends {
    fn open(settings: &LoadSettings, entry: &PathEntry) -> Result<Self, LoadError> {
        let rules = Rules { tls: entry.path == zcscope_common::Path::Ktls, ..Rules::default() };
        let longest = bounded(settings.duration) + warmup::LIMIT + SINK_SPARE;
        let failed = |error: anyhow::Error| LoadError::Failed(format!("the sink did not start: {error:#}"));
        Ok(match &settings.target {
            LoadTarget::Veth => {
                let placed = PlaceArgs::of_veth().open(false, rules, longest)?;
                Ends::Placed(placed.ok_or_else(|| LoadError::Failed("no veth pair was made".into()))?)
            }
            LoadTarget::Loopback => {
                let program = std::env::current_exe().map_err(|error| failed(error.into()))?;
                let sink =
                    SinkChild::start(Command::new(program), Ipv4Addr::LOCALHOST.into(), rules, longest);
                Ends::Loopback(sink.map_err(failed)?)
            }
            LoadTarget::Sink(address) => Ends::Theirs(resolve(address, Family::Any)?),
        })
    }

    fn targets(&self) -> Vec<SocketAddr> {
        match self {
            Ends::Placed(placed) => vec![placed.target()],
            Ends::Loopback(sink) => vec![sink.address],
            Ends::Theirs(addresses) => addresses.clone(),
        }
    }

    /// Runs the load where it belongs.
    fn at_near_end<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LoadError> {
        match self {
            Ends::Placed(placed) => placed.place.enter(work),
            Ends::Loopback(_) | Ends::Theirs(_) => Ok(work()),
        }
    }

    /// Gives everything back; what the sink found wrong makes the run a failure. Returns whether both ends were on
    /// this host.
    fn close_into(self, report: &mut LoadReport) -> bool {
        match self {
            Ends::Placed(placed) => {
                let functional_only = placed.place.functional_only();
                placed.close_into(report, false);
                functional_only
            }
            Ends::Loopback(sink) => {
                if let Ok(seen) = sink.finish(report.error.is_some())
                    && report.error.is_none()
                {
                    report.error = seen.complaint();
                }
                true
            }
            // An address of this host: what is sent there never leaves it.
            Ends::Theirs(_) => report
                .target
                .parse::<SocketAddr>()
                .is_ok_and(|target| UdpSocket::bind((target.ip(), 0)).is_ok()),
        }
    }
}

fn bounded(duration: Duration) -> Duration {
    duration.min(LONGEST_LOAD)
}

fn plan(settings: &LoadSettings, entry: &'static PathEntry, ends: &Ends) -> Plan {
    let streams = settings.streams.max(1);
    let device = match ends {
        Ends::Placed(placed) => Some(placed.place.device().to_owned()),
        _ => None,
    };
    let setup = Setup {
        size: usize::try_from(settings.size).unwrap_or(usize::MAX),
        depth: default_depth(settings.size) as usize,
        working_set: (WORKING_SET / u64::from(streams)) as usize,
        ..Setup::default()
    };
    Plan {
        path: entry,
        targets: ends.targets(),
        device,
        setup,
        streams: streams as usize,
        duration: bounded(settings.duration),
        bytes: Some(MOST_BYTES),
        sndbuf: crate::load::knobs::SendBuffer::InFlight,
        warm_up: WarmUp::Auto,
        ..Plan::default()
    }
}

fn run(settings: &LoadSettings, stop: &PipeReader, news: &News) -> Result<LoadState, LoadError> {
    let entry = PathEntry::from_name(settings.path).map_err(LoadError::Usage)?;
    (entry.available)().map_err(LoadError::Failed)?;
    let ends = Ends::open(settings, entry)?;
    let plan = plan(settings, entry, &ends);
    let mut reporter = Reporter { news, told: entry.class == Class::Told, last: None, stood_still: false };
    let work = || run_traced(&plan, true, Some(stop.as_fd()), &mut reporter);
    let (mut report, traced) = ends.at_near_end(work)??;
    let inferred = traced.is_some_and(|snapshot| snapshot.session.infers("copy"));
    let functional_only = ends.close_into(&mut report);
    if reporter.stood_still {
        return Err(LoadError::Failed(format!(
            "the run stood still for {} s or more (suspended?), so its rate would be wrong; start it again",
            STILL.as_secs()
        )));
    }
    state_of(report, entry.class, settings, (functional_only, inferred))
}

/// What a report comes to on the screen: whether both ends are here, and whether the kernel's copies were concluded.
fn state_of(
    report: LoadReport,
    class: Class,
    settings: &LoadSettings,
    (functional_only, inferred): (bool, bool),
) -> Result<LoadState, LoadError> {
    let stopped = report.ended_by == EndedBy::Signal;
    if let Some(error) = report.error {
        return Err(LoadError::Failed(error));
    }
    if report.acked_bytes == 0 {
        let why = if stopped { "it was stopped before it was measured" } else { "nothing was acknowledged" };
        return Err(LoadError::Failed(format!("{why}, so there is no result")));
    }
    let verdict = match (class, &report.copied) {
        (Class::Copies, _) => LoadVerdict::Baseline,
        (_, None) => LoadVerdict::Unknown,
        (_, Some(copied)) if copied.too_much() => LoadVerdict::Copied,
        _ => LoadVerdict::ZeroCopied,
    };
    Ok(LoadState::Done(LoadRun {
        path: report.path,
        size: report.size,
        streams: report.streams,
        target: settings.target.name().to_owned(),
        bytes: report.acked_bytes,
        ns: report.phases.send_ns + report.phases.settle_ns,
        gbit_s: report.gbit_s,
        cpu_s_per_gb: report.cpu.thread_s_per_gb,
        copied: report.copied.map(|copied| LoadCopied {
            share: copied.share,
            inferred: inferred && copied.kernel_bytes.is_some(),
            by: copied.by,
        }),
        p99_ns: report.completions.and_then(|told| Some(told.latency_ns.figures?.p99)),
        enobufs: report.errors.get("ENOBUFS").copied().unwrap_or(0),
        verdict,
        functional_only,
        stopped,
        untraced: report.kernel_missing,
    }))
}

/// Tells the screen how the run goes on.
struct Reporter<'a> {
    news: &'a News,
    /// The path has notifications.
    told: bool,
    /// When it was called last.
    last: Option<Instant>,
    stood_still: bool,
}

impl Watcher for Reporter<'_> {
    fn progress(&mut self, now: &Progress) {
        self.stood_still |= self.last.is_some_and(|last| last.elapsed() > STILL);
        self.last = Some(Instant::now());
        let told = LoadTold { ended: now.ended, copied: now.copied, p99_ns: now.p99_ns };
        tell(
            self.news,
            LoadState::Running(LoadProgress {
                warm_up: now.stage == Stage::WarmUp,
                elapsed: now.elapsed,
                limit: now.limit,
                bytes: now.bytes,
                told: self.told.then_some(told),
                enobufs: now.enobufs,
            }),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::result::Copied;

    fn settings() -> LoadSettings {
        LoadSettings {
            path: "copy",
            size: 4096,
            streams: 4,
            duration: Duration::from_secs(3600),
            target: LoadTarget::Sink("127.0.0.1:9".into()),
        }
    }

    #[test]
    fn every_run_is_bounded() {
        let ends = Ends::Theirs(Vec::new());
        let plan = plan(&settings(), &PATHS[0], &ends);
        assert_eq!((plan.duration, plan.bytes), (LONGEST_LOAD, Some(1 << 40)));
        assert_eq!((plan.streams, plan.setup.working_set), (4, 4 << 20));
    }

    #[test]
    fn what_was_copied_is_never_called_zero_copied() {
        let verdict = |class, copied: Option<(u64, u64)>| {
            let report =
                LoadReport { acked_bytes: 1, copied: Copied::of(copied, None), ..LoadReport::default() };
            match state_of(report, class, &settings(), (false, false)).unwrap() {
                LoadState::Done(run) => run.verdict,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(verdict(Class::Told, Some((0, 100))), LoadVerdict::ZeroCopied);
        assert_eq!(verdict(Class::Told, Some((2, 100))), LoadVerdict::Copied);
        assert_eq!(verdict(Class::Untold, None), LoadVerdict::Unknown);
        assert_eq!(verdict(Class::Copies, None), LoadVerdict::Baseline);
    }

    #[test]
    fn a_run_without_a_result_says_why() {
        let stopped = LoadReport { ended_by: EndedBy::Signal, ..LoadReport::default() };
        let error = state_of(stopped, Class::Told, &settings(), (false, false)).unwrap_err();
        assert!(error.to_string().contains("stopped before it was measured"), "{error}");
    }
}
