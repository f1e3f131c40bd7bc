//! Generic netlink: one question to a family of the kernel, by its name, and its answer as attributes. A socket
//! belongs to the network namespace of the thread that opened it.

use std::io;

use netlink_packet_core::NLA_TYPE_MASK;
use netlink_sys::protocols::NETLINK_GENERIC;
use netlink_sys::{Socket, SocketAddr};

// linux/netlink.h, linux/genetlink.h
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const CTRL_ATTR_OPS: u16 = 6;
const CTRL_ATTR_OP_ID: u16 = 1;

/// Length of a netlink header, and with it of a generic one.
const HEADER: usize = 16;
const BOTH_HEADERS: usize = HEADER + 4;

/// A family of the kernel that can be asked.
pub(super) struct Family {
    socket: Socket,
    id: u16,
    /// Commands it knows.
    pub(super) commands: Vec<u32>,
}

impl Family {
    /// Finds it, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// `ENOENT` when the kernel has no such family.
    pub(super) fn find(name: &str) -> io::Result<Family> {
        let mut socket = Socket::new(NETLINK_GENERIC)?;
        socket.bind_auto()?;
        let name = attribute(CTRL_ATTR_FAMILY_NAME, &[name.as_bytes(), b"\0"].concat());
        let answer = ask(&socket, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, &name)?;
        let id = value(&answer, CTRL_ATTR_FAMILY_ID).and_then(|id| u16_at(id, 0)).ok_or_else(nonsense)?;
        Ok(Family { socket, id, commands: commands(&answer) })
    }

    /// One question, one answer: the attributes of the answer.
    ///
    /// # Errors
    /// What the kernel refused with.
    pub(super) fn ask(&self, command: u8, attributes: &[u8]) -> io::Result<Vec<u8>> {
        ask(&self.socket, self.id, command, attributes)
    }
}

fn commands(answer: &[u8]) -> Vec<u32> {
    let list = value(answer, CTRL_ATTR_OPS).unwrap_or_default();
    attributes(list).filter_map(|(_, command)| u32_of(value(command, CTRL_ATTR_OP_ID)?)).collect()
}

fn ask(socket: &Socket, family: u16, command: u8, attributes: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(BOTH_HEADERS + attributes.len()).map_err(|_| nonsense())?;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(family.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([command, 1, 0, 0]);
    message.extend(attributes);
    socket.send_to(&message, &SocketAddr::new(0, 0), 0)?;
    let (answer, _) = socket.recv_from_full()?;
    if u16_at(&answer, 4) == Some(NLMSG_ERROR) {
        let code = answer.get(HEADER..HEADER + 4).and_then(|code| code.try_into().ok());
        return Err(code.map_or_else(nonsense, |code| {
            io::Error::from_raw_os_error(i32::from_ne_bytes(code).saturating_neg())
        }));
    }
    answer.get(BOTH_HEADERS..).map(<[u8]>::to_vec).ok_or_else(nonsense)
}

/// What to say of an answer that cannot be read.
pub(super) fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer about a device makes no sense")
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// A number as an attribute holds it.
pub(super) fn u32_of(value: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(value.get(..4)?.try_into().ok()?))
}

/// An attribute as bytes.
pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Kinds and values of a row of attributes; it ends where they cannot be read.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & NLA_TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The first value of this kind.
pub(super) fn value(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_found_with_its_commands_and_an_invented_one_is_not() {
        // CTRL_CMD_GETFAMILY of the controller itself.
        assert!(Family::find("nlctrl").unwrap().commands.contains(&3));
        assert_eq!(Family::find("nosuchfamily").err().and_then(|e| e.raw_os_error()), Some(libc::ENOENT));
    }

    #[test]
    fn attributes_are_padded_and_read_back() {
        let bytes = [attribute(1, b"abc"), attribute(2, &7u32.to_ne_bytes())].concat();
        assert_eq!(bytes.len(), 16);
        assert_eq!((value(&bytes, 1), value(&bytes, 2).and_then(u32_of)), (Some(&b"abc"[..]), Some(7)));
        assert_eq!(value(&bytes, 3), None);
    }
}
