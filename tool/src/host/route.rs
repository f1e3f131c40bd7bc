//! Which way the kernel would send to an address, asked of its routing table (`RTM_GETROUTE`), in the network
//! namespace of the calling thread.

use std::io;
use std::net::IpAddr;

use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::netlink::Netlink;

/// A way to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The address is one of this host: packets never leave it, whatever device is asked for.
    Local,
    /// Out through the device with this index.
    Through(u32),
    /// The routing table forbids it (blackhole, unreachable, prohibit) or there is no route.
    None,
}

/// The way to `to`, for any socket, or for one bound to the device with index `bound`.
///
/// For a bound socket IPv4 sends even without a route, as if every host were on that cable; here that is
/// [`Way::None`], because such traffic goes nowhere as a rule.
///
/// # Errors
/// The kernel cannot be asked.
pub fn way(to: IpAddr, bound: Option<u32>) -> io::Result<Way> {
    Ok(entry(to, bound)?.map_or(Way::None, |route| way_of(&route, bound)))
}

/// The next hop on the way to `to`; `None` when it is on the link, or there is no way.
///
/// # Errors
/// The kernel cannot be asked.
pub fn gateway(to: IpAddr, bound: Option<u32>) -> io::Result<Option<IpAddr>> {
    let Some(route) = entry(to, bound)? else { return Ok(None) };
    Ok(route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(v4)) => Some(IpAddr::V4(*v4)),
        RouteAttribute::Gateway(RouteAddress::Inet6(v6)) => Some(IpAddr::V6(*v6)),
        _ => None,
    }))
}

/// Name of the device the default route leaves by, IPv4 first; `None` without one.
///
/// # Errors
/// The kernel cannot be asked.
pub fn default_device() -> io::Result<Option<String>> {
    // Addresses for documentation: nobody has a route of their own for them.
    for somewhere in ["192.0.2.1", "2001:db8::1"] {
        let Ok(to) = somewhere.parse::<IpAddr>() else { continue };
        if let Way::Through(index) = way(to, None)? {
            return Ok(Some(nix::net::if_::if_indextoname(index)?.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}

/// The entry of the routing table for `to`; `None` when it says no.
fn entry(to: IpAddr, bound: Option<u32>) -> io::Result<Option<RouteMessage>> {
    let mut question = RouteMessage::default();
    let (family, bits) = match to {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    question.header.address_family = family;
    question.header.destination_prefix_length = bits;
    // The entry of the table itself: what only was assumed has none.
    question.header.flags = RouteFlags::FibMatch;
    question.attributes.push(RouteAttribute::Destination(to.into()));
    question.attributes.extend(bound.map(RouteAttribute::Oif));
    match Netlink::open()?.ask(RouteNetlinkMessage::GetRoute(question)) {
        Ok(RouteNetlinkMessage::NewRoute(route)) => Ok(Some(route)),
        Ok(_) => Ok(None),
        Err(error) if is_refusal(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Errors with which the routing table answers "no".
fn is_refusal(error: &io::Error) -> bool {
    const NO: [i32; 5] = [libc::ENETUNREACH, libc::EHOSTUNREACH, libc::EACCES, libc::EINVAL, libc::ENETDOWN];
    error.raw_os_error().is_some_and(|errno| NO.contains(&errno))
}

fn way_of(route: &RouteMessage, bound: Option<u32>) -> Way {
    match route.header.kind {
        RouteType::Local => Way::Local,
        RouteType::Unicast => {
            let devices = devices_of(route);
            let chosen = devices.iter().find(|index| Some(**index) == bound).or(devices.first());
            chosen.map_or(Way::None, |index| Way::Through(*index))
        }
        _ => Way::None,
    }
}

/// The devices a route leaves through: one, or several when it is shared among next hops.
pub(super) fn devices_of(route: &RouteMessage) -> Vec<u32> {
    let several = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::MultiPath(hops) => Some(hops.iter().map(|hop| hop.interface_index).collect()),
        _ => None,
    });
    let one = || {
        let oif = route.attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Oif(index) => Some(*index),
            _ => None,
        });
        oif.into_iter().collect()
    };
    several.unwrap_or_else(one)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::host::netns::Namespace;

    fn ip(arguments: &str) {
        let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
        assert!(status.success(), "ip {arguments}");
    }

    #[test]
    fn an_address_of_this_host_is_local() {
        assert_eq!(way("127.0.0.1".parse().unwrap(), None).unwrap(), Way::Local);
    }

    #[test]
    fn the_table_decides_and_a_bound_socket_gets_no_way_that_is_only_assumed() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: making a network namespace needs root");
            return;
        }
        let ways = Namespace::create().unwrap().enter(|| {
            ip("link set dev lo up");
            ip("link add a0 type veth peer name a1");
            ip("link add b0 type veth peer name b1");
            for device in ["a0", "a1", "b0", "b1"] {
                ip(&format!("link set dev {device} up"));
            }
            ip("address add 10.77.1.1/24 dev a0");
            ip("address add 10.77.2.1/24 dev b0");
            ip("address add 2001:db8:77::1/64 dev a0 nodad");
            ip("route add 10.77.9.0/24 via 10.77.1.9");
            ip("route add blackhole 10.77.8.0/24");
            let index = |name: &str| nix::net::if_::if_nametoindex(name).unwrap();
            let (a0, b0) = (index("a0"), index("b0"));
            let way = |to: &str, bound| way(to.parse().unwrap(), bound).unwrap();
            assert_eq!(way("10.77.1.2", None), Way::Through(a0));
            assert_eq!(way("10.77.1.2", Some(a0)), Way::Through(a0));
            assert_eq!(way("10.77.1.2", Some(b0)), Way::None, "IPv4 would assume that it is on the cable");
            assert_eq!(way("10.77.9.7", Some(a0)), Way::Through(a0), "through a gateway");
            assert_eq!(way("10.77.8.7", None), Way::None);
            assert_eq!(way("10.77.1.1", Some(a0)), Way::Local);
            assert_eq!((way("10.77.2.1", None), way("10.77.2.1", Some(a0))), (Way::Local, Way::None));
            assert_eq!(way("8.8.8.8", None), Way::None);
            assert_eq!(way("2001:db8:77::2", Some(a0)), Way::Through(a0));
            assert_eq!(way("2001:db8:77::2", Some(b0)), Way::None);
            assert_eq!(way("2001:db8:77::1", None), Way::Local);
            assert_eq!(way("2001:db8:77::1", Some(b0)), Way::None);
        });
        ways.unwrap();
    }
}
