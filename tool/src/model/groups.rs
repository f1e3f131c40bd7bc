//! Sockets grouped by process or by device: accounts that outlive the sockets, in bounded number.

use std::hash::Hash;

use super::account::Account;
use super::gauges::GaugeSums;
use super::hash::FastMap;
use super::places::PlaceIds;
use super::snapshot::Limit;

/// One process or device.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// Name of the process; empty for devices, whose key is their name.
    pub(super) name: String,
    /// Its share of everything.
    pub(super) account: Account,
    /// What its living sockets hold.
    pub(super) gauges: GaugeSums,
    /// Where the process runs, as its newest socket says.
    pub(super) place: PlaceIds,
    /// Its limit on locked memory, where known.
    pub(super) memlock: Option<Limit>,
    living: usize,
    last_tick: u64,
}

/// Groups by key.
#[derive(Clone, Debug)]
pub(super) struct Groups<K> {
    map: FastMap<K, Group>,
    limit: usize,
}

impl<K: Clone + Eq + Hash + Ord> Groups<K> {
    /// Keeps about `limit` groups; those with living sockets always.
    pub(super) fn new(limit: usize) -> Self {
        Self { map: FastMap::default(), limit }
    }

    /// A socket joins.
    pub(super) fn join(&mut self, key: &K, name: &str, tick: u64) -> &mut Group {
        let group = self
            .map
            .entry(key.clone())
            .or_insert_with(|| Group { name: name.to_owned(), ..Group::default() });
        group.living += 1;
        group.last_tick = tick;
        group
    }

    /// A socket ended, or moved on.
    pub(super) fn leave<Q: Hash + Eq + ?Sized>(&mut self, key: &Q, tick: u64)
    where
        K: std::borrow::Borrow<Q>,
    {
        if let Some(group) = self.map.get_mut(key) {
            group.living = group.living.saturating_sub(1);
            group.last_tick = tick;
        }
    }

    /// A group that is still kept.
    pub(super) fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut Group>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.map.get_mut(key)
    }

    /// Lets go of the groups that ended longest ago while there are too many: their bytes stand in the totals.
    pub(super) fn fold(&mut self) {
        if self.map.len() <= self.limit {
            return;
        }
        let ended = self.map.iter().filter(|(_, group)| group.living == 0);
        let mut ended: Vec<(u64, K)> = ended.map(|(key, group)| (group.last_tick, key.clone())).collect();
        ended.sort();
        // A tenth more than needed, so that this does not run at every sample.
        let surplus = self.map.len() - self.limit + self.limit / 10;
        for (_, key) in ended.into_iter().take(surplus) {
            self.map.remove(&key);
        }
    }

    /// Every group, most bytes first.
    pub(super) fn by_bytes(&self) -> Vec<(&K, &Group)> {
        let mut all: Vec<_> = self.map.iter().collect();
        all.sort_by_key(|(key, group)| (std::cmp::Reverse(group.account.bytes()), *key));
        all
    }
}
