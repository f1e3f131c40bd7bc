//! Whether a device may be taken away for a while: who would miss it, as one sentence.

use std::net::{IpAddr, SocketAddr};
use std::{fs, io};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage};
use netlink_packet_route::route::{RouteAttribute, RouteMessage};
use netlink_packet_route::tc::TcMessage;
use procfs::FromBufReadSI;
use procfs::net::{TcpNetEntries, TcpState};

use super::device::{Device, DeviceKind};
use super::netlink::Netlink;
use super::route::devices_of;
use super::settings::{address_of, link};

/// Refuses a device, in the network namespace of the calling thread, that carries what could not be given back or
/// must not be cut: the default route, connections, a shared route, devices on top of it, traffic control.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] with the reason; anything else when the kernel cannot be asked.
pub(super) fn check(device: &str) -> io::Result<()> {
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    let facts = Device::load(device).map_err(|error| invalid(error.to_string()))?;
    let mut netlink = Netlink::open()?;
    let own = link(&mut netlink, device)?;
    let users = [
        (facts.kind == DeviceKind::Loopback).then(|| "is the loopback device".to_owned()),
        is_enslaved(&own).then(|| "belongs to a bridge or bond".to_owned()),
        above(&mut netlink, own.header.index)?,
        routes(&mut netlink, own.header.index)?,
        queueing(&mut netlink, own.header.index)?,
        connection(&mut netlink, own.header.index)?,
    ];
    match users.into_iter().flatten().next() {
        Some(why) => Err(invalid(format!(
            "device {device} {why}; it would be moved away from its users, so choose another"
        ))),
        None => Ok(()),
    }
}

fn is_enslaved(link: &LinkMessage) -> bool {
    link.attributes
        .iter()
        .any(|attribute| matches!(attribute, LinkAttribute::Controller(index) if *index != 0))
}

/// A VLAN or the like on top of the device: it would be deleted.
fn above(netlink: &mut Netlink, index: u32) -> io::Result<Option<String>> {
    let links = netlink.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    Ok(links.iter().find_map(|message| {
        let RouteNetlinkMessage::NewLink(link) = message else { return None };
        let has = |wanted: fn(&LinkAttribute, u32) -> bool| link.attributes.iter().any(|a| wanted(a, index));
        let on_top = has(|a, index| matches!(a, LinkAttribute::Link(lower) if *lower == index));
        // That index is one of another namespace.
        let elsewhere = has(|a, _| matches!(a, LinkAttribute::LinkNetNsId(_)));
        // The two ends of a veth pair name each other.
        let veth = has(|a, _| {
            let LinkAttribute::LinkInfo(info) = a else { return false };
            info.contains(&LinkInfo::Kind(InfoKind::Veth))
        });
        let name = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name),
            _ => None,
        })?;
        (on_top && !elsewhere && !veth).then(|| format!("has {name} on top of it"))
    }))
}

/// The default route, or one that several devices share.
fn routes(netlink: &mut Netlink, index: u32) -> io::Result<Option<String>> {
    let routes = netlink.dump(RouteNetlinkMessage::GetRoute(RouteMessage::default()))?;
    Ok(routes.iter().find_map(|message| {
        let RouteNetlinkMessage::NewRoute(route) = message else { return None };
        let shared = |attribute: &RouteAttribute| {
            matches!(attribute, RouteAttribute::MultiPath(_) | RouteAttribute::NhId(_))
        };
        match () {
            () if !devices_of(route).contains(&index) => None,
            () if route.header.destination_prefix_length == 0 => {
                Some("carries a default route of this host".to_owned())
            }
            () if route.attributes.iter().any(shared) => {
                Some("has a part in a route over several next hops".to_owned())
            }
            () => None,
        }
    }))
}

/// Traffic control that somebody set up; what the kernel attaches by itself has no handle.
fn queueing(netlink: &mut Netlink, index: u32) -> io::Result<Option<String>> {
    let own = index.cast_signed();
    let found = netlink.dump(RouteNetlinkMessage::GetQueueDiscipline(TcMessage::with_index(own)))?;
    let set_up = found.iter().any(|message| {
        let RouteNetlinkMessage::NewQueueDiscipline(discipline) = message else { return false };
        discipline.header.index == own && discipline.header.handle.major != 0
    });
    Ok(set_up.then(|| "has traffic control (tc qdisc) that would be lost".to_owned()))
}

