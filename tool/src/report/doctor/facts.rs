//! What is so: tracing, host, devices on the way.

use super::heading;
use crate::doctor::document::{Device, Document, Fact, Route, Tracing};
use crate::host::device::DeviceKind;
use crate::host::facts::Switch;
use crate::report::table::wrap;
use crate::units::bytes;

/// What zcscope can see on this kernel.
pub(super) fn tracing(tracing: &Tracing) -> Vec<String> {
    let mut lines = heading("What zcscope can see on this kernel");
    if let Some(why) = &tracing.why_not {
        lines.extend(wrap(&format!("nothing: {why}"), "  ", "  "));
        return lines;
    }
    let known: Vec<&Fact> = tracing.facts.iter().filter(|fact| fact.source.is_some()).collect();
    let sum = format!(
        "{} {}, by {}; its maps take {} of kernel memory while it traces",
        known.len(),
        if known.len() == 1 { "fact" } else { "facts" },
        tracing.backend.as_deref().unwrap_or("?"),
        tracing.map_bytes.map_or_else(|| "?".into(), bytes)
    );
    lines.extend(wrap(&sum, "  ", "    "));
    lines.extend(refusals(tracing).into_iter().flat_map(|(backend, why)| {
        wrap(&format!("{backend} is not used for all of them: {why}"), "  ", "    ")
    }));
    let missing =
        tracing.facts.iter().filter_map(|fact| Some((own_reason(fact.why_not.as_ref()?), &fact.fact)));
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for (why, fact) in missing {
        match groups.iter_mut().find(|(other, _)| *other == why) {
            Some((_, facts)) => facts.push(fact),
            None => groups.push((why, vec![fact])),
        }
    }
    for (why, facts) in groups {
        lines.extend(wrap(&format!("not known: {}: {why}", facts.join(", ")), "  ", "    "));
    }
    lines
}

/// The first refusal of each better back end: the others say the same of other functions.
fn refusals(tracing: &Tracing) -> Vec<(&str, &str)> {
    let mut first: Vec<(&str, &str)> = Vec::new();
    for refusal in tracing.facts.iter().flat_map(|fact: &Fact| &fact.refused) {
        if first.iter().all(|(backend, _)| *backend != refusal.backend) {
            first.push((&refusal.backend, &refusal.why));
        }
    }
    first
}

/// Why a fact is missing, without what every missing fact says: which back ends the kernel refused.
fn own_reason(why: &str) -> String {
    let common = |part: &&str| {
        part.contains(" was refused (") || part.contains("has no kprobes") || part.ends_with("needed")
    };
    let parts: Vec<&str> = why.split("; ").filter(|part| !common(part)).collect();
    if parts.is_empty() { why.to_owned() } else { parts.join("; ") }
}

/// What holds for every route.
pub(super) fn host(document: &Document) -> Vec<String> {
    let mut lines = heading("This host");
    let uring = &document.io_uring;
    let requests = match &uring.why_not {
        Some(why) => format!("no: {why}"),
        None => format!("{}{}", uring.requests.join(" "), if uring.bundles { ", bundles" } else { "" }),
    };
    let mut row =
        |name: &str, value: &str| lines.extend(wrap(value, &format!("  {name:<14}"), &" ".repeat(16)));
    row("io_uring", &requests);
    row("kernel TLS", if document.tls { "yes" } else { "not loaded" });
    row(
        "device memory",
        match (document.devmem.receive, document.devmem.send) {
            (true, true) => "can be bound to receive into and to send from, where the driver can",
            (true, false) => "can be bound to receive into, where the driver can",
            _ => "cannot be bound on this kernel",
        },
    );
    let machine = &document.machine;
    if let Some(how) = &machine.encrypted_by {
        row("DMA", &format!("bounced: {how} keeps this guest's memory from its devices"));
    }
    if machine.swiotlb_forced {
        row("DMA", "bounced: swiotlb=force is on the kernel's command line");
    }
    if let Some(process) = &document.process {
        let limit = |limit: Option<u64>| limit.map_or_else(|| "unlimited".into(), bytes);
        let locked = if process.cap_ipc_lock { "not counted".into() } else { limit(process.memlock_bytes) };
        let files = process.open_files.map_or_else(|| "unlimited".into(), |files| files.to_string());
        let value = format!("{} ({}): locked memory {locked}, open files {files}", process.comm, process.pid);
        row("process", &value);
    }
    for setting in &document.settings {
        let name = setting.name.rsplit('.').next().unwrap_or(&setting.name);
        if ["optmem_max", "tcp_wmem", "tcp_congestion_control", "io_uring_disabled"].contains(&name) {
            lines.push(format!("  {} = {}", setting.name, setting.value));
        }
    }
    lines.extend(taps(document));
    lines
}

