//! The loop of a thread that serves several streams: each that can go on gets one send, then it is the next one's turn.
//!
//! A stream that is blocked is left alone until its descriptor tells ([`Poller`]), so it costs the others nothing. They
//! are asked for when nobody can go on, and else once in a few sends, so that nobody who can go on waits for long.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use super::lap::Lap;
use super::paths::{SendPath, Stall, Step};
use super::poller::Poller;
use super::shared::Watch;
use super::stream::{Job, WAIT};

/// Sends between two looks at those who are blocked, while others are not.
const LOOK_EVERY: u32 = 32;

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is in the queue.
    Ready,
    /// Until one of these events.
    Blocked(PollFlags),
    /// For a while.
    Paused,
    /// All is sent, or it failed.
    Done,
}

/// The streams of one thread between two laps: who waits for what. All its memory is there before the first lap.
pub(super) struct Rounds {
    poller: Poller,
    states: Vec<State>,
    /// Bytes still to send.
    left: Vec<u64>,
    /// Whose turn it is.
    ready: VecDeque<usize>,
    paused: Vec<usize>,
    /// How long the last one who paused wants to.
    pause: Duration,
    /// Streams that are not done.
    open: usize,
}

/// The streams of one thread in a lap, all slices in the same order.
pub(super) struct Team<'a, 'job> {
    pub(super) jobs: &'a [Job<'job>],
    pub(super) paths: &'a mut [Box<dyn SendPath>],
    pub(super) laps: &'a mut [Lap],
}

impl Team<'_, '_> {
    /// One connection is gone: the run is no longer what was asked for.
    pub(super) fn failed(&mut self, number: usize, error: io::Error) {
        self.laps[number].error.get_or_insert(error);
        self.jobs[number].shared.stop();
    }

    /// Reads what ends of stream `number` have come.
    pub(super) fn reap(&mut self, number: usize) {
        let socket = &self.jobs[number].socket;
        if let Err(error) = self.paths[number].reap(socket, &mut self.laps[number].tally) {
            self.failed(number, error);
        }
    }
}

