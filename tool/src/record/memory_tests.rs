//! Tests of the past in memory.

use std::time::{Duration, Instant};

use super::Memory;
use super::fixture::{SECOND, moving, text};
use crate::model::snapshot::Snapshot;

/// Waits until the packing has caught up.
fn settle(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(done());
}

/// As many seconds of the past, packed as they come.
fn filled(snapshots: &[Snapshot], limit: usize) -> Memory {
    let mut memory = Memory::new(limit);
    for snapshot in snapshots {
        memory.push(snapshot);
        settle(|| memory.waiting() == 0);
    }
    memory
}

#[test]
fn one_a_second_found_by_time() {
    let snapshots = moving(40);
    let mut memory = Memory::new(usize::MAX);
    assert!(memory.range_ns().is_none() && memory.at(u64::MAX).is_none());
    memory.push(&snapshots[0]);
    memory.push(&Snapshot { duration_ns: SECOND + SECOND / 2, ..snapshots[0].clone() });
    assert_eq!(memory.range_ns(), Some((SECOND, SECOND)), "half a second later none is kept");
    drop(memory);
    let mut memory = filled(&snapshots, usize::MAX);
    assert_eq!(memory.range_ns(), Some((SECOND, 40 * SECOND)));
    assert_eq!((memory.before(5 * SECOND), memory.after(5 * SECOND)), (Some(4 * SECOND), Some(6 * SECOND)));
    assert_eq!((memory.before(SECOND), memory.after(40 * SECOND)), (None, None));
    assert!(memory.at(SECOND - 1).is_none());
    for snapshot in snapshots.iter().rev() {
        assert_eq!(text(&memory.at(snapshot.duration_ns + 7).unwrap()), text(snapshot));
    }
}

#[test]
fn when_full_the_past_grows_coarser_not_shorter() {
    let snapshots = moving(300);
    let all = filled(&snapshots, usize::MAX).bytes();
    let limit = all / 4;
    let mut memory = filled(&snapshots, limit);
    settle(|| memory.bytes() <= limit);
    let (oldest, newest) = memory.range_ns().unwrap();
    assert_eq!((oldest, newest), (SECOND, 300 * SECOND));
    assert_eq!(memory.before(newest), Some(299 * SECOND), "the newest are not thinned");
    for at in [1, 50, 150, 290] {
        let found = memory.at(at * SECOND).unwrap().duration_ns;
        assert!(found <= at * SECOND && found + 64 * SECOND > at * SECOND, "{at}: {found}");
        let wanted = &snapshots[usize::try_from(found / SECOND).unwrap() - 1];
        assert_eq!(text(&memory.at(at * SECOND).unwrap()), text(wanted));
    }
}

#[test]
fn ten_minutes_and_no_more() {
    let mut memory = Memory::new(usize::MAX);
    for second in 0..900 {
        memory.push(&Snapshot { duration_ns: second * SECOND, ..Snapshot::default() });
        settle(|| memory.waiting() == 0);
    }
    let (oldest, newest) = memory.range_ns().unwrap();
    assert!(newest == 899 * SECOND && (285..=300).contains(&(oldest / SECOND)), "{oldest}");
}
