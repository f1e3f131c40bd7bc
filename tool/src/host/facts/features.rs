//! Which offloads of a device are on, were asked for, and can be switched at all: by ethtool's netlink family, as
//! `ethtool -k` shows `off [fixed]` and `off [requested on]`.

use std::io;

use netlink_packet_core::NLA_F_NESTED;
use serde::{Deserialize, Serialize};

use crate::host::genetlink::{Family, attribute, attributes, nonsense};

/// Where an offload stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Switch {
    /// It is on.
    pub on: bool,
    /// Somebody asked for it; on and off differ when something else keeps it off.
    pub wanted: bool,
    /// It can be switched.
    pub changeable: bool,
}

/// The offloads that zero-copy depends on; `None` where the device does not know the feature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Switches {
    /// Scatter-gather.
    pub scatter_gather: Option<Switch>,
    /// Checksums of sent packets, of any kind.
    pub tx_checksum: Option<Switch>,
    /// Segmentation of TCP over IPv4.
    pub tso: Option<Switch>,
    /// TLS encryption of sent data.
    pub tls_tx: Option<Switch>,
}

/// Names of the features behind each switch, as `ethtool -k` lists them.
const SCATTER_GATHER: &[&str] = &["tx-scatter-gather"];
const TX_CHECKSUM: &[&str] = &["tx-checksum-ipv4", "tx-checksum-ip-generic", "tx-checksum-ipv6"];
const TSO: &[&str] = &["tx-tcp-segmentation"];
const TLS_TX: &[&str] = &["tls-hw-tx-offload"];

// linux/ethtool_netlink.h
const ETHTOOL_MSG_FEATURES_GET: u8 = 11;
const ETHTOOL_A_FEATURES_HEADER: u16 = 1;
const ETHTOOL_A_HEADER_DEV_NAME: u16 = 2;
const ETHTOOL_A_FEATURES_HW: u16 = 2;
const ETHTOOL_A_FEATURES_WANTED: u16 = 3;
const ETHTOOL_A_FEATURES_ACTIVE: u16 = 4;
const ETHTOOL_A_BITSET_BITS: u16 = 3;
const ETHTOOL_A_BITSET_BIT_NAME: u16 = 2;
const ETHTOOL_A_BITSET_BIT_VALUE: u16 = 3;

/// Asks about a device of the calling thread's namespace.
///
/// # Errors
/// The kernel has no such device, or no netlink family for ethtool.
pub(in crate::host) fn read(dev: &str) -> io::Result<Switches> {
    let device = attribute(ETHTOOL_A_HEADER_DEV_NAME, &[dev.as_bytes(), b"\0"].concat());
    let header = attribute(ETHTOOL_A_FEATURES_HEADER | NLA_F_NESTED, &device);
    let answer = Family::find("ethtool")?.ask(ETHTOOL_MSG_FEATURES_GET, &header)?;
    switches(&answer).ok_or_else(nonsense)
}

/// Names in one set of features: all of them in a list, those with a value in a set with a mask.
fn names(answer: &[u8], set: u16, masked: bool) -> Option<Vec<String>> {
    let (_, set) = attributes(answer).find(|(kind, _)| *kind == set)?;
    let (_, bits) = attributes(set).find(|(kind, _)| *kind == ETHTOOL_A_BITSET_BITS)?;
    let name = |bit: &[u8]| {
        let has_value = attributes(bit).any(|(kind, _)| kind == ETHTOOL_A_BITSET_BIT_VALUE);
        let (_, name) = attributes(bit).find(|(kind, _)| *kind == ETHTOOL_A_BITSET_BIT_NAME)?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        (has_value || !masked).then(|| String::from_utf8_lossy(name).into_owned())
    };
    Some(attributes(bits).filter_map(|(_, bit)| name(bit)).collect())
}

fn switches(answer: &[u8]) -> Option<Switches> {
    let changeable = names(answer, ETHTOOL_A_FEATURES_HW, true)?;
    let wanted = names(answer, ETHTOOL_A_FEATURES_WANTED, false).unwrap_or_default();
    let active = names(answer, ETHTOOL_A_FEATURES_ACTIVE, false).unwrap_or_default();
    let switch = |features: &[&str]| {
        let any = |of: &[String]| of.iter().any(|name| features.contains(&name.as_str()));
        Some(Switch { on: any(&active), wanted: any(&wanted), changeable: any(&changeable) })
    };
    Some(Switches {
        scatter_gather: switch(SCATTER_GATHER),
        tx_checksum: switch(TX_CHECKSUM),
        tso: switch(TSO),
        tls_tx: switch(TLS_TX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_gathers_and_nobody_can_change_that() {
        let lo = read("lo").unwrap();
        assert_eq!(lo.scatter_gather, Some(Switch { on: true, wanted: false, changeable: false }));
        assert_eq!(lo.tx_checksum.map(|s| s.on), Some(true));
        assert_eq!(lo.tls_tx, Some(Switch::default()));
    }

    #[test]
    fn an_unknown_device_is_an_error() {
        assert_eq!(read("nosuch0").unwrap_err().raw_os_error(), Some(libc::ENODEV));
    }

    #[test]
    fn reads_sets_with_and_without_a_mask() {
        let bit = |name: &str, value: bool| {
            let mut inside = attribute(ETHTOOL_A_BITSET_BIT_NAME, format!("{name}\0").as_bytes());
            if value {
                inside.extend(attribute(ETHTOOL_A_BITSET_BIT_VALUE, &[]));
            }
            attribute(1 | NLA_F_NESTED, &inside)
        };
        let set = |kind: u16, bits: Vec<u8>| {
            attribute(kind | NLA_F_NESTED, &attribute(ETHTOOL_A_BITSET_BITS | NLA_F_NESTED, &bits))
        };
        let hw = [bit("tx-scatter-gather", true), bit("tx-checksum-ipv4", false)].concat();
        let answer = [
            set(ETHTOOL_A_FEATURES_HW, hw),
            set(ETHTOOL_A_FEATURES_WANTED, bit("tx-scatter-gather", false)),
            set(ETHTOOL_A_FEATURES_ACTIVE, vec![]),
        ]
        .concat();
        let switches = switches(&answer).unwrap();
        assert_eq!(switches.scatter_gather, Some(Switch { on: false, wanted: true, changeable: true }));
        assert_eq!(switches.tx_checksum, Some(Switch::default()));
        assert_eq!(super::switches(&[]), None);
    }
}
