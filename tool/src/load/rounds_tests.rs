//! Rounds over paths that do as they are told: whose turn it is, and who is left alone.

use std::cell::RefCell;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use socket2::{Domain, Socket, Type};

use super::*;
use crate::load::paths::{PATHS, Setup, Tally};
use crate::load::shared::{Live, Shared};

/// Who offered a send, in order: `(stream, whether it was taken)`.
type Log = Rc<RefCell<Vec<(usize, bool)>>>;

/// Takes a byte with every send, once nothing of `stalls` is left.
struct Fake {
    number: usize,
    log: Log,
    stalls: Vec<Stall>,
    /// The second attempt gets further, whatever was told.
    heals: bool,
    attempts: usize,
    /// The end that is waited for, and the stream's own.
    ends: (UnixStream, UnixStream),
    /// Wakes another one with send number so many.
    wakes: Option<(usize, UnixStream)>,
    sends: usize,
}

impl SendPath for Fake {
    fn send(&mut self, _: &Socket, _: usize, _: &mut Tally) -> io::Result<Step> {
        self.attempts += 1;
        if self.heals && self.attempts > 1 {
            self.stalls.clear();
        }
        let taken = self.stalls.is_empty();
        self.log.borrow_mut().push((self.number, taken));
        if !taken {
            return Ok(Step::Blocked);
        }
        self.sends += 1;
        if let Some((_, end)) = self.wakes.as_mut().filter(|(send, _)| *send == self.sends) {
            end.write_all(&[1])?;
        }
        Ok(Step::Accepted(1))
    }

    fn source<'a>(&'a self, _: &'a Socket) -> (BorrowedFd<'a>, PollFlags) {
        (self.ends.1.as_fd(), PollFlags::POLLIN)
    }

    fn stalled(&mut self, _: &Socket, _: &mut Tally) -> io::Result<Stall> {
        let stall = self.stalls[0];
        if !matches!(stall, Stall::Event(_)) {
            self.stalls.remove(0);
        }
        Ok(stall)
    }

    fn woken(&mut self, _: &Socket, _: PollFlags, _: &mut Tally) -> io::Result<bool> {
        self.stalls.remove(0);
        Ok(true)
    }
}

fn fakes<const N: usize>() -> ([Fake; N], Log) {
    let log = Log::default();
    let fake = |number| Fake {
        number,
        log: Rc::clone(&log),
        stalls: Vec::new(),
        heals: false,
        attempts: 0,
        ends: UnixStream::pair().unwrap(),
        wakes: None,
        sends: 0,
    };
    (std::array::from_fn(fake), log)
}

/// Sends `each` bytes on every path, one at a time.
fn drive<const N: usize>(fakes: [Fake; N], each: u64) -> Vec<Lap> {
    let (setup, shared) = (Setup { size: 1, ..Setup::default() }, Shared::new());
    let live: [Live; N] = std::array::from_fn(|_| Live::default());
    let jobs: Vec<Job<'_>> = (0..N)
        .map(|index| Job {
            entry: &PATHS[0],
            setup: &setup,
            socket: Socket::new(Domain::IPV4, Type::STREAM, None).unwrap(),
            index,
            streams: N,
            shared: &shared,
            live: &live[index],
        })
        .collect();
    let mut paths: Vec<Box<dyn SendPath>> = Vec::new();
    for fake in fakes {
        paths.push(Box::new(fake));
    }
    let mut rounds = Rounds::new(&jobs, &paths).unwrap();
    let mut laps: Vec<Lap> = jobs.iter().map(|_| Lap::new(String::new(), None)).collect();
    rounds.drive(&mut Team { jobs: &jobs, paths: &mut paths, laps: &mut laps }, Some(each * N as u64));
    laps
}

fn whole(laps: &[Lap], each: u64) {
    assert!(laps.iter().all(|lap| lap.complete && lap.error.is_none()));
    assert!(laps.iter().all(|lap| lap.tally.bytes == each && lap.tally.calls == each));
}

#[test]
fn everybody_who_can_gets_one_send_in_turn() {
    let (fakes, log) = fakes::<3>();
    whole(&drive(fakes, 3), 3);
    let turns: Vec<usize> = log.borrow().iter().map(|(number, _)| *number).collect();
    assert_eq!(turns, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
}

#[test]
fn a_blocked_one_is_left_alone_and_let_in_soon_though_others_could_go_on_for_ever() {
    const WOKEN_AT: usize = 150;
    let (mut fakes, log) = fakes::<2>();
    fakes[1].stalls.push(Stall::Event(PollFlags::POLLIN));
    fakes[0].wakes = Some((WOKEN_AT, fakes[1].ends.0.try_clone().unwrap()));
    whole(&drive(fakes, 300), 300);
    let log = log.borrow();
    let tried: Vec<usize> = (0..log.len()).filter(|at| log[*at] == (1, false)).collect();
    assert_eq!(tried, [1], "asked once, then left alone");
    let first = log.iter().position(|send| *send == (1, true)).unwrap();
    let sends_of_the_other = log[..first].iter().filter(|(number, _)| *number == 0).count();
    assert!(
        (WOKEN_AT..=WOKEN_AT + LOOK_EVERY as usize).contains(&sends_of_the_other),
        "let in after {sends_of_the_other}"
    );
}

#[test]
fn those_who_are_told_nothing_try_again_by_themselves() {
    let (mut fakes, log) = fakes::<2>();
    fakes[0].stalls = vec![Stall::Pause(Duration::from_millis(1)); 3];
    fakes[1].stalls = vec![Stall::Over, Stall::Pause(Duration::from_millis(1))];
    whole(&drive(fakes, 5), 5);
    assert_eq!(log.borrow().iter().filter(|(_, taken)| !taken).count(), 5);
}

#[test]
fn an_event_that_never_came_costs_a_while_and_not_the_stream() {
    let (mut fakes, log) = fakes::<2>();
    fakes[1].stalls.push(Stall::Event(PollFlags::POLLIN));
    fakes[1].heals = true;
    whole(&drive(fakes, 2), 2);
    assert_eq!(*log.borrow(), [(0, true), (1, false), (0, true), (1, true), (1, true)]);
}
