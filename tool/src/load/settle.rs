//! The end of a lap: waits, not for ever, until everything sent is acknowledged and every send has ended.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::rounds::{Rounds, Team};
use super::sys;

/// How long nothing may be acknowledged and no send may end, once sending has stopped, before we give up waiting.
const LIMIT: Duration = Duration::from_secs(2);
/// So much longer for each stream of the run: a thousand of them, and their other ends, share a few CPUs.
const LIMIT_EACH: Duration = Duration::from_millis(6);
/// How long we wait at most, even when there is progress.
const MOST: Duration = Duration::from_secs(10);
/// Shortest and longest pause between two looks; in between, a sixteenth of the time waited so far: a thousand
/// streams that are looked at all the time would keep the peer on the same machine from its work.
const PAUSE: [Duration; 2] = [Duration::from_micros(100), Duration::from_millis(20)];

/// How far one stream has come.
struct Waiting {
    progress_at: Instant,
    /// Bytes and sends that were open then.
    open: u64,
    /// The end mark counts as one unacknowledged byte.
    end_mark: u64,
    over: bool,
}

/// Brings the streams of one thread to rest; with `rounds` where they are several. The `last` lap ends the streams of
/// bytes first, which makes the peer acknowledge at once.
pub(super) fn settle(team: &mut Team<'_, '_>, mut rounds: Option<&mut Rounds>, last: bool) {
    let begin = Instant::now();
    let mut waiting: Vec<Waiting> = team
        .jobs
        .iter()
        .map(|job| {
            let end_mark = u64::from(last && job.socket.shutdown(std::net::Shutdown::Write).is_ok());
            Waiting { progress_at: begin, open: u64::MAX, end_mark, over: false }
        })
        .collect();
    loop {
        let mut over = true;
        for (number, stream) in waiting.iter_mut().enumerate().filter(|(_, stream)| !stream.over) {
            stream.over = at_rest(team, number, stream, begin);
            over &= stream.over;
        }
        if over {
            break;
        }
        let pause = (begin.elapsed() / 16).clamp(PAUSE[0], PAUSE[1]);
        let outstanding = team.laps.iter().any(|lap| lap.outstanding > 0);
        match &mut rounds {
            _ if !outstanding => std::thread::sleep(pause),
            Some(rounds) => rounds.rest(team, Instant::now() + pause),
            None => wait_end(team, pause, &mut waiting),
        }
    }
    for (lap, stream) in team.laps.iter_mut().zip(&waiting) {
        lap.unacked = lap.unacked.saturating_sub(stream.end_mark).min(lap.tally.bytes);
    }
}

/// Whether stream `number` has nothing more to wait for, or is given up.
fn at_rest(team: &mut Team<'_, '_>, number: usize, waiting: &mut Waiting, begin: Instant) -> bool {
    if let Err(error) = look(team, number) {
        team.laps[number].error.get_or_insert(error);
    }
    let (now, lap) = (Instant::now(), &mut team.laps[number]);
    lap.settled = now;
    let acknowledged = lap.unacked == 0 || lap.error.is_some();
    let open = lap.unacked + lap.outstanding;
    let limit = limit(team.jobs[number].streams);
    if open < waiting.open {
        (waiting.progress_at, waiting.open) = (now, open);
    }
    (acknowledged && lap.outstanding == 0) || now - waiting.progress_at >= limit || now - begin >= MOST
}

/// [`LIMIT`] in a run of so many streams.
fn limit(streams: usize) -> Duration {
    (LIMIT + LIMIT_EACH.saturating_mul(u32::try_from(streams).unwrap_or(u32::MAX))).min(MOST)
}

fn look(team: &mut Team<'_, '_>, number: usize) -> io::Result<()> {
    let (job, lap) = (&team.jobs[number], &mut team.laps[number]);
    lap.outstanding = team.paths[number].reap(&job.socket, &mut lap.tally)?;
    if let Some(waits) = &mut lap.waits {
        waits.note_ends(lap.tally.ends.sends, Instant::now);
    }
    lap.unacked = sys::unacknowledged(job.socket.as_fd())?;
    job.socket.take_error()?.map_or(Ok(()), Err)
}

/// The only stream of the thread sleeps until an end may have come.
fn wait_end(team: &mut Team<'_, '_>, pause: Duration, waiting: &mut [Waiting]) {
    for (((job, path), lap), waiting) in
        team.jobs.iter().zip(&mut *team.paths).zip(&mut *team.laps).zip(waiting)
    {
        if let Err(error) = path.wait_end(&job.socket, pause, &mut lap.tally) {
            lap.error.get_or_insert(error);
            waiting.over = true;
        }
    }
}
