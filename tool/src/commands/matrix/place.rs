//! Where the two ends of a matrix are: a sink somewhere, or one of our own over loopback, a veth pair or a cable.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use super::args::MeasureArgs;
use crate::load::{LoadError, place, resolve};

/// The two ends.
pub(super) enum Place {
    /// A sink we do not start.
    Sink(Vec<SocketAddr>),
    /// Our own sink, both ends in this network namespace.
    Loopback(IpAddr),
    /// Our own sink at the far end of a wire between two own namespaces, at this address of it.
    Apart(Box<place::Place>, IpAddr),
}

impl Place {
    /// Sets it up.
    ///
    /// # Errors
    /// Unknown target; no right to make namespaces; devices that cannot be borrowed.
    pub(super) fn new(args: &MeasureArgs) -> Result<Self, LoadError> {
        if let Some(to) = &args.to {
            return Ok(Place::Sink(resolve(to, args.family())?));
        }
        Ok(match args.place.make()? {
            Some(place) => {
                let address = place.address(args.v6)?;
                Place::Apart(Box::new(place), address)
            }
            None if args.v6 => Place::Loopback(Ipv6Addr::LOCALHOST.into()),
            None => Place::Loopback(Ipv4Addr::LOCALHOST.into()),
        })
    }

    /// Runs `work` where the load belongs.
    ///
    /// # Errors
    /// The namespace cannot be entered.
    pub(super) fn at_near_end<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LoadError> {
        match self {
            Place::Apart(place, _) => place.enter(work),
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
            Place::Apart(place, address) => Some((place.far_command(program), *address)),
        })
    }
}
