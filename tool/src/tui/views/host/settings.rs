//! Settings against what zero-copy needs, the connections that were looked at, and the machine.

use super::super::Scene;
use super::devices::namespace;
use super::section::Section;
use crate::diagnose::Severity;
use crate::host::facts::TcpFacts;
use crate::units::{UNKNOWN, bytes, count, duration, percent, rate};

/// An unread notification charges about so much option memory.
const NOTIFICATION_BYTES: u64 = 1_024;
/// Below this, a socket has room for few sends in flight: the kernel's own default since Linux 6.7.
const OPTMEM_ENOUGH: u64 = 131_072;
/// What the advice is.
const OPTMEM_ADVICE: u64 = 1_048_576;
/// Connections listed.
const LISTED: usize = 8;

/// Settings per network namespace.
pub(super) fn settings(scene: Scene<'_>, width: usize) -> Section {
    let host = &scene.snapshot.host;
    let mut section = Section::new(scene.theme, width, "Settings", "against what zero-copy needs".into());
    for (inode, space) in &host.namespaces {
        let place = namespace(*inode, space, host.own_netns);
        match space.optmem_max {
            None => {
                section
                    .dim("optmem_max", &format!("{place}: {UNKNOWN}, of the whole machine on this kernel"));
            }
            Some(max) => optmem(&mut section, &place, max),
        }
        if let Some(control) = &space.congestion_control {
            let paces = if control == "bbr" { ": paces, so rates compare pacing, not copying" } else { "" };
            section.put("tcp_congestion", &format!("{place}: {control}{paces}"));
        }
    }
    if section.lines.is_empty() {
        section.dim(UNKNOWN, "read a few seconds after the first connection has sent");
    }
    section
}

fn optmem(section: &mut Section, place: &str, max: u64) {
    let room = count(max / NOTIFICATION_BYTES);
    let text = format!("{place}: {}, room for about {room} unread notifications a socket", bytes(max));
    if max < OPTMEM_ENOUGH {
        let advice = format!("{text}; advice: sysctl -w net.core.optmem_max={OPTMEM_ADVICE}");
        section.warn(Severity::Warning, "optmem_max", &advice);
    } else {
        section.put("optmem_max", &text);
    }
}

/// What the kernel says of single connections: upper layers, pacing, what was sent again.
pub(super) fn connections(scene: Scene<'_>, width: usize) -> Section {
    let host = &scene.snapshot.host;
    let tls = host.sockets.values().filter(|of| of.upper_layer.as_deref() == Some("tls")).count();
    let title = format!("looked at: {}, with kernel TLS: {tls}", host.sockets.len());
    let mut section = Section::new(scene.theme, width, "Connections", title);
    let known = scene.snapshot.sockets.iter().filter_map(|of| Some((of, host.sockets.get(&of.id)?)));
    for (socket, facts) in known.take(LISTED) {
        section.put(&format!("{} ({})", socket.comm, socket.pid), &connection(facts));
    }
    if host.sockets.len() > LISTED {
        section.dim("", &format!("and {} more", host.sockets.len() - LISTED));
    }
    if host.sockets.is_empty() {
        section.dim(UNKNOWN, "read a few seconds after the first connection has sent");
    }
    let uring = scene.snapshot.session.sources.get("uring_completion");
    let uring = uring.map_or_else(
        || "notifications not seen: its tracepoints are missing".to_owned(),
        |source| format!("notifications seen by {source}"),
    );
    section.put("io_uring", &uring);
    section
}

fn connection(facts: &TcpFacts) -> String {
    let mut parts = vec![facts.congestion_control.clone().unwrap_or_else(|| format!("control {UNKNOWN}"))];
    parts.extend(facts.upper_layer.as_ref().map(|layer| match layer.as_str() {
        "tls" => "kernel TLS".to_owned(),
        other => format!("upper layer {other}"),
    }));
    // The kernel has a 0 for what it has not measured yet.
    let measured = |n: u64, text: String| if n > 0 { text } else { UNKNOWN.to_owned() };
    let delivers = facts.delivery_bytes_per_s;
    parts.push(format!("delivers {}", measured(delivers, rate(delivers))));
    parts.extend(facts.pacing_bytes_per_s.map(|pace| format!("paced to {}", rate(pace))));
    let trip = u64::from(facts.min_rtt_us) * 1_000;
    parts.push(format!("least round trip {}", measured(trip, duration(trip))));
    if facts.resent_bytes > 0 {
        let share = percent(facts.resent_bytes, facts.sent_bytes);
        parts.push(format!("{} sent again ({share})", bytes(facts.resent_bytes)));
    }
    parts.join(", ")
}

/// NUMA nodes, and what makes DMA bounce.
pub(super) fn machine(scene: Scene<'_>, width: usize) -> Section {
    let machine = &scene.snapshot.host.machine;
    let mut section = Section::new(scene.theme, width, "Machine", String::new());
    match machine.nodes.as_slice() {
        [] => section.dim("NUMA nodes", UNKNOWN),
        nodes => {
            let node =
                |of: &crate::host::facts::NumaNode| format!("node {}: {} CPUs", of.node, of.cpus.len());
            section.put("NUMA nodes", &nodes.iter().map(node).collect::<Vec<_>>().join(", "));
        }
    }
    if machine.swiotlb_forced {
        let text = "swiotlb=force: every transmission is copied into bounce buffers";
        section.warn(Severity::Critical, "DMA", text);
    }
    if let Some(by) = &machine.encrypted_by {
        let text = format!("encrypted by {by}: devices that are not trusted copy into bounce buffers");
        section.warn(Severity::Warning, "memory", &text);
    }
    match &scene.snapshot.bounces {
        None => section.dim("bounced", &format!("{UNKNOWN} ({})", why(scene))),
        Some(none) if none.is_empty() => section.put("bounced", "nothing while packets were transmitted"),
        Some(devices) => {
            for of in devices {
                let text = format!("{}: {} in {} mappings", of.device, bytes(of.bytes), count(of.count));
                section.warn(Severity::Warning, "bounced", &text);
            }
        }
    }
    section
}

fn why(scene: Scene<'_>) -> String {
    let missing = scene.snapshot.session.missing.iter().find(|missing| missing.fact == "dma_bounce");
    missing.map_or_else(|| "not watched".into(), |missing| missing.why.clone())
}
