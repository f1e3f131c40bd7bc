//! Where the matrix is measured: link, device, and how busy the machine is otherwise.

use std::net::SocketAddr;
use std::time::Duration;

use nix::net::if_::if_indextoname;

use super::place::Place;
use crate::host::cpu::CpuTime;
use crate::host::device::{Device, DeviceKind};
use crate::host::route::{self, Way};
use crate::host::{identity, limits};
use crate::load::place::Wire;
use crate::load::sink::Mode;
use crate::matrix::result::{DeviceFacts, Setting};

const LOOPBACK: &str = "both ends are on this host, where the kernel copies every MSG_ZEROCOPY send on arrival, and no \
                        NIC takes part";

/// All that is known before the first run. Call it at the near end.
pub(super) fn setting(place: &Place, asked: Option<&str>, sink: Mode) -> Setting {
    let who = identity::identity();
    let device = device(place, asked);
    let (link, functional_only) = link(place, device.as_ref());
    let target = match place {
        Place::Sink(targets) => targets.first().map(SocketAddr::to_string),
        Place::Loopback(_) | Place::Apart(..) => None,
    };
    Setting {
        host: who.host,
        kernel: who.kernel,
        cpus: who.cpus as u64,
        link: link.into(),
        target,
        functional_only: functional_only.then(|| LOOPBACK.into()),
        device: device.map(|device| facts(&device)),
        sink: (!matches!(place, Place::Sink(_))).then(|| sink.name().into()),
        cc: limits::limits().ok().and_then(|limits| limits.congestion_control),
        ..Setting::default()
    }
}

/// How the ends are joined, and whether they are on one host with no NIC between.
fn link(place: &Place, device: Option<&Device>) -> (&'static str, bool) {
    let kind = device.map(|device| device.kind);
    match place {
        Place::Loopback(_) => ("loopback", true),
        // Two ports that are virtual themselves are no cable.
        Place::Apart(place, _) => match place.wire() {
            Wire::Veth => ("veth", true),
            Wire::Cable => ("cable", place.functional_only()),
        },
        Place::Sink(_) => match kind {
            Some(DeviceKind::Loopback) => ("loopback", true),
            Some(DeviceKind::Veth) => ("veth", true),
            _ => ("network", false),
        },
    }
}

fn device(place: &Place, asked: Option<&str>) -> Option<Device> {
    let name = match (place, asked) {
        (_, Some(name)) => name.to_owned(),
        (Place::Loopback(_), None) => "lo".to_owned(),
        (Place::Apart(place, _), None) => place.device().to_owned(),
        (Place::Sink(targets), None) => way_to(*targets.first()?)?,
    };
    Device::load(&name).ok()
}

/// The device the routing table sends through; addresses of this host are reached over `lo`.
fn way_to(target: SocketAddr) -> Option<String> {
    match route::way(target.ip().to_canonical(), None).ok()? {
        Way::Local => Some("lo".into()),
        Way::Through(index) => if_indextoname(index).ok()?.into_string().ok(),
        Way::None => None,
    }
}

fn facts(device: &Device) -> DeviceFacts {
    DeviceFacts {
        name: device.name.clone(),
        driver: device.driver.clone(),
        mtu: device.mtu.into(),
        scatter_gather: device.features.scatter_gather,
        tx_checksum: device.features.tx_checksum,
        tso: device.features.tso,
    }
}

/// Part of the machine's CPU time that is busy while we sleep: other load.
pub(super) fn other_load() -> Option<f64> {
    let before = CpuTime::read().ok()?;
    std::thread::sleep(Duration::from_millis(500));
    let spent = CpuTime::read().ok()?.since(&before);
    part(spent.busy() + spent.steal, &spent)
}

/// Part of the CPU time since `before` that the hypervisor took.
pub(super) fn steal_since(before: Option<CpuTime>) -> Option<f64> {
    let spent = CpuTime::read().ok()?.since(&before?);
    part(spent.steal, &spent)
}

fn part(of: Duration, spent: &CpuTime) -> Option<f64> {
    let all = (spent.busy() + spent.steal + spent.idle).as_secs_f64();
    (all > 0.0).then(|| of.as_secs_f64() / all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_is_that_of_the_route_and_not_the_one_that_has_the_address() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: making a network namespace needs root");
            return;
        }
        let ways = crate::host::netns::Namespace::create().unwrap().enter(|| {
            let ip = |arguments: &str| {
                let status = std::process::Command::new("ip").args(arguments.split(' ')).status();
                assert!(status.unwrap().success(), "ip {arguments}");
            };
            for pair in ["a", "b"] {
                ip(&format!("link add {pair}0 type veth peer name {pair}1"));
                ip(&format!("link set {pair}0 up"));
                ip(&format!("link set {pair}1 up"));
            }
            ip("address add 10.77.1.1/24 dev a0");
            ip("address add 10.77.2.1/24 dev b0");
            // Sent with the address of a0, through b0.
            ip("route add 10.77.9.0/24 via 10.77.2.9 src 10.77.1.1");
            ["10.77.1.9:9", "10.77.9.9:9", "10.77.2.1:9", "8.8.8.8:9"].map(|to| way_to(to.parse().unwrap()))
        });
        let expected = [Some("a0"), Some("b0"), Some("lo"), None].map(|name| name.map(str::to_owned));
        assert_eq!(ways.unwrap(), expected);
    }

    #[test]
    fn own_addresses_are_reached_over_loopback() {
        assert_eq!(way_to("127.0.0.1:9".parse().unwrap()).as_deref(), Some("lo"));
        assert_eq!(way_to("127.8.8.8:9".parse().unwrap()).as_deref(), Some("lo"));
        let place = Place::Sink(vec!["127.0.0.1:9".parse().unwrap()]);
        let setting = setting(&place, None, Mode::Recv);
        assert_eq!((setting.link.as_str(), setting.sink), ("loopback", None));
        assert!(setting.functional_only.is_some());
    }
}
