//! Snapshots put together by hand: for the tests of the screen, and for the example that shows it moving.

use std::net::SocketAddr;
use std::sync::Arc;

use zcscope_common::{Disagreement, Path, Reason};

use crate::model::sample::CopyKind;
use crate::model::snapshot::{
    Completions, CopyFigures, GaugeFigures, InFlight, Ledger, Lost, Missing, PathFigures, Percentiles, Place,
    Session, Snapshot, SocketFigures, SocketIdentity, WrongSends,
};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const SECOND: u64 = 1_000_000_000;

fn session(backend: &str) -> Session {
    Session {
        host: "web-7".into(),
        kernel: "6.12.117".into(),
        backend: backend.into(),
        sources: [("send", "fentry:tcp_sendmsg_locked"), ("completion", "fentry:__msg_zerocopy_callback")]
            .map(|(fact, source)| (fact.into(), source.into()))
            .into(),
        missing: Vec::new(),
        page_bytes: 4_096,
    }
}

fn copy_path(bytes: u64, bytes_per_s: u64) -> PathFigures {
    PathFigures {
        calls: bytes / 16384,
        bytes,
        bytes_per_s,
        send_ns_per_kib: Some(212),
        ..PathFigures::nothing(Path::Copy)
    }
}

/// A zero-copy path: `copied` and `in_flight` bytes of `bytes`, the rest zero-copied.
fn zerocopy_path(path: Path, bytes: u64, bytes_per_s: u64, copied: u64, in_flight: u64) -> PathFigures {
    let sends = bytes / 65536;
    let kernel_copied =
        if bytes == 0 { 0 } else { (u128::from(sends) * u128::from(copied) / u128::from(bytes)) as u64 };
    let latency = Percentiles {
        count: sends,
        min: 9_000,
        p50: 41_200,
        p90: 98_000,
        p99: 412_000,
        p999: 1_900_000,
        max: 40_600_000,
    };
    let app_read =
        Percentiles { p50: 61_000, p90: 140_000, p99: 903_000, p999: 2_410_000, max: 41_900_000, ..latency };
    let read =
        Percentiles { p50: 18_000, p90: 40_000, p99: 480_000, p999: 700_000, max: 2_000_000, ..latency };
    let queued =
        Percentiles { min: 200, p50: 700, p90: 900, p99: 2_100, p999: 3_900, max: 40_000, ..latency };
    PathFigures {
        calls: sends,
        errors: [("ENOBUFS", 0)].into(),
        bytes,
        bytes_per_s,
        attached_bytes: Some(bytes),
        frags: Some(sends * 2),
        ledger: Some(Ledger {
            requested_bytes: bytes,
            zerocopied_bytes: Some(bytes - copied - in_flight),
            copied_bytes: Some(copied),
            clone_copied_bytes: Some(0),
            silent_copied_bytes: Some(0),
        }),
        send_ns_per_kib: Some(if path.has_completion() { 61 } else { 34 }),
        completions: path.has_completion().then_some(Box::new(Completions {
            sends,
            units: sends,
            kernel_copied,
            notifications: Some(sends / 7),
            told_sends: Some(sends),
            told_copied: Some(kernel_copied),
            unread_sends: Some(0),
            disagreements: Some(Vec::new()),
            latency: Some(latency),
            queue_latency: Some(queued),
            read_latency: Some(read),
            app_read_latency: Some(app_read),
            ..Completions::default()
        })),
        in_flight: path.has_completion().then_some(InFlight {
            sends: in_flight / 65536,
            bytes: in_flight,
            pages: Some(in_flight / 4096),
        }),
        ..PathFigures::nothing(path)
    }
}

fn kind(reason: Reason, site: &str, caller: Option<&str>, dev: &str) -> CopyKind {
    CopyKind {
        reason,
        site: site.into(),
        caller: caller.map(Into::into),
        dev: Some(dev.into()),
        clone: false,
        told: true,
        inferred: false,
    }
}

