//! From a copy site, the function that asked for the copy and the device to the reason: one table.

use zcscope_common::{DevInfo, Reason, Site};

const IFF_LOOPBACK: u32 = 8;
const NETIF_F_SG: u64 = 1;
/// A driver that wants its headers linear pulls no more than this, even if it empties a tiny skb with it.
const HEADERS: u64 = 256;

/// Everything known about one kind of copy event.
pub(super) struct Event<'a> {
    pub(super) site: Site,
    /// Function that called the copying one, without compiler suffix.
    pub(super) caller: Option<&'a str>,
    /// Module of the caller; `None` for the kernel itself.
    pub(super) module: Option<&'a str>,
    pub(super) dev: Option<&'a DevInfo>,
    /// Less than all paged data was pulled.
    pub(super) partial: bool,
    /// Bytes of one such copy, on average.
    pub(super) size: u64,
}

/// What a matching caller means.
enum Meaning {
    Is(Reason),
    /// Delivered to a receiver on this host: loopback or another way.
    Local,
    /// The device cannot take frags: which of its features is missing?
    Device,
}

use Meaning::{Device, Is, Local};

/// Callers by name; a trailing `*` matches any rest. First match wins.
const CALLERS: &[(Site, &str, Meaning)] = &[
    (Site::SkbCopyUbufs, "dev_queue_xmit_nit", Is(Reason::PacketTap)),
    (Site::SkbCopyUbufs, "__netif_receive_skb*", Local),
    (Site::SkbCopyUbufs, "netif_receive_skb*", Local),
    (Site::SkbCopyUbufs, "ip_local_deliver*", Local),
    (Site::SkbCopyUbufs, "ip_protocol_deliver_rcu", Local),
    (Site::SkbCopyUbufs, "ip6_input*", Local),
    (Site::SkbCopyUbufs, "ip6_protocol_deliver_rcu", Local),
    (Site::SkbCopyUbufs, "deliver_skb", Local),
    (Site::SkbCopyUbufs, "tun_net_xmit", Is(Reason::TunTap)),
    (Site::SkbCopyUbufs, "tap_*", Is(Reason::TunTap)),
    (Site::SkbCopyUbufs, "skb_zerocopy_clone", Is(Reason::ZerocopyMerge)),
    (Site::PskbPullTail, "validate_xmit_skb*", Device),
    (Site::PskbPullTail, "skb_segment*", Is(Reason::NoTxChecksum)),
    (Site::PskbPullTail, "skb_checksum_help", Is(Reason::NoTxChecksum)),
    (Site::PskbPullTail, "skb_cow_data", Is(Reason::Xfrm)),
    (Site::PskbPullTail, "esp_*", Is(Reason::Xfrm)),
    (Site::PskbPullTail, "esp6_*", Is(Reason::Xfrm)),
    (Site::PskbPullTail, "do_xdp_generic", Is(Reason::XdpGeneric)),
    (Site::PskbPullTail, "netif_receive_generic_xdp", Is(Reason::XdpGeneric)),
    (Site::PskbPullTail, "bpf_*", Is(Reason::TcBpfPull)),
    (Site::PskbPullTail, "sk_skb_pull_data", Is(Reason::TcBpfPull)),
    (Site::PskbPullTail, "skb_ensure_writable", Is(Reason::TcBpfPull)),
];

/// The reason for one kind of copy event.
pub(super) fn reason(event: &Event<'_>) -> Reason {
    match event.site {
        Site::SendmsgLocked => Reason::SoZerocopyUnset,
        Site::SockNoSendpage => Reason::RouteNoSg,
        Site::CopySpliceRead => Reason::SpliceCopyRead,
        Site::SkbSegment | Site::ValidateXmit => device_lacks(event.dev),
        Site::LocalReceive => local(event.dev),
        Site::TapClone => Reason::PacketTap,
        Site::DeliverSkb => Reason::PacketTapRx,
        Site::Unknown => Reason::UnknownCaller,
        Site::SkbCopyUbufs | Site::PskbPullTail => by_caller(event),
    }
}

