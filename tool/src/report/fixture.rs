//! Snapshots for the tests of the reports: one with every figure, one where little is known, one without traffic.

use zcscope_common::{FlowCounters, Hist, Path, Reason};

use crate::model::Model;
use crate::model::sample::{CopyKind, CopySample, LatencySample, Sample, SocketSample};
use crate::model::snapshot::{Missing, Session, Snapshot};

fn session(missing: &[(&str, &str)]) -> Session {
    Session {
        host: "lab".into(),
        kernel: "6.12.117".into(),
        backend: "fentry".into(),
        sources: [("send".to_owned(), "fentry:tcp_sendmsg_locked".to_owned())].into(),
        missing: missing.iter().map(|(f, w)| Missing { fact: (*f).into(), why: (*w).into() }).collect(),
        page_bytes: 4_096,
    }
}

fn zerocopy() -> FlowCounters {
    FlowCounters {
        calls: 1_456,
        bytes: 94_961_664,
        errors: [7, 0, 0, 0, 0, 0, 0, 0, 0],
        refused: [7, 0, 0, 0, 0, 0, 0, 0],
        attached_bytes: 94_961_664,
        frags: 2_902,
        zc_sends: 1_449,
        completed_sends: 1_447,
        completed_bytes: 94_830_592,
        units: 900,
        kernel_copied_sends: 336,
        unit_copied_bytes: 94_830_592,
        unit_silent_bytes: 73_400_320,
        told_reads: 193,
        told_sends: 1_447,
        told_copied_sends: 336,
        ..FlowCounters::default()
    }
}

fn socket(id: u64, comm: &str, flows: Vec<(Path, FlowCounters)>) -> SocketSample {
    SocketSample {
        id,
        cookie: (id != 2).then_some(id),
        pid: 4_000 + u32::try_from(id).unwrap(),
        comm: comm.into(),
        local: "10.9.0.1:40000".parse().unwrap(),
        remote: "10.9.0.2:9999".parse().unwrap(),
        dev: (id != 2).then(|| "eth0".into()),
        netns: 1,
        cgroup: 0,
        uid: 0,
        gauges: zcscope_common::Gauges::default(),
        flows,
    }
}

fn copy(path: Path, reason: Reason, site: &str, bytes: u64, told: bool, clone: bool) -> CopySample {
    let kind = CopyKind {
        reason,
        site: site.into(),
        caller: Some("validate_xmit_skb".into()),
        dev: Some("eth0".into()),
        clone,
        told,
        inferred: clone,
    };
    CopySample { socket: Some(1), path, kind, count: 1_943, bytes }
}

fn busy(session: Session) -> Snapshot {
    let mut model = Model::new(session);
    model.absorb(Sample { at_ns: 4_000_000_000, ..Sample::default() });
    let sendfile = FlowCounters {
        calls: 40,
        bytes: 2_621_440,
        raw_wire_bytes: 900_000,
        raw_silent_bytes: 900_000,
        ..FlowCounters::default()
    };
    let plain =
        FlowCounters { calls: 9, bytes: 900, errors: [0, 3, 0, 0, 0, 0, 0, 0, 0], ..FlowCounters::default() };
    let mut hist = Hist::default();
    (1..1_448).for_each(|i| hist.record(i * 30_000));
    let uring = FlowCounters { calls: 10, bytes: 655_360, zc_sends: 10, ..FlowCounters::default() };
    model.absorb(Sample {
        at_ns: 5_000_000_000,
        sockets: vec![
            socket(1, "zc", vec![(Path::MsgZerocopy, zerocopy()), (Path::Copy, plain)]),
            socket(2, "ring", vec![(Path::UringSendZc, uring)]),
        ],
        ended: vec![socket(3, "nginx", vec![(Path::Sendfile, sendfile)])],
        copies: vec![
            copy(Path::MsgZerocopy, Reason::NoScatterGather, "skb_segment", 94_875_704, false, false),
            copy(Path::MsgZerocopy, Reason::PacketTap, "skb_copy_ubufs", 2_000_000, true, true),
        ],
        latency: vec![LatencySample {
            path: Path::MsgZerocopy,
            kind: zcscope_common::LatencyKind::Release,
            hist: Box::new(hist),
        }],
        lost: [("ring_full".to_owned(), 2)].into(),
        ..Sample::default()
    });
    model.snapshot()
}

/// Everything known.
pub(super) fn full() -> Snapshot {
    busy(session(&[]))
}

/// The same traffic where only sends are seen.
pub(super) fn sparse() -> Snapshot {
    let why = "fentry and kprobes are not available on this kernel; boot one with CONFIG_FUNCTION_TRACER";
    let facts = ["copy", "completion", "uring_completion", "told", "attach", "frags", "refused", "copy_site"];
    busy(session(&facts.map(|fact| (fact, why))))
}

/// A trace in which nothing was sent.
pub(super) fn empty() -> Snapshot {
    let mut model = Model::new(session(&[]));
    model.absorb(Sample { at_ns: 10_000_000_000, ..Sample::default() });
    model.snapshot()
}
