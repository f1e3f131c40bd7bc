//! A minute that moves: snapshots at four a second in which, one after the other, everything happens that views over
//! time have to show. For the tests of those views.
//!
//! | second | what |
//! |---|---|
//! | 0 | msg_zerocopy, sendfile and plain sends, all well |
//! | 10 | io_uring begins |
//! | 15 to 30 | ACKs are delayed: releases at 40 ms |
//! | 20 | eth0 loses scatter-gather: silent copies |
//! | 25 to 40 | tcpdump listens |
//! | 35 | option memory is full: `ENOBUFS` |
//! | 40 | the application reads its error queue late |
//! | 44 | segments are sent again |
//! | 48 | ends of sends are lost |
//! | 50 to 52 | events are lost |
//! | 52 to 56 | a storm of short connections that end with bytes unsent |
//! | 55 | the application is told zero-copy of what was copied |

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use zcscope_common::{Disagreement, Hist, LatencyKind, Path, Reason};

use super::{Shown, fixtures};
use crate::host::device::{Device, DeviceKind, Features};
use crate::host::facts::{
    DeviceFacts, HostFacts, MachineFacts, NamespaceFacts, NumaNode, Switch, Switches, TcpFacts,
};
use crate::host::taps::{Holder, Tap};
use crate::model::distributions::delayed_acks;
use crate::model::sample::{CopyKind, MapSample};
use crate::model::snapshot::{
    CopyFigures, GaugeFigures, InFlight, LatencyFigures, Limit, Missing, PathFigures, Percentiles,
    ProcessFigures, Snapshot, SpreadFigures, WrongSends,
};

const SECOND: u64 = 1_000_000_000;
/// Snapshots a second.
const TICKS: u64 = 4;
/// Bytes of each send.
const SEND: u64 = 64 << 10;
const PAGE: u64 = 4_096;
const OPTMEM_MAX: u64 = 131_072;
const NETNS: u32 = 4_026_531_840;

/// The minute, and as much more as is asked for.
#[derive(Default)]
pub(super) struct Film {
    tick: u64,
    hists: BTreeMap<(Path, LatencyKind), Hist>,
    /// Sends of each path so far.
    sends: BTreeMap<Path, u64>,
    copied_sends: u64,
    refused: u64,
}

/// The whole minute, seen to its end.
pub(super) fn minute() -> Shown {
    static MINUTE: OnceLock<Shown> = OnceLock::new();
    MINUTE.get_or_init(|| after(60)).clone()
}

/// The first seconds of it.
pub(super) fn after(seconds: u64) -> Shown {
    let mut film = Film::default();
    let mut shown = Shown::of(film.snapshot());
    (0..seconds * TICKS).for_each(|_| shown.advance(film.snapshot()));
    shown
}

impl Film {
    /// The next snapshot.
    pub(super) fn snapshot(&mut self) -> Snapshot {
        let second = self.tick / TICKS;
        let mut snapshot = fixtures::healthy();
        snapshot.duration_ns = self.tick * SECOND / TICKS;
        snapshot.paths.retain(|path| path.path != Path::UringSendZcFixed || second >= 10);
        for path in &mut snapshot.paths {
            self.advance(path, second);
        }
        for socket in &mut snapshot.sockets {
            let socket = Arc::make_mut(socket);
            socket.paths.retain_mut(|path| {
                let all = snapshot.paths.iter().find(|all| all.path == path.path);
                all.is_some_and(|all| {
                    *path = PathFigures { frags_per_skb: None, bytes_per_frag: None, ..all.clone() };
                    true
                })
            });
            socket.gauges = socket.gauges.take().and(gauges(socket.id, self.tick)).map(Box::new);
        }
        snapshot.sockets.extend(storm(second, &snapshot));
        snapshot.processes = processes(&snapshot);
        snapshot.latency = self.latency();
        if second >= 50 {
            let lost = (self.tick.min(52 * TICKS) - 50 * TICKS + 1) * 5;
            snapshot.lost.total = lost;
            snapshot.lost.by_cause = [("flows_full".to_owned(), lost)].into();
        }
        session(&mut snapshot);
        snapshot.maps = maps();
        snapshot.host = host(second, self.tick).into();
        self.tick += 1;
        snapshot
    }

