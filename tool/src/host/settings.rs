//! What a device loses when it moves to another network namespace (that it is up, its addresses, routes, permanent
//! neighbours and sysctls), kept so that it can be given back exactly. Offloads, queues and the MTU move with it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NetlinkHeader};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::{RouteAttribute, RouteFlags, RouteMessage};
use serde::{Deserialize, Serialize};

use super::netlink::{self, Netlink};
use super::route::devices_of;

/// The table of routes the kernel makes by itself.
const LOCAL_TABLE: u32 = 255;
/// How long a route may wait for what it needs: the link to come up, IPv6 to find its address unique.
const PATIENCE: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_millis(50);
/// Coarse names of two settings; the kernel logs a complaint when they are read. Their `_ms` forms have the value.
const DEPRECATED: [&str; 2] = ["base_reachable_time", "retrans_time"];
/// Directories of settings by device. The kernel gives a device that arrives the defaults of its new namespace.
const SYSCTLS: [&str; 4] = ["ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh"];

/// The settings of one device, as they were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    /// Interface name.
    pub(super) device: String,
    /// Interface index.
    pub(super) index: u32,
    /// Hardware address: that it is the same device later.
    pub(super) hardware: Vec<u8>,
    up: bool,
    /// Netlink messages that make the entries again, in an order that works. Lifetimes are those of the time of
    /// reading.
    entries: Vec<Vec<u8>>,
    /// Path below `/proc/sys/net` and value.
    sysctls: Vec<(String, String)>,
}

impl Settings {
    /// Reads them, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// There is no such device, or the kernel cannot be asked.
    pub(super) fn read(device: &str) -> io::Result<Settings> {
        let mut netlink = Netlink::open()?;
        let link = link(&mut netlink, device)?;
        let index = link.header.index;
        let mut entries = Vec::new();
        for question in [
            RouteNetlinkMessage::GetAddress(AddressMessage::default()),
            RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()),
            RouteNetlinkMessage::GetRoute(RouteMessage::default()),
        ] {
            let found = netlink.dump(question)?;
            entries.extend(found.into_iter().filter(|entry| is_lost(entry, index)));
        }
        let entries =
            entries.into_iter().map(|entry| netlink::bytes(NetlinkHeader::default(), settled(entry)));
        Ok(Settings {
            device: device.to_owned(),
            index,
            hardware: hardware(&link),
            up: link.header.flags.contains(LinkFlags::Up),
            entries: entries.collect(),
            sysctls: sysctls(device),
        })
    }

    /// Gives the device, which must be in the network namespace of the calling thread, its settings back. Returns
    /// what was refused, one sentence each.
    pub(super) fn restore(&self) -> Vec<String> {
        self.try_restore()
            .unwrap_or_else(|error| vec![format!("cannot restore the settings of {}: {error}", self.device)])
    }

    fn try_restore(&self) -> io::Result<Vec<String>> {
        let mut netlink = Netlink::open()?;
        let index = link(&mut netlink, &self.device)?.header.index;
        // First: some decide what happens when the device comes up.
        let mut refused = self.restore_sysctls();
        set_up(&mut netlink, index, self.up)?;
        let entries = self.entries.iter().filter_map(|bytes| netlink::parse(bytes));
        let mut waiting: Vec<_> = entries.map(|entry| (at(entry, index), None)).collect();
        let start = Instant::now();
        while !waiting.is_empty() {
            waiting.retain_mut(|(entry, error)| {
                *error = add(&mut netlink, entry).err();
                error.is_some()
            });
            if start.elapsed() > PATIENCE {
                break;
            }
            if !waiting.is_empty() {
                thread::sleep(PAUSE);
            }
        }
        refused.extend(waiting.into_iter().filter_map(|(entry, error)| {
            Some(format!("cannot give {} its {} back: {}", self.device, describe(&entry), error?))
        }));
        Ok(refused)
    }

    fn restore_sysctls(&self) -> Vec<String> {
        let differs = |path: &PathBuf, value: &str| fs::read_to_string(path).is_ok_and(|now| now != value);
        let mut refused = Vec::new();
        for (name, value) in &self.sysctls {
            let path = PathBuf::from("/proc/sys/net").join(name);
            // Several files may show one value, so look at each only when its turn has come.
            if differs(&path, value) && fs::write(&path, value).is_err() {
                refused.push(format!("cannot write {} back into {}", value.trim(), path.display()));
            }
        }
        refused
    }
}

