//! Tests of the format: what is written is read again, exactly; damage and newer versions cost what they must and no
//! more.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::block::{self, Builder, HEADER, Header, Kind};
use super::fixture::{SECOND, file, moving, text, three_blocks};
use super::start::{self, About};
use super::{Error, Recording};
use crate::diagnose::findings;
use crate::host::facts::HostFacts;
use crate::model::snapshot::{Session, Snapshot};
use crate::report::{fixture, json};
use crate::timeline::Point;

fn report(snapshot: &Snapshot) -> String {
    serde_json::to_string_pretty(&json::document(snapshot, &findings(snapshot), &[])).unwrap()
}

/// The snapshots through a block and back.
fn through(snapshots: &[Snapshot]) -> Vec<Snapshot> {
    let mut builder = Builder::new().unwrap();
    for snapshot in snapshots {
        builder.push(snapshot, Point { at_ns: snapshot.duration_ns, ..Point::default() }).unwrap();
    }
    let bytes = builder.finish(0).unwrap();
    let header = Header::parse(&bytes).unwrap();
    let frames = &bytes[HEADER + header.points_len as usize..];
    let (snapshots, trouble) = block::frames(&header, frames).unwrap();
    assert!(trouble.is_none(), "{trouble:?}");
    snapshots
}

#[test]
fn a_snapshot_is_read_as_it_was_written() {
    for snapshot in [fixture::full(), fixture::sparse(), fixture::empty()] {
        let read = through(std::slice::from_ref(&snapshot));
        assert_eq!(report(&read[0]), report(&snapshot));
        assert_eq!(text(&read[0]), text(&snapshot));
    }
}

#[test]
fn frames_build_on_the_ones_before() {
    let snapshots = moving(20);
    let read = through(&snapshots);
    assert_eq!(read.len(), 20);
    for (read, written) in read.iter().zip(&snapshots) {
        assert_eq!(text(read), text(written));
    }
    // What did not move is written once, and shared again.
    let idle = |s: &Snapshot| s.sockets.iter().find(|socket| socket.comm == "idle").map(Arc::as_ptr).unwrap();
    assert_eq!(idle(&read[3]), idle(&read[19]));
}

#[test]
fn a_change_of_session_or_host_is_kept() {
    let mut snapshots = moving(3);
    snapshots[1].session = Session { host: "renamed".into(), ..snapshots[1].session.clone() };
    let facts = HostFacts { own_netns: Some(7), ..HostFacts::default() };
    snapshots[2].host = Arc::new(facts.clone());
    let read = through(&snapshots);
    assert_eq!(read[1].session.host, "renamed");
    assert_eq!((&*read[1].host, &*read[2].host), (&HostFacts::default(), &facts));
}

#[test]
fn any_moment_of_a_file() {
    let (bytes, snapshots) = three_blocks();
    let mut recording = Recording::from_bytes("test", bytes).unwrap();
    assert_eq!(recording.notes(), Vec::<String>::new());
    assert_eq!(recording.about().command, ["zc"]);
    let newest = snapshots.last().unwrap().duration_ns;
    assert_eq!(recording.range_ns(), Some((SECOND, newest)));
    assert!(recording.at(0).is_none());
    for snapshot in snapshots.iter().rev() {
        let at = snapshot.duration_ns;
        assert_eq!(text(&recording.at(at + 1).unwrap()), text(snapshot));
        assert_eq!(recording.after(at - 1), Some(at));
        assert_eq!(recording.before(at + 1), Some(at));
    }
    let bytes: u64 =
        recording.timeline().points().flat_map(|point| &point.paths).map(|path| path.bytes).sum();
    let total = |s: &Snapshot| s.paths.iter().map(|path| path.bytes).sum::<u64>();
    assert_eq!(bytes, total(snapshots.last().unwrap()) - total(&snapshots[0]));
}

/// Opens what may be damaged. Every moment that can be read must be one that was written.
fn all_true(bytes: Vec<u8>, written: &HashMap<u64, String>) -> Result<(usize, Vec<String>), Error> {
    let mut recording = Recording::from_bytes("test", bytes)?;
    let times = recording.times_ns().to_vec();
    let mut read = 0;
    for at in times {
        if let Some(snapshot) = recording.at(at) {
            assert_eq!(Some(&text(&snapshot)), written.get(&snapshot.duration_ns));
            read += usize::from(snapshot.duration_ns == at);
        }
    }
    Ok((read, recording.notes()))
}

fn by_time(snapshots: &[Snapshot]) -> HashMap<u64, String> {
    snapshots.iter().map(|snapshot| (snapshot.duration_ns, text(snapshot))).collect()
}

#[test]
fn a_file_cut_anywhere_replays_up_to_the_cut_and_says_so() {
    let (bytes, snapshots) = three_blocks();
    let written = by_time(&snapshots);
    let mut before = 0;
    for cut in 0..bytes.len() {
        match all_true(bytes[..cut].to_vec(), &written) {
            Ok((read, notes)) => {
                assert!(
                    read >= before && !notes.is_empty(),
                    "cut at {cut}: {read} after {before}, {notes:?}"
                );
                before = read;
            }
            Err(Error::Empty(_) | Error::NotARecording(_)) => assert_eq!(before, 0, "cut at {cut}"),
            Err(other) => panic!("cut at {cut}: {other}"),
        }
    }
    assert_eq!(before, snapshots.len(), "only the mark of the end was missing");
}

