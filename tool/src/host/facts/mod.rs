//! What findings need to know of the host beside the traffic: devices and what they offer, packet taps and who holds
//! them, kernel settings per network namespace, the state of single connections, where processes may run. Every
//! part is optional: what cannot be read is absent, and no finding rests on it.

pub(super) mod features;
mod machine;
mod own;
mod tcp;
mod watch;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

pub use self::features::{Switch, Switches};
pub use self::machine::{MachineFacts, NumaNode};
pub use self::own::OwnCost;
pub use self::tcp::TcpFacts;
pub use self::watch::Watcher;
use super::device::Device;
use super::limits;
use super::netns::{self, Namespace};
use super::taps::{Tap, TapReader};

/// Facts of the host, as last read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostFacts {
    /// Network namespaces of the traffic, by inode number.
    pub namespaces: BTreeMap<u32, NamespaceFacts>,
    /// Connections, by zcscope's number of the socket; those that ended as last seen.
    pub sockets: BTreeMap<u64, TcpFacts>,
    /// CPUs a process may run on, by process id.
    pub cpus: BTreeMap<u32, Vec<u32>>,
    /// Packet taps of all namespaces; `None` not known.
    pub taps: Option<Vec<Tap>>,
    /// The machine.
    pub machine: MachineFacts,
    /// Inode number of zcscope's own network namespace.
    pub own_netns: Option<u32>,
    /// What zcscope itself takes; `None` not known.
    pub own_cost: Option<OwnCost>,
}

/// Facts of one network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamespaceFacts {
    /// Its name (`ip netns`).
    pub name: Option<String>,
    /// A process in it.
    pub pid: u32,
    /// `net.core.optmem_max`, bytes.
    pub optmem_max: Option<u64>,
    /// What new sockets get (`net.ipv4.tcp_congestion_control`).
    pub congestion_control: Option<String>,
    /// Its addresses: what goes to them stays on this host.
    pub addresses: Vec<IpAddr>,
    /// Devices the traffic leaves by, by name.
    pub devices: BTreeMap<String, DeviceFacts>,
}

/// Facts of one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFacts {
    /// Kind, driver, offloads.
    pub device: Device,
    /// Which offloads can be switched; `None` where the kernel does not say.
    pub switches: Option<Switches>,
    /// NUMA node it is attached to; `None` on one node, for virtual devices, and in other namespaces than zcscope's.
    pub numa_node: Option<u32>,
}

/// A connection whose facts are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// zcscope's number of the socket.
    pub id: u64,
    /// The kernel's cookie.
    pub cookie: Option<u64>,
    /// Process that sends.
    pub pid: u32,
    /// Inode number of its network namespace.
    pub netns: u32,
    /// Local address.
    pub local: SocketAddr,
    /// Remote address.
    pub remote: SocketAddr,
    /// Device of the route.
    pub dev: Option<String>,
}

/// Facts of the machine, as they are now.
#[must_use]
pub fn machine() -> MachineFacts {
    machine::read()
}

impl HostFacts {
    /// Reads what is to be known about these connections. What was known of namespaces and connections that are gone
    /// by now stays, as long as they are wanted.
    #[must_use]
    pub fn read(wanted: &[Wanted], before: &HostFacts, taps: &mut TapReader) -> HostFacts {
        let own =
            Namespace::current().and_then(|own| own.inode()).ok().and_then(|own| u32::try_from(own).ok());
        let (taps, machine) = (taps.read().ok(), machine::read());
        let own_cost = own::read(before.own_cost.as_ref());
        let mut facts = HostFacts { taps, machine, own_netns: own, own_cost, ..HostFacts::default() };
        let mut by_netns: BTreeMap<u32, Vec<&Wanted>> = BTreeMap::new();
        wanted.iter().for_each(|socket| by_netns.entry(socket.netns).or_default().push(socket));
        let names = netns::names();
        for (inode, sockets) in by_netns {
            let read = namespace(inode, &sockets, own == Some(inode), &mut facts.sockets);
            let Some(mut space) = read.or_else(|| before.namespaces.get(&inode).cloned()) else { continue };
            space.name = names.iter().find(|(of, _)| *of == inode).map(|(_, name)| name.clone());
            facts.namespaces.insert(inode, space);
        }
        for socket in wanted {
            if let Some(old) = before.sockets.get(&socket.id) {
                facts.sockets.entry(socket.id).or_insert_with(|| old.clone());
            }
            if let Some(cpus) = machine::allowed_cpus(socket.pid) {
                facts.cpus.insert(socket.pid, cpus);
            }
        }
        facts
    }

