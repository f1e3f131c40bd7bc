//! Facts of one network device by name, in the network namespace of the calling thread: what decides whether a
//! zero-copy send can stay one, and the byte counters to check figures against.

use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::ethtool::{Asker, Feature};

/// What sort of device it is, as far as copies go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// Always delivers on this host, always copies.
    Loopback,
    /// One end of a pair into another network namespace.
    Veth,
    /// Into a user-space program (VPN, virtual machine).
    Tun,
    /// Something on a bus: a real or an emulated NIC.
    Physical,
    /// Another virtual device: bridge, bond, vlan, tunnel. What lies below decides.
    Virtual,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Interface name.
    pub name: String,
    /// Interface index.
    pub index: u32,
    /// What sort of device.
    pub kind: DeviceKind,
    /// Driver name (for most virtual devices their kind); `None` where the kernel does not say.
    pub driver: Option<String>,
    /// Bytes a packet may carry.
    pub mtu: u32,
    /// Set up by the administrator.
    pub up: bool,
    /// Up, and the cable is in.
    pub running: bool,
    /// Offloads that zero-copy depends on.
    pub features: Features,
}

/// Offloads as `ethtool -k` shows them; `None` where the driver does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Features {
    /// Packets may consist of several pieces of memory. Without it everything is copied.
    pub scatter_gather: Option<bool>,
    /// The device computes checksums. Without it the kernel must touch every byte.
    pub tx_checksum: Option<bool>,
    /// The device cuts large TCP packets.
    pub tso: Option<bool>,
}

impl Device {
    /// Asks the kernel.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when this network namespace has no such device.
    pub fn load(name: &str) -> io::Result<Device> {
        let missing =
            |_| io::Error::new(io::ErrorKind::NotFound, format!("there is no network device {name:?} here"));
        let index = nix::net::if_::if_nametoindex(name).map_err(missing)?;
        let mut asker = Asker::new(name)?;
        let flags = asker.flags()?;
        let (driver, bus) = asker.driver().unwrap_or_default();
        Ok(Device {
            name: name.to_owned(),
            index,
            kind: kind(flags, &driver, &bus),
            driver: Some(driver).filter(|driver| !driver.is_empty()),
            mtu: asker.mtu()?,
            up: flags & libc::IFF_UP != 0,
            running: flags & libc::IFF_RUNNING != 0,
            features: Features {
                scatter_gather: asker.feature(Feature::ScatterGather).ok(),
                tx_checksum: asker.feature(Feature::TxChecksum).ok(),
                tso: asker.feature(Feature::Tso).ok(),
            },
        })
    }
}

/// Switches scatter-gather of a device of the calling thread's network namespace; what needs it goes off with it.
///
/// # Errors
/// There is no such device, it cannot, or this process may not.
pub fn set_scatter_gather(name: &str, on: bool) -> io::Result<()> {
    Asker::new(name)?.set_feature(Feature::ScatterGather, on)
}

fn kind(flags: i32, driver: &str, bus: &str) -> DeviceKind {
    match driver {
        _ if flags & libc::IFF_LOOPBACK != 0 => DeviceKind::Loopback,
        "veth" => DeviceKind::Veth,
        "tun" => DeviceKind::Tun,
        // The bridge driver names a bus it is not on.
        _ if !bus.is_empty() && bus != "N/A" => DeviceKind::Physical,
        _ => DeviceKind::Virtual,
    }
}

/// Totals of a device since it exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the field names are the definition")]
pub struct Counters {
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_dropped: u64,
}

impl Counters {
    /// Reads them.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when this network namespace has no such device.
    pub fn read(name: &str) -> io::Result<Counters> {
        // Of the thread: /proc/net is the main thread's namespace.
        parse_counters(&fs::read_to_string("/proc/thread-self/net/dev")?, name).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("there is no network device {name:?} here"))
        })
    }
}

/// `NAME: bytes packets errs drop fifo frame compressed multicast`, then the same eight for sending.
fn parse_counters(text: &str, name: &str) -> Option<Counters> {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(':'))?;
    let numbers: Vec<u64> = line.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
    let [rx_bytes, rx_packets, _, rx_dropped, _, _, _, _, tx_bytes, tx_packets, _, tx_dropped, ..] =
        numbers[..]
    else {
        return None;
    };
    Some(Counters { rx_bytes, rx_packets, rx_dropped, tx_bytes, tx_packets, tx_dropped })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEV: &str = "\
Inter-|   Receive                                                |  Transmit\n \
face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
lo:     100       2    0    0    0     0          0         0      100       2    0    0    0     0       0          0\n\
eth01: 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7\n  \
eth0:9000000000     30    1    4    5     6          7         8 12345678901      90   10   11   12    13      14         15\n";

    #[test]
    fn reads_the_counters_of_one_device() {
        let counters = parse_counters(DEV, "eth0").unwrap();
        assert_eq!(
            counters,
            Counters {
                rx_bytes: 9_000_000_000,
                rx_packets: 30,
                rx_dropped: 4,
                tx_bytes: 12_345_678_901,
                tx_packets: 90,
                tx_dropped: 11
            }
        );
        assert_eq!(parse_counters(DEV, "eth"), None);
    }

    #[test]
    fn sorts_devices() {
        assert_eq!(kind(libc::IFF_LOOPBACK | libc::IFF_UP, "", ""), DeviceKind::Loopback);
        assert_eq!(kind(0, "veth", ""), DeviceKind::Veth);
        assert_eq!(kind(0, "vmxnet3", "0000:0b:00.0"), DeviceKind::Physical);
        assert_eq!(kind(0, "bridge", "N/A"), DeviceKind::Virtual);
    }

    #[test]
    fn knows_loopback() {
        let lo = Device::load("lo").unwrap();
        assert_eq!((lo.index, lo.kind), (1, DeviceKind::Loopback));
        assert_eq!(lo.features.scatter_gather, Some(true));
        assert!(Counters::read("lo").is_ok());
    }

    #[test]
    fn an_unknown_device_is_named_in_the_error() {
        let error = Device::load("nosuch0").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("nosuch0"));
        assert!(Device::load("a-name-longer-than-any-device").is_err());
    }
}
