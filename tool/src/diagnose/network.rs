//! Findings from facts of the host: offloads that are off and who can turn them on, packet captures by name, peers on
//! this host, CPUs far from the device, DMA that bounces.

use std::collections::{BTreeMap, BTreeSet};

use zcscope_common::{Path, Reason};

use super::words::words;
use super::{About, Finding, Severity, requested, steps};
use crate::host::device::DeviceKind;
use crate::host::facts::{DeviceFacts, HostFacts, Switch};
use crate::host::taps::Tap;
use crate::model::reason::{fix_for, info};
use crate::model::snapshot::{PathFigures, Snapshot, SocketFigures};
use crate::units::bytes;

/// Less than this was asked for without a copy: not worth a line.
const MIN_BYTES: u64 = 1 << 20;
/// Rows named in one finding.
const TOP: usize = 3;

/// Paths of a socket that ask for no copy.
fn asking(socket: &SocketFigures) -> impl Iterator<Item = &PathFigures> {
    socket.paths.iter().filter(|path| !path.path.receives() && requested(path) > 0)
}

fn asked_bytes(socket: &SocketFigures) -> u64 {
    asking(socket).map(requested).sum()
}

/// Sockets that asked for so many bytes without a copy. All are looked at only where anybody has asked at all: of ten
/// thousand that is the most of what a rule costs.
fn askers(snapshot: &Snapshot, least: u64) -> impl Iterator<Item = &SocketFigures> {
    let asked = snapshot.paths.iter().any(|path| !path.path.receives() && requested(path) > 0);
    let sockets = if asked { snapshot.sockets.as_slice() } else { &[] };
    sockets.iter().map(AsRef::as_ref).filter(move |socket| asked_bytes(socket) >= least)
}

/// The same, of those whose application is told when the kernel is done.
fn told_askers(snapshot: &Snapshot, least: u64) -> impl Iterator<Item = &SocketFigures> {
    askers(snapshot, least).filter(|socket| asking(socket).any(|path| path.path.has_completion()))
}

/// Paths of these sockets that ask for no copy, each once.
fn paths_of<'a>(sockets: impl IntoIterator<Item = &'a SocketFigures>) -> Vec<Path> {
    let paths: BTreeSet<Path> = sockets.into_iter().flat_map(|s| asking(s).map(|path| path.path)).collect();
    paths.into_iter().collect()
}

/// What stands before a command that must run in another network namespace than zcscope's.
pub(super) fn inside(host: &HostFacts, netns: Option<u32>) -> String {
    match host.namespace(netns) {
        Some(_) if netns == host.own_netns => String::new(),
        Some(space) => match &space.name {
            Some(name) => format!("ip netns exec {name} "),
            None => format!("nsenter --net --target {} ", space.pid),
        },
        None => String::new(),
    }
}

/// What to do about a reason on a device, as far as the device allows it.
pub(super) fn fix_here(snapshot: &Snapshot, reason: Reason, dev: Option<&str>) -> Vec<String> {
    let general = steps(&fix_for(reason, dev));
    let Some((space, facts)) = dev.and_then(|dev| snapshot.host.only_device(dev)) else { return general };
    let Some(switches) = &facts.switches else { return general };
    let switch = match reason {
        Reason::NoScatterGather | Reason::RouteNoSg => switches.scatter_gather,
        Reason::NoTxChecksum => switches.tx_checksum,
        _ => None,
    };
    match switch {
        Some(switch) if !switch.on && !switch.changeable => vec![fixed(facts)],
        Some(_) => {
            let netns = snapshot.host.namespaces.iter().find(|(_, of)| std::ptr::eq(*of, space));
            let prefix = inside(&snapshot.host, netns.map(|(inode, _)| *inode));
            general.into_iter().map(|step| format!("{prefix}{step}")).collect()
        }
        None => general,
    }
}

/// The sentence where nobody on this host can turn it on.
fn fixed(facts: &DeviceFacts) -> String {
    let name = &facts.device.name;
    match facts.device.driver.as_deref() {
        Some("virtio_net") => format!(
            "the hypervisor does not offer it to {name}: turn it on there (QEMU: a network back end with vnet_hdr)"
        ),
        Some(driver) => {
            format!("the driver {driver} cannot turn it on for {name}: use another device or driver")
        }
        None => format!("{name} cannot turn it on: use another device"),
    }
}

