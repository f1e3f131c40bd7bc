//! One connection: a plain thread that does one lap after the other, each time until its bytes are out or it is told
//! to stop, and then waits for the ends.

use std::io::{self, PipeWriter, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use socket2::Socket;

use super::latency::{self, Waits};
use super::orders::Orders;
use super::paths::{PathEntry, SendPath, Setup, Step, Tally};
use super::placement::{self, Placement};
use super::schedule::Schedule;
use super::{cpu, knobs, sys};

/// Longest sleep before looking at the stop flag again.
pub(super) const WAIT: Duration = Duration::from_millis(100);
/// How long nothing may be acknowledged and no send may end, once sending has stopped, before we give up waiting.
const SETTLE_LIMIT: Duration = Duration::from_secs(2);
/// How long we wait at most, even when there is progress.
const SETTLE_MOST: Duration = Duration::from_secs(10);
/// Shortest and longest pause between two looks; in between, a sixteenth of the time waited so far: a thousand
/// threads that look all the time would keep the peer on the same machine from its work.
const SETTLE_PAUSE: [Duration; 2] = [Duration::from_micros(100), Duration::from_millis(20)];

/// What all connections are to do next.
#[derive(Clone, Copy)]
pub(super) enum Order {
    /// Send as fast as the path goes: these bytes over all connections, or until told to stop.
    Closed { bytes: Option<u64>, last: bool },
    /// Send messages when they are due, however long the ones before them take.
    Open { schedule: Schedule, last: bool },
    /// Go home.
    End,
}

/// What all streams of a run share.
pub(super) struct Shared {
    /// What to do next.
    pub(super) orders: Orders<Order>,
    /// Stop sending.
    stop: AtomicBool,
    /// Changes when there is something to look at: the only thing a sending loop reads every time.
    attention: AtomicU32,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self { orders: Orders::new(), stop: AtomicBool::new(false), attention: AtomicU32::new(0) }
    }

    /// Ends the lap of every connection.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.look();
    }

    /// Makes every connection publish its counters soon.
    pub(super) fn look(&self) {
        self.attention.fetch_add(1, Ordering::Release);
    }

    /// Takes the stop back, between two laps.
    pub(super) fn rearm(&self) {
        self.stop.store(false, Ordering::Relaxed);
    }
}

/// A sending loop's view of the stop flag: one load, as long as there is nothing to look at.
pub(super) struct Watch<'a> {
    job: &'a Job<'a>,
    seen: Option<u32>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(job: &'a Job<'a>) -> Self {
        Self { job, seen: None }
    }

    /// True when the lap is over.
    pub(super) fn stopped(&mut self, tally: &Tally) -> bool {
        let shared = self.job.shared;
        let now = shared.attention.load(Ordering::Acquire);
        if self.seen == Some(now) {
            return false;
        }
        self.seen = Some(now);
        self.job.live.publish(tally);
        shared.stop.load(Ordering::Relaxed)
    }
}

/// A stream's counters while it runs, written by it alone, on cache lines of their own.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Live {
    pub(super) bytes: AtomicU64,
    pub(super) ended: AtomicU64,
    pub(super) copied: AtomicU64,
    pub(super) enobufs: AtomicU64,
    /// 99 % of its sends ended within so many ns; 0 when nothing ended.
    pub(super) p99_ns: AtomicU64,
}

impl Live {
    pub(super) fn publish(&self, tally: &Tally) {
        let set = |to: &AtomicU64, value| to.store(value, Ordering::Relaxed);
        set(&self.bytes, tally.bytes);
        set(&self.ended, tally.ends.sends);
        set(&self.copied, tally.ends.copied);
        set(&self.enobufs, tally.enobufs);
        set(&self.p99_ns, tally.ends.latency.percentile(990).unwrap_or(0));
    }
}

