//! The limits a zero-copy send can hit, and the congestion control that shapes its rate.

use std::{fs, io};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

/// Limits of the caller's network namespace and of this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `net.core.optmem_max` in bytes: notification memory per socket. Per network namespace since Linux 6.12 or
    /// earlier, else of the whole machine; `None` where this namespace cannot see it.
    pub optmem_max: Option<u64>,
    /// Soft `RLIMIT_MEMLOCK` of this process in bytes; `None` is unlimited. Another process has its own:
    /// [`memlock_of`].
    pub memlock: Option<u64>,
    /// `net.ipv4.tcp_congestion_control`: what new sockets get.
    pub congestion_control: Option<String>,
}

/// Reads the limits as the calling thread's network namespace has them.
///
/// # Errors
/// The resource limit cannot be read.
pub fn limits() -> io::Result<Limits> {
    let (memlock, _hard) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    Ok(Limits {
        optmem_max: sysctl("net/core/optmem_max").and_then(|value| value.parse().ok()),
        memlock: (memlock != RLIM_INFINITY).then_some(memlock),
        congestion_control: sysctl("net/ipv4/tcp_congestion_control"),
    })
}

/// Bytes of a page of memory; 0 when the system does not say.
#[must_use]
pub fn page_bytes() -> u64 {
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    page.ok().flatten().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0)
}

/// Soft `RLIMIT_MEMLOCK` of a process in bytes; `None` is unlimited.
///
/// # Errors
/// The process is gone, or belongs to someone else.
pub fn memlock_of(pid: u32) -> io::Result<Option<u64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    parse_memlock(&text)
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/limits has no line `Max locked memory`")))
}

fn parse_memlock(text: &str) -> Option<Option<u64>> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => Some(None),
        bytes => bytes.parse().ok().map(Some),
    }
}

/// One kernel setting, `None` where it does not exist.
fn sysctl(name: &str) -> Option<String> {
    let value = fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
    Some(value.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units     \n\
Max processes             15594                15594                processes \n\
Max locked memory         8388608              8388608              bytes     \n";

    #[test]
    fn reads_the_soft_limit() {
        assert_eq!(parse_memlock(LIMITS), Some(Some(8_388_608)));
        assert_eq!(parse_memlock(&LIMITS.replacen("8388608", "unlimited", 1)), Some(None));
        assert_eq!(parse_memlock("Max processes 1 1 processes\n"), None);
    }

    #[test]
    fn own_limit_is_the_same_by_both_ways() {
        assert_eq!(memlock_of(std::process::id()).unwrap(), limits().unwrap().memlock);
    }

    #[test]
    fn this_kernel_has_a_congestion_control() {
        let limits = limits().unwrap();
        assert!(limits.congestion_control.is_some_and(|name| !name.is_empty() && !name.contains('\n')));
    }
}
