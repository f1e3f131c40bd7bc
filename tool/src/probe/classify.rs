//! From a copy site, the function that asked for the copy and the device to the reason: one table.

use zcscope_common::{DevInfo, Reason, RxCause, Site};

const IFF_LOOPBACK: u32 = 8;
const NETIF_F_SG: u64 = 1;
/// IP_CSUM, HW_CSUM, IPV6_CSUM.
const ANY_CSUM: u64 = 1 << 1 | 1 << 3 | 1 << 4;
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
    /// The namespace that received the packets of this socket on this device forwards them.
    pub(super) forwarded: bool,
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
    /// The bytes are needed for a checksum the device does not compute.
    Checksum,
}

use Meaning::{Checksum, Device, Is, Local};

/// Callers by name, behind the helpers of `zcscope_common::THROUGH`; a trailing `*` matches any rest. First match wins.
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
    (Site::PskbPullTail, "skb_csum_hwoffload_help", Checksum),
    (Site::PskbPullTail, "skb_segment*", Checksum),
    (Site::PskbPullTail, "skb_checksum_help", Checksum),
    (Site::PskbPullTail, "esp_*", Is(Reason::Xfrm)),
    (Site::PskbPullTail, "esp6_*", Is(Reason::Xfrm)),
    (Site::PskbPullTail, "xfrm_*", Is(Reason::Xfrm)),
    (Site::PskbPullTail, "do_xdp_generic", Is(Reason::XdpGeneric)),
    (Site::PskbPullTail, "netif_receive_generic_xdp", Is(Reason::XdpGeneric)),
    (Site::PskbPullTail, "netif_skb_check_for_xdp", Is(Reason::XdpGeneric)),
    (Site::PskbPullTail, "bpf_*", Is(Reason::TcBpfPull)),
    (Site::PskbPullTail, "sk_skb_pull_data", Is(Reason::TcBpfPull)),
    (Site::PskbPullTail, "tcf_*", Is(Reason::TcBpfPull)),
    (Site::PskbPullTail, "netem_*", Is(Reason::TcBpfPull)),
    (Site::SkbPpCowData, "veth_*", Is(Reason::XdpVeth)),
    (Site::SkbPpCowData, "do_xdp_generic", Is(Reason::XdpGeneric)),
    (Site::SkbPpCowData, "netif_receive_generic_xdp", Is(Reason::XdpGeneric)),
    (Site::SkbPpCowData, "netif_skb_check_for_xdp", Is(Reason::XdpGeneric)),
    (Site::SkbCopyBits, "veth_*", Is(Reason::XdpVeth)),
];

/// The reason for one kind of copy event.
pub(super) fn reason(event: &Event<'_>) -> Reason {
    match event.site {
        Site::SendmsgLocked => Reason::SoZerocopyUnset,
        Site::Fastopen => Reason::Fastopen,
        Site::RepairQueue => Reason::Repair,
        Site::Sockmap => Reason::Sockmap,
        Site::Mptcp => Reason::Mptcp,
        Site::SockNoSendpage => Reason::RouteNoSg,
        Site::CopySpliceRead => Reason::SpliceCopyRead,
        Site::SkbSegment | Site::ValidateXmit => device_lacks(event.dev),
        Site::LocalReceive => local(event),
        Site::TunXmit => Reason::TunTap,
        Site::XdpGeneric => Reason::XdpGeneric,
        Site::TapClone => Reason::PacketTap,
        Site::DeliverSkb => Reason::PacketTapRx,
        // Flagged as copied, seen nowhere (tracepoints only): on the loopback device there is one thing it can be.
        Site::Unknown if event.dev.is_some_and(|dev| dev.flags & IFF_LOOPBACK != 0) => Reason::Loopback,
        Site::Unknown => Reason::UnknownCaller,
        Site::SkbCopyUbufs | Site::PskbPullTail | Site::SkbPpCowData | Site::SkbCopyBits => by_caller(event),
        // These have a cause and no caller: see `receive_reason`.
        Site::ZerocopyReceive | Site::SkipHint => Reason::RxUnaligned,
        Site::ZcrxCopy => Reason::ZcrxCopyFallback,
    }
}

/// The reason why received bytes were not mapped; `None` for other sites. Their rows hold a number, no caller.
pub(super) fn receive_reason(site: Site, cause: u64) -> Option<Reason> {
    if !matches!(site, Site::ZerocopyReceive | Site::SkipHint) {
        return None;
    }
    Some(match RxCause::from_number(cause) {
        RxCause::Linear => Reason::RxHeaderSplitMissing,
        RxCause::MappedPage => Reason::RxMappedPage,
        RxCause::SmallQueue => Reason::RxSmallQueue,
        RxCause::MapFull => Reason::RxMapFull,
        RxCause::Unaligned | RxCause::Unknown => Reason::RxUnaligned,
    })
}

