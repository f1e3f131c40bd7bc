//! Tries every prediction: a few bytes over each path while they are traced, compared with what was predicted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::process::Command;
use std::time::{Duration, Instant};

use zcscope_common::Path;

use super::super::Failure;
use super::targets::Target;
use super::{Args, gather, tracing};
use crate::doctor::document::{Document, Observed, Prediction, Route, Tracing, Verdict};
use crate::doctor::{self, observe};
use crate::host::journey;
use crate::load::engine::{self, Plan};
use crate::load::paths::{PATHS, PathEntry, Setup};
use crate::load::place::{Place, SinkChild};
use crate::load::result::EndedBy;
use crate::load::sink::Rules;
use crate::load::warmup::WarmUp;
use crate::model::Model;
use crate::model::snapshot::Snapshot;
use crate::probe::{Backend, Filter, Options, Probe};

/// Bytes of one send, sends of one path, and their product.
const SEND: usize = 64 << 10;
const SENDS: usize = 4;
const BYTES: u64 = (SEND * SENDS) as u64;
/// Longest time one path may take.
const LONGEST: Duration = Duration::from_secs(10);
/// A sink outlives its load by this much at most.
const SINK_LONGEST: Duration = Duration::from_secs(30);
/// Time the kernel's last events get to be counted, and how often that is looked at.
const DRAIN: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(20);

/// Where a trial's bytes go.
enum Ends {
    /// A sink somebody started.
    Sink(SocketAddr),
    /// A sink of our own at this address of this namespace.
    Here(IpAddr),
    /// A sink of our own at the far end of a wire between two own namespaces.
    Apart(Box<Place>),
}

/// Fills in what this kernel lets zcscope know, the routes, their predictions, and what was observed.
///
/// # Errors
/// No sink was named, the ends cannot be set up, or tracing is not possible.
pub(super) fn prove(
    args: &Args,
    target: Option<&Target>,
    stop: BorrowedFd<'_>,
    document: &mut Document,
) -> Result<(), Failure> {
    for ends in ends(args, target)? {
        let one = || one(&ends, args, stop, document.clone());
        let (route, tracing) = match &ends {
            Ends::Apart(place) => place.enter(one)??,
            Ends::Sink(_) | Ends::Here(_) => one()?,
        };
        document.routes.push(route);
        document.tracing = tracing;
    }
    document.proof = Some(observe::proof(&document.routes, BYTES));
    Ok(())
}

fn ends(args: &Args, target: Option<&Target>) -> Result<Vec<Ends>, Failure> {
    if let Some(target) = target {
        return Ok(vec![Ends::Sink(target.sink()?)]);
    }
    if args.dev.is_some() {
        let text =
            "--prove needs to know where to send through that device; add --to HOST:PORT of a `zcscope sink`";
        return Err(Failure::Usage(text.into()));
    }
    if let Some((a, b)) = &args.cable {
        return Ok(vec![Ends::Apart(Box::new(Place::cable([a, b])?))]);
    }
    Ok(vec![Ends::Here(Ipv4Addr::LOCALHOST.into()), Ends::Apart(Box::new(Place::veth()?))])
}

/// One route, in the calling thread's namespace: facts, predictions, trials.
fn one(
    ends: &Ends,
    args: &Args,
    stop: BorrowedFd<'_>,
    mut document: Document,
) -> Result<(Route, Tracing), Failure> {
    let ip = match ends {
        Ends::Sink(address) => address.ip(),
        Ends::Here(ip) => *ip,
        Ends::Apart(place) => place.address(false)?,
    };
    let mut trace = Trace::start(args.backend)?;
    // Last: a tap that comes and goes shall be seen as late as can be.
    let way =
        journey::follow(Some(ip), args.dev.as_deref()).map_err(|error| Failure::Usage(error.to_string()))?;
    document.routes = vec![gather::route_of(&way, Some(ip))];
    gather::settings_of_namespace(&mut document);
    doctor::predict(&mut document);
    let mut route = document.routes.pop().unwrap_or_default();
    let (mut failures, mut untried) = (Vec::new(), Vec::new());
    for entry in route.send.iter().filter_map(trial) {
        if let Err(why) = (entry.available)() {
            untried.push((entry.path, why));
            continue;
        }
        match send(entry, ends, args.dev.as_deref(), stop) {
            Ok(()) => {}
            Err(Trial::Stopped) => {
                return Err(Failure::Failed("ended by a signal; nothing is left behind".into()));
            }
            Err(Trial::Failed(why)) => failures.push((entry.path, why)),
        }
    }
    let snapshot = trace.settled()?;
    let why = |of: &[(Path, String)], path: Path| {
        of.iter().find(|(other, _)| *other == path).map(|(_, why)| why.clone())
    };
    for prediction in route.send.iter_mut().filter(|prediction| trial(prediction).is_some()) {
        match why(&untried, prediction.path) {
            Some(why) => prediction.observed = Some(Observed { note: Some(why), ..Observed::default() }),
            None => observe::compare(prediction, &snapshot, why(&failures, prediction.path).as_deref()),
        }
    }
    Ok((route, tracing::of(&trace.probe)))
}

