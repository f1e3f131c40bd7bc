//! Runs a load: connects, starts the threads (one per stream, unless told otherwise), leads them through warm-up and
//! measured laps, and hands what they counted to the accounts.

use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use socket2::Socket;

use super::LoadError;
use super::account::{Facts, report};
use super::connect::{Way, congestion_control, connect, connect_any};
use super::control::agreement::Agreement;
use super::control::client::Target;
use super::crew::{self, Crew};
use super::device::DeviceWatch;
use super::knobs::{SendBuffer, SocketKnobs, descriptor_limit, raise_descriptor_limit};
use super::lap::ThreadLap;
use super::lead::{Lead, Leader};
use super::pace::Rate;
use super::paths::{PATHS, PathEntry, Setup};
use super::placement::{self, Placement};
use super::result::{EndedBy, LoadReport};
use super::shared::{Live, Order, Shared};
use super::stream::Job;
use super::warmup::WarmUp;
use crate::units::{bytes, size};

/// Most connections of one load.
pub const MAX_STREAMS: u32 = 4096;
/// Most buffers per connection.
pub const MAX_DEPTH: u32 = 4096;
/// Most bytes per send: what one send call can take.
pub const MAX_SIZE: u64 = 1 << 30;
/// Most memory for buffers over all connections.
const MAX_MEMORY: u64 = 4 << 30;
/// How long nobody may acknowledge data, unless told otherwise.
const USER_TIMEOUT: Duration = Duration::from_secs(5);
/// A sending thread needs little: its buffers are mapped, not on the stack.
const STACK: usize = 512 << 10;

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
    /// Sending threads the connections are dealt out to; one for each when `None`.
    pub threads: Option<usize>,
    /// Longest time to send; of each level, when there are any.
    pub duration: Duration,
    /// Bytes to send over all connections.
    pub bytes: Option<u64>,
    /// Where sending threads run.
    pub placement: Placement,
    /// Limit of each connection's send queue.
    pub sndbuf: SendBuffer,
    /// Set `TCP_NODELAY`.
    pub nodelay: bool,
    /// Bits per second the kernel lets out over all connections (`SO_MAX_PACING_RATE`).
    pub pacing_bit_s: Option<u64>,
    /// The kernel ends a connection whose data nobody acknowledges for so long: a device that went down, a peer that
    /// vanished without a word.
    pub user_timeout: Duration,
    /// What to send before anything counts.
    pub warm_up: WarmUp,
    /// Open loop: send messages of [`Setup::size`] at each of these rates in turn, and time them.
    pub levels: Vec<Rate>,
    /// The sink to be asked for the run.
    pub peer: Option<Target>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            path: &PATHS[0],
            targets: Vec::new(),
            device: None,
            cc: None,
            setup: Setup::default(),
            streams: 1,
            threads: None,
            duration: Duration::from_secs(10),
            bytes: None,
            placement: Placement::default(),
            sndbuf: SendBuffer::default(),
            nodelay: false,
            pacing_bit_s: None,
            user_timeout: USER_TIMEOUT,
            warm_up: WarmUp::default(),
            levels: Vec::new(),
            peer: None,
        }
    }
}

impl Plan {
    /// Sending threads.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.unwrap_or(self.streams)
    }

    /// Refuses what threads that serve several streams cannot do.
    ///
    /// # Errors
    /// More threads than streams, or fewer where each stream needs one of its own.
    pub fn check_threads(&self) -> Result<(), LoadError> {
        let (threads, streams) = (self.threads(), self.streams);
        if threads == 0 || threads > streams {
            return Err(LoadError::Usage(format!(
                "--threads {threads} with --streams {streams}: every thread needs at least one stream; use \
                 --threads from 1 to {streams}"
            )));
        }
        if threads < streams && !self.levels.is_empty() {
            return Err(LoadError::Usage(
                "--latency needs a thread for every stream, because a message that waited for its turn would be told as \
                 slow; leave --threads out"
                    .into(),
            ));
        }
        if threads < streams && matches!(self.placement, Placement::SameCore | Placement::OtherCore) {
            return Err(LoadError::Usage(
                "--same-core and --other-core need a thread for every stream, because streams of one thread may be \
                 acknowledged on different CPUs; leave --threads out, or name CPUs with --cpu"
                    .into(),
            ));
        }
        Ok(())
    }
}

/// What a load is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Warming up; nothing of it will be in the result.
    #[default]
    WarmUp,
    /// Finding out how fast the path goes, for levels that are a share of it.
    Maximum,
    /// Measuring.
    Measure,
    /// Level `n` (from 0) of an open loop.
    Level(usize),
}