/// Offloads that zero-copy needs and that are off, one finding per device.
pub(super) fn device_features(snapshot: &Snapshot) -> Vec<Finding> {
    let mut devices: BTreeMap<(u32, &str), Vec<&SocketFigures>> = BTreeMap::new();
    for socket in askers(snapshot, 1) {
        if let (Some(netns), Some(dev)) = (socket.place.netns, socket.dev.as_deref()) {
            devices.entry((netns, dev)).or_default().push(socket);
        }
    }
    let found = devices.into_iter().filter_map(|((netns, dev), sockets)| {
        device(&snapshot.host, netns, snapshot.host.device(Some(netns), dev)?, &sockets)
    });
    found.collect()
}

fn device(host: &HostFacts, netns: u32, facts: &DeviceFacts, sockets: &[&SocketFigures]) -> Option<Finding> {
    let switches = facts.switches.as_ref()?;
    if facts.device.kind == DeviceKind::Tun {
        // Whoever reads it decides what it takes; `tun_tap` says what that costs.
        return None;
    }
    let needed =
        [("checksums", "tx", switches.tx_checksum), ("scatter-gather", "sg", switches.scatter_gather)];
    let off: Vec<_> =
        needed.into_iter().filter_map(|(name, word, s)| Some((name, word, s.filter(|s| !s.on)?))).collect();
    let dev = &facts.device.name;
    let asked: u64 = sockets.iter().map(|socket| asked_bytes(socket)).sum();
    let words_off = off.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(" and ");
    if off.is_empty() || asked < MIN_BYTES {
        return None;
    }
    let prefix = inside(host, Some(netns));
    let mut evidence: Vec<String> = off.iter().map(|(name, _, switch)| standing(name, *switch)).collect();
    evidence.push(format!("{} asked for without a copy leave by {dev}", bytes(asked)));
    let on: Vec<String> =
        off.iter().filter(|(.., s)| s.changeable).map(|(_, word, _)| format!("{word} on")).collect();
    let mut fix = Vec::new();
    if off.iter().any(|(.., s)| s.changeable && !s.wanted) {
        fix.push(format!("{prefix}ethtool -K {dev} {} tso on", on.join(" ")));
    } else if !on.is_empty() {
        // It is asked for already: asking again changes nothing.
        fix.push(format!("{prefix}ip -d link show dev {dev}  # find what holds it off, and mend that"));
    }
    if off.iter().any(|(.., switch)| !switch.changeable) {
        fix.push(fixed(facts));
    }
    Some(Finding {
        id: "device_features".into(),
        severity: Severity::Warning,
        title: format!("{dev} has {words_off} off: what is sent over it without a copy is copied after all"),
        evidence,
        fix,
        bytes: asked,
        about: About {
            paths: paths_of(sockets.iter().copied()),
            devices: vec![dev.clone()],
            ..About::default()
        },
        ..Finding::default()
    })
}

/// Why an offload is off.
fn standing(name: &str, switch: Switch) -> String {
    match switch {
        Switch { wanted: true, .. } => {
            format!(
                "{name}: off [requested on]: something else holds it off (scatter-gather needs checksums, XDP, a lower device)"
            )
        }
        Switch { changeable: true, .. } => format!("{name}: off; whoever has CAP_NET_ADMIN can turn it on"),
        _ => format!("{name}: off [fixed]: the driver does not offer it"),
    }
}

