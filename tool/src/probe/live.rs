//! Living sockets of one direction, as their table and their tallies have them, read with as few calls as there is
//! news.

use std::io;
use std::os::fd::AsFd;

use aya::Pod;
use aya::maps::MapData;
use zcscope_common::Tally;

use super::raw::{self, Batch};
use super::seen::{Entry, Seen};
use super::tallies::Tallies;
use crate::model::hash::FastSet;
use crate::model::sample::PlainSample;

/// See the module.
pub(super) struct Live<E> {
    map: MapData,
    seen: Seen<E>,
    /// Entries without a tally: all are taken for changed, always.
    loose: Vec<E>,
}

impl<E: Entry + Pod> Live<E> {
    pub(super) fn new(map: MapData) -> Self {
        Self { map, seen: Seen::new(), loose: Vec::new() }
    }

    /// Begins a reading.
    pub(super) fn begin(&mut self) {
        self.seen.begin();
    }

    /// Looks at one tally, if it is of this direction; they come in the order of their slots.
    ///
    /// # Errors
    /// The table can no longer be read.
    pub(super) fn look(&mut self, slot: u32, tally: Tally) -> io::Result<()> {
        let Self { map, seen, .. } = self;
        seen.look(slot, tally, |sk| raw::lookup(map.fd().as_fd(), &sk))
    }

    /// Ends a reading: reads what has no tally.
    ///
    /// # Errors
    /// The table can no longer be read.
    pub(super) fn end(&mut self, tallies: &Tallies) -> io::Result<()> {
        self.seen.end();
        self.loose.clear();
        if tallies.too_few() {
            let tallied: FastSet<u64> = self.seen.addresses().collect();
            let mut all = Batch::<u64, E>::new();
            all.fill(self.map.fd().as_fd())?;
            self.loose.extend(all.iter().filter(|(sk, _)| !tallied.contains(sk)).map(|(_, entry)| *entry));
        }
        Ok(())
    }

    /// Numbers of the sockets whose entries are not what they were at the reading before.
    pub(super) fn changed(&self) -> impl Iterator<Item = u64> {
        self.seen.changed().chain(self.loose.iter().map(Entry::id).filter(|id| *id != 0))
    }

    /// What sockets counted of which nothing else is new.
    pub(super) fn plain(&self) -> impl Iterator<Item = PlainSample> {
        self.seen.plain()
    }

    /// How many sockets were in the table at the last reading, to be counted or not.
    pub(super) fn len(&self) -> usize {
        self.seen.len() + self.loose.len()
    }

    /// The `struct sock` of every socket.
    pub(super) fn addresses(&self) -> impl Iterator<Item = u64> {
        self.seen.addresses().chain(self.loose.iter().map(Entry::sk))
    }

    /// The entries read now, without what their tallies counted: at least those of all sockets that keep state.
    pub(super) fn entries(&self) -> impl Iterator<Item = &E> {
        self.seen.entries().chain(&self.loose)
    }

    /// The entry of a `struct sock` as it is now, without what its tally counted.
    ///
    /// # Errors
    /// The table can no longer be read.
    pub(super) fn entry(&self, sk: u64) -> io::Result<Option<E>> {
        raw::lookup(self.map.fd().as_fd(), &sk)
    }

    /// The entries to be counted whose number is wanted, with everything they have counted.
    ///
    /// # Errors
    /// The table can no longer be read.
    pub(super) fn wanted(&self, wanted: impl Fn(u64) -> bool) -> io::Result<Vec<E>> {
        let mut entries = self.seen.wanted(&wanted, |sk| self.entry(sk))?;
        entries.extend(self.loose.iter().filter(|entry| entry.id() != 0 && wanted(entry.id())));
        Ok(entries)
    }

    /// Removes those that are over although the kernel side did not see it, and returns them.
    ///
    /// # Errors
    /// The table can no longer be changed.
    pub(super) fn remove(&mut self, tallies: &Tallies, over: impl Fn(&E) -> bool) -> io::Result<Vec<E>> {
        let mut removed: Vec<E> = self.loose.extract_if(.., |entry| over(entry)).collect();
        for (slot, entry) in self.seen.remove(over) {
            tallies.free(slot);
            removed.push(entry);
        }
        removed.iter().try_for_each(|entry| raw::delete(self.map.fd().as_fd(), &entry.sk()))?;
        Ok(removed)
    }
}