/// Counters over all connections while a load runs; of the present stage.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Since the stage began.
    pub elapsed: Duration,
    /// Longest time it may take.
    pub limit: Duration,
    /// Bytes it ends at, if any.
    pub goal: Option<u64>,
    /// Bytes accepted.
    pub bytes: u64,
    /// Sends that ended.
    pub ended: u64,
    /// Of those, sends the kernel told were copied.
    pub copied: u64,
    /// Sends refused with `ENOBUFS`.
    pub enobufs: u64,
    /// 99 % of the sends ended within so many ns, on the slowest connection; 0 when nothing ended.
    pub p99_ns: u64,
}

/// Somebody who follows a load.
pub trait Watcher {
    /// Called about four times a second.
    fn progress(&mut self, _now: &Progress) {}
    /// Called when the warm-up is over and every connection is at rest, just before anything counts.
    fn measuring(&mut self) {}
}

/// Runs the load to its end; `progress` is called about four times a second. See [`run_watched`].
///
/// # Errors
/// The plan makes no sense here, or nothing could be connected.
pub fn run(
    plan: &Plan,
    stop: Option<BorrowedFd<'_>>,
    progress: impl FnMut(&Progress),
) -> Result<LoadReport, LoadError> {
    struct Ticks<F>(F);
    impl<F: FnMut(&Progress)> Watcher for Ticks<F> {
        fn progress(&mut self, now: &Progress) {
            self.0(now);
        }
    }
    run_watched(plan, stop, &mut Ticks(progress))
}

/// Runs the load to its end. It ends early when `stop` becomes readable. A run that fails on the way still returns a
/// report, with [`LoadReport::error`] set.
///
/// # Errors
/// The plan makes no sense here, or nothing could be connected.
pub fn run_watched(
    plan: &Plan,
    stop: Option<BorrowedFd<'_>>,
    watcher: &mut impl Watcher,
) -> Result<LoadReport, LoadError> {
    check(plan)?;
    raise_descriptor_limit();
    let mut agreement = Agreement::make(plan)?;
    let device = plan.device.as_deref().map(DeviceWatch::begin).transpose()?;
    let connecting = Instant::now();
    let (sockets, target) = connect_all(plan)?;
    let connect_ns = u64::try_from(connecting.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let cc = sockets.first().and_then(congestion_control);
    agreement.begin(&sockets)?;
    let spans = run_streams(plan, sockets, stop, watcher)?;
    let mut report = report(&Facts { plan, target, cc, connect_ns }, &spans);
    if let Some(device) = &plan.device {
        let lost = report.acked_bytes < report.bytes;
        report.error = super::device::explain(device, report.error.take(), lost);
        if report.error.is_some() {
            report.ended_by = EndedBy::Error;
        }
    }
    // The counter runs from before the warm-up.
    let warm_up = report.warm_up.as_ref().map_or(0, |warm_up| warm_up.bytes);
    report.device = device.map(|watch| watch.end(report.acked_bytes + warm_up));
    agreement.conclude(&mut report);
    Ok(report)
}

fn check(plan: &Plan) -> Result<(), LoadError> {
    let setup = &plan.setup;
    plan.check_threads()?;
    plan.path.check_poison(setup.verify, setup.so_zerocopy).map_err(LoadError::Usage)?;
    if !plan.levels.is_empty() && plan.bytes.is_some() {
        return Err(LoadError::Usage("levels of an open loop end by time, not by bytes".into()));
    }
    let total = setup.size.next_multiple_of(4096) as u64 * setup.buffers() as u64 * plan.streams as u64;
    if total <= MAX_MEMORY {
        return Ok(());
    }
    Err(LoadError::Usage(format!(
        "{} x {} buffers of {} would take {} of memory, more than {} allowed; lower --streams, --depth, --size or \
         --working-set",
        plan.streams,
        setup.buffers(),
        size(setup.size as u64),
        bytes(total),
        bytes(MAX_MEMORY)
    )))
}

fn connect_all(plan: &Plan) -> Result<(Vec<Socket>, SocketAddr), LoadError> {
    let way = Way { device: plan.device.as_deref(), cc: plan.cc.as_deref() };
    let knobs = SocketKnobs {
        sndbuf: plan.sndbuf.wanted(&plan.setup),
        nodelay: plan.nodelay,
        pacing: plan.pacing_bit_s.map(|bits| (bits / 8 / plan.streams as u64).max(1)),
    };
    let (first, target) = connect_any(&plan.targets, way)?;
    let mut sockets = vec![first];
    while sockets.len() < plan.streams {
        sockets.push(connect(target, way).map_err(|error| out_of_descriptors(error, sockets.len(), plan))?);
    }
    for socket in &sockets {
        knobs.apply(socket)?;
        socket
            .set_tcp_user_timeout(Some(plan.user_timeout))
            .map_err(|error| LoadError::failed("cannot set TCP_USER_TIMEOUT", error))?;
    }
    Ok((sockets, target))
}

/// What to say when connection number `open` could not be made: the limit on descriptors, if that is why.
fn out_of_descriptors(error: LoadError, open: usize, plan: &Plan) -> LoadError {
    let full = nix::unistd::dup(io::stderr()).err() == Some(nix::errno::Errno::EMFILE);
    match descriptor_limit().filter(|_| full) {
        Some(limit) => LoadError::Failed(format!(
            "only {open} of {} connections fit: this process may have {limit} open descriptors; raise the hard limit \
             (ulimit -Hn) or lower --streams",
            plan.streams
        )),
        None => error,
    }
}

/// Starts the threads, leads them through their laps, and waits for all of them.
fn run_streams(
    plan: &Plan,
    sockets: Vec<Socket>,
    stop: Option<BorrowedFd<'_>>,
    watcher: &mut impl Watcher,
) -> Result<Vec<super::account::Span>, LoadError> {
    let cannot = |error| LoadError::failed("cannot start the sending threads", error);
    let (shared, threads) = (Shared::new(), plan.threads());
    let live: Vec<Live> = sockets.iter().map(|_| Live::default()).collect();
    let slots: Vec<Mutex<Option<ThreadLap>>> = (0..threads).map(|_| Mutex::new(None)).collect();
    let cpus = placement::allowed();
    let sharing = Setup { shared_thread: true, ..plan.setup.clone() };
    let (ears, bell) = io::pipe().map_err(cannot)?;
    let mut sockets = sockets.into_iter().enumerate();
    std::thread::scope(|scope| {
        // Whatever happens here, threads that wait must go home, or the scope would wait for them for ever.
        let _home = SendHome(&shared);
        for (number, slot) in slots.iter().enumerate() {
            let count = crew::share(number, threads, plan.streams).len();
            let job = |(index, socket)| Job {
                entry: plan.path,
                setup: if count > 1 { &sharing } else { &plan.setup },
                socket,
                index,
                streams: plan.streams,
                shared: &shared,
                live: &live[index],
            };
            let crew = Crew {
                jobs: sockets.by_ref().take(count).map(job).collect(),
                number,
                placement: &plan.placement,
                cpus: &cpus,
                shared: &shared,
                slot,
                bell: &bell,
            };
            // Without a name of its own: tracers show the thread's, and this program's is the one people look for.
            let thread = std::thread::Builder::new().stack_size(STACK);
            thread.spawn_scoped(scope, move || crew::run(&crew)).map_err(|error| {
                LoadError::Failed(format!(
                    "cannot start sending thread {} of {threads}: {error}; lower --streams, or use fewer --threads",
                    number + 1
                ))
            })?;
        }
        shared.orders.wait_ready(threads);
        let leader = Leader { shared: &shared, live: &live, slots: &slots, ears: &ears, stop, watcher };
        Lead::new(leader, plan).all()
    })
}

/// Gives the last order when dropped.
struct SendHome<'a>(&'a Shared);

