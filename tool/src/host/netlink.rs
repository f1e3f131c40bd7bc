//! Talking rtnetlink with the kernel: one request at a time, answers read to their end. A socket belongs to the
//! network namespace of the thread that opened it, wherever it is used later.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// Messages of one datagram begin at multiples of this.
const ALIGN: usize = 4;
/// Length of a message header, the least there can be.
const HEADER: usize = 16;

/// An rtnetlink socket.
pub(crate) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// Opens one in the network namespace of the calling thread.
    ///
    /// # Errors
    /// No descriptor left, or a sandbox that forbids netlink.
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        Ok(Self { socket, sequence: 0 })
    }

    /// All answers to a question about everything of a kind.
    ///
    /// # Errors
    /// What the kernel refused with, or an answer that makes no sense.
    pub(crate) fn dump(&mut self, question: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.exchange(question, NLM_F_REQUEST | NLM_F_DUMP)
    }

    /// The answer to a question about one thing.
    ///
    /// # Errors
    /// What the kernel refused with, or no answer.
    pub(crate) fn ask(&mut self, question: RouteNetlinkMessage) -> io::Result<RouteNetlinkMessage> {
        let answer = self.exchange(question, NLM_F_REQUEST | NLM_F_ACK)?.pop();
        answer.ok_or_else(|| nonsense("the kernel did not answer"))
    }

    /// Makes a change. `flags` are those beside request and acknowledge, such as `NLM_F_CREATE`.
    ///
    /// # Errors
    /// What the kernel refused with.
    pub(crate) fn change(&mut self, change: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.exchange(change, NLM_F_REQUEST | NLM_F_ACK | flags).map(drop)
    }

    /// Sends one message and reads until the kernel says that this was all.
    fn exchange(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        (header.flags, header.sequence_number) = (flags, self.sequence);
        self.socket.send_to(&bytes(header, message), &SocketAddr::new(0, 0), 0)?;
        let mut answers = Vec::new();
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            for message in split(&datagram)? {
                // The tail of an earlier exchange that failed half way.
                if message.header.sequence_number != self.sequence {
                    continue;
                }
                match message.payload {
                    NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                    NetlinkPayload::Error(_) => return Ok(answers),
                    _ => {}
                }
            }
        }
    }
}

/// A whole message as bytes.
pub(crate) fn bytes(header: NetlinkHeader, message: RouteNetlinkMessage) -> Vec<u8> {
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// One message out of bytes made by [`bytes`]; `None` for anything else.
pub(crate) fn parse(bytes: &[u8]) -> Option<RouteNetlinkMessage> {
    match NetlinkMessage::deserialize(bytes).ok()?.payload {
        NetlinkPayload::InnerMessage(message) => Some(message),
        _ => None,
    }
}

/// The messages of one datagram.
fn split(datagram: &[u8]) -> io::Result<Vec<NetlinkMessage<RouteNetlinkMessage>>> {
    let (mut messages, mut rest) = (Vec::new(), datagram);
    while rest.len() >= HEADER {
        let message = NetlinkMessage::deserialize(rest)
            .map_err(|error| nonsense(&format!("cannot read what the kernel answered: {error}")))?;
        let length = (message.header.length as usize).max(HEADER).next_multiple_of(ALIGN);
        messages.push(message);
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(messages)
}

fn nonsense(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::{LinkAttribute, LinkMessage};

    use super::*;

    #[test]
    fn the_loopback_device_is_among_the_links_and_can_be_asked_for() {
        let mut netlink = Netlink::open().unwrap();
        let links = netlink.dump(RouteNetlinkMessage::GetLink(LinkMessage::default())).unwrap();
        let is_lo = |message: &RouteNetlinkMessage| {
            let RouteNetlinkMessage::NewLink(link) = message else { return false };
            link.attributes.contains(&LinkAttribute::IfName("lo".into()))
        };
        assert!(links.iter().any(is_lo));
        let mut one = LinkMessage::default();
        one.header.index = 1;
        assert!(is_lo(&netlink.ask(RouteNetlinkMessage::GetLink(one)).unwrap()));
    }

    #[test]
    fn a_refusal_is_the_kernels_errno() {
        let mut one = LinkMessage::default();
        one.header.index = 999_999;
        let error = Netlink::open().unwrap().ask(RouteNetlinkMessage::GetLink(one)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }

    #[test]
    fn a_message_survives_as_bytes() {
        let mut link = LinkMessage::default();
        link.header.index = 7;
        link.attributes.push(LinkAttribute::Mtu(9000));
        let message = RouteNetlinkMessage::NewLink(link);
        assert_eq!(parse(&bytes(NetlinkHeader::default(), message.clone())), Some(message));
        assert_eq!(parse(&[1, 2, 3]), None);
    }
}