/// Packet captures that see what zero-copy sockets send, by the processes that hold them.
pub(super) fn sniffer(snapshot: &Snapshot) -> Option<Finding> {
    let taps: Vec<&Tap> = snapshot.host.taps.iter().flatten().filter(|tap| tap.sees_sent()).collect();
    if taps.is_empty() {
        return None;
    }
    // A tap where the packets arrive makes a copy of its own, in another namespace of this host.
    let copied = |reason: Reason| {
        snapshot.paths.iter().flat_map(|path| &path.copies).any(|copy| copy.kind.reason == reason)
    };
    let arriving = copied(Reason::PacketTapRx);
    let seen: Vec<(&Tap, &SocketFigures)> = told_askers(snapshot, MIN_BYTES)
        .flat_map(|socket| taps.iter().map(move |tap| (*tap, socket)))
        .filter(|(tap, socket)| arriving || sees(&snapshot.host, tap, socket))
        .collect();
    let (first, _) = seen.first()?;
    let mut named: Vec<&Tap> = Vec::new();
    seen.iter().for_each(|(tap, _)| {
        if !named.contains(tap) {
            named.push(tap);
        }
    });
    let certain = arriving || copied(Reason::PacketTap);
    if !certain && snapshot.session.knows("copy") {
        // It lets what is sent pass (PACKET_IGNORE_OUTGOING), or it would have got a copy.
        return None;
    }
    let what = if certain {
        "each zero-copy packet is copied for it"
    } else {
        "it may make the kernel copy each zero-copy packet"
    };
    let mut fix: Vec<String> = named.iter().take(TOP).flat_map(|tap| &tap.holders).map(stop).collect();
    fix.dedup();
    fix.push("or let it set PACKET_IGNORE_OUTGOING, or sample with XDP or traffic control instead".into());
    Some(Finding {
        id: "sniffer".into(),
        severity: if certain { Severity::Warning } else { Severity::Info },
        title: format!("{} captures packets where zero-copy is sent: {what}", holder(first)),
        evidence: named.iter().take(TOP).map(|tap| tap_line(&snapshot.host, tap)).collect(),
        fix,
        about: About { paths: paths_of(seen.iter().map(|(_, socket)| *socket)), ..About::default() },
        ..Finding::default()
    })
}

/// Whether a tap is in the socket's namespace and on its device.
fn sees(host: &HostFacts, tap: &Tap, socket: &SocketFigures) -> bool {
    let index = socket
        .dev
        .as_deref()
        .and_then(|dev| host.device(socket.place.netns, dev))
        .map(|facts| facts.device.index);
    socket.place.netns.is_some_and(|netns| u64::from(netns) == tap.netns)
        && (tap.device.is_none() || index.is_none() || tap.device == index)
}

fn holder(tap: &Tap) -> String {
    tap.holders.first().map_or_else(|| "a program".to_owned(), |who| format!("{} ({})", who.comm, who.pid))
}

fn stop(who: &crate::host::taps::Holder) -> String {
    format!("kill {}  # stops {}: look first whose it is", who.pid, who.comm)
}

fn tap_line(host: &HostFacts, tap: &Tap) -> String {
    let device = match tap.device {
        None => "all devices".to_owned(),
        Some(index) => {
            let spaces = host.namespaces.iter().filter(|(inode, _)| u64::from(**inode) == tap.netns);
            let mut devices = spaces.flat_map(|(_, space)| space.devices.values());
            let name = devices.find(|facts| facts.device.index == index);
            name.map_or_else(|| format!("device {index}"), |facts| facts.device.name.clone())
        }
    };
    format!("{} listens on {device} of network namespace net:[{}]", holder(tap), tap.netns)
}

/// Zero-copy towards a peer on this host.
pub(super) fn local_peer(snapshot: &Snapshot) -> Option<Finding> {
    let mut rows: Vec<(&SocketFigures, String)> = told_askers(snapshot, MIN_BYTES)
        .filter_map(|socket| Some((socket, where_is(&snapshot.host, socket)?)))
        .collect();
    rows.sort_by_key(|(socket, _)| (std::cmp::Reverse(asked_bytes(socket)), socket.id));
    let row = |(socket, place): &(&SocketFigures, String)| {
        format!(
            "{} {}: {} is {place}, {} sent to it",
            socket.pid,
            socket.comm,
            socket.remote,
            bytes(asked_bytes(socket))
        )
    };
    let (first, _) = rows.first()?;
    let paths = paths_of(rows.iter().map(|(socket, _)| *socket));
    let words = words("local_peer");
    Some(Finding {
        id: "local_peer".into(),
        severity: Severity::Info,
        title: match rows.len() {
            1 => format!(
                "the peer {} is on this host: the kernel copies before it may see the pages",
                first.remote
            ),
            n => format!("{n} peers are on this host: the kernel copies before they may see the pages"),
        },
        evidence: rows.iter().take(TOP).map(row).collect(),
        fix: steps(words.map_or("", |words| words.fix)),
        bytes: rows.iter().map(|(socket, _)| asked_bytes(socket)).sum(),
        // The device a copy is charged to is the one the packet arrives at, which has another name.
        about: About { paths, ..About::default() },
        ..Finding::default()
    })
}