    fn latency(&self) -> Vec<LatencyFigures> {
        let hists = self.hists.iter().map(|((path, kind), hist)| LatencyFigures {
            path: *path,
            kind: *kind,
            hist: Arc::new(*hist),
        });
        hists.collect()
    }

    /// What the path did in this tick, added to what it did before.
    fn advance(&mut self, path: &mut PathFigures, second: u64) {
        let (of, more) = (path.path, 30 + self.tick * 7 % 23);
        let sends = self.sends.entry(of).or_default();
        *sends += more;
        let sends = *sends;
        (path.calls, path.bytes, path.bytes_per_s) = (sends, sends * SEND, more * SEND * TICKS);
        for n in 0..more {
            self.record(of, second, n);
        }
        let Some(ledger) = &mut path.ledger else { return };
        let silent = of == Path::MsgZerocopy && second >= 20;
        self.copied_sends += if silent { more } else { 0 };
        let copied = if of == Path::MsgZerocopy { self.copied_sends * SEND } else { 0 };
        let flying = if of.has_completion() { 4 + self.tick * 3 % 17 } else { 0 };
        *ledger = crate::model::snapshot::Ledger {
            requested_bytes: sends * SEND,
            copied_bytes: Some(copied),
            zerocopied_bytes: Some((sends - flying) * SEND - copied),
            silent_copied_bytes: Some(copied),
            clone_copied_bytes: Some(0),
        };
        path.copies = if copied > 0 { vec![copies(copied, more)] } else { Vec::new() };
        path.frags = Some(sends * 2);
        path.frags_per_skb = Some(Box::new(spread(sends, [2, 16, 17])));
        path.bytes_per_frag = Some(Box::new(spread(sends * 2, [32_768, 32_768, 65_536])));
        self.complete(path, second, flying);
    }

    /// Ends of sends, and what stands in their way.
    fn complete(&mut self, path: &mut PathFigures, second: u64, flying: u64) {
        let (of, sends) = (path.path, path.calls);
        path.in_flight = of.has_completion().then_some(InFlight {
            sends: flying,
            bytes: flying * SEND,
            pages: (of == Path::MsgZerocopy).then_some(flying * SEND / PAGE),
        });
        let percentiles = |kind| self.hists.get(&(of, kind)).and_then(percentiles);
        path.send_ns = percentiles(LatencyKind::SendCall).map(Box::new);
        let Some(ends) = &mut path.completions else { return };
        ends.sends = sends - flying;
        ends.told_sends = Some(ends.sends);
        ends.range_length = Some(spread(sends / 7, [7, 24, 64]));
        ends.latency = percentiles(LatencyKind::Release);
        ends.delayed_acks = self.hists.get(&(of, LatencyKind::Release)).map(delayed_acks);
        ends.queue_latency = percentiles(LatencyKind::Queue);
        ends.read_latency = percentiles(LatencyKind::Read);
        ends.app_read_latency = percentiles(LatencyKind::AppRead);
        if of != Path::MsgZerocopy {
            return;
        }
        ends.unread_sends = Some(if second >= 40 { (second - 40) * 60 } else { 0 });
        ends.lost_ends = if second >= 48 { 3 } else { 0 };
        if second >= 55 {
            let kind = Disagreement::ToldZerocopyButCopied;
            ends.disagreements = Some(vec![WrongSends { kind, sends: 412, inferred: false }]);
        }
        if second >= 35 {
            self.refused += 3;
            path.errors = [("ENOBUFS", self.refused)].into();
            path.refused = vec![(Reason::Optmem, self.refused)];
        }
    }

    /// The times of one send.
    fn record(&mut self, of: Path, second: u64, n: u64) {
        let jitter = (n * 7_919 + self.tick * 104_729) % 1_000;
        let call = 4_000 + jitter * 9;
        let late = (15..30).contains(&second) && n % 5 < 3;
        let release = match n {
            _ if late && of == Path::MsgZerocopy => 38_000_000 + jitter * 5_000,
            0 => 900_000 + jitter * 20_000,
            _ => 22_000 + jitter * jitter / 6,
        };
        let queue = 700 + jitter;
        let read = if second >= 40 { 120_000_000 + jitter * 700_000 } else { 9_000 + jitter * 60 };
        let mut add = |kind, ns| self.hists.entry((of, kind)).or_default().record(ns);
        add(LatencyKind::SendCall, call);
        if !of.has_completion() {
            return;
        }
        add(LatencyKind::Read, read);
        add(LatencyKind::AppRead, release + queue + read);
        // When io_uring lets go of a buffer cannot be seen in this story.
        if of == Path::MsgZerocopy {
            add(LatencyKind::Release, release);
            add(LatencyKind::Queue, queue);
        }
    }
}

