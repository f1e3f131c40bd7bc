//! Which devices packets to a host pass before they leave this machine, or until they are delivered on it: the
//! route's device, what lies below it, the far end of a veth pair, and what another network namespace does with them.

use std::io;
use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage, LinkXdp, XdpAttached};
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};

use super::adapter::{self, Adapter};
use super::device::{Device, DeviceKind};
use super::facts::{Switches, features};
use super::netlink::Netlink;
use super::netns::Namespace;
use super::route::{self, Way};
use super::spaces::{self, Space};

/// Longer ways are not followed.
const MOST_HOPS: usize = 12;

/// One device on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Kind, driver, offloads.
    pub device: Device,
    /// Which offloads can be switched; `None` where the kernel does not say.
    pub switches: Option<Switches>,
    /// Queues and header split.
    pub adapter: Adapter,
    /// An XDP program is attached: `native`, `generic`, `offloaded`.
    pub xdp: Option<&'static str>,
    /// Inode number of its network namespace.
    pub netns: u64,
}

/// Who receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// The sender's own network namespace.
    SameNamespace,
    /// Another namespace of this host, of this name.
    ThisHost(String),
    /// Whoever is behind the card the packets leave through.
    Elsewhere,
    /// Not known: no address was given, or it is not to be seen where a veth pair leads.
    Unknown,
}

/// A way of packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journey {
    /// Devices that transmit, in order.
    pub hops: Vec<Hop>,
    /// The device the packets arrive at, when that is one of this host: the far end of a veth pair.
    pub arrival: Option<Hop>,
    /// Who receives.
    pub receiver: Receiver,
    /// The next hop of the route; `None` when the receiver is on the link.
    pub gateway: Option<IpAddr>,
    /// Another namespace of this host routes the packets on.
    pub forwarded: bool,
}

/// Follows packets to `to` (through `device`, if one is asked for), in the calling thread's network namespace. Without
/// `to`, whatever leaves through the device.
///
/// # Errors
/// No such device, no route, or the kernel cannot be asked.
pub fn follow(to: Option<IpAddr>, device: Option<&str>) -> io::Result<Journey> {
    let bound = device.map(index_of).transpose()?;
    let start = match to {
        None => bound.ok_or_else(|| io::Error::other("neither an address nor a device was given"))?,
        Some(to) => first_device(to, bound, device)?,
    };
    let here = Namespace::current()?;
    let spaces = spaces::spaces();
    let gateway = to.and_then(|to| route::gateway(to, bound).ok().flatten());
    let journey =
        Journey { hops: Vec::new(), arrival: None, receiver: Receiver::Unknown, gateway, forwarded: false };
    let mut walk = Walk { to, spaces: &spaces, journey };
    walk.through(&here, start)?;
    walk.find_receiver(here.inode()?);
    Ok(walk.journey)
}

fn index_of(name: &str) -> io::Result<u32> {
    nix::net::if_::if_nametoindex(name).map_err(|_| {
        let text =
            format!("there is no network device {name:?} in this network namespace; `ip link` lists them");
        io::Error::new(io::ErrorKind::NotFound, text)
    })
}

fn first_device(to: IpAddr, bound: Option<u32>, device: Option<&str>) -> io::Result<u32> {
    let none = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
    let way = route::way(to, None)?;
    if way == Way::Local {
        return match bound {
            Some(bound) if Some(bound) != index_of("lo").ok() => Err(none(format!(
                "{to} is an address of this network namespace, so packets to it never touch {}; leave out -i",
                device.unwrap_or("that device")
            ))),
            _ => index_of("lo"),
        };
    }
    match if bound.is_some() { route::way(to, bound)? } else { way } {
        Way::Through(index) => Ok(index),
        _ => Err(none(match device {
            Some(device) => {
                format!("there is no route to {to} through {device}; `ip route` shows those there are")
            }
            None => format!("there is no route to {to}; `ip route` shows those there are"),
        })),
    }
}

/// The way so far.
struct Walk<'a> {
    to: Option<IpAddr>,
    spaces: &'a [Space],
    journey: Journey,
}