fn taps(document: &Document) -> Vec<String> {
    let Some(taps) = &document.taps else {
        return vec!["  packet taps   n/a: cannot be seen by this user".into()];
    };
    let listening: Vec<_> = taps.iter().filter(|tap| tap.sees_sent).collect();
    if listening.is_empty() {
        return vec!["  packet taps   none".into()];
    }
    let line = |tap: &&crate::doctor::document::Tap| {
        let who = if tap.holders.is_empty() {
            "a program that cannot be seen".into()
        } else {
            tap.holders.join(", ")
        };
        let on = tap.ifindex.map_or_else(|| "all devices".into(), |index| format!("device {index}"));
        let space = tap.netns_name.clone().unwrap_or_else(|| tap.netns.to_string());
        wrap(&format!("{who} on {on} of network namespace {space}"), "  packet tap    ", &" ".repeat(16))
    };
    listening.iter().flat_map(line).collect()
}

/// The devices of a route.
pub(super) fn route(route: &Route) -> Vec<String> {
    let mut lines = heading(&format!("The way {}", route.name));
    if let Some(why) = &route.why_not {
        lines.extend(wrap(why, "  ", "  "));
        return lines;
    }
    lines.extend(route.gateway.as_ref().map(|gateway| format!("  next hop {gateway}")));
    lines.extend(route.devices.iter().flat_map(|device| self::device(device, "through")));
    lines.extend(route.arrival.iter().flat_map(|device| self::device(device, "arrives at")));
    if let Some(space) = &route.receiver_netns {
        lines.extend(wrap(&format!("received on this host, in the network namespace {space}"), "  ", "    "));
    }
    lines
}

fn device(device: &Device, what: &str) -> Vec<String> {
    let driver = device.driver.as_deref().map_or_else(String::new, |driver| format!(" ({driver})"));
    let mut text = format!("{what} {}{driver}: MTU {}", device.name, device.mtu);
    if !device.running {
        text.push_str(", DOWN or without carrier");
    }
    for (name, switch) in
        [("scatter-gather", device.scatter_gather), ("tx checksum", device.tx_checksum), ("TSO", device.tso)]
    {
        text.push_str(&format!(", {name} {}", switched(switch)));
    }
    let adapter = device.adapter;
    let queues = [
        (adapter.combined_queues, "queues"),
        (adapter.rx_queues, "rx queues"),
        (adapter.tx_queues, "tx queues"),
    ];
    for (number, name) in queues {
        text.push_str(&number.map_or_else(String::new, |number| format!(", {number} {name}")));
    }
    if device.kind == DeviceKind::Physical {
        let split = adapter.header_split.map_or("unknown to the driver", |on| if on { "on" } else { "off" });
        text.push_str(&format!(", header split {split}"));
    }
    if let Some(xdp) = &device.xdp {
        text.push_str(&format!(", {xdp} XDP program"));
    }
    wrap(&text, "  ", "    ")
}

fn switched(switch: Option<Switch>) -> &'static str {
    match switch {
        None => "n/a",
        Some(Switch { on: true, .. }) => "on",
        Some(Switch { changeable: true, .. }) => "OFF",
        Some(_) => "OFF (fixed)",
    }
}
