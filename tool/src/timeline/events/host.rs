//! Events of the host: packet captures that come and go, offloads that are switched, connections that send again.

use super::{Event, EventKind, event};
use crate::diagnose::Severity;
use crate::host::facts::{DeviceFacts, HostFacts, Switch};
use crate::host::taps::Tap;
use crate::model::snapshot::Snapshot;
use crate::units::{bytes, percent};

/// Captures that see what is sent, opened or closed since. Without an earlier reading none is new.
pub(super) fn taps(before: &Snapshot, after: &Snapshot) -> Vec<Event> {
    let (Some(old), Some(new)) = (&before.host.taps, &after.host.taps) else { return Vec::new() };
    let opened = more(new, old).into_iter().map(|tap| {
        let text = format!("{}: zero-copy sends are copied for it while it listens", named(tap, &after.host));
        event(EventKind::TapOpened, Severity::Warning, "sniffer", text)
    });
    let closed = more(old, new).into_iter().map(|tap| {
        event(EventKind::TapClosed, Severity::Info, "sniffer", format!("gone: {}", named(tap, &before.host)))
    });
    opened.chain(closed).collect()
}

/// Taps of the first list beyond those of the second. Holders are not compared: a process that cannot be looked at
/// for a moment has not closed its tap.
fn more<'a>(taps: &'a [Tap], others: &[Tap]) -> Vec<&'a Tap> {
    let place = |tap: &Tap| (tap.netns, tap.device);
    let mut left: Vec<_> = others.iter().filter(|tap| tap.sees_sent()).map(place).collect();
    let mut found = Vec::new();
    for tap in taps.iter().filter(|tap| tap.sees_sent()) {
        match left.iter().position(|other| *other == place(tap)) {
            Some(at) => drop(left.swap_remove(at)),
            None => found.push(tap),
        }
    }
    found
}

fn named(tap: &Tap, host: &HostFacts) -> String {
    let who = tap.holders.first().map_or_else(
        || "a program that cannot be seen".to_owned(),
        |who| format!("{} ({})", who.comm, who.pid),
    );
    let space = host.namespaces.iter().find(|(inode, _)| u64::from(**inode) == tap.netns);
    let device = match tap.device {
        None => "all devices".to_owned(),
        Some(index) => space
            .and_then(|(_, space)| space.devices.values().find(|facts| facts.device.index == index))
            .map_or_else(|| format!("device {index}"), |facts| facts.device.name.clone()),
    };
    format!("{who} captures packets on {device} of net:[{}]", tap.netns)
}

/// The offloads that zero-copy rests on.
fn switches(facts: &DeviceFacts) -> [(&'static str, Option<bool>); 4] {
    let features = facts.device.features;
    let on = |switch: fn(&crate::host::facts::Switches) -> Option<Switch>, plain: Option<bool>| {
        facts.switches.as_ref().and_then(switch).map(|switch| switch.on).or(plain)
    };
    [
        ("scatter-gather", on(|s| s.scatter_gather, features.scatter_gather)),
        ("checksums", on(|s| s.tx_checksum, features.tx_checksum)),
        ("TSO", on(|s| s.tso, features.tso)),
        ("TLS offload", on(|s| s.tls_tx, None)),
    ]
}

/// Offloads that are switched otherwise than before.
pub(super) fn features(before: &Snapshot, after: &Snapshot) -> Vec<Event> {
    let mut events = Vec::new();
    for (inode, space) in &after.host.namespaces {
        for (dev, now) in &space.devices {
            let Some(old) = before.host.device(Some(*inode), dev) else { continue };
            if old == now || old.device.index != now.device.index {
                continue;
            }
            let pairs = switches(old).into_iter().zip(switches(now));
            events.extend(pairs.filter_map(|((name, old), (_, now))| switched(dev, name, old?, now?)));
        }
    }
    events
}

fn switched(dev: &str, name: &str, old: bool, now: bool) -> Option<Event> {
    let (severity, word) =
        if now { (Severity::Info, "on") } else { (Severity::Warning, "off: bytes may be copied") };
    let text = format!("{dev}: {name} was switched {word}");
    (old != now).then(|| event(EventKind::Feature, severity, "device_features", text))
}

/// Connections that sent bytes again since the last reading, of those that are looked at.
pub(super) fn resent(before: &Snapshot, after: &Snapshot) -> Vec<Event> {
    let grown = after.host.sockets.iter().filter_map(|(id, now)| {
        let old = before.host.sockets.get(id)?;
        let again = now.resent_bytes.saturating_sub(old.resent_bytes);
        let sent = now.sent_bytes.saturating_sub(old.sent_bytes);
        (again > 0).then_some((*id, again, sent))
    });
    let grown: Vec<(u64, u64, u64)> = grown.collect();
    let [(first, ..), ..] = grown.as_slice() else { return Vec::new() };
    let (again, sent) = grown.iter().fold((0, 0), |(again, sent), of| (again + of.1, sent + of.2));
    let socket = (grown.len() == 1).then_some(*first);
    let who = socket.and_then(|id| after.sockets.iter().find(|of| of.id == id)).map_or_else(
        || format!("{} connections", grown.len()),
        |of| format!("{} ({}) {} > {}", of.comm, of.pid, of.local, of.remote),
    );
    let text = format!(
        "{who}: {} sent again, {} of what was sent; buffers are held until it arrives",
        bytes(again),
        percent(again, sent)
    );
    let line = event(EventKind::Resent, Severity::Info, "swept_retransmit", text);
    vec![Event { socket, count: grown.len() as u64, ..line }]
}