    /// The namespace with this inode number.
    #[must_use]
    pub fn namespace(&self, inode: Option<u32>) -> Option<&NamespaceFacts> {
        self.namespaces.get(&inode?)
    }

    /// A device of a namespace.
    #[must_use]
    pub fn device(&self, netns: Option<u32>, dev: &str) -> Option<&DeviceFacts> {
        self.namespace(netns)?.devices.get(dev)
    }

    /// The only namespace that has this device among those read; `None` when several have one of this name.
    #[must_use]
    pub fn only_device(&self, dev: &str) -> Option<(&NamespaceFacts, &DeviceFacts)> {
        let mut found = self.namespaces.values().filter_map(|space| Some((space, space.devices.get(dev)?)));
        found.next().filter(|_| found.next().is_none())
    }
}

/// Reads one namespace through any process of these in it; `None` when none is there any more.
fn namespace(
    inode: u32,
    sockets: &[&Wanted],
    own: bool,
    connections: &mut BTreeMap<u64, TcpFacts>,
) -> Option<NamespaceFacts> {
    let of_a_process = || {
        sockets.iter().find_map(|socket| {
            let space = Namespace::of_process(socket.pid).ok()?;
            (space.inode().ok()? == u64::from(inode)).then_some((socket.pid, space))
        })
    };
    let here = own.then(|| Some((std::process::id(), Namespace::current().ok()?))).flatten();
    let (pid, space) = here.or_else(of_a_process)?;
    let inside = space.enter(|| {
        let limits = limits::limits().unwrap_or_default();
        let facts = NamespaceFacts {
            name: None,
            pid,
            optmem_max: limits.optmem_max,
            congestion_control: limits.congestion_control,
            addresses: addresses(),
            devices: devices(sockets, own),
        };
        (facts, tcp::read(sockets))
    });
    let (facts, found) = inside.ok()?;
    connections.extend(found);
    Some(facts)
}

/// Addresses of the calling thread's namespace.
fn addresses() -> Vec<IpAddr> {
    let all = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let ip = |address: nix::ifaddrs::InterfaceAddress| {
        let address = address.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    };
    let mut found: Vec<IpAddr> = all.filter_map(ip).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Devices these connections leave by, asked in the calling thread's namespace.
fn devices(sockets: &[&Wanted], own: bool) -> BTreeMap<String, DeviceFacts> {
    let mut names: Vec<&str> = sockets.iter().filter_map(|socket| socket.dev.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    let facts = |name: &str| {
        let device = Device::load(name).ok()?;
        let switches = features::read(name).ok();
        // The file system shows the devices of the namespace it was mounted in.
        let numa_node = if own { machine::node_of(name) } else { None };
        Some((name.to_owned(), DeviceFacts { device, switches, numa_node }))
    };
    names.into_iter().filter_map(facts).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn reads_the_facts_of_a_connection_of_this_process() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: entering a network namespace needs root");
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let netns = u32::try_from(Namespace::current().unwrap().inode().unwrap()).unwrap();
        let wanted = Wanted {
            id: 9,
            cookie: None,
            pid: std::process::id(),
            netns,
            local: near.local_addr().unwrap(),
            remote: near.peer_addr().unwrap(),
            dev: Some("lo".into()),
        };
        let mut taps = TapReader::default();
        let facts = HostFacts::read(std::slice::from_ref(&wanted), &HostFacts::default(), &mut taps);
        let space = facts.namespace(Some(netns)).unwrap();
        assert!(space.addresses.contains(&"127.0.0.1".parse().unwrap()));
        assert!(space.congestion_control.is_some() && space.optmem_max.is_some());
        let lo = facts.device(Some(netns), "lo").unwrap();
        assert_eq!(lo.switches.as_ref().and_then(|s| s.scatter_gather).map(|s| s.on), Some(true));
        assert!(facts.only_device("lo").is_some() && facts.only_device("nosuch0").is_none());
        let tcp = &facts.sockets[&9];
        assert!(!tcp.congestion_control.as_deref().unwrap_or_default().is_empty(), "{tcp:?}");
        assert!(!facts.cpus[&wanted.pid].is_empty());
        // What is gone stays known as long as it is wanted.
        let gone = Wanted { pid: 4_194_305, ..wanted };
        let after = HostFacts::read(&[gone], &facts, &mut taps);
        assert_eq!((after.namespaces.len(), after.sockets.get(&9)), (1, Some(tcp)));
        assert_eq!(HostFacts::read(&[], &facts, &mut taps).sockets.len(), 0);
    }
}
