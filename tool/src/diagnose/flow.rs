//! Findings about single connections: sent again, held back by pacing, one send at a time, through kernel TLS, in
//! small splices.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use zcscope_common::{LatencyKind, Path, Reason};

use super::words::words;
use super::{Finding, Severity, steps};
use crate::host::facts::TcpFacts;
use crate::model::reason::info;
use crate::model::snapshot::{PathFigures, Snapshot, SocketFigures};
use crate::units::{bytes, duration, percent, rate};

/// Rows named in one finding.
const TOP: usize = 3;

/// Connections with what the kernel says of them, where that is `of_interest`. It says it of few, and of ten thousand
/// sockets the walk is what costs: without interest there is none.
fn connections(
    snapshot: &Snapshot,
    of_interest: impl Fn(&TcpFacts) -> bool,
) -> impl Iterator<Item = (&SocketFigures, &TcpFacts)> {
    let facts = snapshot.host.sockets.iter().filter(|(_, tcp)| of_interest(tcp));
    let facts: BTreeMap<u64, &TcpFacts> = facts.map(|(id, tcp)| (*id, tcp)).collect();
    let sockets = if facts.is_empty() { &[] } else { snapshot.sockets.as_slice() };
    sockets.iter().filter_map(move |socket| Some((socket.as_ref(), *facts.get(&socket.id)?)))
}

fn name(socket: &SocketFigures) -> String {
    format!("{} {} to {}", socket.pid, socket.comm, socket.remote)
}

fn fix_of(id: &str) -> Vec<String> {
    steps(words(id).map_or("", |words| words.fix))
}

/// From this share on, a flow's buffers are held by loss more than by the ordinary round trip.
const RESENT_PERCENT: u64 = 1;
/// A few lost packets are ordinary.
const MIN_RESENT_BYTES: u64 = 256 << 10;

/// Bytes sent again on connections whose buffers are held until the peer has them.
pub(super) fn resent(snapshot: &Snapshot) -> Option<Finding> {
    let holds = |socket: &SocketFigures| socket.paths.iter().any(|path| path.path.has_completion());
    let much = |tcp: &TcpFacts| {
        let share = tcp.resent_bytes.saturating_mul(100) >= tcp.sent_bytes.saturating_mul(RESENT_PERCENT);
        share && tcp.resent_bytes >= MIN_RESENT_BYTES
    };
    let mut rows: Vec<_> = connections(snapshot, much).filter(|(socket, _)| holds(socket)).collect();
    rows.sort_by_key(|(socket, tcp)| (Reverse(tcp.resent_bytes), socket.id));
    let again: u64 = rows.iter().map(|(_, tcp)| tcp.resent_bytes).sum();
    let sent: u64 = rows.iter().map(|(_, tcp)| tcp.sent_bytes).sum();
    let evidence = rows.iter().take(TOP).map(|(socket, tcp)| {
        let pages = socket.gauges.as_deref().and_then(|gauges| gauges.pages_in_flight);
        let held = pages.map(|pages| format!(", {pages} pages held")).unwrap_or_default();
        format!(
            "{}: {} of {} sent again since it was opened{held}",
            name(socket),
            bytes(tcp.resent_bytes),
            bytes(tcp.sent_bytes)
        )
    });
    (!rows.is_empty()).then(|| Finding {
        id: Reason::SweptRetransmit.name().into(),
        severity: Severity::Warning,
        title: format!(
            "{} of the bytes had to be sent again: their pages stay pinned until the peer has them",
            percent(again, sent)
        ),
        evidence: evidence.collect(),
        fix: steps(info(Reason::SweptRetransmit).fix),
        bytes: again,
        ..Finding::default()
    })
}