/// The device of this name.
pub(super) fn link(netlink: &mut Netlink, device: &str) -> io::Result<LinkMessage> {
    let missing = || {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("there is no network device {device:?} in this network namespace"),
        )
    };
    let index = nix::net::if_::if_nametoindex(device).map_err(|_| missing())?;
    let mut question = LinkMessage::default();
    question.header.index = index;
    match netlink.ask(RouteNetlinkMessage::GetLink(question))? {
        RouteNetlinkMessage::NewLink(link) => Ok(link),
        _ => Err(missing()),
    }
}

/// Its hardware address; empty when it has none.
pub(super) fn hardware(link: &LinkMessage) -> Vec<u8> {
    let address = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Address(address) => Some(address.clone()),
        _ => None,
    });
    address.unwrap_or_default()
}

fn set_up(netlink: &mut Netlink, index: u32, up: bool) -> io::Result<()> {
    let mut change = LinkMessage::default();
    change.header.index = index;
    change.header.change_mask = LinkFlags::Up;
    change.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
    netlink.change(RouteNetlinkMessage::SetLink(change), 0)
}

/// Whether the entry belongs to the device and goes when the device does, and would not come by itself.
fn is_lost(entry: &RouteNetlinkMessage, index: u32) -> bool {
    match entry {
        RouteNetlinkMessage::NewAddress(address) => {
            // The kernel makes IPv6's temporary addresses itself; they carry the flag of IPv4's secondary ones.
            let temporary = address.header.flags.contains(AddressHeaderFlags::Secondary)
                && address_of(address).is_some_and(|ip| ip.is_ipv6());
            address.header.index == index && !temporary
        }
        RouteNetlinkMessage::NewNeighbour(neighbour) => {
            neighbour.header.ifindex == index && neighbour.header.state == NeighbourState::Permanent
        }
        RouteNetlinkMessage::NewRoute(route) => {
            let cached = route.header.flags.contains(RouteFlags::Cloned);
            devices_of(route).contains(&index) && table_of(route) != LOCAL_TABLE && !cached
        }
        _ => false,
    }
}

/// The entry without what only tells of its past: stamps, and that IPv6 was still looking for duplicates.
fn settled(mut entry: RouteNetlinkMessage) -> RouteNetlinkMessage {
    match &mut entry {
        RouteNetlinkMessage::NewAddress(address) => {
            address.header.flags.remove(AddressHeaderFlags::Tentative);
            for attribute in &mut address.attributes {
                match attribute {
                    AddressAttribute::Flags(flags) => flags.remove(AddressFlags::Tentative),
                    AddressAttribute::CacheInfo(info) => (info.cstamp, info.tstamp) = (0, 0),
                    _ => {}
                }
            }
        }
        RouteNetlinkMessage::NewNeighbour(neighbour) => {
            neighbour.attributes.retain(|a| !matches!(a, NeighbourAttribute::CacheInfo(_)));
        }
        RouteNetlinkMessage::NewRoute(route) => {
            route.attributes.retain(|a| !matches!(a, RouteAttribute::CacheInfo(_)));
        }
        _ => {}
    }
    entry
}

fn table_of(route: &RouteMessage) -> u32 {
    let long = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    long.unwrap_or_else(|| route.header.table.into())
}

/// The entry for the index the device has now.
fn at(mut entry: RouteNetlinkMessage, index: u32) -> RouteNetlinkMessage {
    match &mut entry {
        RouteNetlinkMessage::NewAddress(address) => address.header.index = index,
        RouteNetlinkMessage::NewNeighbour(neighbour) => neighbour.header.ifindex = index,
        RouteNetlinkMessage::NewRoute(route) => {
            // The kernel shows more flags than it takes.
            route.header.flags &= RouteFlags::Onlink | RouteFlags::Pervasive;
            for attribute in &mut route.attributes {
                if let RouteAttribute::Oif(oif) = attribute {
                    *oif = index;
                }
            }
        }
        _ => {}
    }
    entry
}

/// Adds an entry; one that is there already is fine.
fn add(netlink: &mut Netlink, entry: &RouteNetlinkMessage) -> io::Result<()> {
    let flags = match entry {
        RouteNetlinkMessage::NewAddress(_) => NLM_F_EXCL,
        RouteNetlinkMessage::NewNeighbour(_) => NLM_F_REPLACE,
        _ => NLM_F_APPEND,
    };
    match netlink.change(entry.clone(), NLM_F_CREATE | flags) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        outcome => outcome,
    }
}

