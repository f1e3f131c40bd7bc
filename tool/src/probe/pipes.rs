//! Teaches the kernel programs how a pipe's user pages look (`vmsplice(2)`): the kernel marks them with an address that
//! not every `/proc/kallsyms` tells. A page of our own in a pipe of our own shows it; nothing of it leaves this process.

use std::io::IoSlice;
use std::os::fd::AsRawFd;

use aya::Ebpf;
use aya::maps::Array;
use nix::fcntl::{SpliceFFlags, vmsplice};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::model::snapshot::Missing;

/// Slots of the map `PIPE`, as the kernel programs use them.
const TEACHER: u32 = 0;
const USER_PAGES: u32 = 1;

/// Makes the programs learn the mark; the fact that is missing when they could not.
pub(super) fn teach(ebpf: &mut Ebpf) -> Option<Missing> {
    let why = match learn(ebpf) {
        Ok(0) => "no pipe showed how the kernel marks a program's own pages".to_owned(),
        Ok(_) => return None,
        Err(error) => {
            format!("the kernel's mark of a program's own pages in a pipe cannot be learnt ({error})")
        }
    };
    Some(Missing { fact: "vmsplice".into(), why: format!("{why}: vmsplice is counted as splice") })
}

/// Puts a page into a pipe and closes a TCP socket, which the programs see; returns the mark they read.
fn learn(ebpf: &mut Ebpf) -> anyhow::Result<u64> {
    let map = ebpf.map_mut("PIPE").ok_or_else(|| anyhow::anyhow!("the object has no map PIPE"))?;
    let mut slots = Array::<_, u64>::try_from(map)?;
    let (read, write) = nix::unistd::pipe()?;
    vmsplice(&write, &[IoSlice::new(b"zcscope")], SpliceFFlags::SPLICE_F_NONBLOCK)?;
    let closed_soon = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let fd = u64::try_from(read.as_raw_fd())?;
    slots.set(TEACHER, u64::from(std::process::id()) << 32 | fd, 0)?;
    drop(closed_soon);
    slots.set(TEACHER, 0, 0)?;
    Ok(slots.get(&USER_PAGES, 0)?)
}
