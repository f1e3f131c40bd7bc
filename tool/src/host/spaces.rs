//! All network namespaces of this host that a process or a name (`ip netns`) keeps, and whose address is whose.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use nix::ifaddrs::getifaddrs;

use super::netns::{NAMED, Namespace, names};

/// A network namespace.
#[derive(Clone, Debug)]
pub struct Space {
    /// Its inode number.
    pub inode: u64,
    /// Its name, or else whose it is.
    pub name: String,
    /// The way into it.
    pub namespace: Namespace,
}

/// Finds them, and those this process itself holds open; those it may not see are left out.
#[must_use]
pub fn spaces() -> Vec<Space> {
    let mut found: BTreeMap<u64, Space> = BTreeMap::new();
    let mut add = |namespace: std::io::Result<Namespace>, name: &dyn Fn() -> String| {
        if let Ok(namespace) = namespace
            && let Ok(inode) = namespace.inode()
        {
            found.entry(inode).or_insert_with(|| Space { inode, name: name(), namespace });
        }
    };
    for (_, name) in names() {
        add(Namespace::open(&Path::new(NAMED).join(&name)), &|| format!("{name:?}"));
    }
    add(Namespace::of_process(1), &|| "of the host itself".into());
    for pid in numbers("/proc") {
        let comm = || fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        add(Namespace::of_process(pid), &|| format!("of process {pid} ({})", comm().trim_end()));
    }
    for fd in numbers("/proc/self/fd") {
        let path = format!("/proc/self/fd/{fd}");
        if fs::read_link(&path).is_ok_and(|target| target.to_string_lossy().starts_with("net:[")) {
            add(Namespace::open(Path::new(&path)), &|| "made by zcscope".into());
        }
    }
    found.into_values().collect()
}

/// Names in a directory that are numbers, in their order.
fn numbers(directory: &str) -> Vec<u32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut numbers: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

/// The namespace among these, but for `but`, that has this address; `None` also where they may not be entered.
#[must_use]
pub fn owner(spaces: &[Space], address: IpAddr, but: u64) -> Option<&Space> {
    let has =
        |space: &&Space| space.inode != but && space.namespace.enter(|| is_own(address)).unwrap_or(false);
    spaces.iter().find(has)
}

/// Whether the calling thread's namespace has this address.
fn is_own(address: IpAddr) -> bool {
    let Ok(all) = getifaddrs() else { return false };
    all.filter_map(|interface| interface.address).any(|own| {
        own.as_sockaddr_in().is_some_and(|v4| IpAddr::V4(v4.ip()) == address)
            || own.as_sockaddr_in6().is_some_and(|v6| IpAddr::V6(v6.ip()) == address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_namespace_of_this_process_and_no_owner_of_a_foreign_address() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: entering a network namespace needs root");
            return;
        }
        let own = Namespace::current().unwrap().inode().unwrap();
        let spaces = spaces();
        assert!(spaces.iter().any(|space| space.inode == own));
        assert!(owner(&spaces, "127.0.0.1".parse().unwrap(), 0).is_some());
        assert!(owner(&spaces, "192.0.2.77".parse().unwrap(), own).is_none());
    }
}