/// What one stream has to do.
pub(super) struct Job<'a> {
    pub(super) entry: &'static PathEntry,
    pub(super) setup: &'a Setup,
    pub(super) socket: Socket,
    /// This stream, of how many.
    pub(super) index: usize,
    pub(super) streams: usize,
    pub(super) placement: &'a Placement,
    /// CPUs this process may use.
    pub(super) cpus: &'a [usize],
    pub(super) shared: &'a Shared,
    pub(super) live: &'a Live,
    /// Where the result of a lap is left.
    pub(super) slot: &'a Mutex<Option<Lap>>,
    /// One byte in here for every lap that has ended, however it did.
    pub(super) bell: &'a PipeWriter,
}

/// What came of one lap of one stream.
pub(super) struct Lap {
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
    /// Context switches in that span: voluntary, involuntary.
    pub(super) switches: (u64, u64),
    /// CPU the thread was kept on.
    pub(super) cpu: Option<usize>,
    /// CPU that handled the flow's acknowledgements last.
    pub(super) incoming_cpu: Option<usize>,
    /// Limit of the send queue at the end, bytes as the kernel counts them.
    pub(super) sndbuf: Option<u64>,
    /// All that was asked for was sent.
    pub(super) complete: bool,
    /// How long messages took, in an open loop.
    pub(super) waits: Option<Box<Waits>>,
    pub(super) error: Option<io::Error>,
}

/// Does the laps on the calling thread, until told to go home.
pub(super) fn run(job: &Job<'_>) {
    let cpu = job.placement.fixed(job.index, job.cpus);
    let mut opened =
        cpu.map_or(Ok(()), placement::stay_on).and_then(|()| (job.entry.open)(job.setup, &job.socket));
    let mut seen = 0;
    loop {
        let order = job.shared.orders.next(&mut seen);
        if matches!(order, Order::End) {
            return;
        }
        let _ring = Ring(job.bell);
        let lap = one_lap(job, cpu, &mut opened, order);
        *job.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(lap);
    }
}

/// Rings when dropped: a thread that ends by a bug must not be waited for.
struct Ring<'a>(&'a PipeWriter);

impl Drop for Ring<'_> {
    fn drop(&mut self) {
        let mut bell = self.0;
        let _ = bell.write_all(&[1]);
    }
}

fn one_lap(
    job: &Job<'_>,
    mut cpu: Option<usize>,
    opened: &mut io::Result<Box<dyn SendPath>>,
    order: Order,
) -> Lap {
    let incoming = placement::incoming_cpu(&job.socket);
    if let Some(near) = incoming.and_then(|incoming| job.placement.relative(incoming, job.index, job.cpus)) {
        cpu = placement::stay_on(near).is_ok().then_some(near);
    }
    let begin = Instant::now();
    let (cpu_before, switches_before) = (cpu::thread_ns(), cpu::switches());
    let mut lap = Lap {
        tally: Tally::default(),
        local: local_address(&job.socket),
        begin,
        sent: begin,
        settled: begin,
        unacked: 0,
        outstanding: 0,
        thread_ns: 0,
        switches: (0, 0),
        cpu,
        incoming_cpu: None,
        sndbuf: None,
        complete: false,
        waits: None,
        error: None,
    };
    match opened {
        Ok(path) => send_all(job, path.as_mut(), order, &mut lap),
        Err(error) => {
            let again = io::Error::new(error.kind(), error.to_string());
            lap.error = Some(error.raw_os_error().map_or(again, io::Error::from_raw_os_error));
            job.shared.stop();
        }
    }
    lap.thread_ns = cpu::thread_ns().saturating_sub(cpu_before);
    let switches = cpu::switches();
    lap.switches = (switches.0 - switches_before.0, switches.1 - switches_before.1);
    lap.incoming_cpu = placement::incoming_cpu(&job.socket);
    lap.sndbuf = knobs::send_buffer(&job.socket);
    lap
}

