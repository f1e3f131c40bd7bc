//! Names for the numbers sockets carry: cgroups, network namespaces, and the memory lock limits of processes. Each is
//! looked up when it first appears.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use crate::host::{cgroup, limits, netns};
use crate::model::sample::{Names, SocketSample};

/// Readings between two looks for names of namespaces that had none.
const AGAIN: u32 = 8;

/// What is known by name already.
pub(super) struct Namer {
    mount: Option<PathBuf>,
    /// Paths by id, as last walked: also of cgroups that are gone by now.
    cgroups: HashMap<u64, String>,
    told_cgroups: HashSet<u64>,
    namespaces: HashMap<u32, Option<String>>,
    processes: HashSet<u32>,
    readings: u32,
}

impl Namer {
    /// Walks the cgroups once, so that one that is gone before its socket is read has a name all the same.
    pub(super) fn new() -> Namer {
        let mut namer = Namer {
            mount: cgroup::mount(),
            cgroups: HashMap::new(),
            told_cgroups: HashSet::new(),
            namespaces: HashMap::new(),
            processes: HashSet::new(),
            readings: 0,
        };
        namer.walk();
        namer
    }

    /// Names of everything these sockets are the first to carry.
    pub(super) fn of<'a>(&mut self, sockets: impl Iterator<Item = &'a SocketSample> + Clone) -> Names {
        self.readings = self.readings.wrapping_add(1);
        Names {
            cgroups: self.new_cgroups(sockets.clone()),
            netns: self.new_namespaces(sockets.clone()),
            memlock: self.new_processes(sockets),
        }
    }

    fn walk(&mut self) {
        if let Some(found) = self.mount.as_deref().and_then(|mount| cgroup::paths(mount).ok()) {
            self.cgroups.extend(found);
        }
    }

    fn new_cgroups<'a>(
        &mut self,
        sockets: impl Iterator<Item = &'a SocketSample>,
    ) -> Vec<(u64, String, Option<String>)> {
        let new: HashSet<u64> = sockets
            .map(|socket| socket.cgroup)
            .filter(|id| *id != 0 && !self.told_cgroups.contains(id))
            .collect();
        if new.iter().any(|id| !self.cgroups.contains_key(id)) {
            self.walk();
        }
        // One without a name was gone before the first look; it is not looked for again.
        self.told_cgroups.extend(&new);
        let named = new.into_iter().filter_map(|id| Some((id, self.cgroups.get(&id)?.clone())));
        named.map(|(id, path)| (id, path.clone(), cgroup::container(&path))).collect()
    }

    fn new_namespaces<'a>(&mut self, sockets: impl Iterator<Item = &'a SocketSample>) -> Vec<(u32, String)> {
        let mut wanted = self.readings.is_multiple_of(AGAIN) && self.namespaces.values().any(Option::is_none);
        for socket in sockets.filter(|socket| socket.netns != 0) {
            self.namespaces.entry(socket.netns).or_insert_with(|| {
                wanted = true;
                None
            });
        }
        if !wanted {
            return Vec::new();
        }
        let mut new = Vec::new();
        for (inode, name) in netns::names() {
            if let Some(known) = self.namespaces.get_mut(&inode)
                && known.as_deref() != Some(name.as_str())
            {
                *known = Some(name.clone());
                new.push((inode, name));
            }
        }
        new
    }

    fn new_processes<'a>(
        &mut self,
        sockets: impl Iterator<Item = &'a SocketSample>,
    ) -> Vec<(u32, Option<u64>)> {
        let mut new = Vec::new();
        for socket in sockets {
            if self.processes.insert(socket.pid)
                && let Ok(limit) = limits::memlock_of(socket.pid)
            {
                new.push((socket.pid, limit));
            }
        }
        new
    }
}