fn copies(kind: CopyKind, bytes: u64, bytes_per_s: u64) -> CopyFigures {
    CopyFigures {
        kind: kind.into(),
        count: bytes / 1448,
        bytes,
        bytes_per_s,
        first_ns: 2 * SECOND,
        last_ns: 95 * SECOND,
    }
}

fn socket(id: u64, comm: &str, local: &str, remote: &str, paths: Vec<PathFigures>) -> Arc<SocketFigures> {
    let address = |text: &str| text.parse().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
    Arc::new(SocketFigures {
        identity: Arc::new(SocketIdentity {
            id,
            cookie: Some(id),
            pid: 4_000 + (id * 7919 % 90_000) as u32,
            comm: comm.into(),
            local: address(local),
            remote: address(remote),
            dev: Some("eth0".into()),
            uid: 1_000,
            place: Place {
                netns: Some(4_026_531_840),
                netns_name: None,
                cgroup: Some("/system.slice/web.service".into()),
                container: id.is_multiple_of(2).then(|| "docker:0123456789ab".into()),
            },
        }),
        gauges: paths.iter().any(|p| p.path.has_completion()).then(|| {
            Box::new(GaugeFigures {
                optmem_bytes: Some(8_192),
                optmem_peak_bytes: Some(16_384),
                optmem_max_bytes: Some(131_072),
                unread_notifications: Some(3),
                pages_in_flight: Some(768),
                locked_pages: Some(1_024),
            })
        }),
        alive: true,
        paths,
    })
}

/// What a sink does: plain receive, and mapping what can be mapped.
pub(super) fn receiving() -> Vec<PathFigures> {
    let plain = PathFigures {
        calls: 51_200,
        bytes: 800 * MIB,
        bytes_per_s: 31_000_000,
        ..PathFigures::nothing(Path::Recv)
    };
    let (mapped, copied) = (3 * GIB, 200 * MIB);
    let ledger = Ledger {
        requested_bytes: mapped + copied,
        zerocopied_bytes: Some(mapped),
        copied_bytes: Some(copied),
        clone_copied_bytes: Some(0),
        silent_copied_bytes: Some(0),
    };
    let zerocopy = PathFigures {
        calls: 40_000,
        bytes: mapped + copied,
        bytes_per_s: 120_000_000,
        attached_bytes: Some(mapped),
        skip_hint_bytes: Some(70 * MIB),
        ledger: Some(ledger),
        copies: vec![copies(
            kind(Reason::RxUnaligned, "tcp_zerocopy_receive", None, "eth0"),
            copied,
            8_000_000,
        )],
        ..PathFigures::nothing(Path::RecvZerocopy)
    };
    vec![plain, zerocopy]
}

/// A wave between 0 and 1 with this period in points.
fn wave(at: u64, period: u64, phase: u64) -> f64 {
    let turn = ((at + phase) % period) as f64 / period as f64;
    0.5 + 0.5 * (turn * std::f64::consts::TAU).sin()
}

/// A busy run where nearly everything is truly zero-copied.
pub(super) fn healthy() -> Snapshot {
    let mut zc = zerocopy_path(Path::MsgZerocopy, 118 * GIB, 1_540_000_000, 3 * MIB, 48 * MIB);
    zc.copies = vec![copies(
        kind(Reason::HeaderPull, "__pskb_pull_tail", Some("vmxnet3_xmit_frame"), "eth0"),
        3 * MIB,
        40_000,
    )];
    let uring = zerocopy_path(Path::UringSendZcFixed, 64 * GIB, 880_000_000, 0, 12 * MIB);
    let sendfile = zerocopy_path(Path::Sendfile, 9 * GIB, 96_000_000, 0, 0);
    let sockets = vec![
        socket(1, "feedd", "10.9.0.1:41822", "10.9.0.2:9999", vec![zc.clone()]),
        socket(2, "ring-writer", "10.9.0.1:41830", "10.9.0.3:9999", vec![uring.clone()]),
        socket(
            3,
            "nginx",
            "10.9.0.1:443",
            "203.0.113.77:51514",
            vec![sendfile.clone(), copy_path(40 * MIB, 400_000)],
        ),
        socket(4, "sshd", "10.9.0.1:22", "192.168.100.123:50022", vec![copy_path(3 * MIB, 1_200)]),
    ];
    let paths = vec![copy_path(43 * MIB, 401_200), zc, sendfile, uring];
    Snapshot {
        session: session("fentry"),
        duration_ns: 754 * SECOND,
        interval_ns: SECOND / 4,
        paths,
        sockets,
        ..Snapshot::default()
    }
}