impl Walk<'_> {
    /// Goes on through the device with this index of `space`.
    fn through(&mut self, space: &Namespace, index: u32) -> io::Result<()> {
        if self.journey.hops.len() >= MOST_HOPS {
            return Ok(());
        }
        let (hop, below) = inside(space, || look(index))??;
        let kind = hop.device.kind;
        self.journey.hops.push(hop);
        match (kind, below) {
            (DeviceKind::Loopback | DeviceKind::Physical | DeviceKind::Tun, _) => Ok(()),
            (DeviceKind::Veth, Below::One(peer, netns)) => match self.space_of(space, netns) {
                // What may not be looked into stays unknown.
                Some(far) => self.arrive(&far, peer).or(Ok(())),
                None => Ok(()),
            },
            (_, Below::One(lower, None)) => self.through(space, lower),
            (_, Below::One(lower, netns)) => match self.space_of(space, netns) {
                Some(far) => self.through(&far, lower),
                None => Ok(()),
            },
            (_, Below::Members(members)) => {
                members.into_iter().try_for_each(|member| self.through(space, member))
            }
        }
    }

    /// Packets come out at the far end of a veth pair: they are delivered there, bridged, or routed on.
    fn arrive(&mut self, space: &Namespace, index: u32) -> io::Result<()> {
        let (hop, _) = inside(space, || look(index))??;
        self.journey.arrival = Some(hop);
        let Some(to) = self.to else { return Ok(()) };
        // A port of a bridge: which way it goes from there, the bridge learns from packets.
        if inside(space, || controller(index))??.is_some() {
            return Ok(());
        }
        match inside(space, || route::way(to, None))?? {
            Way::Through(next) if next != index => {
                self.journey.forwarded = true;
                self.journey.arrival = None;
                self.through(space, next)
            }
            Way::Local => {
                let inode = space.inode()?;
                let name =
                    self.spaces.iter().find(|space| space.inode == inode).map(|space| space.name.clone());
                self.journey.receiver = Receiver::ThisHost(name.unwrap_or_default());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Who receives, once the way is known. What leaves through a card is gone; what comes out of a veth pair into a
    /// bridge goes to the other namespace that has the address, if one has.
    fn find_receiver(&mut self, own: u64) {
        let Journey { hops, receiver, .. } = &mut self.journey;
        let Some(to) = self.to.filter(|_| *receiver == Receiver::Unknown) else { return };
        let has = |kind| hops.iter().any(|hop: &Hop| hop.device.kind == kind);
        if has(DeviceKind::Loopback) {
            *receiver = Receiver::SameNamespace;
        } else if has(DeviceKind::Physical) || has(DeviceKind::Tun) {
            *receiver = Receiver::Elsewhere;
        } else if let Some(space) = spaces::owner(self.spaces, to, own) {
            *receiver = Receiver::ThisHost(space.name.clone());
        }
    }

    /// The namespace that `space` knows under this number; without one, itself.
    fn space_of(&self, space: &Namespace, number: Option<i32>) -> Option<Namespace> {
        let Some(number) = number else { return Some(space.clone()) };
        let is = |candidate: &&Space| {
            inside(space, || number_of(&candidate.namespace)).is_ok_and(|found| found.ok() == Some(number))
        };
        self.spaces.iter().find(is).map(|space| space.namespace.clone())
    }
}

/// Asks in a namespace; in its own one also who may not enter any.
fn inside<T: Send>(space: &Namespace, question: impl FnOnce() -> T + Send) -> io::Result<T> {
    if space.inode()? == Namespace::current()?.inode()? {
        return Ok(question());
    }
    space.enter(question)
}

/// What carries the packets of a device.
enum Below {
    /// The device with this index; in the namespace with this number, or in the same.
    One(u32, Option<i32>),
    /// Ports of a bridge or bond; none for everything else.
    Members(Vec<u32>),
}

/// A device of the calling thread's namespace and what is below it.
fn look(index: u32) -> io::Result<(Hop, Below)> {
    let mut netlink = Netlink::open()?;
    let link = link(&mut netlink, index)?;
    let name = nix::net::if_::if_indextoname(index)?.to_string_lossy().into_owned();
    let hop = Hop {
        device: Device::load(&name)?,
        switches: features::read(&name).ok(),
        adapter: adapter::read(&name),
        xdp: xdp(&link),
        netns: Namespace::current()?.inode()?,
    };
    let lower = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Link(lower) if *lower != 0 => Some(*lower),
        _ => None,
    });
    let netns = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::LinkNetNsId(number) => Some(*number),
        _ => None,
    });
    let below = match lower {
        // The same number in the same namespace is the device itself.
        Some(lower) if lower != index || netns.is_some() => Below::One(lower, netns),
        _ => Below::Members(members(&mut netlink, index)?),
    };
    Ok((hop, below))
}

fn link(netlink: &mut Netlink, index: u32) -> io::Result<LinkMessage> {
    let mut question = LinkMessage::default();
    question.header.index = index;
    match netlink.ask(RouteNetlinkMessage::GetLink(question))? {
        RouteNetlinkMessage::NewLink(link) => Ok(link),
        _ => Err(io::Error::other("the kernel did not describe the device")),
    }
}