impl Rounds {
    /// For these streams, with their paths set up.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(super) fn new(jobs: &[Job<'_>], paths: &[Box<dyn SendPath>]) -> io::Result<Self> {
        let (count, poller) = (jobs.len(), Poller::new(jobs.len())?);
        for (number, (job, path)) in jobs.iter().zip(paths).enumerate() {
            let (fd, events) = path.source(&job.socket);
            poller.add(number, fd, events)?;
        }
        Ok(Self {
            poller,
            states: vec![State::Done; count],
            left: vec![0; count],
            ready: VecDeque::with_capacity(count),
            paused: Vec::with_capacity(count),
            pause: WAIT,
            open: 0,
        })
    }

    /// Sends `bytes` over all streams of the run, of which these are some, or until told to stop.
    pub(super) fn drive(&mut self, team: &mut Team<'_, '_>, bytes: Option<u64>) {
        let Some(shared) = team.jobs.first().map(|job| job.shared) else { return };
        self.begin(team, bytes);
        let (mut watch, mut sends) = (Watch::new(shared), 0);
        while self.open > 0 && !watch.stopped(|| publish(team)) {
            let all_ready = self.ready.len() == self.open;
            match self.ready.pop_front_if(|_| all_ready || sends < LOOK_EVERY) {
                Some(number) => {
                    sends += 1;
                    let state = offer(team, number, &mut self.left[number], &mut self.pause);
                    self.enter(team, number, state);
                }
                None => {
                    sends = 0;
                    self.look(team);
                }
            }
        }
    }

    fn begin(&mut self, team: &mut Team<'_, '_>, bytes: Option<u64>) {
        self.ready.clear();
        self.paused.clear();
        self.open = team.jobs.len();
        for number in 0..self.open {
            self.left[number] = team.jobs[number].quota(bytes);
            let nothing = self.left[number] == 0;
            team.laps[number].complete = nothing;
            self.enter(team, number, Ok(if nothing { State::Done } else { State::Ready }));
        }
    }

    /// Puts a stream where it belongs.
    fn enter(&mut self, team: &mut Team<'_, '_>, number: usize, state: io::Result<State>) {
        let state = state.unwrap_or_else(|error| {
            team.failed(number, error);
            State::Done
        });
        self.states[number] = state;
        match state {
            State::Ready => self.ready.push_back(number),
            State::Blocked(_) => {}
            State::Paused => self.paused.push(number),
            State::Done => self.open -= 1,
        }
    }

    /// Asks who can go on; sleeps only when nobody can.
    fn look(&mut self, team: &mut Team<'_, '_>) {
        let timeout = match () {
            () if !self.ready.is_empty() => Duration::ZERO,
            () if self.paused.is_empty() => WAIT,
            () => self.pause,
        };
        let heard = match self.poller.wait(timeout) {
            Ok(heard) => heard,
            Err(error) => return team.failed(0, error),
        };
        for event in 0..heard {
            let (number, events) = self.poller.event(event);
            self.hear(team, number, events);
        }
        while let Some(number) = self.paused.pop() {
            self.enter(team, number, Ok(State::Ready));
        }
        if heard == 0 && timeout == WAIT {
            self.try_all(team);
        }
    }

    /// Something happened to a stream.
    fn hear(&mut self, team: &mut Team<'_, '_>, number: usize, events: PollFlags) {
        match self.states[number] {
            State::Blocked(wanted) if events.intersects(wanted | ALWAYS) => {
                let (job, tally) = (&team.jobs[number], &mut team.laps[number].tally);
                match team.paths[number].woken(&job.socket, events, tally) {
                    Ok(false) => {}
                    Ok(true) => self.enter(team, number, Ok(State::Ready)),
                    Err(error) => self.enter(team, number, Err(error)),
                }
            }
            // The ends of its last sends should not wait for the others' sends.
            State::Done if team.laps[number].complete => team.reap(number),
            _ => {}
        }
    }

    /// Nothing was heard for long: everybody may see for himself, so that a connection that says nothing is found dead
    /// by its next send.
    fn try_all(&mut self, team: &mut Team<'_, '_>) {
        for number in 0..self.states.len() {
            if matches!(self.states[number], State::Blocked(_)) {
                self.enter(team, number, Ok(State::Ready));
            }
        }
    }

    /// Sleeps until `until` when sending is over, and reads ends as they come.
    pub(super) fn rest(&mut self, team: &mut Team<'_, '_>, until: Instant) {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            match self.poller.wait(left) {
                Ok(heard) => (0..heard).for_each(|event| team.reap(self.poller.event(event).0)),
                Err(error) => return team.failed(0, error),
            }
        }
    }

    /// System calls made for all streams at once, since the last call of this.
    pub(super) fn take_syscalls(&mut self) -> u64 {
        self.poller.take_calls()
    }
}

/// What is told of unasked.
const ALWAYS: PollFlags = PollFlags::POLLERR.union(PollFlags::POLLHUP);

/// One send of one stream, and what is to become of it.
fn offer(team: &mut Team<'_, '_>, number: usize, left: &mut u64, pause: &mut Duration) -> io::Result<State> {
    let (job, lap) = (&team.jobs[number], &mut team.laps[number]);
    let path = &mut team.paths[number];
    let len = (*left).min(job.setup.size as u64) as usize;
    match path.send(&job.socket, len, &mut lap.tally) {
        Ok(Step::Accepted(n)) => {
            job.accepted(n, len, &mut lap.tally);
            *left -= n as u64;
            if *left > 0 {
                return Ok(State::Ready);
            }
            (lap.complete, lap.sent) = (true, Instant::now());
            Ok(State::Done)
        }
        Ok(Step::Blocked) => Ok(match path.stalled(&job.socket, &mut lap.tally)? {
            Stall::Over => State::Ready,
            Stall::Event(events) => State::Blocked(events),
            Stall::Pause(time) => {
                *pause = time;
                State::Paused
            }
        }),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(State::Ready),
        Err(error) => Err(error),
    }
}

fn publish(team: &Team<'_, '_>) {
    for (job, lap) in team.jobs.iter().zip(&*team.laps) {
        job.live.publish(&lap.tally);
    }
}

#[cfg(test)]
#[path = "rounds_tests.rs"]
mod tests;