fn send_all(job: &Job<'_>, path: &mut dyn SendPath, order: Order, lap: &mut Lap) {
    let (sent, last) = match order {
        Order::Closed { bytes, last } => {
            let quota = bytes.map_or(u64::MAX, |total| quota(total, job.index, job.streams));
            (drive(job, path, &mut lap.tally, quota), last)
        }
        Order::Open { schedule, last } => {
            let mut waits = Box::new(Waits::new(schedule.part(job.index, job.streams), job.setup.depth));
            let sent = latency::drive(job, path, &mut lap.tally, &mut waits);
            lap.waits = Some(waits);
            (sent, last)
        }
        Order::End => return,
    };
    match sent {
        Ok(complete) => lap.complete = complete,
        Err(error) => {
            // One connection is gone: the run is no longer what was asked for.
            job.shared.stop();
            lap.error = Some(error);
        }
    }
    if let Err(error) = finish(job, path, &mut lap.tally) {
        lap.error.get_or_insert(error);
    }
    lap.sent = Instant::now();
    settle(job, path, lap, last);
    lap.settled = Instant::now();
    job.live.publish(&lap.tally);
}

/// The bytes stream `index` of `streams` sends, so that all together send `total`.
fn quota(total: u64, index: usize, streams: usize) -> u64 {
    let (index, streams) = (index as u64, streams as u64);
    total / streams + u64::from(index < total % streams)
}

/// The hot loop: no allocation, no lock, no clock of its own. True when the whole quota was sent.
fn drive(job: &Job<'_>, path: &mut dyn SendPath, tally: &mut Tally, quota: u64) -> io::Result<bool> {
    let mut left = quota;
    let mut watch = Watch::new(job);
    while left > 0 && !watch.stopped(tally) {
        let len = left.min(job.setup.size as u64) as usize;
        match path.send(&job.socket, len, tally) {
            Ok(Step::Accepted(n)) => {
                tally.calls += 1;
                tally.partial += u64::from(n < len);
                tally.bytes += n as u64;
                left -= n as u64;
                job.live.bytes.store(tally.bytes, Ordering::Relaxed);
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

/// Waits, not for ever, until everything sent is acknowledged and every send has ended; the last lap ends the stream
/// of bytes first, which makes the peer acknowledge at once.
fn settle(job: &Job<'_>, path: &mut dyn SendPath, lap: &mut Lap, last: bool) {
    let begin = Instant::now();
    let (mut progress_at, mut open_before) = (begin, u64::MAX);
    // The end mark counts as one unacknowledged byte.
    let end_mark = u64::from(last && job.socket.shutdown(std::net::Shutdown::Write).is_ok());
    loop {
        if let Err(error) = look(job, path, lap) {
            lap.error.get_or_insert(error);
        }
        let acknowledged = lap.unacked == 0 || lap.error.is_some();
        if acknowledged && lap.outstanding == 0 {
            break;
        }
        let (now, open) = (Instant::now(), lap.unacked + lap.outstanding);
        if open < open_before {
            (progress_at, open_before) = (now, open);
        }
        if now - progress_at >= SETTLE_LIMIT || now - begin >= SETTLE_MOST {
            break;
        }
        let pause = ((now - begin) / 16).clamp(SETTLE_PAUSE[0], SETTLE_PAUSE[1]);
        if lap.outstanding == 0 {
            std::thread::sleep(pause);
        } else if let Err(error) = path.wait_end(&job.socket, pause, &mut lap.tally) {
            lap.error.get_or_insert(error);
            break;
        }
    }
    lap.unacked = lap.unacked.saturating_sub(end_mark).min(lap.tally.bytes);
}

fn look(job: &Job<'_>, path: &mut dyn SendPath, lap: &mut Lap) -> io::Result<()> {
    lap.outstanding = path.reap(&job.socket, &mut lap.tally)?;
    if let Some(waits) = &mut lap.waits {
        waits.note_ends(lap.tally.ends.sends, Instant::now);
    }
    lap.unacked = sys::unacknowledged(job.socket.as_fd())?;
    match job.socket.take_error()? {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn local_address(socket: &Socket) -> String {
    socket.local_addr().ok().and_then(|a| a.as_socket()).map(|a| a.to_string()).unwrap_or_default()
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
}
