//! Mode `uring_zcrx`: whether the card could write straight into our memory, found out without touching the card.
//!
//! A registration that must fail for a harmless reason tells how far it would get: null pointers tell whether the
//! kernel knows it, a queue that does not exist tells whether a device's driver has the queue API. Nothing is
//! reconfigured.

use std::io;

use io_uring::types::{io_uring_region_desc, io_uring_zcrx_area_reg, io_uring_zcrx_ifq_reg};
use io_uring::{IoUring, cqueue, squeue};
use memmap2::MmapMut;
use nix::errno::Errno;

type Ring = IoUring<squeue::Entry, cqueue::Entry32>;

/// No device has a queue of this number.
const NO_QUEUE: u32 = 0x00ff_ffff;
const AREA: usize = 64 << 10;
const ENTRIES: u32 = 8;

/// Never `Ok`: where everything is there, the sentence says that the sink does not use it yet.
pub(super) fn available() -> Result<(), String> {
    let ring: Ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(ENTRIES)
        .map_err(|error| format!("this kernel refuses the io_uring it needs ({error})"))?;
    let known = ring.submitter().register_ifq(&io_uring_zcrx_ifq_reg::default());
    if let Some(why) = known.err().and_then(|error| unknown(&error)) {
        return Err(why);
    }
    let devices = devices();
    let tried: Vec<_> =
        devices.iter().map(|(name, index)| (name.as_str(), try_device(&ring, *index))).collect();
    Err(verdict(&tried))
}

fn unknown(error: &io::Error) -> Option<String> {
    Some(match error.raw_os_error()? {
        libc::EFAULT => return None,
        libc::EPERM => "it needs CAP_NET_ADMIN; run the sink as root".into(),
        libc::EOPNOTSUPP => "this kernel is built without it (CONFIG_IO_URING_ZCRX)".into(),
        _ => format!("this kernel does not know zero-copy receive of io_uring ({error})"),
    })
}

/// What the driver of a device says to a registration for a queue that does not exist.
fn try_device(ring: &Ring, if_idx: u32) -> io::Result<()> {
    let (area_memory, region_memory) = (MmapMut::map_anon(AREA)?, MmapMut::map_anon(AREA)?);
    let mut area =
        io_uring_zcrx_area_reg { addr: area_memory.as_ptr() as u64, len: AREA as u64, ..Default::default() };
    let mut region = io_uring_region_desc {
        user_addr: region_memory.as_ptr() as u64,
        size: AREA as u64,
        flags: io_uring::types::IORING_MEM_REGION_TYPE_USER,
        ..Default::default()
    };
    let request = io_uring_zcrx_ifq_reg {
        if_idx,
        if_rxq: NO_QUEUE,
        rq_entries: ENTRIES,
        area_ptr: (&raw mut area) as u64,
        region_ptr: (&raw mut region) as u64,
        ..Default::default()
    };
    ring.submitter().register_ifq(&request)
}

fn verdict(tried: &[(&str, io::Result<()>)]) -> String {
    let has_queues = |error: &io::Error| error.raw_os_error() == Some(libc::ERANGE);
    let ready: Vec<_> = tried
        .iter()
        .filter(|(_, result)| result.as_ref().err().is_none_or(has_queues))
        .map(|(name, _)| *name)
        .collect();
    if !ready.is_empty() {
        return format!(
            "{} could do it (this kernel and its driver can hand over a receive queue; header split was not looked \
             at), but this sink does not drive it yet",
            ready.join(", ")
        );
    }
    let seen = if tried.is_empty() { "there is none".into() } else { refusals(tried) };
    format!(
        "no network device here hands over a receive queue ({seen}); it takes a driver with the queue API and \
         header split"
    )
}

/// Devices by what they said: `eth0, eth1: Operation not supported`.
fn refusals(tried: &[(&str, io::Result<()>)]) -> String {
    let mut by_reason: Vec<(String, Vec<&str>)> = Vec::new();
    for (name, result) in tried {
        let errno = result.as_ref().err().and_then(io::Error::raw_os_error).unwrap_or(0);
        let reason = Errno::from_raw(errno).desc().to_owned();
        match by_reason.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(name),
            None => by_reason.push((reason, vec![name])),
        }
    }
    let parts: Vec<_> =
        by_reason.iter().map(|(reason, names)| format!("{}: {reason}", names.join(", "))).collect();
    parts.join("; ")
}

/// Devices of this network namespace but loopback, with their numbers.
fn devices() -> Vec<(String, u32)> {
    nix::net::if_::if_nameindex()
        .map(|all| {
            all.iter()
                .map(|device| (device.name().to_string_lossy().into_owned(), device.index()))
                .filter(|(name, _)| name != "lo")
                .collect()
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(errno: i32) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(errno))
    }

    #[test]
    fn the_sentence_names_the_first_thing_that_is_missing() {
        let text = unknown(&io::Error::from_raw_os_error(libc::EINVAL)).unwrap();
        assert!(text.contains("does not know"), "{text}");
        assert_eq!(unknown(&io::Error::from_raw_os_error(libc::EFAULT)), None);
        let text = verdict(&[("eth0", refused(libc::EOPNOTSUPP)), ("eth1", refused(libc::EOPNOTSUPP))]);
        assert!(text.contains("no network device here") && text.contains("(eth0, eth1: Op"), "{text}");
        assert!(verdict(&[]).contains("there is none"));
        let text = verdict(&[("eth0", refused(libc::EOPNOTSUPP)), ("eth1", refused(libc::ERANGE))]);
        assert!(text.starts_with("eth1 could do it"), "{text}");
    }
}
