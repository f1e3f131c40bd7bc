//! The tracepoint back end's view of copies: no copying function can be watched, so a copy is concluded from what
//! devices can do and from where a zero-copy skb shows up, and confirmed by the kernel's own flag at the end.

use zcscope_common::{CopyKey, FlowCounters, Offsets, Site, SockEntry, Unit, rx_how, sock_flags};

use crate::{
    config::conf,
    copy,
    mem::{Direct, Mem, Probe, add, read},
    skb::{self, ZEROCOPY_ENABLE},
    socket,
};

const NETIF_F_SG: u64 = 1;
/// IP_CSUM, HW_CSUM, IPV6_CSUM.
const NETIF_F_ANY_CSUM: u64 = 1 << 1 | 1 << 3 | 1 << 4;
const PACKET_OTHERHOST: u8 = 3;
const MAX_TAPS: usize = 4;

/// Tracepoint `net:net_dev_queue(skb)`: a device without scatter-gather gets linear skbs, so everything in frags
/// will be copied: silently while segmenting, flagged when one skb is linearised. The same holds for a device
/// that cannot compute checksums, where the kernel has to read the data.
#[inline(always)]
pub unsafe fn queued(skb: *const u8) {
    unsafe {
        // The device first: it takes typed loads only, and nearly all can do both.
        let features = features_for(skb);
        let no_sg = features & NETIF_F_SG == 0;
        if !no_sg && features & NETIF_F_ANY_CSUM != 0 {
            return;
        }
        let Some(shared) = skb::shared::<Direct>(skb) else { return };
        let dev: u64 = Probe::read(skb, conf!(off.skb_dev));
        let Some(victim) = copy::victim::<Direct>(skb, &shared) else { return };
        if victim.unit.is_none() && victim.entry.dev == dev {
            // File pages for the device of the route: counted when they were sent.
            return;
        }
        let bytes = u64::from(Direct::read::<u32>(skb, conf!(off.skb_data_len)));
        socket::zcscope_remember(dev);
        let silent = no_sg && shared.gso_size != 0;
        let site = if silent { Site::SkbSegment } else { Site::ValidateXmit };
        let told = !silent && victim.is_told();
        let key = CopyKey {
            id: victim.entry.id,
            dev,
            path: victim.path as u8,
            site: site as u8,
            told: u8::from(told),
            inferred: 1,
            ..CopyKey::default()
        };
        copy::count(key, bytes);
        copy::charge(victim, false, told, bytes);
    }
}

/// File pages were sent over a route whose device needs linear packets, or cannot compute checksums: all of them will
/// be copied, and nobody is told. They have no unit that would say at its end what became of packets not seen.
#[inline(always)]
pub unsafe fn pages_sent(entry: &SockEntry, flow: &mut FlowCounters, path: u32, bytes: u64) {
    if entry.dev == 0 {
        return;
    }
    let features: u64 = unsafe { Probe::read(entry.dev as *const u8, conf!(off.dev_features)) };
    let no_sg = features & NETIF_F_SG == 0;
    if !no_sg && features & NETIF_F_ANY_CSUM != 0 {
        return;
    }
    let site = if no_sg { Site::SkbSegment } else { Site::ValidateXmit };
    let key = CopyKey {
        id: entry.id,
        dev: entry.dev,
        path: path as u8,
        site: site as u8,
        inferred: 1,
        ..CopyKey::default()
    };
    copy::count(key, bytes);
    add(&mut flow.raw_wire_bytes, bytes);
    add(&mut flow.raw_silent_bytes, bytes);
}

/// What the device can do for this packet: for a tunnel's packet (vxlan, ...) often less.
#[inline(always)]
unsafe fn features_for(skb: *const u8) -> u64 {
    unsafe {
        let dev: *const u8 = Direct::read(skb, conf!(off.skb_dev));
        let features: u64 = Direct::read(dev, conf!(off.dev_features));
        let bits: u8 = Direct::read(skb, conf!(off.skb_encapsulation));
        if (bits >> (conf!(off.skb_encapsulation_shift) & 7)) & 1 == 0 {
            return features;
        }
        features & Direct::read::<u64>(dev, conf!(off.dev_hw_enc_features))
    }
}

