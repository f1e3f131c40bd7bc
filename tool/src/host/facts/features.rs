//! Which offloads of a device are on, were asked for, and can be switched at all: by ethtool's netlink family, as
//! `ethtool -k` shows `off [fixed]` and `off [requested on]`.

use std::io;

use netlink_packet_core::{NLA_F_NESTED, NLA_TYPE_MASK};
use netlink_sys::protocols::NETLINK_GENERIC;
use netlink_sys::{Socket, SocketAddr};
use serde::{Deserialize, Serialize};

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

// linux/netlink.h, linux/genetlink.h, linux/ethtool_netlink.h
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const ETHTOOL_MSG_FEATURES_GET: u8 = 11;
const ETHTOOL_A_FEATURES_HEADER: u16 = 1;
const ETHTOOL_A_HEADER_DEV_NAME: u16 = 2;
const ETHTOOL_A_FEATURES_HW: u16 = 2;
const ETHTOOL_A_FEATURES_WANTED: u16 = 3;
const ETHTOOL_A_FEATURES_ACTIVE: u16 = 4;
const ETHTOOL_A_BITSET_BITS: u16 = 3;
const ETHTOOL_A_BITSET_BIT_NAME: u16 = 2;
const ETHTOOL_A_BITSET_BIT_VALUE: u16 = 3;

/// Length of a netlink header, and with it of a generic one.
const HEADER: usize = 16;
const BOTH_HEADERS: usize = HEADER + 4;

/// Asks about a device of the calling thread's namespace.
///
/// # Errors
/// The kernel has no such device, or no netlink family for ethtool.
pub(super) fn read(dev: &str) -> io::Result<Switches> {
    let mut socket = Socket::new(NETLINK_GENERIC)?;
    socket.bind_auto()?;
    let name = attribute(CTRL_ATTR_FAMILY_NAME, b"ethtool\0");
    let family = family_id(&ask(&socket, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, &name)?).ok_or_else(nonsense)?;
    let device = attribute(ETHTOOL_A_HEADER_DEV_NAME, &[dev.as_bytes(), b"\0"].concat());
    let header = attribute(ETHTOOL_A_FEATURES_HEADER | NLA_F_NESTED, &device);
    switches(&ask(&socket, family, ETHTOOL_MSG_FEATURES_GET, &header)?).ok_or_else(nonsense)
}

/// One question, one answer: the attributes of the answer.
fn ask(socket: &Socket, family: u16, command: u8, attributes: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(BOTH_HEADERS + attributes.len()).map_err(|_| nonsense())?;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(family.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([command, 1, 0, 0]);
    message.extend(attributes);
    socket.send_to(&message, &SocketAddr::new(0, 0), 0)?;
    let (answer, _) = socket.recv_from_full()?;
    if u16_at(&answer, 4) == Some(NLMSG_ERROR) {
        let code = answer.get(HEADER..HEADER + 4).and_then(|code| code.try_into().ok());
        return Err(code.map_or_else(nonsense, |code| {
            io::Error::from_raw_os_error(i32::from_ne_bytes(code).saturating_neg())
        }));
    }
    answer.get(BOTH_HEADERS..).map(<[u8]>::to_vec).ok_or_else(nonsense)
}

fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer about device features makes no sense")
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Kinds and values of a row of attributes; it ends where they cannot be read.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & NLA_TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn family_id(answer: &[u8]) -> Option<u16> {
    attributes(answer).find(|(kind, _)| *kind == CTRL_ATTR_FAMILY_ID).and_then(|(_, id)| u16_at(id, 0))
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
