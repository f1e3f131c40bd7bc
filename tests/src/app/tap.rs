//! A packet tap: an `AF_PACKET` socket held open, as tcpdump, DHCP clients and lldpd hold one.

use std::io::Write;
use std::os::fd::AsFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use super::sys;

/// Arguments of `app tap`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this device; all of them when not given.
    #[arg(short = 'i', long)]
    interface: Option<String>,
    /// Do not look at what this host sends.
    #[arg(long)]
    ignore_outgoing: bool,
    /// Seconds after which the tap ends in any case.
    #[arg(long, default_value_t = 60)]
    pub(crate) limit: u32,
}

/// Opens the tap, prints `ready` and holds it until killed or SIGALRM.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    // A socket of all protocols hears every device from its first moment, so one for a single device starts deaf.
    let all = (args.interface.is_none() && !args.ignore_outgoing).then_some(SockProtocol::EthAll);
    let tap = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, all)?;
    if args.ignore_outgoing {
        sys::ignore_outgoing(tap.as_fd())?;
    }
    if all.is_none() {
        let index = match &args.interface {
            Some(name) => nix::net::if_::if_nametoindex(name.as_str())? as i32,
            None => 0,
        };
        sys::bind_packet(tap.as_fd(), index)?;
    }
    println!("ready");
    std::io::stdout().flush()?;
    loop {
        std::thread::park();
    }
}