/// Everything that can go wrong at once: silent copies, a capture, loss, missing facts, refused calls, unknown figures.
pub(super) fn copied() -> Snapshot {
    let no_sg = kind(Reason::NoScatterGather, "skb_segment", Some("validate_xmit_skb"), "eth0");
    let mut zc = zerocopy_path(Path::MsgZerocopy, 8 * GIB, 410_000_000, 5 * GIB, 3 * MIB);
    if let Some(ledger) = &mut zc.ledger {
        ledger.silent_copied_bytes = Some(4 * GIB);
        ledger.clone_copied_bytes = Some(700 * MIB);
    }
    if let Some(completions) = &mut zc.completions {
        completions.told_copied = Some(completions.kernel_copied / 5);
        let wrong = |kind, sends| WrongSends { kind, sends, inferred: false };
        completions.disagreements = Some(vec![
            wrong(Disagreement::MergedRange, 9_000),
            wrong(Disagreement::ToldZerocopyButCopied, 56_535),
        ]);
    }
    zc.errors = [("ENOBUFS", 1_204)].into();
    zc.refused = vec![(Reason::Optmem, 1_204)];
    zc.copies = vec![
        copies(CopyKind { told: false, ..no_sg.clone() }, 4 * GIB, 210_000_000),
        copies(
            CopyKind {
                inferred: true,
                caller: None,
                ..kind(Reason::Loopback, "netif_receive_skb", None, "lo")
            },
            GIB,
            52_000_000,
        ),
        copies(
            CopyKind {
                clone: true,
                ..kind(Reason::PacketTap, "skb_copy_ubufs", Some("dev_queue_xmit_nit"), "eth0")
            },
            700 * MIB,
            9_000_000,
        ),
    ];
    let mut sendfile = zerocopy_path(Path::Sendfile, GIB, 61_000_000, GIB, 0);
    if let Some(ledger) = &mut sendfile.ledger {
        ledger.silent_copied_bytes = Some(GIB);
    }
    sendfile.copies = vec![copies(CopyKind { told: false, ..no_sg }, GIB, 61_000_000)];
    let mut uring = zerocopy_path(Path::UringSendZc, 220 * MIB, 7_000_000, 0, MIB);
    if let Some(completions) = &mut uring.completions {
        completions.told_sends = None;
        completions.told_copied = None;
        completions.app_read_latency = None;
        completions.disagreements = None;
        completions.read_latency = None;
    }
    let mut ended = socket(9, "curl", "10.9.0.1:41999", "10.9.0.2:80", vec![copy_path(12 * MIB, 0)]);
    let end = Arc::make_mut(&mut ended);
    (end.alive, end.dev) = (false, None);
    let sockets = vec![
        socket(1, "feedd", "10.9.0.1:41822", "10.9.0.2:9999", vec![zc.clone()]),
        socket(2, "nginx", "[2001:db8::17]:443", "[2001:db8:1:2:3:4:5:6]:51514", vec![sendfile.clone()]),
        socket(3, "ring-writer", "10.9.0.1:41830", "10.9.0.3:9999", vec![uring.clone()]),
        socket(4, "sink", "10.9.0.1:9999", "10.9.0.7:51000", receiving()),
        ended,
    ];
    let mut paths = vec![copy_path(12 * MIB, 0), zc, sendfile, uring];
    paths.extend(receiving());
    let mut session = session("tracepoint");
    session.missing = vec![
        Missing {
            fact: "copy_caller".into(),
            why: "fentry and kprobes are not available on this kernel; boot one with CONFIG_FUNCTION_TRACER"
                .into(),
        },
        Missing {
            fact: "app_read".into(),
            why: "io_uring completions are read without a system call".into(),
        },
    ];
    Snapshot {
        session,
        duration_ns: 95 * SECOND,
        interval_ns: SECOND / 4,
        lost: Lost {
            total: 1_234,
            by_cause: [("flows_full".into(), 1_200), ("ring_full".into(), 34)].into(),
        },
        paths,
        sockets,
        ..Snapshot::default()
    }
}