fn by_caller(event: &Event<'_>) -> Reason {
    let Some(caller) = event.caller else { return Reason::UnknownCaller };
    let row = CALLERS.iter().find(|(site, pattern, _)| *site == event.site && matches(pattern, caller));
    match row.map(|(_, _, meaning)| meaning) {
        Some(Is(reason)) => *reason,
        Some(Local) => local(event.dev),
        Some(Device) => device_lacks(event.dev),
        None if event.site == Site::PskbPullTail => by_driver(event, caller),
        None => Reason::UnknownCaller,
    }
}

/// A transmit function that pulls: headers it wants linear, or a whole skb it cannot map.
fn by_driver(event: &Event<'_>, caller: &str) -> Reason {
    let driver = event.module.is_some() || caller.contains("xmit");
    if !driver {
        Reason::UnknownCaller
    } else if event.partial || event.size <= HEADERS {
        Reason::HeaderPull
    } else {
        Reason::DriverLimit
    }
}

fn local(dev: Option<&DevInfo>) -> Reason {
    match dev {
        Some(dev) if dev.flags & IFF_LOOPBACK != 0 => Reason::Loopback,
        _ => Reason::LocalDelivery,
    }
}

/// A device that has scatter-gather and still got linear skbs cannot checksum, or refused this skb.
fn device_lacks(dev: Option<&DevInfo>) -> Reason {
    const ANY_CSUM: u64 = 1 << 1 | 1 << 3 | 1 << 4;
    match dev {
        Some(dev) if dev.features & NETIF_F_SG == 0 => Reason::NoScatterGather,
        Some(dev) if dev.features & ANY_CSUM == 0 => Reason::NoTxChecksum,
        Some(_) => Reason::DriverLimit,
        None => Reason::NoScatterGather,
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dev(features: u64, flags: u32) -> DevInfo {
        DevInfo { features, flags, ..DevInfo::default() }
    }

    fn of(site: Site, caller: &str, dev: &DevInfo) -> Reason {
        reason(&Event {
            site,
            caller: Some(caller),
            module: None,
            dev: Some(dev),
            partial: false,
            size: 1448,
        })
    }

    #[test]
    fn local_delivery_depends_on_the_device() {
        let (lo, veth) = (dev(9, IFF_LOOPBACK), dev(9, 0));
        for caller in ["__netif_receive_skb_core", "ip_local_deliver_finish", "ip6_input_finish"] {
            assert_eq!(of(Site::SkbCopyUbufs, caller, &lo), Reason::Loopback);
            assert_eq!(of(Site::SkbCopyUbufs, caller, &veth), Reason::LocalDelivery);
        }
    }

    #[test]
    fn the_device_feature_that_is_missing_is_named() {
        assert_eq!(of(Site::SkbSegment, "__skb_gso_segment", &dev(0, 0)), Reason::NoScatterGather);
        assert_eq!(of(Site::PskbPullTail, "validate_xmit_skb", &dev(1, 0)), Reason::NoTxChecksum);
        assert_eq!(of(Site::PskbPullTail, "validate_xmit_skb", &dev(9, 0)), Reason::DriverLimit);
    }

    #[test]
    fn drivers_pull_headers_or_everything() {
        let dev = dev(9, 0);
        let pull = |partial, size| Event {
            site: Site::PskbPullTail,
            caller: Some("vmxnet3_xmit_frame"),
            module: Some("vmxnet3"),
            dev: Some(&dev),
            partial,
            size,
        };
        assert_eq!(reason(&pull(true, 56)), Reason::HeaderPull);
        assert_eq!(reason(&pull(false, 16)), Reason::HeaderPull);
        assert_eq!(reason(&pull(false, 4096)), Reason::DriverLimit);
    }

    #[test]
    fn an_unknown_caller_stays_unknown() {
        assert_eq!(of(Site::SkbCopyUbufs, "brand_new_function", &dev(9, 0)), Reason::UnknownCaller);
    }
}
