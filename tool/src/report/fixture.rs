//! Snapshots for the tests of the reports: one with every figure, one where little is known, one without traffic.

use zcscope_common::{FlowCounters, Gauges, Hist, LatencyKind, Path, Reason, Spread, SpreadKind};

use crate::model::Model;
use crate::model::sample::{
    CopyKind, CopySample, FileReads, FileSample, LatencySample, Names, Sample, SocketLatency, SocketSample,
    SpreadSample,
};
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
        pages: 23_184,
        frag_limit: 12,
        mixed_socket: 3,
        before_attach_sends: 4,
        timed_calls: 1_449,
        timed_bytes: 94_961_664,
        timed_ns: 7_000_000,
        disagreements: [0, 0, 110, 1_000, 0],
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
        netns: 4_026_531_840,
        cgroup: 77,
        uid: 1_000,
        gauges: Gauges {
            pages_in_flight: 32,
            locked_pages: 900,
            omem: 8_192,
            omem_max: 131_072,
            unread: 3,
            pad: 0,
        },
        flows,
    }
}

fn copy(path: Path, reason: Reason, site: &str, bytes: u64, told: bool, clone: bool) -> CopySample {
    let socket = Some(if path.receives() { 4 } else { 1 });
    let kind = CopyKind {
        reason,
        site: site.into(),
        caller: Some("validate_xmit_skb".into()),
        dev: Some("eth0".into()),
        clone,
        told,
        inferred: clone,
    };
    CopySample { socket, path, kind, count: 1_943, bytes }
}

fn latency(kind: LatencyKind) -> LatencySample {
    let step = match kind {
        LatencyKind::Release => 30_000,
        LatencyKind::Queue => 7,
        LatencyKind::Read => 2_000,
        LatencyKind::AppRead => 32_000,
        LatencyKind::SendCall => 6,
    };
    LatencySample { path: Path::MsgZerocopy, kind, hist: Box::new(hist(step)) }
}

/// Durations of 1 to 1,447 steps.
fn hist(step: u64) -> Hist {
    let mut hist = Hist::default();
    (1..1_448).for_each(|i| hist.record(i * step));
    hist
}

fn spread(kind: SpreadKind) -> SpreadSample {
    let mut spread = Spread::default();
    (0..90).for_each(|_| spread.record(if kind == SpreadKind::BytesPerFrag { 4_096 } else { 17 }));
    SpreadSample { path: Path::MsgZerocopy, kind, spread: Box::new(spread) }
}

fn file(name: &str, bytes: u64) -> FileSample {
    FileSample {
        pid: 4_003,
        comm: "nginx".into(),
        path: Path::Sendfile,
        name: name.into(),
        filesystem: "ext4".into(),
        inode: 131 + bytes,
        calls: Some(4),
        chunks: 40,
        bytes,
        cache_miss_bytes: Some(bytes / 4),
        copy_read_bytes: Some(0),
        direct: false,
    }
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
    let uring = FlowCounters { calls: 10, bytes: 655_360, zc_sends: 10, ..FlowCounters::default() };
    let received = FlowCounters { calls: 70, bytes: 4_194_304, ..FlowCounters::default() };
    let mapped = FlowCounters {
        calls: 31,
        bytes: 1_048_576,
        attached_bytes: 974_848,
        start_copied_bytes: 73_728,
        skip_hint_bytes: 12_000,
        ..FlowCounters::default()
    };
    model.absorb(Sample {
        at_ns: 5_000_000_000,
        sockets: vec![
            socket(1, "zc", vec![(Path::MsgZerocopy, zerocopy()), (Path::Copy, plain)]),
            socket(2, "ring", vec![(Path::UringSendZc, uring)]),
            socket(4, "sink", vec![(Path::Recv, received), (Path::RecvZerocopy, mapped)]),
        ],
        ended: vec![socket(3, "nginx", vec![(Path::Sendfile, sendfile)])],
        copies: vec![
            copy(Path::MsgZerocopy, Reason::NoScatterGather, "skb_segment", 94_875_704, false, false),
            copy(Path::MsgZerocopy, Reason::PacketTap, "skb_copy_ubufs", 2_000_000, true, true),
            copy(Path::RecvZerocopy, Reason::RxSmallQueue, "tcp_zerocopy_receive", 73_728, true, false),
        ],
        latency: LatencyKind::ALL.map(latency).into(),
        socket_latency: vec![SocketLatency {
            socket: 1,
            path: Path::MsgZerocopy,
            hist: Box::new(hist(30_000)),
        }],
        spreads: SpreadKind::ALL.map(spread).into(),
        files: vec![file("movie-of-the-week.mkv", 2_621_440), file("index.html", 4_096)],
        file_reads: vec![FileReads { pid: 4_001, comm: "zc".into(), bytes: 900 }],
        names: Names {
            cgroups: vec![(77, "/system.slice/docker-0123.scope".into(), Some("docker:0123456789ab".into()))],
            netns: vec![(4_026_531_840, "blue".into())],
            memlock: vec![(4_001, Some(8 << 20)), (4_002, None)],
        },
        lost: [("ring_full".to_owned(), 2)].into(),
        ..Sample::default()
    });
    model.snapshot()
}

/// Everything known.
pub(crate) fn full() -> Snapshot {
    busy(session(&[]))
}

/// The same traffic where only sends are seen.
pub(crate) fn sparse() -> Snapshot {
    let why = "fentry and kprobes are not available on this kernel; boot one with CONFIG_FUNCTION_TRACER";
    let facts = [
        "copy",
        "completion",
        "uring_completion",
        "told",
        "attach",
        "frags",
        "refused",
        "copy_site",
        "pages",
        "mixed_socket",
        "gauges",
        "locked_pages",
        "send_time",
        "files",
        "file_reads",
    ];
    busy(session(&facts.map(|fact| (fact, why))))
}

/// A trace in which nothing was sent.
pub(crate) fn empty() -> Snapshot {
    let mut model = Model::new(session(&[]));
    model.absorb(Sample { at_ns: 10_000_000_000, ..Sample::default() });
    model.snapshot()
}