/// Tracing has begun and nothing has been sent; copies cannot be seen on this kernel.
pub(super) fn empty() -> Snapshot {
    Snapshot { session: session("kprobe"), duration_ns: SECOND / 4, ..Snapshot::default() }
}

/// Copies cannot be seen at all.
pub(super) fn blind() -> Snapshot {
    let mut snapshot = healthy();
    for figures in
        snapshot.paths.iter_mut().chain(snapshot.sockets.iter_mut().flat_map(|s| &mut Arc::make_mut(s).paths))
    {
        figures.copies.clear();
        figures.completions = None;
        figures.in_flight = None;
        if let Some(ledger) = &mut figures.ledger {
            *ledger = Ledger { requested_bytes: ledger.requested_bytes, ..Ledger::default() };
        }
    }
    snapshot.session.missing =
        vec![Missing { fact: "copies".into(), why: "no copy function can be traced on this kernel".into() }];
    snapshot
}

/// `n` sockets with long and wide names, control characters and IPv6 addresses.
pub(super) fn many(n: u64) -> Snapshot {
    const NAMES: [&str; 6] =
        ["nginx", "日本語プロセス", "a-very-long-comm", "evil\x1b[31mname", "👩‍👩‍👧‍👦 family", "e\u{301}clair"];
    let mut snapshot = healthy();
    snapshot.sockets = (0..n)
        .map(|id| {
            let rate = id * 7_919 % 10_007 * 1_000;
            let copied = if id % 3 == 0 { id * 997 % MIB } else { 0 };
            let mut zc = zerocopy_path(Path::MsgZerocopy, 4 * MIB + id * 1_000, rate, copied, 0);
            if copied > 0 {
                zc.copies = vec![copies(kind(Reason::Loopback, "skb_copy_ubufs", None, "lo"), copied, 0)];
            }
            let (local, remote) = match id % 3 {
                0 => (
                    "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:1]:65535",
                    "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:2]:443",
                ),
                1 => ("192.168.100.101:65535", "192.168.100.102:443"),
                _ => ("[::ffff:10.0.0.1]:80", "10.0.0.2:1"),
            };
            let mut socket =
                socket(id, NAMES[id as usize % NAMES.len()], local, remote, vec![zc, copy_path(id, id)]);
            Arc::make_mut(&mut socket).dev =
                Some(if id % 5 == 0 { "enp193s0f0np0.4094" } else { "lo" }.into());
            socket
        })
        .collect();
    snapshot
}

/// [`copied`] as it looks `tick` quarter seconds after the start, with `n` more sockets.
pub(super) fn moving(tick: u64, n: u64) -> Snapshot {
    let mut snapshot = copied();
    snapshot.duration_ns = tick * SECOND / 4;
    let breathe =
        |rate: &mut u64, n: u64| *rate = (*rate as f64 * (0.6 + 0.4 * wave(tick, 40 + n, n))) as u64;
    snapshot.sockets.extend(many(n).sockets.into_iter().map(|mut s| {
        Arc::make_mut(&mut s).id += 100;
        s
    }));
    for (n, figures) in snapshot
        .paths
        .iter_mut()
        .chain(snapshot.sockets.iter_mut().flat_map(|s| &mut Arc::make_mut(s).paths))
        .enumerate()
    {
        breathe(&mut figures.bytes_per_s, n as u64 * 7);
        figures.bytes += figures.bytes_per_s * tick / 4;
        if let Some(ledger) = &mut figures.ledger {
            let more = figures.bytes - ledger.requested_bytes;
            ledger.requested_bytes += more;
            ledger.zerocopied_bytes = ledger.zerocopied_bytes.map(|z| z + more);
        }
    }
    snapshot
}
