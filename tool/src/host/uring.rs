//! What io_uring can do here, found out by asking a ring (`IORING_REGISTER_PROBE`), never by the kernel's version.

use io_uring::{IoUring, Probe};
use serde::{Deserialize, Serialize};

/// Requests that move bytes of sockets: name and number (linux/io_uring.h).
const REQUESTS: &[(&str, u8)] = &[
    ("send", 26),
    ("recv", 27),
    ("sendmsg", 9),
    ("splice", 30),
    ("send_zc", 47),
    ("sendmsg_zc", 48),
    ("recv_zc", 58),
];

/// What io_uring can do here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uring {
    /// Why there is none for this process, one sentence; absent: there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// Requests the kernel has, of those that move bytes of sockets.
    pub requests: Vec<String>,
    /// One send may take several provided buffers (Linux 6.10).
    pub bundles: bool,
}

impl Uring {
    /// Asks a ring that is gone afterwards.
    #[must_use]
    pub fn read() -> Uring {
        let no = |why_not: String| Uring { why_not: Some(why_not), ..Uring::default() };
        let ring = match IoUring::new(2) {
            Ok(ring) => ring,
            Err(error) => return no(refusal(&error)),
        };
        let mut probe = Probe::new();
        if let Err(error) = ring.submitter().register_probe(&mut probe) {
            return no(format!(
                "this io_uring does not tell what it can do: {error}; it is older than Linux 5.6"
            ));
        }
        let has = REQUESTS.iter().filter(|(_, number)| probe.is_supported(*number));
        Uring {
            why_not: None,
            requests: has.map(|(name, _)| (*name).to_owned()).collect(),
            bundles: ring.params().is_feature_recvsend_bundle(),
        }
    }

    /// Whether the kernel has this request.
    #[must_use]
    pub fn has(&self, request: &str) -> bool {
        self.requests.iter().any(|has| has == request)
    }
}

fn refusal(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOSYS) => "this kernel has no io_uring; use another path".into(),
        Some(libc::EPERM | libc::EACCES) => {
            "io_uring is not allowed here; see kernel.io_uring_disabled, or the seccomp filter of the container".into()
        }
        Some(libc::ENOMEM) => format!("there is no memory for an io_uring ({error}); raise RLIMIT_MEMLOCK"),
        _ => format!("cannot set up an io_uring: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_tells_its_requests_or_why_there_is_none() {
        let uring = Uring::read();
        assert_ne!(uring.why_not.is_some(), uring.has("send"), "{uring:?}");
        assert!(!uring.has("teleport"));
    }
}
