//! Runs a load: connects, starts one thread per stream, ends them in time, adds up what they counted.

use std::collections::BTreeMap;
use std::io::{self, PipeReader};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use socket2::Socket;
use zcscope_common::Path;

use super::connect::{Way, congestion_control, connect, connect_any};
use super::device::DeviceWatch;
use super::gate::Gate;
use super::paths::{Class, PathEntry, Setup, Tally};
use super::result::{
    Completions, Cpu, EndedBy, LOAD_SCHEMA, Latency, LoadReport, Phases, StreamFigures, gbit_s, s_per_gb,
};
use super::stream::{self, Job, Live, Outcome, Shared};
use super::{LoadError, cpu};
use crate::units::{bytes, size};

/// Most connections of one load.
pub const MAX_STREAMS: u32 = 256;
/// Most buffers per connection.
pub const MAX_DEPTH: u32 = 4096;
/// Most bytes per send: what one send call can take.
pub const MAX_SIZE: u64 = 1 << 30;
/// Most memory for buffers over all connections.
const MAX_MEMORY: u64 = 4 << 30;

/// What to send, where, how much.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Send path.
    pub path: &'static PathEntry,
    /// Addresses of the sink, in order of preference.
    pub targets: Vec<SocketAddr>,
    /// Send through this device.
    pub device: Option<String>,
    /// Congestion control; the system's when `None`.
    pub cc: Option<String>,
    /// How each connection sends.
    pub setup: Setup,
    /// Connections.
    pub streams: usize,
    /// Longest time to send.
    pub duration: Duration,
    /// Bytes to send over all connections.
    pub bytes: Option<u64>,
    /// Keep each thread on one CPU.
    pub pin: bool,
}

/// Counters over all connections while a load runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Since the start.
    pub elapsed: Duration,
    /// Bytes accepted.
    pub bytes: u64,
    /// Sends that ended.
    pub ended: u64,
    /// Of those, sends the kernel told were copied.
    pub copied: u64,
    /// Sends refused with `ENOBUFS`.
    pub enobufs: u64,
}

/// Runs the load to its end; `progress` is called about once a second. The run ends early when `stop` becomes
/// readable. A run that fails on the way still returns a report, with [`LoadReport::error`] set.
///
/// # Errors
/// The plan makes no sense here, or nothing could be connected.
pub fn run(
    plan: &Plan,
    stop: Option<BorrowedFd<'_>>,
    mut progress: impl FnMut(&Progress),
) -> Result<LoadReport, LoadError> {
    check_memory(plan)?;
    let device = plan.device.as_deref().map(DeviceWatch::begin).transpose()?;
    let connecting = Instant::now();
    let (sockets, target) = connect_all(plan)?;
    let connect_ns = ns(connecting.elapsed());
    let cc = sockets.first().and_then(congestion_control);
    let run = run_streams(plan, sockets, stop, &mut progress)?;
    let mut report = run.report(plan, target, cc);
    report.phases.connect_ns = connect_ns;
    if let Some(device) = &plan.device {
        let lost = report.acked_bytes < report.bytes;
        report.error = super::device::explain(device, report.error.take(), lost);
        if report.error.is_some() {
            report.ended_by = EndedBy::Error;
        }
    }
    report.device = device.map(|watch| watch.end(report.acked_bytes));
    Ok(report)
}

fn check_memory(plan: &Plan) -> Result<(), LoadError> {
    let setup = &plan.setup;
    let total = setup.size.next_multiple_of(4096) as u64 * setup.buffers() as u64 * plan.streams as u64;
    if total <= MAX_MEMORY {
        return Ok(());
    }
    Err(LoadError::Usage(format!(
        "{} x {} buffers of {} would take {} of memory, more than {} allowed; lower --streams, --depth or \
         --size",
        plan.streams,
        setup.buffers(),
        size(setup.size as u64),
        bytes(total),
        bytes(MAX_MEMORY)
    )))
}

fn connect_all(plan: &Plan) -> Result<(Vec<Socket>, SocketAddr), LoadError> {
    let way = Way { device: plan.device.as_deref(), cc: plan.cc.as_deref() };
    let (first, target) = connect_any(&plan.targets, way)?;
    let mut sockets = vec![first];
    for _ in 1..plan.streams {
        sockets.push(connect(target, way)?);
    }
    Ok((sockets, target))
}

/// The bytes stream `index` of `streams` sends, so that all together send `total`.
fn quota(total: u64, index: usize, streams: usize) -> u64 {
    let (index, streams) = (index as u64, streams as u64);
    total / streams + u64::from(index < total % streams)
}

/// The CPUs this process may use; empty when that is not known.
fn allowed_cpus() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else { return Vec::new() };
    (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect()
}

/// What the threads of a run brought back.
struct Run {
    outcomes: Vec<Outcome>,
    machine_ns: Option<u64>,
    interrupted: bool,
}

