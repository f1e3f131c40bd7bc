//! Collects the facts: of the machine and the process, and of a route in the calling thread's network namespace.

use std::collections::BTreeMap;
use std::net::IpAddr;

use zcscope_common::Path;

use super::super::Failure;
use super::Args;
use crate::doctor::document::{Document, Machine, Receiver, Route, SCHEMA, Tap};
use crate::doctor::{self, document};
use crate::host::journey::{self, Hop, Journey};
use crate::host::netns::names;
use crate::host::{adapter, facts, identity, limits, process, route, sysctl, taps, uring};

/// First release that copies packets of user pages when they are delivered, and no longer when they leave a veth pair
/// to be routed on. Nothing of it can be asked for.
const COPIES_ON_DELIVERY: (u32, u32) = (6, 17);

/// The document with everything that no route decides.
///
/// # Errors
/// [`Failure::Usage`]: there is no such process.
pub(super) fn frame(args: &Args) -> Result<Document, Failure> {
    let pid = args.pid.unwrap_or_else(std::process::id);
    let process = process::limits_of(pid).map_err(|error| {
        Failure::Usage(format!(
            "process {pid} cannot be looked at ({error}); is it running, and are you root?"
        ))
    })?;
    let identity = identity::identity();
    let (machine, io_uring) = (facts::machine(), uring::Uring::read());
    let copies_forwarded = release(&identity.kernel).is_some_and(|release| release < COPIES_ON_DELIVERY);
    let mut document = Document {
        schema: SCHEMA.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        host: identity.host,
        kernel: identity.kernel,
        machine: Machine {
            encrypted_by: machine.encrypted_by,
            swiotlb_forced: machine.swiotlb_forced,
            page_bytes: limits::page_bytes(),
            copies_forwarded,
        },
        process: Some(process),
        io_uring,
        devmem: adapter::binding(),
        settings: sysctl::settings(),
        ..Document::default()
    };
    document.tls = has_tls(&document);
    document.unavailable = unavailable(&document);
    document.taps = taps::taps().ok().map(|taps| taps.iter().map(tap).collect());
    Ok(document)
}

/// Major and minor number of a release such as `6.12.117-cloud`.
fn release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// What the kernel has now. Asking for TLS on a socket would load the module.
fn has_tls(document: &Document) -> bool {
    let ulps = document.settings.iter().find(|setting| setting.name == "net.ipv4.tcp_available_ulp");
    ulps.is_some_and(|setting| setting.value.split(' ').any(|ulp| ulp == "tls"))
}

/// Paths this kernel or process does not have, with the reason.
fn unavailable(document: &Document) -> BTreeMap<String, String> {
    let mut missing = BTreeMap::new();
    let mut lacks = |path: Path, why: String| drop(missing.insert(path.name().to_owned(), why));
    let uring = &document.io_uring;
    for (path, request, since) in [
        (Path::UringSend, "send", "5.6"),
        (Path::UringRecv, "recv", "5.6"),
        (Path::UringSendZc, "send_zc", "6.0"),
        (Path::UringSendZcFixed, "send_zc", "6.0"),
        (Path::UringSendmsgZc, "sendmsg_zc", "6.1"),
        (Path::UringZcrx, "recv_zc", "6.15"),
    ] {
        match &uring.why_not {
            Some(why) => lacks(path, why.clone()),
            None if !uring.has(request) => {
                lacks(path, format!("io_uring of this kernel has no {request} (Linux {since} has it)"));
            }
            None => {}
        }
    }
    if !document.tls {
        lacks(Path::Ktls, "the kernel has no TLS sockets now; `modprobe tls` loads them where it can".into());
    }
    if !std::fs::exists("/proc/sys/net/mptcp").unwrap_or(false) {
        lacks(Path::Mptcp, "this kernel has no MPTCP (CONFIG_MPTCP)".into());
    }
    if !document.devmem.send {
        lacks(Path::Devmem, "the kernel cannot send from device memory (Linux 6.16 can)".into());
    }
    if !document.devmem.receive {
        lacks(Path::RecvDevmem, "the kernel cannot receive into device memory (Linux 6.12 can)".into());
    }
    missing
}

