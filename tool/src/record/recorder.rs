//! Writing a recording beside the tracing: a thread encodes, compresses and writes. It is handed snapshots through a
//! short queue; when it cannot follow, frames are left out and counted, and the tracing never waits.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::block::Builder;
use super::error::Error;
use super::output::Output;
use super::start::About;
use crate::host::cpu::thread_ns;
use crate::model::snapshot::Snapshot;
use crate::timeline::Point;

/// Frames that may wait.
const QUEUE: usize = 4;
/// A frame reaches the file after this time, whatever comes or does not come after it.
const FLUSH: Duration = Duration::from_secs(5);

/// How to record.
#[derive(Clone, Debug)]
pub struct Options {
    /// Time between two frames.
    pub interval: Duration,
    /// What the files of the recording may take together, bytes.
    pub max_bytes: u64,
    /// The traced command with its arguments; empty: none.
    pub command: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), max_bytes: 1 << 30, command: Vec::new() }
    }
}

/// What was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Frames written.
    pub frames: u64,
    /// Frames left out because writing could not follow.
    pub dropped: u64,
    /// Bytes written, of files that were given up meanwhile, too.
    pub bytes: u64,
    /// Time between the first and the last frame, ns.
    pub span_ns: u64,
    /// CPU time of the writing thread, ns.
    pub cpu_ns: u64,
    /// The recording stands in two files, `FILE.1` and `FILE`.
    pub rotated: bool,
}

/// A recording that is being written. Dropped, it ends as it does when finished.
pub struct Recorder {
    queue: Option<SyncSender<Box<Snapshot>>>,
    thread: Option<JoinHandle<Result<Summary, Error>>>,
    dropped: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
    interval_ns: u64,
    last_ns: Option<u64>,
}

impl Recorder {
    /// Creates the file, or replaces a recording of this name. `now_ns` is the time since tracing began.
    ///
    /// # Errors
    /// Something else has this name, or the file cannot be written.
    pub fn create(path: &Path, now_ns: u64, options: &Options) -> Result<Self, Error> {
        let interval_ns = u64::try_from(options.interval.as_nanos()).unwrap_or(u64::MAX);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let about = About {
            version: env!("CARGO_PKG_VERSION").into(),
            id: getrandom::u64().unwrap_or(unix.as_nanos() as u64),
            part: 0,
            began_unix_ns: u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX).saturating_sub(now_ns),
            interval_ns,
            command: options.command.clone(),
        };
        let output = Output::create(path, about, options.max_bytes)?;
        let (queue, jobs) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let written = Arc::new(AtomicU64::new(output.written));
        let worker = Worker::new(output, Arc::clone(&dropped), Arc::clone(&written));
        let thread = std::thread::Builder::new().name("recorder".into()).spawn(move || worker.run(&jobs));
        let thread = thread.map_err(|error| Error::Thread(error.to_string()))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), dropped, written, interval_ns, last_ns: None })
    }

    /// True when it is time for the next frame. One that comes a little early counts: ticks are not exact.
    #[must_use]
    pub fn is_due(&self, now_ns: u64) -> bool {
        self.last_ns.is_none_or(|last| now_ns >= last + self.interval_ns - self.interval_ns / 8)
    }

    /// True once writing has failed; [`Recorder::finish`] says why.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.queue.is_some() && self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Bytes written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Records this snapshot if it is time for one. Never waits.
    pub fn offer(&mut self, snapshot: &Snapshot) {
        if !self.is_due(snapshot.duration_ns) {
            return;
        }
        self.last_ns = Some(snapshot.duration_ns);
        let Some(queue) = &self.queue else { return };
        if let Err(TrySendError::Full(_)) = queue.try_send(Box::new(snapshot.clone())) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Records a last snapshot, and ends when everything is written.
    ///
    /// # Errors
    /// [`Error::Writing`]: the disk is full, say. What was written before can be replayed.
    pub fn finish(mut self, last: Option<&Snapshot>) -> Result<Summary, Error> {
        if let (Some(queue), Some(last)) = (&self.queue, last) {
            // A closed queue means that the thread has failed; it says why below.
            let _ = queue.send(Box::new(last.clone()));
        }
        self.end()
    }

    fn end(&mut self) -> Result<Summary, Error> {
        drop(self.queue.take());
        let Some(thread) = self.thread.take() else { return Ok(Summary::default()) };
        thread.join().unwrap_or_else(|_| Err(Error::Thread("its thread has failed".into())))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// The writing thread.
struct Worker {
    output: Output,
    builder: Option<Builder>,
    /// The snapshot written last.
    last: Option<Box<Snapshot>>,
    first_ns: u64,
    frames: u64,
    dropped: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
}

impl Worker {
    const fn new(output: Output, dropped: Arc<AtomicU64>, written: Arc<AtomicU64>) -> Self {
        Self { output, builder: None, last: None, first_ns: 0, frames: 0, dropped, written }
    }

    fn run(mut self, jobs: &Receiver<Box<Snapshot>>) -> Result<Summary, Error> {
        loop {
            match jobs.recv_timeout(FLUSH) {
                Ok(snapshot) => self.add(snapshot)?,
                Err(RecvTimeoutError::Timeout) => self.flush()?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.flush()?;
        let dropped = self.dropped();
        let last_ns = self.last.as_ref().map_or(0, |last| last.duration_ns);
        let rotated = self.output.is_rotated();
        let bytes = self.output.close(last_ns, dropped)?;
        let span_ns = last_ns.saturating_sub(self.first_ns);
        Ok(Summary { frames: self.frames, dropped, bytes, span_ns, cpu_ns: thread_ns(), rotated })
    }

    fn add(&mut self, snapshot: Box<Snapshot>) -> Result<(), Error> {
        // Of the time before the first frame nothing is known but the sums in it.
        let before = self.last.as_ref().unwrap_or(&snapshot);
        if self.last.is_none() {
            self.first_ns = snapshot.duration_ns;
        }
        let point = Point::told(before, &snapshot);
        let mut builder = match self.builder.take() {
            Some(builder) => builder,
            None => Builder::new()?,
        };
        builder.push(&snapshot, point)?;
        self.frames += 1;
        let full = builder.is_full();
        self.builder = Some(builder);
        self.last = Some(snapshot);
        if full { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let Some(builder) = self.builder.take() else { return Ok(()) };
        let (dropped, last_ns) = (self.dropped(), builder.last_ns().unwrap_or(0));
        let block = builder.finish(dropped)?;
        self.output.append(&block, last_ns, dropped)?;
        self.written.store(self.output.written, Ordering::Relaxed);
        Ok(())
    }

    fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
