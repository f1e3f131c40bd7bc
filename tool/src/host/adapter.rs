//! What a network card can do for receiving without a copy: queues and header split (ethtool netlink), and whether
//! the kernel lets buffers of other memory be bound to its queues (the netdev family). Asks; changes nothing.

use netlink_packet_core::NLA_F_NESTED;
use serde::{Deserialize, Serialize};

use super::genetlink::{Family, attribute, u32_of, value};

// linux/ethtool_netlink.h
const ETHTOOL_MSG_RINGS_GET: u8 = 15;
const ETHTOOL_MSG_CHANNELS_GET: u8 = 17;
/// Of every question: the device.
const HEADER: u16 = 1;
const HEADER_DEV_NAME: u16 = 2;
const RINGS_TCP_DATA_SPLIT: u16 = 11;
const CHANNELS_RX: u16 = 6;
const CHANNELS_TX: u16 = 7;
const CHANNELS_COMBINED: u16 = 9;
const DATA_SPLIT_ENABLED: u8 = 2;

// linux/netdev.h
const NETDEV_CMD_BIND_RX: u32 = 13;
const NETDEV_CMD_BIND_TX: u32 = 15;

/// Queues and header split of a device; `None` where the driver does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adapter {
    /// Queues that only receive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_queues: Option<u32>,
    /// Queues that only send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_queues: Option<u32>,
    /// Queues that do both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub combined_queues: Option<u32>,
    /// Whether it puts payload into pages of its own (`tcp-data-split`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_split: Option<bool>,
}

/// What the kernel lets programs bind to a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Device memory to receive into (devmem, Linux 6.12).
    pub receive: bool,
    /// Device memory to send from (devmem, Linux 6.16).
    pub send: bool,
}

/// Asks about a device of the calling thread's namespace.
#[must_use]
pub fn read(dev: &str) -> Adapter {
    let Ok(family) = Family::find("ethtool") else { return Adapter::default() };
    let device = attribute(HEADER_DEV_NAME, &[dev.as_bytes(), b"\0"].concat());
    let header = attribute(HEADER | NLA_F_NESTED, &device);
    let rings = family.ask(ETHTOOL_MSG_RINGS_GET, &header).unwrap_or_default();
    let channels = family.ask(ETHTOOL_MSG_CHANNELS_GET, &header).unwrap_or_default();
    let queues = |kind| value(&channels, kind).and_then(u32_of).filter(|queues| *queues > 0);
    Adapter {
        rx_queues: queues(CHANNELS_RX),
        tx_queues: queues(CHANNELS_TX),
        combined_queues: queues(CHANNELS_COMBINED),
        // The attribute is absent where the driver does not know the setting.
        header_split: value(&rings, RINGS_TCP_DATA_SPLIT)
            .and_then(|split| split.first())
            .map(|split| *split == DATA_SPLIT_ENABLED),
    }
}

/// What this kernel lets programs bind, by the commands it knows.
#[must_use]
pub fn binding() -> Binding {
    let commands = Family::find("netdev").map(|family| family.commands).unwrap_or_default();
    Binding { receive: commands.contains(&NETDEV_CMD_BIND_RX), send: commands.contains(&NETDEV_CMD_BIND_TX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_neither_queues_to_set_nor_header_split() {
        assert_eq!(read("lo"), Adapter::default());
        assert_eq!(read("nosuch0"), Adapter::default());
    }

    #[test]
    fn sending_from_device_memory_came_after_receiving_into_it() {
        let binding = binding();
        assert!(binding.receive || !binding.send, "{binding:?}");
    }
}