fn run_streams(
    plan: &Plan,
    sockets: Vec<Socket>,
    stop: Option<BorrowedFd<'_>>,
    progress: &mut impl FnMut(&Progress),
) -> Result<Run, LoadError> {
    let cannot = |error| LoadError::failed("cannot start the sending threads", error);
    let shared = Shared { gate: Gate::default(), stop: AtomicBool::new(false) };
    let live: Vec<Live> = sockets.iter().map(|_| Live::default()).collect();
    let cpus = if plan.pin { allowed_cpus() } else { Vec::new() };
    // Every thread holds the writing end; the reading end hangs up when the last one is done.
    let (done, running) = io::pipe().map_err(cannot)?;
    let mut ends = Vec::new();
    for _ in &sockets {
        ends.push(running.try_clone().map_err(cannot)?);
    }
    drop(running);

    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (index, ((socket, live), end)) in sockets.into_iter().zip(&live).zip(ends).enumerate() {
            let job = Job {
                entry: plan.path,
                setup: &plan.setup,
                socket,
                quota: plan.bytes.map(|total| quota(total, index, plan.streams)),
                cpu: (!cpus.is_empty()).then(|| cpus[index % cpus.len()]),
                shared: &shared,
                live,
            };
            let body = move || {
                let outcome = stream::run(&job);
                drop(end);
                outcome
            };
            match std::thread::Builder::new().spawn_scoped(scope, body) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    // Those already waiting must go, and find that there is nothing to do.
                    shared.stop.store(true, Relaxed);
                    shared.gate.open();
                    return Err(cannot(error));
                }
            }
        }
        shared.gate.wait_ready(threads.len());
        let machine_before = cpu::machine_ns();
        shared.gate.open();
        let interrupted = supervise(plan.duration, &done, stop, &shared, || progress_of(&live), progress);
        let machine_ns = machine_before.zip(cpu::machine_ns()).map(|(a, b)| b.saturating_sub(a));
        let outcomes: Result<Vec<_>, _> = threads.into_iter().map(|thread| thread.join()).collect();
        let outcomes = outcomes
            .map_err(|_| LoadError::Failed("a sending thread ended by a bug; please report it".into()))?;
        Ok(Run { outcomes, machine_ns, interrupted })
    })
}

fn progress_of(live: &[Live]) -> Progress {
    live.iter().fold(Progress::default(), |mut sum, live| {
        sum.bytes += live.bytes.load(Relaxed);
        sum.ended += live.ended.load(Relaxed);
        sum.copied += live.copied.load(Relaxed);
        sum.enobufs += live.enobufs.load(Relaxed);
        sum
    })
}