fn tap(tap: &taps::Tap) -> Tap {
    let sees_sent = tap.sees_sent();
    let name = names().into_iter().find(|(inode, _)| u64::from(*inode) == tap.netns).map(|(_, name)| name);
    Tap {
        netns: tap.netns,
        netns_name: name,
        ifindex: tap.device,
        sees_sent,
        holders: tap.holders.iter().map(|holder| format!("{} ({})", holder.comm, holder.pid)).collect(),
    }
}

/// Adds the routes asked for, with predictions: to `to`, through `dev`, or else where the default route leads and
/// loopback. Reads settings again: those of the calling thread's namespace.
///
/// # Errors
/// [`Failure::Usage`]: no such device, or no such way.
pub(super) fn routes(document: &mut Document, dev: Option<&str>, to: Option<IpAddr>) -> Result<(), Failure> {
    let asked = to.is_some() || dev.is_some();
    if asked {
        let way = journey::follow(to, dev).map_err(|error| Failure::Usage(error.to_string()))?;
        document.routes.push(route_of(&way, to));
    } else {
        let out = route::default_device().ok().flatten();
        let way = out.and_then(|dev| journey::follow(None, Some(&dev)).ok());
        document.routes.extend(way.map(|way| route_of(&way, None)));
        let lo = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        document.routes.extend(journey::follow(Some(lo), None).ok().map(|way| route_of(&way, Some(lo))));
    }
    settings_of_namespace(document);
    doctor::predict(document);
    Ok(())
}

/// Settings of the calling thread's namespace; what only the first namespace shows stays.
pub(super) fn settings_of_namespace(document: &mut Document) {
    for setting in sysctl::settings() {
        match document.settings.iter_mut().find(|old| old.name == setting.name) {
            Some(old) => *old = setting,
            None => document.settings.push(setting),
        }
    }
}

/// A way as a part of the document.
pub(super) fn route_of(way: &Journey, to: Option<IpAddr>) -> Route {
    let first = way.hops.first().map_or("", |hop| hop.device.name.as_str());
    let name = match to {
        Some(to) if way.receiver == journey::Receiver::SameNamespace => format!("to {to}, this host itself"),
        Some(to) => format!("to {to} through {first}"),
        None => format!("out through {first}"),
    };
    let (receiver, receiver_netns) = match &way.receiver {
        journey::Receiver::SameNamespace => (Receiver::SameNamespace, None),
        journey::Receiver::ThisHost(name) => (Receiver::ThisHost, Some(name.clone())),
        journey::Receiver::Elsewhere => (Receiver::Elsewhere, None),
        journey::Receiver::Unknown => (Receiver::Unknown, None),
    };
    Route {
        name,
        to: to.map(|to| to.to_string()),
        why_not: None,
        receiver,
        receiver_netns,
        gateway: way.gateway.map(|gateway| gateway.to_string()),
        forwarded: way.forwarded,
        devices: way.hops.iter().map(device_of).collect(),
        arrival: way.arrival.as_ref().map(device_of),
        send: Vec::new(),
        receive: Vec::new(),
    }
}

fn device_of(hop: &Hop) -> document::Device {
    let (device, switches) = (&hop.device, hop.switches.clone().unwrap_or_default());
    // Where the list of features is not to be had, the plain answer is.
    let switch = |listed: Option<facts::Switch>, on: Option<bool>| {
        listed.or(on.map(|on| facts::Switch { on, wanted: on, changeable: false }))
    };
    document::Device {
        name: device.name.clone(),
        ifindex: device.index,
        netns: hop.netns,
        kind: device.kind,
        driver: device.driver.clone(),
        mtu: device.mtu,
        running: device.running,
        scatter_gather: switch(switches.scatter_gather, device.features.scatter_gather),
        tx_checksum: switch(switches.tx_checksum, device.features.tx_checksum),
        tso: switch(switches.tso, device.features.tso),
        tls_tx: switches.tls_tx,
        adapter: hop.adapter,
        xdp: hop.xdp.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        assert_eq!(release("6.12.117-cloud-amd64"), Some((6, 12)));
        assert_eq!(release("weird"), None);
    }
}