/// Tracepoint `net:net_dev_start_xmit(skb, dev)`: packet taps of the device have just been served; each gets a
/// clone with copied data. A packet that was received before goes on from here: it was not delivered there.
#[inline(always)]
pub unsafe fn transmitted(skb: *const u8, dev: *const u8) {
    unsafe {
        // What typed loads tell comes first: most packets of most devices end here.
        let came_from: i32 = Direct::read(skb, conf!(off.skb_iif));
        let passed_on = came_from != 0 && !for_other(skb);
        let tapped = tapped(dev, Direction::Outgoing);
        let tun = is_tun(dev);
        if !passed_on && !tapped && !tun {
            return;
        }
        let Some(shared) = skb::shared::<Direct>(skb) else { return };
        if shared.flags & ZEROCOPY_ENABLE == 0 {
            return;
        }
        let Some(unit) = copy::unit(&shared) else { return };
        let bytes = u64::from(Direct::read::<u32>(skb, conf!(off.skb_data_len)));
        if passed_on {
            unit.forwarded = 1;
            if unit.rx_bytes != 0 {
                add(&mut unit.rx_bytes, bytes.wrapping_neg());
            }
        }
        // The same device as the argument, as a plain number.
        let dev: u64 = Probe::read(skb, conf!(off.skb_dev));
        if unit.rx_dev != dev && unit.tap_dev != dev {
            socket::zcscope_remember(dev);
        }
        if tun {
            add(&mut unit.rx_bytes, bytes);
            unit.rx_how = rx_how::TUN;
            unit.rx_dev = dev;
        }
        if !tapped {
            return;
        }
        add(&mut unit.tap_bytes, bytes);
        unit.tap_dev = dev;
    }
}

/// Whether the frame was addressed to another host than the one that received it.
#[inline(always)]
unsafe fn for_other(skb: *const u8) -> bool {
    let bits: u8 = unsafe { Direct::read(skb, conf!(off.skb_pkt_type)) };
    (bits >> (conf!(off.skb_pkt_type_shift) & 7)) & 7 == PACKET_OTHERHOST
}

/// Whether the device is tun or tap: it hands packets to a program and copies them for it.
#[inline(always)]
unsafe fn is_tun(dev: *const u8) -> bool {
    unsafe {
        let ops: *const u8 = Direct::read(dev, conf!(off.dev_rtnl_link_ops));
        if ops.is_null() {
            return false;
        }
        let kind: u64 = Direct::read(ops, conf!(off.link_ops_kind));
        read::<[u8; 4]>(kind as *const u8) == *b"tun\0"
    }
}

/// Whether a generic XDP program runs on what the device receives.
#[inline(always)]
unsafe fn generic_xdp(dev: *const u8) -> bool {
    conf!(off.dev_xdp_prog) != Offsets::ABSENT
        && unsafe { Direct::read::<u64>(dev, conf!(off.dev_xdp_prog)) } != 0
}

/// Which packets a tap must want.
#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Incoming,
    Outgoing,
}

/// Whether a packet socket that wants such packets listens on the device (a typed pointer) or in its namespace.
#[inline(always)]
unsafe fn tapped(dev: *const u8, direction: Direction) -> bool {
    unsafe {
        if list_has_tap(dev, conf!(off.dev_ptype_all), direction) {
            return true;
        }
        if conf!(off.net_ptype_all) == Offsets::ABSENT {
            return false;
        }
        let net: *const u8 = Direct::read(dev, conf!(off.dev_nd_net));
        list_has_tap(net, conf!(off.net_ptype_all), direction)
    }
}

/// The same of the list whose head stands at `off` in what `of`, a typed pointer, points to.
#[inline(always)]
unsafe fn list_has_tap(of: *const u8, off: u32, direction: Direction) -> bool {
    let head = of.wrapping_add(off as usize) as u64;
    // struct list_head { next, prev }. Nobody listens nearly always, and one typed load tells.
    let mut node: u64 = unsafe { Direct::read(of, off) };
    let mut i = 0;
    while i < MAX_TAPS {
        if node == 0 || node == head {
            return false;
        }
        let packet_type = (node as *const u8).wrapping_sub(conf!(off.packet_type_list) as usize);
        let ignores: u8 = unsafe { Probe::read(packet_type, conf!(off.packet_type_ignore_outgoing)) };
        if ignores == 0 || direction == Direction::Incoming {
            return true;
        }
        node = unsafe { read(node as *const u8) };
        i += 1;
    }
    false
}

