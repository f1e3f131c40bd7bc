//! The state of single TCP connections, by sock_diag: what `ss -ti` shows. Each connection is asked for by its
//! addresses, so a host with many others pays nothing for them.

use std::io;
use std::net::{IpAddr, SocketAddr};

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, NlasIterator};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr as NetlinkAddr};
use serde::{Deserialize, Serialize};

use super::Wanted;

/// What the kernel says of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TcpFacts {
    /// Its congestion control.
    pub congestion_control: Option<String>,
    /// Upper layer protocol on it, such as `tls`.
    pub upper_layer: Option<String>,
    /// Bytes per second the congestion control lets out; `None` without pacing.
    pub pacing_bytes_per_s: Option<u64>,
    /// Bytes per second the peer acknowledged lately.
    pub delivery_bytes_per_s: u64,
    /// The shortest round trip, µs.
    pub min_rtt_us: u32,
    /// Time with data to send, µs; of that, waiting for the peer's window and for room in the send buffer.
    pub busy_us: u64,
    /// See `busy_us`.
    pub peer_window_us: u64,
    /// See `busy_us`.
    pub send_buffer_us: u64,
    /// Bytes sent, those sent again included.
    pub sent_bytes: u64,
    /// Bytes sent again.
    pub resent_bytes: u64,
}

/// Cookie that fits every socket.
const NO_COOKIE: [u8; 8] = [0xff; 8];
/// Attribute with the upper layer protocol, and its name in there (linux/inet_diag.h).
const INET_DIAG_ULP_INFO: u16 = 19;
const INET_ULP_INFO_NAME: u16 = 1;

/// Asks for these connections in the calling thread's namespace; those that are gone are left out.
pub(super) fn read(wanted: &[&Wanted]) -> Vec<(u64, TcpFacts)> {
    let Ok(socket) = open() else { return Vec::new() };
    wanted.iter().filter_map(|of| Some((of.id, one(&socket, of).ok()??))).collect()
}

fn open() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    Ok(socket)
}

/// One connection; `None` when there is none of these addresses and this cookie.
fn one(socket: &Socket, wanted: &Wanted) -> io::Result<Option<TcpFacts>> {
    let request = InetRequest {
        family: if wanted.remote.is_ipv4() { AF_INET } else { AF_INET6 },
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::INFO | ExtensionFlags::CONG,
        states: StateFlags::all(),
        socket_id: id(wanted.local, wanted.remote, wanted.cookie),
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message =
        NetlinkMessage::new(header, NetlinkPayload::from(SockDiagMessage::InetRequest(request)));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send_to(&bytes, &NetlinkAddr::new(0, 0), 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<SockDiagMessage>::deserialize(&answer)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    Ok(match answer.payload {
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => Some(facts(&response)),
        _ => None,
    })
}

fn id(local: SocketAddr, remote: SocketAddr, cookie: Option<u64>) -> SocketId {
    SocketId {
        source_port: local.port(),
        destination_port: remote.port(),
        source_address: plain(local.ip()),
        destination_address: plain(remote.ip()),
        interface_id: 0,
        // Two halves, the low one first, each in this machine's order.
        cookie: cookie.map_or(NO_COOKIE, |cookie| {
            let (low, high) = (cookie as u32, (cookie >> 32) as u32);
            let [a, b] = [low.to_ne_bytes(), high.to_ne_bytes()];
            [a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]]
        }),
    }
}

/// IPv4 inside IPv6 is IPv4 for the kernel's tables.
const fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

fn facts(response: &InetResponse) -> TcpFacts {
    let mut facts = TcpFacts::default();
    for nla in &response.nlas {
        match nla {
            Nla::TcpInfo(info) => facts = TcpFacts { ..figures(info, facts) },
            Nla::Congestion(name) => {
                facts.congestion_control = Some(name.trim_end_matches('\0').to_owned());
            }
            Nla::Other(other) => {
                use netlink_packet_core::Nla as _;
                let mut value = vec![0; other.value_len()];
                other.emit_value(&mut value);
                if other.kind() & netlink_packet_core::NLA_TYPE_MASK == INET_DIAG_ULP_INFO {
                    facts.upper_layer = upper_layer(&value);
                }
            }
            _ => {}
        }
    }
    facts
}

fn upper_layer(nested: &[u8]) -> Option<String> {
    let name =
        NlasIterator::new(nested).map_while(Result::ok).find(|nla| nla.kind() == INET_ULP_INFO_NAME)?;
    let text = name.value().split(|byte| *byte == 0).next().unwrap_or_default();
    Some(String::from_utf8_lossy(text).into_owned())
}

/// Reads `struct tcp_info` (linux/tcp.h), which only ever grows at its end; what an older kernel lacks is 0.
fn figures(info: &[u8], before: TcpFacts) -> TcpFacts {
    let long = |at: usize| info.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_ne_bytes);
    let int = |at: usize| info.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes);
    TcpFacts {
        // All ones: no limit; 0: not set yet.
        pacing_bytes_per_s: Some(long(104)).filter(|rate| *rate != 0 && *rate != u64::MAX),
        min_rtt_us: int(148),
        delivery_bytes_per_s: long(160),
        busy_us: long(168),
        peer_window_us: long(176),
        send_buffer_us: long(184),
        sent_bytes: long(200),
        resent_bytes: long(208),
        ..before
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn wanted(stream: &TcpStream) -> Wanted {
        Wanted {
            id: 1,
            cookie: None,
            pid: 0,
            netns: 0,
            local: stream.local_addr().unwrap(),
            remote: stream.peer_addr().unwrap(),
            dev: None,
        }
    }

    #[test]
    fn counts_what_a_connection_sent() {
        let listener = TcpListener::bind("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "::1"] {
            let Ok(mut near) = TcpStream::connect((host, port)) else { continue };
            let (mut far, _) = listener.accept().unwrap();
            near.write_all(&[7; 1_000]).unwrap();
            far.read_exact(&mut [0; 1_000]).unwrap();
            let of = wanted(&near);
            let found = read(&[&of]);
            assert_eq!(found.len(), 1, "{host}");
            assert_eq!((found[0].1.sent_bytes, found[0].1.resent_bytes), (1_000, 0), "{found:?}");
            assert_eq!(found[0].1.upper_layer, None);
            let other = Wanted { cookie: Some(1), ..wanted(&near) };
            assert_eq!(read(&[&other]).len(), 0, "another socket's cookie");
        }
    }

    #[test]
    fn the_far_side_of_a_mapped_address_is_found() {
        let listener = TcpListener::bind("[::]:0").unwrap();
        let near = TcpStream::connect(("127.0.0.1", listener.local_addr().unwrap().port())).unwrap();
        let (far, _) = listener.accept().unwrap();
        assert!(far.local_addr().unwrap().is_ipv6());
        let of =
            Wanted { local: near.peer_addr().unwrap(), remote: near.local_addr().unwrap(), ..wanted(&far) };
        assert_eq!(read(&[&of]).len(), 1);
    }

    #[test]
    fn an_older_kernel_leaves_the_rest_at_zero() {
        let facts = figures(&[1; 112], TcpFacts::default());
        assert_eq!(facts.pacing_bytes_per_s, Some(0x0101_0101_0101_0101));
        assert_eq!((facts.busy_us, facts.sent_bytes), (0, 0));
        assert_eq!(figures(&[0xff; 112], TcpFacts::default()).pacing_bytes_per_s, None);
    }
}