/// Where on this host the peer is; `None` when it is not, as far as is known.
pub(super) fn where_is(host: &HostFacts, socket: &SocketFigures) -> Option<String> {
    let ip = socket.remote.ip().to_canonical();
    let own = host.namespace(socket.place.netns);
    if ip.is_loopback() || own.is_some_and(|space| space.addresses.contains(&ip)) {
        return Some("in the same network namespace".into());
    }
    // An address that several namespaces have says nothing; an own one was found above.
    let mut others = host.namespaces.iter().filter(|(_, space)| space.addresses.contains(&ip));
    let (inode, space) = others.next()?;
    let name = space.name.clone().unwrap_or_else(|| format!("net:[{inode}]"));
    others.next().is_none().then(|| format!("in network namespace {name} of this host"))
}

/// Senders that may not run on any CPU of the node their device is attached to.
pub(super) fn wrong_node(snapshot: &Snapshot) -> Option<Finding> {
    let host = &snapshot.host;
    if host.machine.nodes.len() < 2 {
        return None;
    }
    let far = |socket: &SocketFigures| {
        let facts = host.device(socket.place.netns, socket.dev.as_deref()?)?;
        let node = host.machine.nodes.iter().find(|node| Some(node.node) == facts.numa_node)?;
        let cpus = host.cpus.get(&socket.pid).filter(|cpus| !cpus.is_empty())?;
        let near = cpus.iter().any(|cpu| node.cpus.contains(cpu));
        (!near).then(|| (socket.pid, socket.comm.clone(), facts.device.name.clone(), node.node))
    };
    let rows: BTreeSet<_> = askers(snapshot, MIN_BYTES).filter_map(far).collect();
    let (pid, comm, dev, node) = rows.first()?;
    let row = |(pid, comm, dev, node): &(u32, String, String, u32)| {
        format!("{pid} {comm}: none of its CPUs is on node {node}, where {dev} is")
    };
    Some(Finding {
        id: "wrong_node".into(),
        severity: Severity::Info,
        title: format!(
            "{comm} ({pid}) may not run on the NUMA node of {dev}: every page crosses between nodes"
        ),
        evidence: rows.iter().take(TOP).map(row).collect(),
        fix: vec![format!(
            "numactl --cpunodebind={node} --membind={node} CMD  # start it on the node of {dev}"
        )],
        ..Finding::default()
    })
}

/// DMA that cannot reach the pages, known by its cause.
pub(super) fn bounce_cause(snapshot: &Snapshot) -> Option<Finding> {
    let machine = &snapshot.host.machine;
    let why = match (&machine.encrypted_by, machine.swiotlb_forced) {
        (Some(name), _) => {
            format!("this guest's memory is encrypted ({name}), so devices reach it through bounce buffers")
        }
        (None, true) => "swiotlb=force stands on the kernel command line".to_owned(),
        (None, false) => return None,
    };
    let real = |socket: &SocketFigures| {
        let facts = snapshot.host.device(socket.place.netns, socket.dev.as_deref()?)?;
        (facts.device.kind == DeviceKind::Physical).then(|| facts.device.name.clone())
    };
    let senders: Vec<_> =
        askers(snapshot, MIN_BYTES).filter_map(|socket| Some((socket, real(socket)?))).collect();
    let asked: u64 = senders.iter().map(|(socket, _)| asked_bytes(socket)).sum();
    let devices: BTreeSet<String> = senders.iter().map(|(_, dev)| dev.clone()).collect();
    let shown = devices.iter().take(TOP).cloned().collect::<Vec<_>>().join(", ");
    (!senders.is_empty()).then(|| Finding {
        id: Reason::DmaBounce.name().into(),
        severity: Severity::Info,
        title: format!("{shown}: what goes out is likely copied once more into bounce buffers for DMA"),
        evidence: vec![
            why,
            format!("{} asked for without a copy; bounces cannot be counted per packet", bytes(asked)),
        ],
        fix: steps(info(Reason::DmaBounce).fix),
        bytes: asked,
        about: About {
            paths: paths_of(senders.iter().map(|(socket, _)| *socket)),
            devices: devices.into_iter().collect(),
            ..About::default()
        },
        ..Finding::default()
    })
}
