//! One connection: a plain thread that sends until its bytes are out or it is told to stop, then waits for the ends.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use socket2::Socket;

use super::gate::Gate;
use super::paths::{PathEntry, SendPath, Setup, Step, Tally};
use super::{cpu, sys};

/// Longest sleep before looking at the stop flag again.
const WAIT: Duration = Duration::from_millis(100);
/// How long the peer may take to acknowledge everything, and the kernel to end every send.
const SETTLE_LIMIT: Duration = Duration::from_secs(2);
const SETTLE_PAUSE: Duration = Duration::from_micros(100);
const SETTLE_WAIT: Duration = Duration::from_millis(1);

/// What all streams of a run share.
pub(super) struct Shared {
    /// Where streams wait until all are ready.
    pub(super) gate: Gate,
    /// Stop sending.
    pub(super) stop: AtomicBool,
}

/// A stream's counters while it runs, written by it alone, on cache lines of their own.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Live {
    pub(super) bytes: AtomicU64,
    pub(super) ended: AtomicU64,
    pub(super) copied: AtomicU64,
    pub(super) enobufs: AtomicU64,
}

impl Live {
    fn publish(&self, tally: &Tally) {
        self.bytes.store(tally.bytes, Relaxed);
        self.ended.store(tally.ends.sends, Relaxed);
        self.copied.store(tally.ends.copied, Relaxed);
        self.enobufs.store(tally.enobufs, Relaxed);
    }
}

/// What one stream has to do.
pub(super) struct Job<'a> {
    pub(super) entry: &'static PathEntry,
    pub(super) setup: &'a Setup,
    pub(super) socket: Socket,
    /// Bytes to send; `None` until told to stop.
    pub(super) quota: Option<u64>,
    /// CPU to stay on.
    pub(super) cpu: Option<usize>,
    pub(super) shared: &'a Shared,
    pub(super) live: &'a Live,
}

/// What came of it.
pub(super) struct Outcome {
    pub(super) tally: Tally,
    pub(super) local: String,
    pub(super) begin: Instant,
    /// The last byte was accepted.
    pub(super) sent: Instant,
    /// The last byte was acknowledged, and every send ended; or we gave up.
    pub(super) settled: Instant,
    /// Accepted bytes the peer has not acknowledged.
    pub(super) unacked: u64,
    /// Sends that have not ended.
    pub(super) outstanding: u64,
    /// CPU time from `begin` to `settled`.
    pub(super) thread_ns: u64,
    /// The whole quota was sent.
    pub(super) complete: bool,
    pub(super) error: Option<io::Error>,
}

/// Does the job on the calling thread.
pub(super) fn run(job: &Job<'_>) -> Outcome {
    let opened = prepare(job);
    if opened.is_err() {
        job.shared.stop.store(true, Relaxed);
    }
    job.shared.gate.pass();
    let begin = Instant::now();
    let cpu_before = cpu::thread_ns();
    let mut outcome = Outcome {
        tally: Tally::default(),
        local: local_address(&job.socket),
        begin,
        sent: begin,
        settled: begin,
        unacked: 0,
        outstanding: 0,
        thread_ns: 0,
        complete: false,
        error: None,
    };
    match opened {
        Ok(mut path) => send_all(job, path.as_mut(), &mut outcome),
        Err(error) => outcome.error = Some(error),
    }
    outcome.thread_ns = cpu::thread_ns().saturating_sub(cpu_before);
    outcome
}

fn prepare(job: &Job<'_>) -> io::Result<Box<dyn SendPath>> {
    if let Some(cpu) = job.cpu {
        let mut set = CpuSet::new();
        set.set(cpu)?;
        sched_setaffinity(Pid::from_raw(0), &set)?;
    }
    (job.entry.open)(job.setup, &job.socket)
}

fn send_all(job: &Job<'_>, path: &mut dyn SendPath, outcome: &mut Outcome) {
    match drive(job, path, &mut outcome.tally) {
        Ok(complete) => outcome.complete = complete,
        Err(error) => {
            // One connection is gone: the run is no longer what was asked for.
            job.shared.stop.store(true, Relaxed);
            outcome.error = Some(error);
        }
    }
    if let Err(error) = finish(job, path, &mut outcome.tally) {
        outcome.error.get_or_insert(error);
    }
    outcome.sent = Instant::now();
    settle(job, path, outcome);
    outcome.settled = Instant::now();
    job.live.publish(&outcome.tally);
}

/// The hot loop: no allocation, no lock, no clock of its own. True when the whole quota was sent.
fn drive(job: &Job<'_>, path: &mut dyn SendPath, tally: &mut Tally) -> io::Result<bool> {
    let mut left = job.quota.unwrap_or(u64::MAX);
    while left > 0 && !job.shared.stop.load(Relaxed) {
        let len = left.min(job.setup.size as u64) as usize;
        match path.send(&job.socket, len, tally) {
            Ok(Step::Accepted(n)) => {
                tally.calls += 1;
                tally.partial += u64::from(n < len);
                tally.bytes += n as u64;
                left -= n as u64;
                job.live.publish(tally);
            }
            Ok(Step::Blocked) => path.wait(&job.socket, WAIT, tally)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(left == 0)
}

/// Ends what was begun when sending stopped.
fn finish(job: &Job<'_>, path: &mut dyn SendPath, tally: &mut Tally) -> io::Result<()> {
    let n = path.finish(&job.socket, tally)? as u64;
    tally.calls += u64::from(n > 0);
    tally.bytes += n;
    Ok(())
}

/// Ends the stream of bytes and waits, not for ever, until all of it is acknowledged and every send has ended.
fn settle(job: &Job<'_>, path: &mut dyn SendPath, outcome: &mut Outcome) {
    let deadline = Instant::now() + SETTLE_LIMIT;
    // The end mark counts as one unacknowledged byte.
    let end_mark = u64::from(job.socket.shutdown(std::net::Shutdown::Write).is_ok());
    loop {
        if let Err(error) = look(job, path, outcome) {
            outcome.error.get_or_insert(error);
        }
        let acknowledged = outcome.unacked == 0 || outcome.error.is_some();
        if (acknowledged && outcome.outstanding == 0) || Instant::now() >= deadline {
            break;
        }
        if outcome.outstanding == 0 {
            std::thread::sleep(SETTLE_PAUSE);
        } else if let Err(error) = path.wait_end(&job.socket, SETTLE_WAIT, &mut outcome.tally) {
            outcome.error.get_or_insert(error);
            break;
        }
    }
    outcome.unacked = outcome.unacked.saturating_sub(end_mark).min(outcome.tally.bytes);
}

fn look(job: &Job<'_>, path: &mut dyn SendPath, outcome: &mut Outcome) -> io::Result<()> {
    outcome.outstanding = path.reap(&job.socket, &mut outcome.tally)?;
    outcome.unacked = sys::unacknowledged(job.socket.as_fd())?;
    match job.socket.take_error()? {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn local_address(socket: &Socket) -> String {
    socket.local_addr().ok().and_then(|a| a.as_socket()).map(|a| a.to_string()).unwrap_or_default()
}