impl Drop for SendHome<'_> {
    fn drop(&mut self) {
        self.0.stop();
        self.0.orders.give(Order::End);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_memory_is_refused_before_anything_happens() {
        let plan = Plan { setup: Setup { size: 1 << 30, depth: 16, ..Setup::default() }, ..Plan::default() };
        let error = run(&plan, None, |_| {}).unwrap_err();
        assert!(matches!(&error, LoadError::Usage(text) if text.contains("16.0 GiB")), "{error}");
    }
    #[test]
    fn threads_that_serve_several_streams_are_refused_what_they_cannot_do() {
        let refused = |threads, placement, levels: &[Rate]| {
            let plan = Plan {
                streams: 4,
                threads: Some(threads),
                placement,
                levels: levels.into(),
                ..Plan::default()
            };
            check(&plan).err().map(|error| error.to_string()).unwrap_or_default()
        };
        let free = || Placement::Free;
        assert!(refused(0, free(), &[]).contains("from 1 to 4"));
        assert!(refused(5, free(), &[]).contains("from 1 to 4"));
        assert!(refused(2, free(), &[Rate::Messages(1)]).contains("--latency needs a thread"));
        assert!(refused(2, Placement::SameCore, &[]).contains("--same-core"));
        assert!(refused(2, Placement::OtherCore, &[]).contains("--other-core"));
        assert_eq!(refused(2, Placement::Spread, &[]), "");
        assert_eq!(refused(4, Placement::SameCore, &[Rate::Messages(1)]), "");
    }
}
