//! What the screen knows of a load generator: what can be asked of it, and what it tells. Whoever shows the screen
//! brings the generator; the screen knows no send path and no socket.

use std::time::Duration;

/// Longest run that can be asked for.
pub const LONGEST_LOAD: Duration = Duration::from_secs(60);

/// A load generator that the screen can start and stop. One run at a time, always bounded.
pub trait Generator {
    /// What it can send by, in the order to offer it.
    fn paths(&self) -> Vec<LoadPath>;

    /// Starts a run, and says so in one sentence.
    ///
    /// # Errors
    /// A run is under way, or none can be started.
    fn start(&mut self, settings: &LoadSettings) -> anyhow::Result<String>;

    /// Asks the run to end; its figures still come.
    fn stop(&mut self);

    /// How the run stands, when there is anything new since the last time.
    fn poll(&mut self) -> Option<LoadState>;
}

/// A send path as the generator offers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadPath {
    /// Name, as in `zcscope load`.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
}

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadSettings {
    /// [`LoadPath::name`].
    pub path: &'static str,
    /// Bytes per send.
    pub size: u64,
    /// Connections, one thread each.
    pub streams: u32,
    /// How long to measure; at most [`LONGEST_LOAD`].
    pub duration: Duration,
    /// Where to.
    pub target: LoadTarget,
}

/// Where a load sends to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadTarget {
    /// Two network namespaces of its own with a veth pair between them.
    Veth,
    /// A sink of its own on this host.
    Loopback,
    /// A sink that somebody started: `HOST:PORT`.
    Sink(String),
}

impl LoadTarget {
    /// In one word.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            LoadTarget::Veth => "veth",
            LoadTarget::Loopback => "loopback",
            LoadTarget::Sink(address) => address,
        }
    }
}

/// How a run stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum LoadState {
    /// None was started yet.
    #[default]
    Idle,
    /// Both ends are being made, and the connections.
    Connecting,
    /// It sends.
    Running(LoadProgress),
    /// It has ended, with figures.
    Done(LoadRun),
    /// It has ended without: one sentence.
    Failed(String),
}

impl LoadState {
    /// Whether there is something to stop.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self, LoadState::Connecting | LoadState::Running(_))
    }
}

/// What a run has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadProgress {
    /// It only warms up: nothing of it will be in the result.
    pub warm_up: bool,
    /// Since the warm-up, or the measuring, began.
    pub elapsed: Duration,
    /// Longest time that may take.
    pub limit: Duration,
    /// Bytes the kernel accepted in that time.
    pub bytes: u64,
    /// What notifications told; `None` on paths that have none.
    pub told: Option<LoadTold>,
    /// Sends refused with `ENOBUFS`.
    pub enobufs: u64,
}

/// What notifications told so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadTold {
    /// Sends that ended.
    pub ended: u64,
    /// Of those, sends told as copied.
    pub copied: u64,
    /// 99 % ended within so many ns, on the slowest connection; 0 when none ended.
    pub p99_ns: u64,
}

/// The figures of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadRun {
    /// [`LoadPath::name`].
    pub path: String,
    /// Bytes per send.
    pub size: u64,
    /// Connections.
    pub streams: u64,
    /// [`LoadTarget::name`].
    pub target: String,
    /// Bytes acknowledged while it was measured.
    pub bytes: u64,
    /// Time it was measured, ns.
    pub ns: u64,
    /// Acknowledged bits per ns.
    pub gbit_s: f64,
    /// CPU seconds of the sending threads per GB (1e9 bytes) acknowledged.
    pub cpu_s_per_gb: Option<f64>,
    /// Copied part of what asked for no copy; `None` where nobody could tell, or nothing asked.
    pub copied: Option<LoadCopied>,
    /// 99 % of the sends ended within so many ns; `None` on paths without notifications.
    pub p99_ns: Option<u64>,
    /// Sends refused with `ENOBUFS`.
    pub enobufs: u64,
    /// What it may be called.
    pub verdict: LoadVerdict,
    /// Both ends are on this host: no figure says what a network card would do.
    pub functional_only: bool,
    /// It was stopped before its time.
    pub stopped: bool,
    /// Why the kernel was not watched, if so.
    pub untraced: Option<String>,
}

/// A copied part, and whose word it is.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadCopied {
    /// 0 to 1.
    pub share: f64,
    /// `kernel` (seen by tracing), or else `told` (by notifications).
    pub by: String,
    /// The kernel's copies were concluded from other events, not seen.
    pub inferred: bool,
}

/// What a run may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadVerdict {
    /// At most 1 % of what asked for no copy was copied.
    ZeroCopied,
    /// More was.
    Copied,
    /// The path copies by design.
    Baseline,
    /// Nobody could tell.
    Unknown,
}

impl LoadVerdict {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            LoadVerdict::ZeroCopied => "zero-copied",
            LoadVerdict::Copied => "COPIED",
            LoadVerdict::Baseline => "baseline",
            LoadVerdict::Unknown => "unknown",
        }
    }
}
