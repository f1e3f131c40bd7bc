//! Where sockets and processes live: numbers of cgroups and network namespaces, and the names learnt for them.

use std::collections::HashMap;
use std::sync::Arc;

use super::sample::{Names, SocketSample};
use super::snapshot::Place;

/// Names kept of each kind; what comes later stays without a name.
const MAX_NAMES: usize = 4_096;

/// The numbers; 0 not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PlaceIds {
    netns: u32,
    cgroup: u64,
}

impl PlaceIds {
    /// Of a socket.
    pub(super) fn of(sample: &SocketSample) -> Self {
        Self { netns: sample.netns, cgroup: sample.cgroup }
    }
}

#[derive(Clone, Debug)]
struct Cgroup {
    path: Arc<str>,
    container: Option<Arc<str>>,
}

/// Every name known.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    cgroups: HashMap<u64, Cgroup>,
    netns: HashMap<u32, Arc<str>>,
}

impl Places {
    /// Learns names; true when something is new or has changed.
    pub(super) fn learn(&mut self, names: &Names) -> bool {
        let mut changed = false;
        for (id, path, container) in &names.cgroups {
            if self.cgroups.len() < MAX_NAMES || self.cgroups.contains_key(id) {
                let container = container.as_deref().map(Arc::from);
                self.cgroups.insert(*id, Cgroup { path: path.as_str().into(), container });
                changed = true;
            }
        }
        for (id, name) in &names.netns {
            if self.netns.len() < MAX_NAMES || self.netns.contains_key(id) {
                self.netns.insert(*id, name.as_str().into());
                changed = true;
            }
        }
        changed
    }

    /// The names of a place.
    pub(super) fn of(&self, ids: PlaceIds) -> Place {
        let cgroup = self.cgroups.get(&ids.cgroup);
        Place {
            netns: (ids.netns != 0).then_some(ids.netns),
            netns_name: self.netns.get(&ids.netns).cloned(),
            cgroup: cgroup.map(|c| Arc::clone(&c.path)),
            container: cgroup.and_then(|c| c.container.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_learnt_changed_and_bounded() {
        let mut places = Places::default();
        let ids = PlaceIds { netns: 7, cgroup: 9 };
        assert_eq!(places.of(ids), Place { netns: Some(7), ..Place::default() });
        assert_eq!(places.of(PlaceIds::default()), Place::default());
        let names = |path: &str| Names {
            cgroups: vec![(9, path.into(), Some("docker:0123456789ab".into()))],
            netns: vec![(7, "blue".into())],
            ..Names::default()
        };
        assert!(places.learn(&names("/a")) && places.learn(&names("/b")) && !places.learn(&Names::default()));
        let place = places.of(ids);
        assert_eq!(place.cgroup.as_deref(), Some("/b"));
        assert_eq!(place.container.as_deref(), Some("docker:0123456789ab"));
        assert_eq!(place.netns_name.as_deref(), Some("blue"));
        let many = Names { netns: (0..9_000).map(|i| (i, "x".into())).collect(), ..Names::default() };
        places.learn(&many);
        assert_eq!(places.netns.len(), MAX_NAMES);
    }
}