/// Congestion controls that pace every packet by a timer.
const PACERS: &[&str] = &["bbr"];
/// Shorter flows are still in their start-up phase.
const MIN_BUSY_US: u64 = 1_000_000;
/// Over a longer way the network is what the control measures, and its rate is no choice.
const NEAR_RTT_US: u32 = 1_000;
/// A share of the busy time in which somebody else held the flow up.
const HELD_PERCENT: u64 = 20;
/// Delivered at this share of the pace or more, the pace is the limit.
const PACED_PERCENT: u64 = 50;

/// Flows whose rate is the pace of their congestion control, on a way so short that nothing else limits them.
pub(super) fn pacing(snapshot: &Snapshot) -> Option<Finding> {
    let mut rows: Vec<_> = connections(snapshot, is_paced)
        .map(|(socket, tcp)| (socket, tcp, tcp.pacing_bytes_per_s.unwrap_or(0)))
        .collect();
    rows.sort_by_key(|(socket, _, pace)| (Reverse(*pace), socket.id));
    let (_, first, _) = rows.first()?;
    let control = first.congestion_control.clone().unwrap_or_default();
    let evidence = rows.iter().take(TOP).map(|(socket, tcp, pace)| {
        format!(
            "{}: paced at {}, delivered {}, shortest round trip {}",
            name(socket),
            rate(*pace),
            rate(tcp.delivery_bytes_per_s),
            duration(u64::from(tcp.min_rtt_us).saturating_mul(1_000))
        )
    });
    Some(Finding {
        id: "pacing".into(),
        severity: Severity::Info,
        title: format!(
            "{} flows run at the pace of {control}: their rate says nothing about copying",
            rows.len()
        ),
        evidence: evidence.collect(),
        fix: fix_of("pacing"),
        ..Finding::default()
    })
}

fn is_paced(tcp: &TcpFacts) -> bool {
    let pacer =
        tcp.congestion_control.as_deref().is_some_and(|name| PACERS.iter().any(|of| name.starts_with(of)));
    let held = tcp.peer_window_us.saturating_add(tcp.send_buffer_us);
    let free = held.saturating_mul(100) < tcp.busy_us.saturating_mul(HELD_PERCENT);
    // What was delivered lately may be one burst of a sender that has little to send.
    let average = tcp.sent_bytes.saturating_mul(1_000_000) / tcp.busy_us.max(1);
    let full = tcp.pacing_bytes_per_s.is_some_and(|pace| {
        tcp.delivery_bytes_per_s.min(average).saturating_mul(100) >= pace.saturating_mul(PACED_PERCENT)
    });
    pacer && free && full && tcp.busy_us >= MIN_BUSY_US && tcp.min_rtt_us < NEAR_RTT_US
}

/// Fewer sends than this are no habit.
const MIN_SENDS: u64 = 100;

/// Senders that wait for each send to end before they make the next: one is in flight most of the time, and no
/// notification ever covers two.
pub(super) fn depth_small(snapshot: &Snapshot, path: &PathFigures) -> Option<Finding> {
    let c = path.completions.as_deref()?;
    let (released, range) = (c.latency?, c.range_length?);
    let sum = |kind| {
        snapshot.latency.iter().find(|of| (of.path, of.kind) == (path.path, kind)).map(|of| of.hist.sum)
    };
    let (held, reading) = (sum(LatencyKind::Release)?, sum(LatencyKind::Read)?);
    let uses = |socket: &&SocketFigures| socket.paths.iter().any(|of| of.path == path.path && of.bytes > 0);
    let sockets: Vec<_> = snapshot.sockets.iter().map(AsRef::as_ref).filter(uses).collect();
    let count = u64::try_from(sockets.len()).ok().filter(|count| *count > 0)?;
    // Little's law: all time held, over the sockets and the time there was.
    let held = held / count;
    let active = active_ns(snapshot, path.path);
    let busy = held.saturating_mul(100) >= active.saturating_mul(BUSY_PERCENT) && held <= active;
    let at_once = (reading / count).saturating_mul(AT_ONCE) <= held;
    (released.count >= MIN_SENDS && range.max <= 1 && busy && at_once).then(|| Finding {
        id: "depth_small".into(),
        severity: Severity::Info,
        title: format!("{}: senders wait for each send to end before they make the next", path.path.name()),
        evidence: vec![
            format!("{} sends, sockets: {count}, each notification for one send only", released.count),
            format!(
                "one in flight for {} of the time, released after: p50 {}, p99 {}",
                percent(held, active),
                duration(released.p50),
                duration(released.p99)
            ),
        ],
        fix: fix_of("depth_small"),
        ..Finding::default()
    })
}