fn percentiles(hist: &Hist) -> Option<Percentiles> {
    Some(Percentiles {
        count: hist.count,
        min: hist.min()?,
        p50: hist.percentile(500)?,
        p90: hist.percentile(900)?,
        p99: hist.percentile(990)?,
        p999: hist.percentile(999)?,
        max: hist.max,
    })
}

const fn spread(count: u64, [p50, p99, max]: [u64; 3]) -> SpreadFigures {
    SpreadFigures { count, p50, p90: p99, p99, max }
}

fn copies(bytes: u64, more: u64) -> CopyFigures {
    let kind = CopyKind {
        reason: Reason::NoScatterGather,
        site: "skb_segment".into(),
        caller: Some("validate_xmit_skb".into()),
        dev: Some("eth0".into()),
        clone: false,
        told: false,
        inferred: false,
    };
    CopyFigures {
        kind: kind.into(),
        count: bytes / 1_448,
        bytes,
        bytes_per_s: more * SEND * TICKS,
        first_ns: 20 * SECOND,
        last_ns: 60 * SECOND,
    }
}

/// Option memory fills up until second 35 and stays near its limit.
fn gauges(id: u64, tick: u64) -> Option<GaugeFigures> {
    let full = (tick * OPTMEM_MAX / (35 * TICKS)).min(OPTMEM_MAX - 768);
    let used = if id == 1 { full } else { full / 9 };
    Some(GaugeFigures {
        optmem_bytes: Some(used),
        optmem_peak_bytes: Some(used),
        optmem_max_bytes: Some(OPTMEM_MAX),
        unread_notifications: Some(used / 1_024),
        pages_in_flight: Some(16 * (4 + tick * 3 % 17)),
        locked_pages: Some(1_200 + tick),
    })
}

/// Short connections that ended badly; those of the last tick stay.
fn storm(second: u64, snapshot: &Snapshot) -> Vec<Arc<crate::model::snapshot::SocketFigures>> {
    let born = (second.clamp(52, 56) - 52) * 30;
    let like = snapshot.sockets.first().filter(|_| second >= 52);
    let short = |like: &Arc<crate::model::snapshot::SocketFigures>, n: u64| {
        let mut socket = like.as_ref().clone();
        (socket.id, socket.alive, socket.comm) = (1_000 + n, false, "curl".into());
        socket.remote.set_port(50_000 + n as u16);
        socket.gauges = None;
        for path in &mut socket.paths {
            (path.calls, path.bytes, path.bytes_per_s) = (1, SEND, 0);
            if let Some(ends) = &mut path.completions {
                (ends.unsent_bytes, ends.lost_ends) = (SEND / 2 + n, 0);
            }
        }
        Arc::new(socket)
    };
    like.map_or_else(Vec::new, |like| (0..born).map(|n| short(like, n)).collect())
}

fn processes(snapshot: &Snapshot) -> Vec<ProcessFigures> {
    let living = snapshot.sockets.iter().filter(|socket| socket.alive);
    let process = |socket: &Arc<crate::model::snapshot::SocketFigures>| ProcessFigures {
        pid: socket.pid,
        comm: socket.comm.clone(),
        place: socket.place.clone(),
        gauges: socket.gauges.as_deref().copied(),
        memlock_limit: match socket.id {
            1 => Some(Limit::Bytes(8 << 20)),
            2 => Some(Limit::Unlimited),
            _ => None,
        },
        paths: socket.paths.clone(),
    };
    living.map(process).collect()
}

fn session(snapshot: &mut Snapshot) {
    let session = &mut snapshot.session;
    session.backend = "mixed".into();
    let sources = [
        ("attach", "fentry:skb_zerocopy_iter_stream"),
        ("told", "fentry:sock_dequeue_err_skb"),
        ("copy", "fentry:skb_copy_ubufs"),
        ("gauges", "fentry:tcp_sendmsg_locked"),
        ("uring_completion", "tracepoint:io_uring_complete"),
    ];
    session.sources.extend(sources.map(|(fact, source)| (fact.to_owned(), source.to_owned())));
    session.missing = [
        (
            "uring_release",
            "no tracepoint tells when io_uring's last reference to a buffer is given back, only when its \
             notification is posted; fentry or kprobes are needed",
        ),
        ("dma_bounce", "this kernel has no tracepoint swiotlb_bounced"),
    ]
    .map(|(fact, why)| Missing { fact: fact.into(), why: why.into() })
    .into();
}

