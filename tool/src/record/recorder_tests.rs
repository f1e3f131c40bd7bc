//! Tests of the writer: everything offered is in the file, within its size, and nothing else is overwritten.

use std::time::Duration;

use super::fixture::{SECOND, moving, text};
use super::{Error, Options, Recorder, Recording};
use crate::model::snapshot::{Missing, Snapshot};

fn options() -> Options {
    Options { command: vec!["zc".into(), "--once".into()], ..Options::default() }
}

#[test]
fn what_is_offered_is_in_the_file_and_the_last_one_always() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.zcr");
    let snapshots = moving(14);
    let mut recorder = Recorder::create(&file, 0, &options()).unwrap();
    for snapshot in &snapshots {
        // Between two frames, none is due.
        recorder.offer(snapshot);
        recorder.offer(&Snapshot { duration_ns: snapshot.duration_ns + SECOND / 4, ..snapshot.clone() });
        // The queue is short.
        std::thread::sleep(Duration::from_millis(50));
    }
    let last = Snapshot { duration_ns: 14 * SECOND + 5, ..snapshots[13].clone() };
    let summary = recorder.finish(Some(&last)).unwrap();
    assert_eq!(summary.frames + summary.dropped, 15);
    assert_eq!((summary.span_ns, summary.rotated), (13 * SECOND + 5, false));
    assert_eq!(summary.bytes, std::fs::metadata(&file).unwrap().len());
    let mut recording = Recording::open(&file).unwrap();
    assert_eq!(recording.times_ns().len() as u64, summary.frames);
    assert_eq!(recording.notes().len(), usize::from(summary.dropped > 0));
    assert_eq!(text(&recording.at(u64::MAX).unwrap()), text(&last));
    assert_eq!(recording.about().command, ["zc", "--once"]);
}

/// A snapshot that does not compress: about 200 KB.
fn bulky(second: u64) -> Snapshot {
    let mut seed = second + 1;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{:016x}", seed ^ (seed >> 31))
    };
    let why: String = (0..24_000).map(|_| noise()).collect();
    let mut snapshot = Snapshot { duration_ns: second * SECOND, ..Snapshot::default() };
    snapshot.session.missing = vec![Missing { fact: "noise".into(), why }];
    snapshot
}

#[test]
fn the_files_stay_within_their_size_and_read_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.zcr");
    // The least: 4 MiB in two files.
    let mut recorder = Recorder::create(&file, 0, &Options { max_bytes: 1, ..options() }).unwrap();
    let mut offered = 0;
    // A slow machine drops frames; then it takes more of them.
    while recorder.written() < 9 << 20 && !recorder.has_failed() {
        recorder.offer(&bulky(offered));
        offered += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    let summary = recorder.finish(None).unwrap();
    assert_eq!(summary.frames + summary.dropped, offered);
    assert!(summary.rotated && summary.bytes > 8 << 20, "{summary:?}");
    let sizes = ["x.zcr", "x.zcr.1"].map(|name| std::fs::metadata(dir.path().join(name)).unwrap().len());
    assert!(sizes.iter().sum::<u64>() <= 4 << 20, "{sizes:?}");
    let mut both = Recording::open(&file).unwrap();
    assert!(both.notes()[0].contains("the begin was given up"), "{:?}", both.notes());
    let (oldest, newest) = both.range_ns().unwrap();
    assert_eq!(both.at(oldest).unwrap().duration_ns, oldest);
    // Alone, the newer file says what it lacks.
    std::fs::remove_file(dir.path().join("x.zcr.1")).unwrap();
    let mut alone = Recording::open(&file).unwrap();
    assert!(alone.range_ns().unwrap().0 > oldest);
    assert_eq!(alone.at(u64::MAX).unwrap().duration_ns, newest);
}

#[test]
fn only_recordings_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (file, other) = (dir.path().join("x.zcr"), dir.path().join("report.json"));
    std::fs::write(&other, "{}").unwrap();
    for (path, kept) in [(&other, &other), (&file, &dir.path().join("x.zcr.1"))] {
        std::fs::write(kept, "{}").unwrap();
        let refused = Recorder::create(path, 0, &options()).err().unwrap();
        assert!(matches!(refused, Error::InTheWay(_)) && refused.to_string().contains("is no recording"));
        assert_eq!(std::fs::read_to_string(kept).unwrap(), "{}");
    }
    std::fs::remove_file(dir.path().join("x.zcr.1")).unwrap();
    for _ in 0..2 {
        let recorder = Recorder::create(&file, 0, &options()).unwrap();
        assert_eq!(recorder.finish(Some(&moving(1)[0])).unwrap().frames, 1);
    }
    assert!(Recorder::create(dir.path(), 0, &options()).is_err());
}

#[test]
fn a_full_disk_is_one_sentence() {
    let error = Recorder::create("/dev/full".as_ref(), 0, &options()).err().unwrap();
    assert!(error.to_string().contains("/dev/full cannot be written: No space left"), "{error}");
}
