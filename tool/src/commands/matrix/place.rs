//! Where the two ends of a matrix are: a sink somewhere, or one of our own over loopback, a veth pair or a cable.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use super::args::MeasureArgs;
use crate::commands::Failure;
use crate::host::link::{self, End};
use crate::load::{Family, resolve};
use crate::privilege;

/// The two ends.
pub(super) enum Place {
    /// A sink we do not start.
    Sink(Vec<SocketAddr>),
    /// Our own sink, both ends in this network namespace.
    Loopback(IpAddr),
    /// Our own sink at the far end of a link between two own namespaces. A borrowed device goes back when this is
    /// dropped.
    Apart {
        /// Where the load runs.
        near: End,
        /// Where the sink runs.
        far: End,
        /// Its address.
        address: IpAddr,
        /// A pair of virtual devices, not a cable.
        virtual_link: bool,
    },
}

impl Place {
    /// Sets it up.
    ///
    /// # Errors
    /// Unknown target; no right to make namespaces; devices that cannot be borrowed.
    pub(super) fn new(args: &MeasureArgs) -> Result<Self, Failure> {
        if let Some(to) = &args.to {
            let family = match (args.v4, args.v6) {
                (true, _) => Family::V4,
                (_, true) => Family::V6,
                _ => Family::Any,
            };
            return Ok(Place::Sink(resolve(to, family)?));
        }
        if !args.veth && args.cable.is_none() {
            let local = if args.v6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
            return Ok(Place::Loopback(local));
        }
        privilege::can_make_namespaces().map_err(Failure::Failed)?;
        let ends = match &args.cable {
            Some((a, b)) => link::borrow([a, b]),
            None => link::veth(),
        };
        let [near, far] = ends.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => Failure::Usage(error.to_string()),
            _ => Failure::Failed(format!("cannot set up the link: {error}")),
        })?;
        let no_v6 = || Failure::Usage("this kernel has no IPv6; leave out -6".into());
        let address = if args.v6 { far.v6.ok_or_else(no_v6)?.into() } else { far.v4.into() };
        Ok(Place::Apart { near, far, address, virtual_link: args.cable.is_none() })
    }

    /// Runs `work` where the load belongs.
    ///
    /// # Errors
    /// The namespace cannot be entered.
    pub(super) fn at_near_end<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        match self {
            Place::Apart { near, .. } => near.namespace.enter(work),
            Place::Sink(_) | Place::Loopback(_) => Ok(work()),
        }
    }

    /// The command to start our own sink with, and its address; `None` when the sink is not ours.
    ///
    /// # Errors
    /// This program's own file is not to be had.
    pub(super) fn own_sink(&self) -> io::Result<Option<(Command, IpAddr)>> {
        let program: PathBuf = std::env::current_exe()?;
        Ok(match self {
            Place::Sink(_) => None,
            Place::Loopback(address) => Some((Command::new(program), *address)),
            Place::Apart { far, address, .. } => Some((far.namespace.command(program), *address)),
        })
    }
}