/// Tracepoint `net:netif_receive_skb(skb)`: a zero-copy skb arrives on this host. A local receiver makes the
/// kernel copy it, and so does a packet tap; a frame for somebody else is otherwise dropped.
#[inline(always)]
pub unsafe fn received(skb: *const u8) {
    unsafe {
        let Some(shared) = skb::shared::<Direct>(skb) else { return };
        if shared.flags & ZEROCOPY_ENABLE == 0 {
            return;
        }
        let for_other = for_other(skb);
        let dev: *const u8 = Direct::read(skb, conf!(off.skb_dev));
        if for_other && !tapped(dev, Direction::Incoming) {
            return;
        }
        let Some(unit) = copy::unit(&shared) else { return };
        add(&mut unit.rx_bytes, u64::from(Direct::read::<u32>(skb, conf!(off.skb_data_len))));
        if unit.rx_dev != dev as u64 {
            // The same device as a plain number.
            let dev: u64 = Probe::read(skb, conf!(off.skb_dev));
            socket::zcscope_remember(dev);
            unit.rx_dev = dev;
        }
        unit.rx_how = match (for_other, generic_xdp(dev)) {
            (true, _) => rx_how::TAP,
            (false, true) => rx_how::XDP,
            (false, false) => rx_how::LOCAL,
        };
    }
}

/// The kernel flagged a unit of `bytes` (`u64::MAX`: not known) as copied: turns what was seen of it into copies.
#[inline(always)]
pub fn settle(entry: &mut SockEntry, unit: &mut Unit, bytes: u64) {
    let told = u8::from(unit.untold == 0);
    let base = CopyKey { id: entry.id, path: unit.path as u8, told, inferred: 1, ..CopyKey::default() };
    if unit.rx_bytes != 0 {
        let copied = unsafe { arrived(entry, unit, bytes) };
        let site = match unit.rx_how {
            rx_how::TAP => Site::DeliverSkb,
            rx_how::TUN => Site::TunXmit,
            rx_how::XDP => Site::XdpGeneric,
            _ => Site::LocalReceive,
        };
        copy::count(CopyKey { dev: unit.rx_dev, site: site as u8, ..base }, copied);
        (entry.rx_site, entry.rx_dev) = (site as u64, unit.rx_dev);
        unit.wire_bytes += copied;
    }
    if unit.tap_bytes != 0 {
        let copied = unit.tap_bytes.min(bytes);
        copy::count(CopyKey { dev: unit.tap_dev, site: Site::TapClone as u8, clone: 1, ..base }, copied);
        unit.clone_bytes += copied;
    }
    if unit.wire_bytes == 0 && unit.clone_bytes == 0 && bytes != u64::MAX {
        unit.wire_bytes = unexplained(entry, unit.path, bytes);
    }
}

/// Of a unit that was flagged as copied and seen arriving, the bytes copied there. All of a unit goes the same way, and
/// the peer has acknowledged it: what arrived unseen was copied, too.
#[inline(always)]
pub unsafe fn arrived(entry: &SockEntry, unit: &Unit, bytes: u64) -> u64 {
    let whole = bytes != u64::MAX
        && unit.forwarded == 0
        && unit.rx_how != rx_how::TAP
        && unsafe { all_arrived(entry) };
    if whole { bytes } else { unit.rx_bytes.min(bytes) }
}

/// Whether a unit that ends now was acknowledged. When a connection breaks, or its socket is destroyed, the kernel
/// releases also what was never sent.
#[inline(always)]
unsafe fn all_arrived(entry: &SockEntry) -> bool {
    let error: i32 = unsafe { Probe::read(entry.sk as *const u8, conf!(off.sock_err)) };
    error == 0 && entry.flags & sock_flags::CLOSING == 0
}

/// The kernel flagged a unit as copied and nothing seen explains it: all of it counts, and the place is where other
/// packets of the socket were seen to be taken, or unknown.
#[inline(always)]
pub fn unexplained(entry: &mut SockEntry, path: u32, bytes: u64) -> u64 {
    let (site, dev) = match entry.rx_site {
        0 => (Site::Unknown as u64, entry.dev),
        site => (site, entry.rx_dev),
    };
    let key = CopyKey {
        id: entry.id,
        dev,
        path: path as u8,
        site: site as u8,
        told: 1,
        inferred: 1,
        ..CopyKey::default()
    };
    copy::count(key, bytes);
    bytes
}
