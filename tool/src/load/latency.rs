//! An open loop: messages go out when they are due, and each is timed from then, and from when it was really sent.
//!
//! The end of a message is the end of its last send. Ends are counted, not matched by name: TCP acknowledges in
//! order, so the n-th end is that of the n-th send.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use socket2::Socket;
use zcscope_common::{Hist, Path};

use super::paths::{Class, SendPath, Step, Tally};
use super::schedule::Schedule;
use super::shared::Watch;
use super::stream::{Job, WAIT};

/// Sleep between two looks for ends on paths that do not tell of them through the socket's error queue.
const LOOK: Duration = Duration::from_micros(100);

/// Durations of the same messages, from two beginnings.
#[derive(Clone, Debug, Default)]
pub(super) struct Pair {
    /// From when the message was due.
    pub(super) corrected: Hist,
    /// From just before its first send call.
    pub(super) raw: Hist,
}

impl Pair {
    fn record(&mut self, due: Instant, begun: Instant, now: Instant) {
        let ns = |since| u64::try_from(now.saturating_duration_since(since).as_nanos()).unwrap_or(u64::MAX);
        self.corrected.record(ns(due));
        self.raw.record(ns(begun));
    }

    pub(super) fn merge(&mut self, other: &Pair) {
        self.corrected.merge(&other.corrected);
        self.raw.merge(&other.raw);
    }
}

/// What became of the messages of one connection.
pub(super) struct Waits {
    schedule: Schedule,
    /// Messages the kernel took completely.
    pub(super) accepted: u64,
    /// When it had taken the last one.
    pub(super) last_accepted: Option<Instant>,
    pub(super) to_accepted: Pair,
    pub(super) to_end: Pair,
    /// Messages that have not ended, oldest first.
    open: VecDeque<Message>,
}

struct Message {
    due: Instant,
    begun: Instant,
    /// It has ended when so many sends have.
    sends: u64,
}

impl Waits {
    /// Nothing sent yet; room for `depth` outstanding sends.
    pub(super) fn new(schedule: Schedule, depth: usize) -> Self {
        Self {
            schedule,
            accepted: 0,
            last_accepted: None,
            to_accepted: Pair::default(),
            to_end: Pair::default(),
            open: VecDeque::with_capacity(depth + 1),
        }
    }

    /// `sends` sends have ended by now.
    pub(super) fn note_ends(&mut self, sends: u64, now: impl FnOnce() -> Instant) {
        if self.open.front().is_none_or(|message| message.sends > sends) {
            return;
        }
        let now = now();
        while let Some(message) = self.open.pop_front_if(|message| message.sends <= sends) {
            self.to_end.record(message.due, message.begun, now);
        }
    }

    fn note_accepted(&mut self, due: Instant, begun: Instant, sends: Option<u64>) {
        let now = Instant::now();
        self.accepted += 1;
        self.last_accepted = Some(now);
        self.to_accepted.record(due, begun, now);
        if let Some(sends) = sends {
            self.open.push_back(Message { due, begun, sends });
        }
    }
}

/// Sends what is due when it is due. True when every message was sent.
pub(super) fn drive(
    job: &Job<'_>,
    path: &mut dyn SendPath,
    tally: &mut Tally,
    waits: &mut Waits,
) -> io::Result<bool> {
    // The default lets a sleep end up to 50 us late, which would count as latency.
    let _ = nix::sys::prctl::set_timerslack(1);
    let told = job.entry.class == Class::Told && job.setup.so_zerocopy;
    let begin = Instant::now();
    let mut watch = Watch::new(job.shared);
    for number in 0..waits.schedule.count() {
        let due = begin + waits.schedule.due(number);
        loop {
            if watch.stopped(|| job.live.publish(tally)) {
                return Ok(false);
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            idle(job, path, tally, waits, left)?;
        }
        let begun = Instant::now();
        if !send_message(job, path, tally, waits, &mut watch)? {
            return Ok(false);
        }
        waits.note_accepted(due, begun, told.then_some(tally.calls));
    }
    Ok(true)
}

/// Sends one whole message; false when told to stop on the way.
fn send_message(
    job: &Job<'_>,
    path: &mut dyn SendPath,
    tally: &mut Tally,
    waits: &mut Waits,
    watch: &mut Watch<'_>,
) -> io::Result<bool> {
    let mut left = job.setup.size;
    while left > 0 {
        match path.send(&job.socket, left, tally) {
            Ok(Step::Accepted(n)) => {
                tally.calls += 1;
                tally.partial += u64::from(n < left);
                tally.bytes += n as u64;
                left -= n;
                job.live.bytes.store(tally.bytes, Ordering::Relaxed);
            }
            Ok(Step::Blocked) => {
                if watch.stopped(|| job.live.publish(tally)) {
                    return Ok(false);
                }
                path.wait(&job.socket, WAIT, tally)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        waits.note_ends(tally.ends.sends, Instant::now);
    }
    Ok(true)
}

/// Sleeps until the next message is due, or an end has come; reads the ends that have.
fn idle(
    job: &Job<'_>,
    path: &mut dyn SendPath,
    tally: &mut Tally,
    waits: &mut Waits,
    left: Duration,
) -> io::Result<()> {
    if waits.open.is_empty() {
        std::thread::sleep(left.min(WAIT));
        return Ok(());
    }
    // A message on the error queue wakes poll by itself.
    let through_socket = job.entry.path == Path::MsgZerocopy;
    nap(&job.socket, left.min(if through_socket { WAIT } else { LOOK }))?;
    path.reap(&job.socket, tally)?;
    waits.note_ends(tally.ends.sends, Instant::now);
    Ok(())
}

/// Sleeps until the socket has an error or a message on its error queue. A connection that has gone is an error.
fn nap(socket: &Socket, time: Duration) -> io::Result<()> {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::empty())];
    match ppoll(&mut fds, Some(TimeSpec::from(time)), None) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    if fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP)) {
        return Err(socket.take_error()?.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(begin: Instant, due_us: u64, begun_us: u64, sends: u64) -> Message {
        let at = |us| begin + Duration::from_micros(us);
        Message { due: at(due_us), begun: at(begun_us), sends }
    }

    #[test]
    fn a_message_ends_with_its_last_send() {
        let begin = Instant::now();
        let mut waits = Waits::new(Schedule::new(10.0, WAIT), 4);
        waits.open.extend([message(begin, 0, 5, 2), message(begin, 10, 30, 3)]);
        waits.note_ends(1, || begin + Duration::from_micros(100));
        assert_eq!(waits.to_end.raw.count, 0, "half of the first message");
        waits.note_ends(2, || begin + Duration::from_micros(100));
        assert_eq!((waits.to_end.corrected.max, waits.to_end.raw.max), (100_000, 95_000));
        waits.note_ends(3, || begin + Duration::from_micros(200));
        assert_eq!((waits.to_end.corrected.max, waits.to_end.raw.max), (190_000, 170_000));
        assert_eq!(waits.to_end.corrected.count, 2);
        assert!(waits.open.is_empty());
    }

    #[test]
    fn a_late_message_costs_from_when_it_was_due() {
        let begun = Instant::now();
        let due = begun.checked_sub(Duration::from_millis(40)).unwrap();
        let mut waits = Waits::new(Schedule::new(10.0, WAIT), 4);
        waits.note_accepted(due, begun, None);
        let lost = waits.to_accepted.corrected.max - waits.to_accepted.raw.max;
        assert_eq!((waits.accepted, lost), (1, 40_000_000));
    }
}