/// How a prediction is tried; `None`: the generator has no such path, or the path cannot be used.
fn trial(prediction: &Prediction) -> Option<&'static PathEntry> {
    let can = !matches!(prediction.verdict, Verdict::Unavailable | Verdict::Unknown);
    PATHS.iter().find(|entry| can && entry.name == prediction.path.name())
}

/// Why a trial did not end as it should.
enum Trial {
    /// Somebody wants all of it to end.
    Stopped,
    /// One sentence.
    Failed(String),
}

impl<E: std::fmt::Display> From<E> for Trial {
    fn from(error: E) -> Self {
        Trial::Failed(error.to_string())
    }
}

/// Sends over one path. What the kernel refuses is a failure here, too: it is compared with the prediction.
fn send(
    entry: &'static PathEntry,
    ends: &Ends,
    dev: Option<&str>,
    stop: BorrowedFd<'_>,
) -> Result<(), Trial> {
    let sink = sink(entry.path, ends)?;
    let target = match (ends, &sink) {
        (Ends::Sink(address), _) => *address,
        (_, Some(sink)) => sink.address,
        (_, None) => return Err(Trial::Failed("there is no sink".into())),
    };
    let report = engine::run(&plan(entry, target, dev), Some(stop), |_| {})?;
    let whole = report.error.is_none() && report.bytes == BYTES;
    let sink = sink.map(|sink| sink.finish(!whole)).transpose();
    match report.error {
        _ if report.ended_by == EndedBy::Signal => Err(Trial::Stopped),
        Some(error) => Err(Trial::Failed(error)),
        None if !whole => Err(Trial::Failed(format!("only {} of {BYTES} bytes were taken", report.bytes))),
        None => Ok(sink.map(drop)?),
    }
}

/// A sink of our own, where there is none.
fn sink(path: Path, ends: &Ends) -> Result<Option<SinkChild>, Trial> {
    let rules = Rules { tls: path == Path::Ktls, ..Rules::default() };
    let (command, address) = match ends {
        Ends::Sink(_) => return Ok(None),
        Ends::Here(ip) => (Command::new(std::env::current_exe()?), *ip),
        Ends::Apart(place) => (place.far_command(std::env::current_exe()?), place.address(false)?),
    };
    let sink = SinkChild::start(command, address, rules, SINK_LONGEST);
    sink.map(Some).map_err(|error| Trial::Failed(format!("the sink did not start: {error:#}")))
}

fn plan(entry: &'static PathEntry, target: SocketAddr, dev: Option<&str>) -> Plan {
    Plan {
        path: entry,
        targets: vec![target],
        device: dev.map(str::to_owned),
        setup: Setup { size: SEND, depth: SENDS, ..Setup::default() },
        duration: LONGEST,
        bytes: Some(BYTES),
        warm_up: WarmUp::None,
        ..Plan::default()
    }
}

/// The trace of this process while it tries.
struct Trace {
    probe: Probe,
    model: Model,
}

impl Trace {
    fn start(backend: Backend) -> Result<Trace, Failure> {
        let filter = Filter { pids: vec![std::process::id()], ..Filter::default() };
        let probe = Probe::start(&Options { filter, backend, ..Options::default() })
            .map_err(|error| Failure::CannotTrace(error.to_string()))?;
        let model = Model::new(probe.session());
        Ok(Trace { probe, model })
    }

    /// The state when everything has ended, or after a while.
    fn settled(&mut self) -> Result<Snapshot, Failure> {
        let patience = Instant::now() + DRAIN;
        loop {
            self.model.absorb(self.probe.read()?);
            let snapshot = self.model.snapshot();
            let open = snapshot.paths.iter().filter_map(|path| path.in_flight).any(|open| open.sends > 0);
            if (!open && snapshot.sockets.iter().all(|socket| !socket.alive)) || Instant::now() >= patience {
                return Ok(snapshot);
            }
            std::thread::sleep(TICK);
        }
    }
}