fn maps() -> Vec<MapSample> {
    let map = |name: &str, entries, max_entries, bytes| MapSample {
        name: name.into(),
        entries,
        max_entries,
        bytes,
    };
    vec![
        map("SOCKS", Some(13_200), 16_384, 4_100_000),
        map("SENDS", Some(412), 65_536, 6_300_000),
        map("LATENCY", None, 32, 860_000),
        map("ENDED", None, 262_144, 274_000),
    ]
}

fn host(second: u64, tick: u64) -> HostFacts {
    let tap = Tap {
        netns: NETNS.into(),
        device: Some(2),
        protocol: 3,
        running: true,
        holders: vec![Holder { pid: 7_171, comm: "tcpdump".into() }],
    };
    let space = NamespaceFacts {
        name: None,
        pid: 1,
        optmem_max: Some(OPTMEM_MAX),
        congestion_control: Some("cubic".into()),
        addresses: ["10.9.0.1".parse(), "127.0.0.1".parse()].into_iter().flatten().collect(),
        devices: [("eth0".to_owned(), device(second < 20))].into(),
    };
    let tcp = TcpFacts {
        congestion_control: Some("cubic".into()),
        delivery_bytes_per_s: 1_100_000_000,
        min_rtt_us: 48,
        sent_bytes: tick * 40_000_000,
        resent_bytes: (tick.max(44 * TICKS) - 44 * TICKS) * 14_480,
        ..TcpFacts::default()
    };
    let tls = TcpFacts { upper_layer: Some("tls".into()), ..tcp.clone() };
    let nodes = (0..2).map(|node| NumaNode { node, cpus: (node * 4..node * 4 + 4).collect() });
    HostFacts {
        namespaces: [(NETNS, space)].into(),
        sockets: [(1, tcp), (3, tls)].into(),
        taps: Some(if (25..40).contains(&second) { vec![tap] } else { Vec::new() }),
        machine: MachineFacts { nodes: nodes.collect(), ..MachineFacts::default() },
        own_netns: Some(NETNS),
        ..HostFacts::default()
    }
}

fn device(gathers: bool) -> DeviceFacts {
    let switch = |on| Some(Switch { on, wanted: on, changeable: true });
    DeviceFacts {
        device: Device {
            name: "eth0".into(),
            index: 2,
            kind: DeviceKind::Physical,
            driver: Some("vmxnet3".into()),
            mtu: 1_500,
            up: true,
            running: true,
            features: Features { scatter_gather: Some(gathers), tx_checksum: Some(true), tso: Some(gathers) },
        },
        switches: Some(Switches {
            scatter_gather: switch(gathers),
            tx_checksum: switch(true),
            tso: switch(gathers),
            tls_tx: Some(Switch::default()),
        }),
        numa_node: Some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::events::EventKind;

    #[test]
    fn everything_of_the_story_becomes_an_event() {
        let shown = minute();
        let events: Vec<_> = shown.timeline.points().flat_map(|point| &point.events).collect();
        let kinds = [
            EventKind::Path,
            EventKind::Copy,
            EventKind::Refused,
            EventKind::Told,
            EventKind::Finding,
            EventKind::TapOpened,
            EventKind::TapClosed,
            EventKind::Feature,
            EventKind::SocketEnd,
            EventKind::Loss,
            EventKind::Resent,
            EventKind::DelayedAck,
        ];
        for kind in kinds {
            assert!(events.iter().any(|event| event.kind == kind), "{kind:?}");
        }
    }

    #[test]
    fn the_ledger_stays_true() {
        for path in &minute().snapshot.paths {
            let Some(ledger) = path.ledger else { continue };
            let flying = path.in_flight.map_or(0, |of| of.bytes);
            let parts = ledger.zerocopied_bytes.unwrap() + ledger.copied_bytes.unwrap() + flying;
            assert_eq!(parts, ledger.requested_bytes, "{:?}", path.path);
        }
    }
}
