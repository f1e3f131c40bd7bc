//! A sending thread and the streams it serves: one, as a rule, or several (`--threads`). It does one lap after the
//! other: each until the bytes are out or it is told to stop, and then until all is at rest.

use std::io::{self, PipeWriter, Write};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::knobs;
use super::lap::{Lap, ThreadLap, ThreadUse};
use super::latency::{self, Waits};
use super::paths::SendPath;
use super::placement::{self, Placement};
use super::rounds::{Rounds, Team};
use super::settle::settle;
use super::shared::{Order, Shared};
use super::stream::{self, Job};

/// The streams of thread `number` of `threads`, when `streams` are dealt out: neighbours together, and as many to each
/// thread, give or take one.
pub(super) fn share(number: usize, threads: usize, streams: usize) -> Range<usize> {
    let from = |number: usize| number * streams / threads.max(1);
    from(number)..from(number + 1)
}

/// What one thread has to do.
pub(super) struct Crew<'a> {
    /// Its streams, at least one.
    pub(super) jobs: Vec<Job<'a>>,
    /// Which thread it is, from 0.
    pub(super) number: usize,
    pub(super) placement: &'a Placement,
    /// CPUs this process may use.
    pub(super) cpus: &'a [usize],
    pub(super) shared: &'a Shared,
    /// Where the result of a lap is left.
    pub(super) slot: &'a Mutex<Option<ThreadLap>>,
    /// One byte in here for every lap that has ended, however it did.
    pub(super) bell: &'a PipeWriter,
}

/// Its streams, ready to send.
struct Opened {
    paths: Vec<Box<dyn SendPath>>,
    /// Who waits for what, where there are several.
    rounds: Option<Rounds>,
}

/// Does the laps on the calling thread, until told to go home.
pub(super) fn run(crew: &Crew<'_>) {
    let cpu = crew.placement.fixed(crew.number, crew.cpus);
    let mut opened = cpu.map_or(Ok(()), placement::stay_on).and_then(|()| open(crew));
    let mut seen = 0;
    loop {
        let order = crew.shared.orders.next(&mut seen);
        if matches!(order, Order::End) {
            return;
        }
        let _ring = Ring(crew.bell);
        let lap = one_lap(crew, cpu, &mut opened, order);
        *crew.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(lap);
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

fn open(crew: &Crew<'_>) -> io::Result<Opened> {
    let paths = crew.jobs.iter().map(Job::open).collect::<io::Result<Vec<_>>>()?;
    let rounds = (crew.jobs.len() > 1).then(|| Rounds::new(&crew.jobs, &paths)).transpose()?;
    Ok(Opened { paths, rounds })
}

fn one_lap(
    crew: &Crew<'_>,
    mut cpu: Option<usize>,
    opened: &mut io::Result<Opened>,
    order: Order,
) -> ThreadLap {
    // Where a CPU depends on the flow, there is one flow only.
    let incoming = crew.jobs.first().and_then(|job| placement::incoming_cpu(&job.socket));
    if let Some(near) = incoming.and_then(|cpu| crew.placement.relative(cpu, crew.number, crew.cpus)) {
        cpu = placement::stay_on(near).is_ok().then_some(near);
    }
    let mut laps: Vec<Lap> = crew.jobs.iter().map(|job| Lap::new(job.local_address(), cpu)).collect();
    let before = ThreadUse::now();
    let begin = Instant::now();
    laps.iter_mut().for_each(|lap| lap.begin_at(begin));
    match opened {
        Ok(Opened { paths, rounds }) => {
            let mut team = Team { jobs: &crew.jobs, paths, laps: &mut laps };
            send_all(&mut team, rounds, order);
        }
        Err(error) => {
            laps.iter_mut().take(1).for_each(|lap| lap.error = Some(again(error)));
            crew.shared.stop();
        }
    }
    let mut used = ThreadUse::since(&before);
    if let Ok(Opened { rounds: Some(rounds), .. }) = opened {
        used.syscalls = rounds.take_syscalls();
    }
    if let [alone] = &mut laps[..] {
        alone.thread_ns = Some(used.cpu_ns);
    }
    for (job, lap) in crew.jobs.iter().zip(&mut laps) {
        lap.incoming_cpu = placement::incoming_cpu(&job.socket);
        lap.sndbuf = knobs::send_buffer(&job.socket);
    }
    ThreadLap { laps, used }
}

/// Another error like this one, which stays for the laps to come.
fn again(error: &io::Error) -> io::Error {
    let text = io::Error::new(error.kind(), error.to_string());
    error.raw_os_error().map_or(text, io::Error::from_raw_os_error)
}

fn send_all(team: &mut Team<'_, '_>, rounds: &mut Option<Rounds>, order: Order) {
    let last = match (order, &mut *rounds) {
        (Order::Closed { bytes, last }, Some(rounds)) => {
            rounds.drive(team, bytes);
            last
        }
        (Order::Closed { bytes, last }, None) => {
            alone(team, |job, path, lap| stream::drive(job, path, &mut lap.tally, job.quota(bytes)));
            last
        }
        (Order::Open { schedule, last }, _) => {
            alone(team, |job, path, lap| {
                let mut waits = Box::new(Waits::new(schedule.part(job.index, job.streams), job.setup.depth));
                let sent = latency::drive(job, path, &mut lap.tally, &mut waits);
                lap.waits = Some(waits);
                sent
            });
            last
        }
        (Order::End, _) => return,
    };
    for (number, job) in team.jobs.iter().enumerate() {
        let lap = &mut team.laps[number];
        let all_sent = lap.complete && rounds.is_some();
        if let Err(error) = stream::finish(job, team.paths[number].as_mut(), &mut lap.tally) {
            lap.error.get_or_insert(error);
        }
        if !all_sent {
            lap.sent = Instant::now();
        }
    }
    settle(team, rounds.as_mut(), last);
    team.jobs.iter().zip(&*team.laps).for_each(|(job, lap)| job.live.publish(&lap.tally));
}

/// Lets a stream send that has its thread to itself.
fn alone(
    team: &mut Team<'_, '_>,
    send: impl FnOnce(&Job<'_>, &mut dyn SendPath, &mut Lap) -> io::Result<bool>,
) {
    let ([job], [path], [lap]) = (team.jobs, &mut *team.paths, &mut *team.laps) else { return };
    match send(job, path.as_mut(), lap) {
        Ok(complete) => lap.complete = complete,
        Err(error) => team.failed(0, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_dealt_out_evenly_and_each_once() {
        for (threads, streams) in [(1, 1), (1, 5), (2, 8), (2, 1000), (3, 8), (7, 4096), (8, 8)] {
            let shares: Vec<Range<usize>> = (0..threads).map(|n| share(n, threads, streams)).collect();
            let dealt: Vec<usize> = shares.iter().cloned().flatten().collect();
            assert_eq!(dealt, (0..streams).collect::<Vec<_>>(), "{threads} threads");
            let sizes = shares.iter().map(Range::len);
            assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1, "{threads} threads");
        }
    }

    #[test]
    fn an_error_keeps_its_number() {
        assert_eq!(again(&io::Error::from_raw_os_error(libc::EMFILE)).raw_os_error(), Some(libc::EMFILE));
        assert_eq!(again(&io::Error::other("no ring")).to_string(), "no ring");
    }
}
