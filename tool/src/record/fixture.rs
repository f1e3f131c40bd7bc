//! Snapshots that move, and a small recording of them, for the tests of this room.

use zcscope_common::{FlowCounters, Gauges, Hist, LatencyKind, Path};

use super::block::{Builder, Header};
use super::start::{self, About};
use crate::model::Model;
use crate::model::sample::{LatencySample, Sample, SocketSample};
use crate::model::snapshot::{Session, Snapshot};
use crate::timeline::Point;

pub(super) const SECOND: u64 = 1_000_000_000;

/// Everything in it.
pub(super) fn text(snapshot: &Snapshot) -> String {
    format!("{snapshot:?}")
}

/// One snapshot a second: a socket that sends on two paths, one that idles, one that is gone after a while.
pub(super) fn moving(seconds: u64) -> Vec<Snapshot> {
    let mut model = Model::new(Session { kernel: "6.18.44".into(), page_bytes: 4_096, ..Session::default() });
    let second = |second: u64| {
        model.absorb(sample(second));
        model.snapshot()
    };
    (1..=seconds).map(second).collect()
}

fn sample(second: u64) -> Sample {
    let sent = FlowCounters {
        calls: 3 * second,
        bytes: 65_536 * second,
        zc_sends: 3 * second,
        completed_sends: 3 * second,
        completed_bytes: 65_536 * second,
        unit_copied_bytes: 100 * second,
        ..FlowCounters::default()
    };
    let plain = FlowCounters { calls: 9, bytes: 900 + second % 3, ..FlowCounters::default() };
    let mut sockets = vec![
        socket(1, "zc", vec![(Path::MsgZerocopy, sent), (Path::Copy, plain)]),
        socket(2, "idle", vec![(Path::Sendfile, FlowCounters { calls: 1, bytes: 5, ..plain })]),
    ];
    let short = socket(3, "short", vec![(Path::Copy, plain)]);
    let (mut ended, mut hist) = (Vec::new(), Box::new(Hist::default()));
    match second {
        1..4 => sockets.push(short),
        4 => ended.push(short),
        _ => {}
    }
    (0..second).for_each(|i| hist.record(10_000 * i));
    let latency = vec![LatencySample { path: Path::MsgZerocopy, kind: LatencyKind::Release, hist }];
    Sample { at_ns: second * SECOND, sockets, ended, latency, ..Sample::default() }
}

fn socket(id: u64, comm: &str, flows: Vec<(Path, FlowCounters)>) -> SocketSample {
    SocketSample {
        id,
        cookie: Some(id),
        pid: 100 + u32::try_from(id).unwrap(),
        comm: comm.into(),
        local: "[fe80::1]:40000".parse().unwrap(),
        remote: "10.9.0.2:9999".parse().unwrap(),
        dev: Some("eth0".into()),
        netns: 1,
        cgroup: 0,
        uid: 0,
        gauges: Gauges::default(),
        flows,
    }
}

/// A closed file of these blocks.
pub(super) fn file(about: &About, blocks: &[&[Snapshot]]) -> Vec<u8> {
    let mut bytes = start::to_bytes(about).unwrap();
    let mut last: Option<&Snapshot> = None;
    for snapshots in blocks {
        let mut builder = Builder::new().unwrap();
        for snapshot in *snapshots {
            builder.push(snapshot, Point::between(last.unwrap_or(snapshot), snapshot)).unwrap();
            last = Some(snapshot);
        }
        bytes.extend(builder.finish(0).unwrap());
    }
    bytes.extend(Header::end(last.map_or(0, |last| last.duration_ns), 0).to_bytes());
    bytes
}

/// A file of twelve seconds in three blocks, and what is in it.
pub(super) fn three_blocks() -> (Vec<u8>, Vec<Snapshot>) {
    let snapshots = moving(12);
    let about = About { command: vec!["zc".into()], ..About::default() };
    let blocks: Vec<&[Snapshot]> = snapshots.chunks(4).collect();
    (file(&about, &blocks), snapshots)
}
