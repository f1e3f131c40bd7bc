//! Devices the traffic leaves by, with the offloads that decide whether bytes are copied; and packet captures.

use super::super::Scene;
use super::section::Section;
use crate::diagnose::Severity;
use crate::host::device::DeviceKind;
use crate::host::facts::{DeviceFacts, NamespaceFacts, Switch};
use crate::host::taps::Tap;
use crate::units::UNKNOWN;

/// Devices.
pub(super) fn devices(scene: Scene<'_>, width: usize) -> Section {
    let host = &scene.snapshot.host;
    let mut section = Section::new(scene.theme, width, "Devices", "of the connections that send most".into());
    for (inode, space) in &host.namespaces {
        for facts in space.devices.values() {
            device(&mut section, &namespace(*inode, space, host.own_netns), facts);
        }
    }
    if section.lines.is_empty() {
        section.dim(UNKNOWN, "read a few seconds after the first connection has sent");
    }
    section
}

/// How a network namespace is called.
pub(super) fn namespace(inode: u32, space: &NamespaceFacts, own: Option<u32>) -> String {
    match &space.name {
        Some(name) => format!("netns {name}"),
        None if own == Some(inode) => "here".into(),
        None => format!("net:[{inode}]"),
    }
}

fn device(section: &mut Section, place: &str, facts: &DeviceFacts) {
    let device = &facts.device;
    let state = match (device.up, device.running) {
        (false, _) => "down",
        (true, false) => "up, no carrier",
        (true, true) => "up",
    };
    let node = facts.numa_node.map_or_else(String::new, |node| format!(", NUMA node {node}"));
    let driver = device.driver.as_deref().unwrap_or(UNKNOWN);
    section.put(
        &device.name,
        &format!("{place}: {}, driver {driver}, MTU {}, {state}{node}", kind(device.kind), device.mtu),
    );
    let switches = facts.switches.clone().unwrap_or_default();
    let features = device.features;
    let rows = [
        ("scatter-gather", "sg", switches.scatter_gather, features.scatter_gather, true),
        ("checksums", "tx", switches.tx_checksum, features.tx_checksum, true),
        ("TSO", "tso", switches.tso, features.tso, false),
        ("TLS offload", "tls-hw-tx-offload", switches.tls_tx, None, false),
    ];
    for (name, word, switch, plain, needed) in rows {
        offload(section, &device.name, (name, word), switch, plain, needed);
    }
    section.dim(
        "  header split",
        &format!("{UNKNOWN}: not read here; ethtool -g {} shows tcp-data-split", device.name),
    );
}

const fn kind(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Loopback => "loopback, always copies",
        DeviceKind::Veth => "veth, copies on delivery on this host",
        DeviceKind::Tun => "tun or tap, read by a program",
        DeviceKind::Physical => "device on a bus",
        DeviceKind::Virtual => "virtual, what lies below decides",
    }
}

/// One offload: on or off, and who can switch it.
fn offload(
    section: &mut Section,
    dev: &str,
    (name, word): (&str, &str),
    switch: Option<Switch>,
    plain: Option<bool>,
    needed: bool,
) {
    let name = format!("  {name}");
    let Some(on) = switch.map(|switch| switch.on).or(plain) else {
        return section.dim(&name, &format!("{UNKNOWN}: the driver does not say"));
    };
    let text = match (on, switch) {
        (true, Some(Switch { changeable: false, .. })) => "on [fixed]".to_owned(),
        (true, _) => "on".to_owned(),
        (false, None) => "off; whether it can be switched is not known".to_owned(),
        (false, Some(Switch { wanted: true, .. })) => {
            "off [requested on]: something else holds it off (checksums, XDP, a lower device)".to_owned()
        }
        (false, Some(Switch { changeable: true, .. })) => {
            format!("off; can be switched: ethtool -K {dev} {word} on")
        }
        (false, Some(_)) => "off [fixed]: the driver or the hypervisor does not offer it".to_owned(),
    };
    if needed && !on { section.warn(Severity::Warning, &name, &text) } else { section.put(&name, &text) }
}

/// Packet captures and who holds them.
pub(super) fn taps(scene: Scene<'_>, width: usize) -> Section {
    let mut section =
        Section::new(scene.theme, width, "Packet taps", "captures make the kernel copy what they see".into());
    match &scene.snapshot.host.taps {
        None => section.dim(UNKNOWN, "read a few seconds after the first connection has sent"),
        Some(taps) if taps.is_empty() => section.put("none", "no packet socket is open on this host"),
        Some(taps) => taps.iter().for_each(|of| tap(&mut section, scene, of)),
    }
    section
}

fn tap(section: &mut Section, scene: Scene<'_>, tap: &Tap) {
    let who = match tap.holders.as_slice() {
        [] => "holder not visible".to_owned(),
        [one] => format!("{} ({})", one.comm, one.pid),
        [first, rest @ ..] => format!("{} ({}) and {} more", first.comm, first.pid, rest.len()),
    };
    let space = scene.snapshot.host.namespaces.iter().find(|(inode, _)| u64::from(**inode) == tap.netns);
    let dev = tap.device.map_or_else(
        || "all devices".to_owned(),
        |index| {
            let named =
                space.and_then(|(_, space)| space.devices.values().find(|of| of.device.index == index));
            named.map_or_else(|| format!("device {index}"), |of| of.device.name.clone())
        },
    );
    let place = space.map_or_else(
        || format!("net:[{}]", tap.netns),
        |(inode, space)| namespace(*inode, space, scene.snapshot.host.own_netns),
    );
    let concerned = space.is_some();
    let text = format!("{dev}, {place}");
    if !tap.sees_sent() {
        section.dim(&who, &format!("{text}: protocol {:#06x}, sees nothing that is sent", tap.protocol));
    } else if concerned {
        section.warn(
            Severity::Warning,
            &who,
            &format!("{text}: what is sent there without a copy is copied for it"),
        );
    } else {
        section.put(&who, &format!("{text}: no traffic shown here passes it"));
    }
}