/// An established TCP connection over an address of the device, perhaps the one of the person typing.
fn connection(netlink: &mut Netlink, index: u32) -> io::Result<Option<String>> {
    let addresses = netlink.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
    let own: Vec<IpAddr> = addresses
        .iter()
        .filter_map(|message| match message {
            RouteNetlinkMessage::NewAddress(address) if address.header.index == index => address_of(address),
            _ => None,
        })
        .collect();
    let found = established()?.into_iter().find(|(local, _)| own.contains(&local.ip().to_canonical()));
    Ok(found.map(|(local, remote)| format!("carries a connection ({local} to {remote})")))
}

/// Local and remote address of every established TCP connection of the calling thread's network namespace.
fn established() -> io::Result<Vec<(SocketAddr, SocketAddr)>> {
    let mut found = Vec::new();
    for file in ["tcp", "tcp6"] {
        // A kernel without IPv6 has only the first.
        let Ok(text) = fs::read(format!("/proc/thread-self/net/{file}")) else { continue };
        let TcpNetEntries(entries) = TcpNetEntries::from_buf_read(&*text, procfs::current_system_info())
            .map_err(|error| io::Error::other(error.to_string()))?;
        let open = entries.into_iter().filter(|entry| entry.state == TcpState::Established);
        found.extend(open.map(|entry| (entry.local_address, entry.remote_address)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::process::Command;

    use super::*;
    use crate::host::netns::Namespace;

    fn ip(arguments: &str) {
        let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
        assert!(output.status.success(), "ip {arguments}: {output:?}");
    }

    /// Runs in a namespace with a veth pair p0-p1, both up; not at all without root.
    fn on_a_host(test: impl FnOnce() + Send) {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: making a network namespace needs root");
            return;
        }
        let inside = || {
            ip("link set dev lo up");
            ip("link add p0 type veth peer name p1");
            ip("link set dev p0 up");
            ip("link set dev p1 up");
            ip("address add 10.7.0.1/24 dev p0");
            test();
        };
        Namespace::create().unwrap().enter(inside).unwrap();
    }

    fn refusal(device: &str) -> String {
        let error = check(device).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        error.to_string()
    }

    #[test]
    fn a_device_with_an_address_and_a_plain_route_is_free() {
        on_a_host(|| {
            ip("route add 10.8.0.0/16 via 10.7.0.2");
            check("p0").unwrap();
            check("p1").unwrap();
        });
    }

    #[test]
    fn who_would_miss_a_device_is_named() {
        on_a_host(|| {
            assert!(refusal("lo").contains("loopback"));
            assert!(refusal("nosuch0").contains("nosuch0"));
            ip("route add default via 10.7.0.2");
            assert!(refusal("p0").contains("default route"));
            ip("route del default");
            ip("route add 10.8.0.0/16 nexthop via 10.7.0.2 dev p0 nexthop via 10.7.0.3 dev p0");
            assert!(refusal("p0").contains("several next hops"));
            ip("route del 10.8.0.0/16");
            check("p0").unwrap();
            ip("link add br0 type bridge");
            ip("link set dev p1 master br0");
            assert!(refusal("p1").contains("bridge or bond"));
        });
    }

    #[test]
    fn a_connection_over_its_address_is_found() {
        on_a_host(|| {
            let listener = TcpListener::bind("10.7.0.1:0").unwrap();
            let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            assert!(refusal("p0").contains("connection (10.7.0.1:"), "{}", refusal("p0"));
            check("p1").unwrap();
        });
    }

    #[test]
    fn traffic_control_and_a_vlan_are_found_where_this_kernel_has_them() {
        on_a_host(|| {
            let made = |program: &str, arguments: &str| {
                Command::new(program).args(arguments.split(' ')).output().unwrap().status.success()
            };
            if made("tc", "qdisc add dev p0 root handle 5: fq_codel") {
                assert!(refusal("p0").contains("traffic control"));
            }
            if made("ip", "link add link p1 name p1.7 type vlan id 7") {
                assert!(refusal("p1").contains("p1.7 on top"));
            }
        });
    }
}