fn by_caller(event: &Event<'_>) -> Reason {
    let Some(caller) = event.caller else { return Reason::UnknownCaller };
    let row = CALLERS.iter().find(|(site, pattern, _)| *site == event.site && matches(pattern, caller));
    match row.map(|(_, _, meaning)| meaning) {
        Some(Is(reason)) => *reason,
        Some(Local) => local(event),
        Some(Device) => device_lacks(event.dev),
        Some(Checksum) => checksum(event.dev),
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

fn local(event: &Event<'_>) -> Reason {
    match event.dev {
        Some(dev) if dev.flags & IFF_LOOPBACK != 0 => Reason::Loopback,
        _ if event.forwarded => Reason::NetnsForward,
        _ => Reason::LocalDelivery,
    }
}

/// True for a tun or tap device: what it offers is up to the program that reads it, not to `ethtool`.
fn is_tun(dev: &DevInfo) -> bool {
    dev.kind.starts_with(b"tun\0")
}

/// Bytes were needed for a checksum. A device that computes checksums itself lacks one only for this packet.
fn checksum(dev: Option<&DevInfo>) -> Reason {
    match dev {
        Some(dev) if is_tun(dev) => Reason::TunTap,
        Some(dev) if dev.features & ANY_CSUM != 0 => Reason::DriverLimit,
        _ => Reason::NoTxChecksum,
    }
}

/// A device that has scatter-gather and still got linear skbs cannot checksum, or refused this skb.
fn device_lacks(dev: Option<&DevInfo>) -> Reason {
    match dev {
        Some(dev) if is_tun(dev) => Reason::TunTap,
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
            forwarded: false,
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
    fn a_tun_device_is_named_whatever_copies() {
        let tun = DevInfo { kind: *b"tun\0\0\0\0\0\0\0\0\0\0\0\0\0", ..DevInfo::default() };
        for (site, caller) in [
            (Site::SkbSegment, "__skb_gso_segment"),
            (Site::PskbPullTail, "validate_xmit_skb"),
            (Site::PskbPullTail, "skb_csum_hwoffload_help"),
            (Site::SkbCopyUbufs, "tun_net_xmit"),
        ] {
            assert_eq!(of(site, caller, &tun), Reason::TunTap, "{caller}");
        }
    }

    #[test]
    fn a_forwarding_namespace_is_not_the_receiver() {
        let veth = dev(9, 0);
        let event = |forwarded| Event {
            site: Site::SkbCopyUbufs,
            caller: Some("__netif_receive_skb_core"),
            module: None,
            dev: Some(&veth),
            partial: false,
            forwarded,
            size: 1448,
        };
        assert_eq!(reason(&event(true)), Reason::NetnsForward);
        assert_eq!(reason(&event(false)), Reason::LocalDelivery);
    }

    #[test]
    fn xdp_is_told_by_who_asks() {
        let veth = dev(9, 0);
        assert_eq!(of(Site::SkbPpCowData, "veth_xdp_rcv_skb", &veth), Reason::XdpVeth);
        assert_eq!(of(Site::SkbPpCowData, "netif_receive_generic_xdp", &veth), Reason::XdpGeneric);
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
            forwarded: false,
            size,
        };
        assert_eq!(reason(&pull(true, 56)), Reason::HeaderPull);
        assert_eq!(reason(&pull(false, 16)), Reason::HeaderPull);
        assert_eq!(reason(&pull(false, 4096)), Reason::DriverLimit);
    }

    #[test]
    fn received_bytes_have_a_cause_and_no_caller() {
        for (cause, reason) in [
            (RxCause::Linear, Reason::RxHeaderSplitMissing),
            (RxCause::Unaligned, Reason::RxUnaligned),
            (RxCause::MappedPage, Reason::RxMappedPage),
            (RxCause::SmallQueue, Reason::RxSmallQueue),
            (RxCause::MapFull, Reason::RxMapFull),
        ] {
            assert_eq!(receive_reason(Site::ZerocopyReceive, cause as u64), Some(reason));
            assert_eq!(receive_reason(Site::SkipHint, cause as u64), Some(reason));
            assert_eq!(receive_reason(Site::SkbCopyUbufs, cause as u64), None);
        }
    }

    #[test]
    fn an_unknown_caller_stays_unknown() {
        assert_eq!(of(Site::SkbCopyUbufs, "brand_new_function", &dev(9, 0)), Reason::UnknownCaller);
    }
}