#[test]
fn a_flipped_bit_costs_at_most_its_block_and_is_said() {
    let (bytes, snapshots) = three_blocks();
    let written = by_time(&snapshots);
    // A prime step: every kind of byte is met, at every bit.
    for at in (0..bytes.len()).step_by(3) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        match all_true(damaged, &written) {
            // Reserved bytes and the minor version mean nothing yet.
            Ok((read, notes)) if read == snapshots.len() => assert!(notes.len() <= 1, "{at}: {notes:?}"),
            Ok((read, notes)) => {
                assert!(read + 4 >= snapshots.len() && !notes.is_empty(), "byte {at}: {read}, {notes:?}");
            }
            Err(Error::NotARecording(_) | Error::Newer(..)) => assert!(at < 12, "byte {at}"),
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
}

#[test]
fn damage_between_blocks_is_passed_over() {
    let (bytes, snapshots) = three_blocks();
    let written = by_time(&snapshots);
    let second = bytes.windows(4).enumerate().filter(|(_, w)| **w == block::MARK).nth(1).unwrap().0;
    let mut longer = bytes[..second].to_vec();
    longer.extend([0x55; 100_000]);
    longer.extend(&bytes[second..]);
    let (read, notes) = all_true(longer, &written).unwrap();
    assert_eq!(read, snapshots.len());
    assert!(notes.len() == 1 && notes[0].contains("damaged and left out"), "{notes:?}");
}

/// Fields whose keys are no names of fields.
const MAPS: [&str; 3] = ["errors", "by_cause", "active_ns"];

/// Adds a field to every struct, and leaves out what is not known.
fn newer_and_older(value: &mut Value) {
    match value {
        Value::Array(rows) => rows.iter_mut().for_each(newer_and_older),
        Value::Object(fields) => {
            let inner = fields.iter_mut().filter(|(name, _)| !MAPS.contains(&name.as_str()));
            inner.for_each(|(_, value)| newer_and_older(value));
            fields.retain(|_, value| !value.is_null());
            // Enums with a value are maps of one entry.
            if fields.len() > 1 {
                fields.insert("from_the_future".into(), serde_json::json!({"a": [1, "b"]}));
            }
        }
        _ => {}
    }
}

#[test]
fn fields_of_newer_versions_are_passed_over_and_missing_ones_are_unknown() {
    let snapshot = fixture::sparse();
    let bytes = rmp_serde::to_vec_named(&snapshot).unwrap();
    let mut value: Value = rmp_serde::from_slice(&bytes).unwrap();
    newer_and_older(&mut value);
    let read: Snapshot = rmp_serde::from_slice(&rmp_serde::to_vec_named(&value).unwrap()).unwrap();
    let bare =
        Snapshot { session: Session::default(), sockets: Vec::new(), host: Arc::default(), ..snapshot };
    assert_eq!(text(&read), text(&bare));
}

#[test]
fn blocks_of_a_newer_version_are_passed_over() {
    let (mut bytes, snapshots) = three_blocks();
    let end = bytes.len() - HEADER;
    let mut header = Header::end(0, 0);
    header.points_len = 5;
    let mut unknown = header.to_bytes();
    unknown[4] = 9;
    // Longer than ours: the checksum stands at its own end.
    unknown[6..8].copy_from_slice(&(HEADER as u16 + 8).to_le_bytes());
    let mut unknown = unknown[..HEADER - 4].to_vec();
    unknown.extend([7; 8]);
    unknown.extend(crc32fast::hash(&unknown).to_le_bytes());
    assert_eq!(Header::parse(&unknown).unwrap().kind, Kind::Other);
    unknown.extend(*b"other");
    bytes.splice(end..end, unknown);
    let (read, notes) = all_true(bytes, &by_time(&snapshots)).unwrap();
    assert_eq!((read, notes), (snapshots.len(), Vec::new()));
}

#[test]
fn what_is_no_recording_is_refused_in_one_sentence() {
    let open = |bytes: Vec<u8>| Recording::from_bytes("x.zcr", bytes).err().unwrap().to_string();
    assert!(open(Vec::new()).contains("x.zcr is no recording"));
    assert!(open(b"{\"schema\":\"zcscope.stat/1\"}".to_vec()).contains("zcscope record -o FILE"));
    let mut newer = file(&About::default(), &[]);
    newer[8] = 2;
    assert!(open(newer).contains("format 2, and this zcscope reads up to format 1"));
    assert!(open(file(&About::default(), &[])).contains("no snapshot"));
    assert!(start::is_recording(&file(&About::default(), &[])));
}

#[test]
fn a_path_this_version_does_not_know_is_named() {
    let mut value: Value =
        rmp_serde::from_slice(&rmp_serde::to_vec_named(&fixture::full()).unwrap()).unwrap();
    value["paths"][0]["path"] = "teleport".into();
    let error = rmp_serde::from_slice::<Snapshot>(&rmp_serde::to_vec_named(&value).unwrap()).unwrap_err();
    assert!(error.to_string().contains("this version knows no path \"teleport\""), "{error}");
}
