//! Before a load through a device: would its packets leave there? Asked of the routing table, so that a wrong setting
//! is a sentence and not a wrong figure.

use std::net::{IpAddr, SocketAddr};

use super::LoadError;
use super::connect::no_device;
use crate::host::device::{Device, DeviceKind};
use crate::host::route::{self, Way};

/// What to do instead, for who has both ends on one host.
const BOTH_ENDS_HERE: &str = "run the sink on another host, join two ports of this host with --cable IF1,IF2, \
                              or use --veth for a functional test";

/// Checks that packets to `target` leave through `device`, in the network namespace of the calling thread.
///
/// # Errors
/// [`LoadError::Usage`] when they would not: the device is not there, is down or has no carrier, the address is of
/// this host, or the route leads elsewhere.
pub fn check(device: &str, target: SocketAddr) -> Result<(), LoadError> {
    let refuse = |text: String| Err(LoadError::Usage(text));
    let Ok(facts) = Device::load(device) else { return refuse(no_device(device)) };
    if !facts.up {
        return refuse(format!("device {device} is down; `ip link set dev {device} up` sets it up"));
    }
    if !facts.running {
        return refuse(format!("device {device} has no carrier; check the cable and the other end"));
    }
    let to = target.ip().to_canonical();
    let cannot = |error| LoadError::failed("cannot ask the kernel for the route", error);
    let any = route::way(to, None).map_err(cannot)?;
    if any == Way::Local {
        // Asked for by name, loopback is no mistake. A socket bound to any other device sends to the gateway, or
        // nowhere.
        return if facts.kind == DeviceKind::Loopback { Ok(()) } else { refuse(local(device, to)) };
    }
    match route::way(to, Some(facts.index)).map_err(cannot)? {
        Way::Through(index) if index == facts.index => Ok(()),
        _ => refuse(no_route(device, to, any)),
    }
}

/// The sentence for a target on this host.
fn local(device: &str, to: IpAddr) -> String {
    format!(
        "{to} is an address of this host, so the packets would go over lo and never touch {device}; {BOTH_ENDS_HERE}"
    )
}

/// The sentence for a target that is not behind the device; `elsewhere` is where the route leads.
fn no_route(device: &str, to: IpAddr, elsewhere: Way) -> String {
    let other = match elsewhere {
        Way::Through(index) => nix::net::if_::if_indextoname(index).ok(),
        Way::Local | Way::None => None,
    };
    match other {
        Some(other) => {
            let other = other.to_string_lossy();
            format!(
                "the route to {to} leaves through {other}, not {device}; use -i {other}, \
                 or give this host an address and a route to {to} on {device}"
            )
        }
        None => format!("there is no route to {to} through {device}; `ip route` shows those there are"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_allowed_only_by_name() {
        assert!(check("lo", "127.0.0.1:9".parse().unwrap()).is_ok());
        assert!(check("lo", "[::ffff:127.0.0.1]:9".parse().unwrap()).is_ok());
    }

    #[test]
    fn an_unknown_device_is_named() {
        let error = check("nosuch0", "127.0.0.1:9".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("nosuch0"), "{error}");
    }

    #[test]
    fn the_refusal_names_the_device_that_would_be_taken() {
        let to = "192.0.2.9".parse().unwrap();
        let text = no_route("eth1", to, Way::Through(1));
        assert!(text.contains("leaves through lo, not eth1"), "{text}");
        assert!(no_route("eth1", to, Way::None).contains("no route"));
    }
}