/// What an entry is, for a sentence.
fn describe(entry: &RouteNetlinkMessage) -> String {
    match entry {
        RouteNetlinkMessage::NewAddress(address) => match address_of(address) {
            Some(ip) => format!("address {ip}/{}", address.header.prefix_len),
            None => "address".into(),
        },
        RouteNetlinkMessage::NewRoute(route) => {
            let to = route.attributes.iter().find_map(|attribute| match attribute {
                RouteAttribute::Destination(to) => Some(format!("{to:?}")),
                _ => None,
            });
            let to = to.unwrap_or_else(|| "default".into());
            format!("route to {to}/{}", route.header.destination_prefix_length)
        }
        _ => "permanent neighbour".into(),
    }
}

/// The device's own address in an entry.
pub(super) fn address_of(entry: &AddressMessage) -> Option<IpAddr> {
    let local = entry.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(ip) => Some(*ip),
        _ => None,
    });
    let any = || {
        entry.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(ip) => Some(*ip),
            _ => None,
        })
    };
    local.or_else(any)
}

/// All settings below `/proc/sys/net` that have a file for this device and can be read.
fn sysctls(device: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for directory in SYSCTLS {
        let directory = format!("{directory}/{device}");
        for entry in fs::read_dir(format!("/proc/sys/net/{directory}")).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if DEPRECATED.contains(&name.as_str()) {
                continue;
            }
            if let Ok(value) = fs::read_to_string(entry.path()) {
                found.push((format!("{directory}/{name}"), value));
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::host::netns::Namespace;

    fn ip(arguments: &str) -> String {
        let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
        assert!(output.status.success(), "ip {arguments}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Everything there is to see of a device, without what counts by itself.
    fn look(device: &str) -> Vec<String> {
        [
            "-4 address show",
            "-6 address show scope global",
            "-4 route show table all",
            "-6 route show",
            "neighbour show",
        ]
        .iter()
        .map(|what| ip(&format!("{what} dev {device}")).replace(" tentative", "").replace(" linkdown", ""))
        .collect()
    }

    #[test]
    fn a_device_that_was_away_gets_everything_back() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: making a network namespace needs root");
            return;
        }
        let (home, away) = (Namespace::create().unwrap(), Namespace::create().unwrap());
        let (there, back) = (away.path().display().to_string(), home.path().display().to_string());
        let saved = home
            .enter(|| {
                ip("link add p0 type veth peer name p1");
                ip("address add 10.7.0.1/24 dev p0");
                ip("address add 10.7.0.9/24 dev p0 label p0:second");
                ip("address add 2001:db8:7::1/64 dev p0 nodad");
                fs::write("/proc/sys/net/ipv4/conf/p0/rp_filter", "2").unwrap();
                fs::write("/proc/sys/net/ipv6/conf/p0/hop_limit", "33").unwrap();
                ip("link set dev p0 mtu 1400 up");
                ip("link set dev p1 up");
                ip("route add 10.8.0.0/16 via 10.7.0.200 metric 7");
                ip("route add 10.9.0.0/16 dev p0 table 77 src 10.7.0.9");
                ip("route add 2001:db8:8::/48 via 2001:db8:7::2");
                ip("neighbour add 10.7.0.200 lladdr 02:00:00:00:00:01 dev p0 nud permanent");
                let before = look("p0");
                let saved = Settings::read("p0").unwrap();
                ip(&format!("link set dev p0 netns {there}"));
                (before, saved)
            })
            .unwrap();
        away.enter(|| ip(&format!("link set dev p0 netns {back}"))).unwrap();
        home.enter(|| {
            let (before, settings) = saved;
            assert_ne!(look("p0"), before, "moving takes everything away");
            assert_eq!(settings.restore(), Vec::<String>::new());
            assert_eq!(look("p0"), before);
            let read = |path: &str| fs::read_to_string(format!("/proc/sys/net/{path}")).unwrap();
            assert_eq!(
                (read("ipv4/conf/p0/rp_filter").trim(), read("ipv6/conf/p0/hop_limit").trim()),
                ("2", "33")
            );
            assert!(ip("link show dev p0").contains("mtu 1400"));
            assert!(Settings::read("p0").unwrap() == settings, "something else is different");
        })
        .unwrap();
    }

    #[test]
    fn a_device_that_was_down_stays_down() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: making a network namespace needs root");
            return;
        }
        let home = Namespace::create().unwrap();
        home.enter(|| {
            ip("link add p0 type veth peer name p1");
            let settings = Settings::read("p0").unwrap();
            ip("link set dev p0 up");
            assert!(settings.restore().is_empty());
            assert!(!ip("link show dev p0").contains("UP"));
        })
        .unwrap();
    }
}