/// The bridge or bond a device belongs to.
fn controller(index: u32) -> io::Result<Option<u32>> {
    Ok(controller_of(&link(&mut Netlink::open()?, index)?))
}

fn controller_of(link: &LinkMessage) -> Option<u32> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Controller(controller) if *controller != 0 => Some(*controller),
        _ => None,
    })
}

fn members(netlink: &mut Netlink, index: u32) -> io::Result<Vec<u32>> {
    let links = netlink.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    let member = |message: RouteNetlinkMessage| match message {
        RouteNetlinkMessage::NewLink(link) if controller_of(&link) == Some(index) => Some(link.header.index),
        _ => None,
    };
    Ok(links.into_iter().filter_map(member).collect())
}

fn xdp(link: &LinkMessage) -> Option<&'static str> {
    let parts = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Xdp(parts) => Some(parts),
        _ => None,
    })?;
    parts.iter().find_map(|part| match part {
        LinkXdp::Attached(XdpAttached::Driver | XdpAttached::Multiple) => Some("native"),
        LinkXdp::Attached(XdpAttached::SocketBuffer) => Some("generic"),
        LinkXdp::Attached(XdpAttached::Hardware) => Some("offloaded"),
        _ => None,
    })
}

/// The number under which the calling thread's namespace knows another one.
fn number_of(other: &Namespace) -> io::Result<i32> {
    let mut question = NsidMessage::default();
    question.attributes.push(NsidAttribute::Fd(other.raw_fd().cast_unsigned()));
    match Netlink::open()?.ask(RouteNetlinkMessage::GetNsId(question))? {
        RouteNetlinkMessage::NewNsId(answer) => {
            let number = answer.attributes.iter().find_map(|attribute| match attribute {
                NsidAttribute::Id(number) => Some(*number),
                _ => None,
            });
            number.ok_or_else(|| io::Error::other("the kernel has no number for this namespace"))
        }
        _ => Err(io::Error::other("the kernel did not answer about a namespace")),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn ip(space: &Namespace, arguments: &str) {
        let run = || Command::new("ip").args(arguments.split(' ')).status().unwrap().success();
        assert!(space.enter(run).unwrap(), "ip {arguments}");
    }

    fn names(hops: &[Hop]) -> Vec<&str> {
        hops.iter().map(|hop| hop.device.name.as_str()).collect()
    }

    #[test]
    fn loopback_is_the_whole_way_to_oneself() {
        let journey = follow("127.0.0.1".parse().ok(), None).unwrap();
        assert_eq!(names(&journey.hops), ["lo"]);
        assert_eq!(journey.receiver, Receiver::SameNamespace);
        assert!(follow("127.0.0.1".parse().ok(), Some("nosuch0")).is_err());
        assert!(follow(None, None).is_err());
    }

    #[test]
    fn a_veth_pair_is_followed_into_the_other_namespace_and_through_its_router() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: making a network namespace needs root");
            return;
        }
        let [near, router, far] = [(); 3].map(|()| Namespace::create().unwrap());
        let path = |space: &Namespace| space.path().display().to_string();
        ip(&near, &format!("link add va type veth peer name ra netns {}", path(&router)));
        ip(&far, &format!("link add vb type veth peer name rb netns {}", path(&router)));
        for (space, device) in [(&near, "va"), (&router, "ra"), (&router, "rb"), (&far, "vb")] {
            ip(space, &format!("link set {device} up"));
        }
        for (space, device, address) in [
            (&near, "va", "10.7.1.2"),
            (&router, "ra", "10.7.1.1"),
            (&router, "rb", "10.7.2.1"),
            (&far, "vb", "10.7.2.2"),
        ] {
            ip(space, &format!("addr add {address}/24 dev {device}"));
        }
        ip(&near, "route add default via 10.7.1.1");
        let journey = near.enter(|| follow("10.7.2.2".parse().ok(), None)).unwrap().unwrap();
        let direct = near.enter(|| follow(None, Some("va"))).unwrap().unwrap();
        assert_eq!(names(&journey.hops), ["va", "rb"]);
        assert_eq!(journey.arrival.as_ref().map(|hop| hop.device.name.as_str()), Some("vb"));
        assert_eq!(journey.arrival.as_ref().map(|hop| hop.netns), far.inode().ok());
        assert!(journey.forwarded && matches!(journey.receiver, Receiver::ThisHost(_)), "{journey:?}");
        assert_eq!(journey.gateway, "10.7.1.1".parse().ok());
        assert_eq!((names(&direct.hops), direct.receiver), (vec!["va"], Receiver::Unknown));
    }
}
