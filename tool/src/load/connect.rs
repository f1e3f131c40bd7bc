//! From `HOST:PORT` to a connected socket, with sentences for everything that goes wrong on the way.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{LoadError, target};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A blocking send gives up after this long, so that the end of the run is noticed when the peer stops reading.
const SEND_TIMEOUT: Duration = Duration::from_millis(200);

/// Which address family to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Whatever the name has, in the resolver's order.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// The addresses of `HOST:PORT` (`[v6]:PORT` and `[fe80::1%dev]:PORT` too).
///
/// # Errors
/// Not of this form, an unknown name, or no address of this family.
pub fn resolve(target: &str, family: Family) -> Result<Vec<SocketAddr>, LoadError> {
    let wrong = || {
        LoadError::Usage(format!(
            "{target:?} is not HOST:PORT; write for example 10.0.0.2:9000 or [::1]:9000"
        ))
    };
    let (host, port) = target.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or_else(wrong)?,
        None if host.is_empty() || host.contains(':') => return Err(wrong()),
        None => host,
    };
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|error| LoadError::Usage(format!("{host:?} has no address ({error}); check the name")))?;
    let addresses: Vec<_> = found
        .filter(|address| match family {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        })
        .collect();
    if addresses.is_empty() {
        return Err(LoadError::Usage(format!(
            "{host:?} has no address of the family asked for; leave out -4 or -6"
        )));
    }
    Ok(addresses)
}

/// How to connect.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    /// Bind to this device (`SO_BINDTODEVICE`).
    pub(super) device: Option<&'a str>,
    /// Congestion control.
    pub(super) cc: Option<&'a str>,
}

/// Connects to the first of `targets` that answers.
pub(super) fn connect_any(targets: &[SocketAddr], way: Way<'_>) -> Result<(Socket, SocketAddr), LoadError> {
    let mut first_error = None;
    for target in targets {
        match connect(*target, way) {
            Ok(socket) => return Ok((socket, *target)),
            Err(error) => drop(first_error.get_or_insert(error)),
        }
    }
    Err(first_error.unwrap_or_else(|| LoadError::Usage("there is no address to connect to".into())))
}

/// Connects to `target`; the socket is blocking, its sends give up after [`SEND_TIMEOUT`].
pub(super) fn connect(target: SocketAddr, way: Way<'_>) -> Result<Socket, LoadError> {
    if let Some(device) = way.device {
        target::check(device, target)?;
    }
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Protocol::TCP))
        .map_err(|error| LoadError::failed("cannot open a TCP socket", error))?;
    if let Some(device) = way.device {
        socket.bind_device(Some(device.as_bytes())).map_err(|error| device_error(device, &error))?;
    }
    if let Some(cc) = way.cc {
        socket.set_tcp_congestion(cc.as_bytes()).map_err(|error| cc_error(cc, &error))?;
    }
    socket
        .set_write_timeout(Some(SEND_TIMEOUT))
        .map_err(|error| LoadError::failed("cannot set a send timeout", error))?;
    socket
        .connect_timeout(&SockAddr::from(target), CONNECT_TIMEOUT)
        .map_err(|error| connect_error(target, way.device, &error))?;
    Ok(socket)
}

/// The congestion control a socket uses.
pub(super) fn congestion_control(socket: &Socket) -> Option<String> {
    let name = socket.tcp_congestion().ok()?;
    let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
    String::from_utf8(name[..end].to_vec()).ok()
}

fn device_error(device: &str, error: &io::Error) -> LoadError {
    match error.raw_os_error() {
        Some(libc::ENODEV) => LoadError::Usage(no_device(device)),
        Some(libc::EPERM) => LoadError::Failed(format!(
            "may not bind to {device}: SO_BINDTODEVICE needs CAP_NET_RAW here; run as root or leave out -i"
        )),
        _ => LoadError::failed(format_args!("cannot bind to {device}"), error),
    }
}

/// The sentence for a device that does not exist.
pub(super) fn no_device(device: &str) -> String {
    format!("there is no network device {device:?} in this network namespace; `ip link` lists them")
}

fn cc_error(cc: &str, error: &io::Error) -> LoadError {
    let listed =
        std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control").unwrap_or_default();
    LoadError::Usage(format!(
        "cannot use congestion control {cc:?} ({error}); this kernel has loaded: {}",
        listed.trim()
    ))
}

fn connect_error(target: SocketAddr, device: Option<&str>, error: &io::Error) -> LoadError {
    let over = device.map(|device| format!(" over {device}")).unwrap_or_default();
    LoadError::Failed(match error.kind() {
        io::ErrorKind::ConnectionRefused => format!(
            "nothing listens on {target}{over} (connection refused); start `zcscope sink --listen ADDR:{}` there first",
            target.port()
        ),
        io::ErrorKind::TimedOut => format!(
            "{target}{over} did not answer within {} s; check the address, the route and firewalls",
            CONNECT_TIMEOUT.as_secs()
        ),
        _ => format!(
            "cannot connect to {target}{over}: {error}; check the address and `ip route get {}`",
            target.ip()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families() {
        assert_eq!(resolve("127.0.0.1:9", Family::Any).unwrap(), ["127.0.0.1:9".parse().unwrap()]);
        assert_eq!(resolve("[::1]:9", Family::V6).unwrap(), ["[::1]:9".parse().unwrap()]);
        for wrong in ["127.0.0.1", "::1:9", ":9", "[::1:9", "host:port", "host:70000"] {
            let error = resolve(wrong, Family::Any).unwrap_err().to_string();
            assert!(error.contains("not HOST:PORT"), "{wrong}: {error}");
        }
        let error = resolve("127.0.0.1:9", Family::V6).unwrap_err().to_string();
        assert!(error.contains("leave out -4 or -6"), "{error}");
    }

    #[test]
    fn an_unknown_device_is_a_usage_error() {
        let way = Way { device: Some("nosuchdev0"), cc: None };
        let error = connect("127.0.0.1:9".parse().unwrap(), way).unwrap_err();
        assert!(matches!(&error, LoadError::Usage(text) if text.contains("nosuchdev0")), "{error}");
    }
}
