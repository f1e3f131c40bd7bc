//! What this kernel can do: probed, or by release where nothing can be probed.

use std::path::Path;

/// `(major, minor)` of a release such as `6.12.117-cloud`.
pub(crate) fn release() -> (u32, u32) {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").ok().and_then(|s| parse(&s)).unwrap_or((0, 0))
}

fn parse(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Behaviour that cannot be probed, with the first release that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// A frame with user pages is copied on delivery only, no longer when it leaves a veth: a black hole is a true
    /// zero-copy link.
    CopyOnDelivery,
    /// A tracepoint sees every entry into TCP's send function, so the tracepoint back end knows the path of each call.
    SendTracepoint,
    /// A tracepoint tells the result of every send; before, the tracepoint back end sees no sends.
    SendLength,
    /// `sendfile` hands TCP many pages at once.
    SplicePages,
    /// io_uring sends many buffers with one request.
    SendBundles,
}

/// The one table of expectations that depend on the release.
const SINCE: [(Since, (u32, u32)); 5] = [
    (Since::CopyOnDelivery, (6, 17)),
    (Since::SendTracepoint, (6, 16)),
    (Since::SendLength, (6, 4)),
    (Since::SplicePages, (6, 5)),
    (Since::SendBundles, (6, 10)),
];

/// True when the running kernel is new enough.
pub(crate) fn has(behaviour: Since) -> bool {
    SINCE.iter().any(|(known, first)| *known == behaviour && release() >= *first)
}

/// True when every DMA of a device goes through a bounce buffer (a guest that was started so).
pub(crate) fn bounces_always() -> bool {
    let line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    line.split_whitespace().any(|word| word == "swiotlb=force")
}

/// True when the program can be found.
pub(crate) fn has_program(name: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_else(|_| "/sbin:/bin:/usr/sbin:/usr/bin".into());
    path.split(':').any(|dir| Path::new(dir).join(name).exists())
}

/// True when the kernel, or a module it has loaded, has this function.
pub(crate) fn has_symbol(name: &str) -> bool {
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    symbols.lines().any(|line| line.split_ascii_whitespace().nth(2) == Some(name))
}

/// True when the kernel takes kprobes; one that does not refuses fentry as well here.
pub(crate) fn has_kprobes() -> bool {
    Path::new("/sys/bus/event_source/devices/kprobe/type").exists()
}

/// True when the kernel may give huge pages to who asks for them.
pub(crate) fn has_huge_pages() -> bool {
    let setting = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    setting.contains("[always]") || setting.contains("[madvise]")
}

/// True when the temporary directory lies on a disk, or a loop device can be one.
pub(crate) fn has_disks() -> bool {
    use std::os::unix::fs::MetadataExt;
    let on_disk = std::fs::metadata(std::env::temp_dir()).is_ok_and(|m| nix::sys::stat::major(m.dev()) != 0);
    on_disk || (has_program("mkfs.ext4") && Path::new("/dev/loop-control").exists())
}

/// True when the kernel has TLS sockets.
pub(crate) fn has_tls() -> bool {
    let layers = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_ulp").unwrap_or_default();
    layers.split_whitespace().any(|layer| layer == "tls")
}

/// True when this process has CAP_SYS_RESOURCE, as root has outside of most containers.
pub(crate) fn may_raise_limits() -> bool {
    const CAP_SYS_RESOURCE: u32 = 24;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .is_some_and(|caps| caps >> CAP_SYS_RESOURCE & 1 == 1)
}

/// True when new connections are paced by their congestion control.
pub(crate) fn is_paced() -> bool {
    let name = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap_or_default();
    name.starts_with("bbr")
}

/// True when a cgroup2 hierarchy is mounted.
pub(crate) fn has_cgroups() -> bool {
    std::fs::read_to_string("/proc/self/mountinfo").is_ok_and(|text| text.contains(" - cgroup2 "))
}

/// True when the kernel speaks IPv6.
pub(crate) fn has_ipv6() -> bool {
    Path::new("/proc/net/if_inet6").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_by_number() {
        assert_eq!(parse("6.12.117+deb12-cloud-amd64\n"), Some((6, 12)));
        assert_eq!(parse("6.1.0-56-cloud"), Some((6, 1)));
        assert!(parse("6.9.1") < parse("6.12.1"));
        assert_eq!(parse("linux"), None);
    }
}
