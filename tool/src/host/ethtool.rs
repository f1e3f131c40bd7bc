//! The device ioctls, in one place: flags, MTU, driver and features by interface name. They act in the network
//! namespace of the calling thread.
#![allow(unsafe_code, reason = "device ioctls have no safe wrapper")]

use std::ffi::{CStr, c_char};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// Commands of `SIOCETHTOOL` (linux/ethtool.h).
const ETHTOOL_GDRVINFO: u32 = 0x03;

/// A feature that `ethtool -k` lists as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Feature {
    /// `tx-checksumming`.
    TxChecksum = 0x16,
    /// `scatter-gather`.
    ScatterGather = 0x18,
    /// `tcp-segmentation-offload`.
    Tso = 0x1e,
}

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// `struct ethtool_drvinfo`.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [c_char; 32],
    version: [c_char; 32],
    firmware: [c_char; 32],
    bus: [c_char; 32],
    rom: [c_char; 32],
    reserved: [u8; 12],
    counts: [u32; 5],
}

/// A way to ask for facts of one device.
pub(super) struct Asker {
    socket: OwnedFd,
    request: libc::ifreq,
}

impl Asker {
    /// Prepares questions about a device of the calling thread's network namespace.
    ///
    /// # Errors
    /// The name is too long for a device, or no socket can be made.
    pub(super) fn new(name: &str) -> io::Result<Asker> {
        // SAFETY: ifreq is plain C data; all zeros is a valid value of every field and union member.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // One byte stays zero: the name is a C string.
        if name.is_empty() || name.len() >= request.ifr_name.len() {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from.cast_signed() as c_char;
        }
        let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        Ok(Asker { socket, request })
    }

    fn ask(&mut self, code: libc::Ioctl) -> io::Result<()> {
        // SAFETY: the socket is open, and every code used here takes a pointer to an ifreq; where the kernel follows
        // the data pointer in it, `ethtool` below has set that to a live object of the size its command names.
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), code, &raw mut self.request) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// `IFF_` flags.
    pub(super) fn flags(&mut self) -> io::Result<i32> {
        self.ask(libc::SIOCGIFFLAGS as libc::Ioctl)?;
        // SAFETY: the kernel has just filled this member.
        Ok(i32::from(unsafe { self.request.ifr_ifru.ifru_flags }))
    }

    /// Bytes a packet may carry.
    pub(super) fn mtu(&mut self) -> io::Result<u32> {
        self.ask(libc::SIOCGIFMTU as libc::Ioctl)?;
        // SAFETY: the kernel has just filled this member.
        Ok(unsafe { self.request.ifr_ifru.ifru_mtu }.unsigned_abs())
    }

    /// Whether a feature is on.
    pub(super) fn feature(&mut self, feature: Feature) -> io::Result<bool> {
        let mut value = Value { command: feature as u32, data: 0 };
        self.request.ifr_ifru.ifru_data = (&raw mut value).cast();
        self.ask(libc::SIOCETHTOOL as libc::Ioctl)?;
        Ok(value.data != 0)
    }

    /// Switches a feature: the command to set is the one after the command to ask.
    ///
    /// # Errors
    /// The device cannot, or this process may not (`CAP_NET_ADMIN`).
    pub(super) fn set_feature(&mut self, feature: Feature, on: bool) -> io::Result<()> {
        let mut value = Value { command: feature as u32 + 1, data: on.into() };
        self.request.ifr_ifru.ifru_data = (&raw mut value).cast();
        self.ask(libc::SIOCETHTOOL as libc::Ioctl)
    }

    /// Names of the driver and of the place on the bus (empty for virtual devices).
    pub(super) fn driver(&mut self) -> io::Result<(String, String)> {
        // SAFETY: DriverInfo is integers only; all zeros is valid.
        let mut info: DriverInfo = unsafe { std::mem::zeroed() };
        info.command = ETHTOOL_GDRVINFO;
        self.request.ifr_ifru.ifru_data = (&raw mut info).cast();
        self.ask(libc::SIOCETHTOOL as libc::Ioctl)?;
        Ok((text(&info.driver), text(&info.bus)))
    }
}

/// A C string in a fixed field.
fn text(field: &[c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|&byte| byte as u8).collect();
    CStr::from_bytes_until_nul(&bytes)
        .map_or_else(|_| String::new(), |text| text.to_string_lossy().into_owned())
}

// Sizes of the kernel's own structures.
const _: () = assert!(size_of::<Value>() == 8 && size_of::<DriverInfo>() == 196);
