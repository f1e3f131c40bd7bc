//! The cursor in time, live and in a recording.

use super::*;
use crate::timeline::Timeline;

const SECOND: u64 = 1_000_000_000;

fn at(quarter: u64) -> Snapshot {
    Snapshot { duration_ns: quarter * SECOND / 4, ..Snapshot::default() }
}

/// A live source after so many seconds.
fn live(seconds: u64) -> Player<'static> {
    let mut player = Player::live(at(0));
    (1..=seconds * 4).for_each(|quarter| player.offer(at(quarter)));
    player
}

/// A recording with a snapshot a second.
fn recording(seconds: u64) -> Memory {
    let mut past = Memory::new(PAST_BYTES);
    (0..=seconds).for_each(|second| past.push(&at(second * 4)));
    past
}

fn replay(archive: &mut Memory, from_ns: u64, speed: f64) -> Player<'_> {
    Player::replay(Replay { archive, timeline: Timeline::new(u64::MAX), from_ns, speed }).unwrap()
}

fn seconds(player: &Player<'_>) -> f64 {
    player.shown().now_ns() as f64 / SECOND as f64
}

fn apply(player: &mut Player<'_>, moves: &[TimeMove]) {
    moves.iter().for_each(|m| player.apply(*m).unwrap());
}

#[test]
fn freezing_stands_still_and_loses_nothing() {
    let mut player = live(2);
    assert_eq!(player.shown().clock.text(), "LIVE 00:02");
    apply(&mut player, &[TimeMove::Toggle]);
    (9..=20).for_each(|quarter| player.offer(at(quarter)));
    assert_eq!((seconds(&player), player.shown().clock.text().as_str()), (2.0, "FROZEN 00:02 (-3 s)"));
    assert_eq!(player.shown().timeline.points().len(), 20, "points come in behind");
    apply(&mut player, &[TimeMove::Toggle]);
    assert_eq!((seconds(&player), player.shown().clock.text().as_str()), (5.0, "LIVE 00:05"));
    player.offer(at(21));
    let points = player.shown().timeline.points();
    assert_eq!(points.map(|point| point.interval_ns).sum::<u64>(), 21 * SECOND / 4);
}

#[test]
fn going_back_freezes_and_going_to_the_newest_follows() {
    let mut player = live(10);
    apply(&mut player, &[TimeMove::By(-3 * SECOND as i64)]);
    assert_eq!((seconds(&player), player.shown().clock.pace), (7.0, Pace::Frozen));
    player.offer(at(41));
    assert_eq!(seconds(&player), 7.0);
    apply(&mut player, &[TimeMove::By(1)]);
    assert_eq!(seconds(&player), 8.0, "at least one snapshot forward");
    apply(&mut player, &[TimeMove::Frames(-2)]);
    assert_eq!(seconds(&player), 6.0);
    apply(&mut player, &[TimeMove::Oldest]);
    assert_eq!(seconds(&player), 0.0);
    apply(&mut player, &[TimeMove::By(-5)]);
    assert_eq!(seconds(&player), 0.0);
    apply(&mut player, &[TimeMove::By(60 * SECOND as i64)]);
    assert_eq!((seconds(&player), player.shown().clock.pace), (10.25, Pace::Live));
    apply(&mut player, &[TimeMove::By(1)]);
    assert_eq!(player.shown().clock.pace, Pace::Live);
}

#[test]
fn a_short_step_back_from_the_newest_is_a_step() {
    let mut player = live(10);
    player.offer(at(41));
    apply(&mut player, &[TimeMove::By(-1)]);
    assert_eq!(seconds(&player), 10.0);
    apply(&mut player, &[TimeMove::By(-1)]);
    assert_eq!(seconds(&player), 9.0);
}

#[test]
fn a_live_source_has_no_speed() {
    assert!(live(1).apply(TimeMove::Speed(1)).is_err());
}

#[test]
fn a_recording_plays_pauses_ends_and_begins_again() {
    let mut archive = recording(10);
    let mut player = replay(&mut archive, 0, 1.0);
    player.play(Duration::from_millis(2_500));
    assert_eq!((seconds(&player), player.shown().clock.text().as_str()), (2.0, "REPLAY 1x 00:02/00:10"));
    apply(&mut player, &[TimeMove::Speed(1)]);
    player.play(Duration::from_millis(250));
    assert_eq!(seconds(&player), 3.0);
    apply(&mut player, &[TimeMove::Toggle]);
    assert!(!player.needs_ticks());
    player.play(Duration::from_secs(5));
    assert_eq!((seconds(&player), player.shown().clock.pace), (3.0, Pace::Paused));
    apply(&mut player, &[TimeMove::Toggle]);
    player.play(Duration::from_secs(60));
    assert_eq!((seconds(&player), player.shown().clock.text().as_str()), (10.0, "PAUSED 00:10/00:10"));
    apply(&mut player, &[TimeMove::Toggle]);
    assert_eq!((seconds(&player), player.shown().clock.pace), (0.0, Pace::Playing));
}

#[test]
fn jumps_and_steps_in_a_recording() {
    let mut archive = recording(10);
    let mut player = replay(&mut archive, 4 * SECOND, 3.0);
    assert_eq!((seconds(&player), player.shown().clock.speed_percent), (4.0, 400));
    apply(&mut player, &[TimeMove::By(2 * SECOND as i64)]);
    assert_eq!((seconds(&player), player.shown().clock.pace), (6.0, Pace::Playing));
    apply(&mut player, &[TimeMove::Frames(-1)]);
    assert_eq!((seconds(&player), player.shown().clock.pace), (5.0, Pace::Paused));
    apply(&mut player, &[TimeMove::Newest]);
    assert_eq!(seconds(&player), 10.0);
    apply(&mut player, &[TimeMove::To(3 * SECOND + 5), TimeMove::Speed(-99)]);
    assert_eq!((seconds(&player), player.shown().clock.speed_percent), (3.0, 25));
    apply(&mut player, &[TimeMove::Speed(99)]);
    assert_eq!(player.shown().clock.speed_percent, 6_400);
}

#[test]
fn an_empty_recording_is_refused() {
    let mut archive = Memory::new(PAST_BYTES);
    let replay = Replay { archive: &mut archive, timeline: Timeline::default(), from_ns: 0, speed: 1.0 };
    assert!(Player::replay(replay).is_err());
}

#[test]
fn recalls_each_snapshot_once() {
    let mut player = live(10);
    let mut seen = Vec::new();
    let times: Vec<u64> = (0..30).map(|third| third * SECOND / 3).collect();
    player.recall(&times, |snapshot| seen.push(snapshot.duration_ns / SECOND));
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
}
