//! One map value as part of a sample: sockets as senders and as receivers, their addresses and names.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use zcscope_common::{AddrPair, DevInfo, Gauges, Path, RecvEntry, SockEntry};

use crate::model::sample::SocketSample;

const AF_INET6: u16 = 10;

/// The path of this number, if there is one.
pub(super) fn path_of(number: u64) -> Option<Path> {
    u8::try_from(number).ok().and_then(Path::from_u8)
}

/// What the entries of senders and of receivers have in common, field by field.
macro_rules! sample {
    ($entry:expr, $devices:expr, $gauges:expr, $flow:expr) => {
        SocketSample {
            id: $entry.id,
            cookie: ($entry.cookie != 0).then_some($entry.cookie),
            pid: $entry.tgid,
            comm: text(&$entry.comm),
            local: address(&$entry.addr, &$entry.addr.local, $entry.addr.local_port),
            remote: address(&$entry.addr, &$entry.addr.remote, $entry.addr.remote_port),
            dev: $devices.get(&$entry.dev).map(|dev| text(&dev.name)),
            netns: $entry.netns,
            cgroup: $entry.cgroup,
            uid: $entry.uid,
            gauges: $gauges,
            flows: $flow.into_iter().collect(),
        }
    };
}

/// A socket as a sender, with the counters of its first path.
pub(super) fn socket_sample(entry: &SockEntry, devices: &HashMap<u64, DevInfo>) -> SocketSample {
    let home = path_of(u64::from(entry.home_path));
    sample!(entry, devices, entry.gauges, home.map(|path| (path, entry.home)))
}

/// A socket as a receiver, with the counters of its first copying path.
pub(super) fn receiver_sample(entry: &RecvEntry, devices: &HashMap<u64, DevInfo>) -> SocketSample {
    let home = path_of(u64::from(entry.home_path)).filter(|_| entry.home.calls != 0);
    sample!(entry, devices, Gauges::default(), home.map(|path| (path, entry.home.counters())))
}

fn address(pair: &AddrPair, bytes: &[u8; 16], port: u16) -> SocketAddr {
    let ip = if pair.family == AF_INET6 {
        let v6 = Ipv6Addr::from(*bytes);
        v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)
    } else {
        IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
    };
    SocketAddr::new(ip, port)
}

/// A name in a fixed, zero-terminated field.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
