//! The reader of a tun device: a device in each of two namespaces, and packets carried from one to the other, as a
//! VPN program or a virtual machine does.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::sched::{CloneFlags, setns};

use super::sys;

/// The largest packet: 64 KiB and the header before it.
const PACKET: usize = 70_000;

/// Arguments of `app pump`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Namespaces of the two devices.
    first: PathBuf,
    /// See `first`.
    second: PathBuf,
    /// Layer 2 instead of layer 3.
    #[arg(long)]
    tap: bool,
    /// Take packets without checksum and not segmented.
    #[arg(long)]
    offloads: bool,
    /// Seconds after which the pump ends in any case.
    #[arg(long, default_value_t = 60)]
    pub(crate) limit: u32,
}

/// Opens both devices, named tun0, prints `ready` and carries packets until killed or SIGALRM.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let [first, second] = [open(&args.first, args)?, open(&args.second, args)?];
    println!("ready");
    std::io::stdout().flush()?;
    let back = (second.try_clone()?, first.try_clone()?);
    std::thread::spawn(move || carry(back.0, back.1));
    carry(first, second);
    Ok(())
}

fn open(netns: &Path, args: &Args) -> anyhow::Result<File> {
    let space = File::open(netns)?;
    setns(space.as_fd(), CloneFlags::CLONE_NEWNET).context("cannot enter a network namespace")?;
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .context("this kernel has no /dev/net/tun")?;
    sys::make_tun(device.as_fd(), "tun0", args.tap, args.offloads)?;
    Ok(device)
}

/// A device that is down takes nothing: packets before that are dropped.
fn carry(mut from: File, mut to: File) {
    let mut packet = vec![0; PACKET];
    while let Ok(length) = from.read(&mut packet) {
        let _ = to.write(packet.get(..length).unwrap_or_default());
    }
}