/// Watches a run until its last thread is done; true when it was interrupted.
fn supervise(
    duration: Duration,
    done: &PipeReader,
    stop: Option<BorrowedFd<'_>>,
    shared: &Shared,
    sum: impl Fn() -> Progress,
    progress: &mut impl FnMut(&Progress),
) -> bool {
    const TICK: Duration = Duration::from_secs(1);
    let begin = Instant::now();
    let (mut interrupted, mut next_tick) = (false, TICK);
    loop {
        let elapsed = begin.elapsed();
        if elapsed >= duration {
            shared.stop.store(true, Relaxed);
        }
        if elapsed >= next_tick {
            progress(&Progress { elapsed, ..sum() });
            next_tick += TICK;
        }
        let until = if elapsed < duration { next_tick.min(duration) } else { next_tick };
        let ms = until.saturating_sub(elapsed).as_nanos().div_ceil(1_000_000);
        let mut fds = vec![PollFd::new(done.as_fd(), PollFlags::empty())];
        fds.extend(stop.filter(|_| !interrupted).map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let timeout = PollTimeout::from(u16::try_from(ms).unwrap_or(u16::MAX));
        if poll(&mut fds, timeout).is_err() {
            continue;
        }
        if fds[0].any() == Some(true) {
            return interrupted;
        }
        if fds.get(1).and_then(PollFd::any) == Some(true) {
            interrupted = true;
            shared.stop.store(true, Relaxed);
        }
    }
}

impl Run {
    fn report(self, plan: &Plan, target: SocketAddr, cc: Option<String>) -> LoadReport {
        let tally = self.tally();
        let unacked: u64 = self.outcomes.iter().map(|o| o.unacked).sum();
        let acked_bytes = tally.bytes - unacked;
        let begin = self.outcomes.iter().map(|o| o.begin).min();
        let since_begin = |at: Option<Instant>| begin.zip(at).map_or(0, |(begin, at)| ns(at - begin));
        let send_ns = since_begin(self.outcomes.iter().map(|o| o.sent).max());
        let total_ns = since_begin(self.outcomes.iter().map(|o| o.settled).max());
        let error = self.outcomes.iter().find_map(|o| o.error.as_ref());
        let thread_ns = self.outcomes.iter().map(|o| o.thread_ns).sum();
        let machine_ns = self.machine_ns;
        let told = plan.path.class == Class::Told;
        LoadReport {
            schema: LOAD_SCHEMA.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            kernel_release: kernel_release(),
            path: plan.path.name.into(),
            target: target.to_string(),
            device: None,
            place: None,
            size: plan.setup.size as u64,
            streams: plan.streams as u64,
            depth: plan.setup.depth as u64,
            cc,
            so_zerocopy: (plan.path.path == Path::MsgZerocopy).then_some(plan.setup.so_zerocopy),
            ended_by: self.ended_by(error.is_some()),
            error: error.map(|error| sentence(error, target, tally.bytes)),
            phases: Phases { connect_ns: 0, send_ns, settle_ns: total_ns - send_ns },
            bytes: tally.bytes,
            acked_bytes,
            gbit_s: gbit_s(acked_bytes, total_ns).unwrap_or(0.0),
            cpu: Cpu {
                thread_ns,
                thread_s_per_gb: s_per_gb(thread_ns, acked_bytes),
                machine_ns,
                machine_s_per_gb: machine_ns.and_then(|ns| s_per_gb(ns, acked_bytes)),
                pinned: plan.pin,
            },
            calls: tally.calls,
            partial_calls: tally.partial,
            errors: errors(&tally, told, error),
            completions: told.then(|| self.completions(&tally, &plan.setup)),
            per_stream: self.outcomes.iter().map(stream_figures).collect(),
            kernel: None,
            kernel_missing: None,
        }
    }

    fn tally(&self) -> Tally {
        self.outcomes.iter().fold(Tally::default(), |mut sum, outcome| {
            sum.add(&outcome.tally);
            sum
        })
    }

    fn ended_by(&self, failed: bool) -> EndedBy {
        match () {
            () if failed => EndedBy::Error,
            () if self.outcomes.iter().all(|o| o.complete) => EndedBy::Bytes,
            () if self.interrupted => EndedBy::Signal,
            () => EndedBy::Duration,
        }
    }

    fn completions(&self, tally: &Tally, setup: &Setup) -> Completions {
        let ends = &tally.ends;
        Completions {
            sends: ends.sends,
            bytes: ends.bytes,
            notifications: ends.notifications,
            told_copied: ends.copied,
            told_copied_bytes: ends.copied_bytes,
            outstanding: self.outcomes.iter().map(|o| o.outstanding).sum(),
            unexpected: ends.unexpected,
            reap_every: setup.reap_every() as u64,
            latency_ns: Latency::from(&*ends.latency),
        }
    }
}

fn stream_figures(outcome: &Outcome) -> StreamFigures {
    StreamFigures {
        local: outcome.local.clone(),
        bytes: outcome.tally.bytes,
        acked_bytes: outcome.tally.bytes - outcome.unacked,
        calls: outcome.tally.calls,
        thread_ns: outcome.thread_ns,
    }
}

/// Failed calls by errno name.
fn errors(tally: &Tally, told: bool, fatal: Option<&io::Error>) -> BTreeMap<String, u64> {
    let fatal = fatal.and_then(io::Error::raw_os_error).map(nix::errno::Errno::from_raw);
    let mut errors = BTreeMap::new();
    if told || tally.enobufs > 0 {
        errors.insert("ENOBUFS".into(), tally.enobufs);
    }
    if tally.eagain > 0 {
        errors.insert("EAGAIN".into(), tally.eagain);
    }
    if let Some(errno) = fatal {
        *errors.entry(format!("{errno:?}")).or_insert(0) += 1;
    }
    errors
}

/// Why a run failed on the way.
fn sentence(error: &io::Error, target: SocketAddr, sent: u64) -> String {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => format!(
            "the sink at {target} closed the connection after {} were sent; look there for the reason",
            bytes(sent)
        ),
        _ => format!("sending to {target} failed after {}: {error}", bytes(sent)),
    }
}

fn kernel_release() -> String {
    nix::sys::utsname::uname().map(|u| u.release().to_string_lossy().into_owned()).unwrap_or_default()
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_add_up() {
        for (total, streams) in [(0, 1), (1, 4), (10, 3), (1 << 40, 7)] {
            let sum: u64 = (0..streams).map(|index| quota(total, index, streams)).sum();
            assert_eq!(sum, total);
        }
    }

    #[test]
    fn too_much_memory_is_refused_before_anything_happens() {
        let plan = Plan {
            path: PathEntry::from_name("copy").unwrap(),
            targets: vec![],
            device: None,
            cc: None,
            setup: Setup { size: 1 << 30, depth: 16, ..Setup::default() },
            streams: 1,
            duration: Duration::from_secs(1),
            bytes: None,
            pin: false,
        };
        let error = run(&plan, None, |_| {}).unwrap_err();
        assert!(matches!(&error, LoadError::Usage(text) if text.contains("16.0 GiB")), "{error}");
    }
}
