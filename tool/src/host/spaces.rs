//! All network namespaces of this host that a process or a name (`ip netns`) keeps, and whose address is whose.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;

use super::netns::{NAMED, Namespace, names};

/// A network namespace.
#[derive(Clone, Debug)]
pub struct Space {
    /// Its inode number.
    pub inode: u64,
    /// Its name, or else a process in it.
    pub name: String,
    /// The way into it.
    pub namespace: Namespace,
}

/// Finds them; those this process may not see are left out.
#[must_use]
pub fn spaces() -> Vec<Space> {
    let mut found: BTreeMap<u64, Space> = BTreeMap::new();
    let mut add = |namespace: std::io::Result<Namespace>, name: String| {
        if let Ok(namespace) = namespace
            && let Ok(inode) = namespace.inode()
        {
            found.entry(inode).or_insert(Space { inode, name, namespace });
        }
    };
    for (_, name) in names() {
        let path = std::path::Path::new(NAMED).join(&name);
        add(Namespace::open(&path), name);
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        add(Namespace::of_process(pid), format!("of process {pid} ({})", comm.trim_end()));
    }
    found.into_values().collect()
}

/// The namespace among these that has this address; `None` also where they may not be entered.
#[must_use]
pub fn owner(spaces: &[Space], address: IpAddr) -> Option<&Space> {
    let has = |space: &&Space| space.namespace.enter(|| is_own(address)).unwrap_or(false);
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
        assert!(owner(&spaces, "192.0.2.77".parse().unwrap()).is_none());
    }
}