/// Less, and the sender has other things to do than to wait.
const BUSY_PERCENT: u64 = 40;

/// Who waits for a notification reads it at once: so many times faster than it came. One that reads just before its next
/// send has other things to do.
const AT_ONCE: u64 = 4;

/// The part of the trace in which bytes were sent on a path.
fn active_ns(snapshot: &Snapshot, path: Path) -> u64 {
    snapshot.active_ns.get(&path).copied().unwrap_or(snapshot.duration_ns)
}

/// Less than this was sent.
const MIN_BYTES: u64 = 1 << 20;
/// A pipe has room for 16 pages unless it is made larger; a splice that moves less than a quarter of that pays its
/// two system calls for next to nothing.
const SMALL_SPLICE_BYTES: u64 = 16 << 10;

/// Splices that hand TCP little at a time.
pub(super) fn splice_small(snapshot: &Snapshot, path: &PathFigures) -> Option<Finding> {
    // Before Linux 6.5 every page is a call of its own, whatever the program does.
    let splices =
        matches!(path.path, Path::Splice | Path::Vmsplice) && snapshot.session.knows("splice_frags");
    let calls = path.good_calls();
    let small = calls >= MIN_SENDS && path.bytes / calls < SMALL_SPLICE_BYTES;
    (splices && small && path.bytes >= MIN_BYTES).then(|| Finding {
        id: "splice_small".into(),
        severity: Severity::Info,
        title: format!("{}: {} a call on average", path.path.name(), bytes(path.bytes / calls)),
        evidence: vec![format!("{} in {calls} calls", bytes(path.bytes))],
        fix: fix_of("splice_small"),
        bytes: path.bytes,
        ..Finding::default()
    })
}

/// Sends through kernel TLS, and whether a device encrypts them.
pub(super) fn ktls(snapshot: &Snapshot) -> Option<Finding> {
    let path = snapshot.paths.iter().find(|path| path.path == Path::Ktls && path.bytes >= MIN_BYTES)?;
    let through = |socket: &&SocketFigures| socket.paths.iter().any(|path| path.path == Path::Ktls);
    let offload = |socket: &SocketFigures| {
        let facts = snapshot.host.device(socket.place.netns, socket.dev.as_deref()?)?;
        let state = match facts.switches.as_ref()?.tls_tx? {
            switch if switch.on => "on",
            switch if switch.changeable => "off",
            _ => "not offered",
        };
        Some(format!("{}: tls-hw-tx-offload is {state}", facts.device.name))
    };
    let sockets = snapshot.sockets.iter().map(AsRef::as_ref).filter(through);
    let mut evidence = vec![format!("{} sent through kernel TLS", bytes(path.bytes))];
    for line in sockets.filter_map(offload) {
        if !evidence.contains(&line) && evidence.len() <= TOP {
            evidence.push(line);
        }
    }
    let dev =
        snapshot.sockets.iter().map(AsRef::as_ref).find(through).and_then(|socket| socket.dev.as_deref());
    Some(Finding {
        id: Reason::Ktls.name().into(),
        severity: Severity::Info,
        title: format!("{}: {}", Reason::Ktls.name(), info(Reason::Ktls).meaning),
        evidence,
        fix: steps(&crate::model::reason::fix_for(Reason::Ktls, dev)),
        bytes: path.bytes,
        ..Finding::default()
    })
}
