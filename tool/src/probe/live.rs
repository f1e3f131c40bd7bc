//! Living sockets of one direction, read with as few calls as there is news: a socket's entry is read when its tally
//! says that it was touched, and once more at the next reading, because whoever touched it may not have been done.
//! Sockets that only made plain calls since, and idle ones, cost a look at their tally.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;

use aya::Pod;
use aya::maps::MapData;
use zcscope_common::{RecvEntry, SockEntry, Tally, sock_flags, tally_state};

use super::raw::{self, Batch};
use super::samples::path_of;
use super::tallies::Tallies;
use crate::model::hash::FastSet;
use crate::model::sample::PlainSample;

/// An entry that has a tally.
pub(super) trait Entry: Pod + PartialEq {
    /// What is added to the address of the socket in the tally's key.
    const SIDE: u64;
    /// Its number; 0 while it is being made.
    fn id(&self) -> u64;
    /// Its `struct sock`.
    fn sk(&self) -> u64;
    /// [`sock_flags`].
    fn flags(&self) -> u32;
    /// The path that has its counters here, its calls and bytes.
    fn home(&self) -> (u32, u64, u64);
    /// Adds what was counted elsewhere to that path.
    fn add(&mut self, calls: u64, bytes: u64);
}

macro_rules! entry {
    ($($entry:ident $side:expr),+) => { $(
        impl Entry for $entry {
            const SIDE: u64 = $side;
            fn id(&self) -> u64 {
                self.id
            }
            fn sk(&self) -> u64 {
                self.sk
            }
            fn flags(&self) -> u32 {
                self.flags
            }
            fn home(&self) -> (u32, u64, u64) {
                (self.home_path, self.home.calls, self.home.bytes)
            }
            fn add(&mut self, calls: u64, bytes: u64) {
                self.home.calls += calls;
                self.home.bytes += bytes;
            }
        }
    )+ };
}

entry!(SockEntry 0, RecvEntry Tally::RECEIVES);

/// What is new of a socket since the reading before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum News {
    Nothing,
    /// Its tally counted more.
    Counted,
    /// Its entry is not what it was.
    Entry,
}

/// What is known of one socket.
struct Known<E> {
    slot: u32,
    news: News,
    /// Its entry is read at the next reading in any case.
    again: bool,
    /// Of the entry; 0 when it is not to be counted.
    id: u64,
    tally: Tally,
    entry: Box<E>,
}

/// All living sockets of one direction.
pub(super) struct Live<E: Entry> {
    map: MapData,
    /// In the order of their slots, which is that of the tallies: both are walked as they lie in memory.
    known: VecDeque<Known<E>>,
    /// As of the reading before, as far as the present one has not come to it.
    before: VecDeque<Known<E>>,
    /// Entries without a tally.
    loose: Vec<E>,
}

impl<E: Entry> Live<E> {
    pub(super) fn new(map: MapData) -> Self {
        Self { map, known: VecDeque::new(), before: VecDeque::new(), loose: Vec::new() }
    }

    /// Begins a reading.
    pub(super) fn begin(&mut self) {
        self.before.clear();
        std::mem::swap(&mut self.known, &mut self.before);
    }

    /// Looks at one tally, if it is of this direction; they come in the order of their slots.
    ///
    /// # Errors
    /// The table of entries can no longer be read.
    pub(super) fn look(&mut self, slot: u32, tally: Tally) -> io::Result<()> {
        if tally.key & Tally::RECEIVES != E::SIDE {
            return Ok(());
        }
        while self.before.pop_front_if(|known| known.slot < slot).is_some() {}
        let known = self.before.pop_front_if(|known| known.slot == slot && known.tally.key == tally.key);
        let touched = known.as_ref().is_none_or(|known| touched(&known.tally, &tally));
        let read = touched || known.as_ref().is_some_and(|known| known.again);
        let entry =
            if read { raw::lookup::<u64, E>(self.map.fd().as_fd(), &(tally.key - E::SIDE))? } else { None };
        match (known, entry) {
            // Its end is in the ring.
            (_, None) if read => return Ok(()),
            (None, None) => return Ok(()),
            (Some(mut known), entry) => {
                known.news =
                    if counted(&known.tally) == counted(&tally) { News::Nothing } else { News::Counted };
                if let Some(entry) = entry.filter(|entry| *entry != *known.entry) {
                    (known.news, known.id) = (News::Entry, counted_id(&entry));
                    *known.entry = entry;
                }
                (known.again, known.tally) = (read && touched, tally);
                self.known.push_back(known);
            }
            (None, Some(entry)) => {
                let (id, entry) = (counted_id(&entry), Box::new(entry));
                self.known.push_back(Known { slot, news: News::Entry, again: true, id, tally, entry });
            }
        }
        Ok(())
    }

    /// Ends a reading: reads what has no tally.
    ///
    /// # Errors
    /// The table of entries can no longer be read.
    pub(super) fn end(&mut self, tallies: &Tallies) -> io::Result<()> {
        self.before.clear();
        self.loose.clear();
        if tallies.too_few() {
            let tallied: FastSet<u64> = self.known.iter().map(|known| known.entry.sk()).collect();
            let mut all = Batch::<u64, E>::new();
            all.fill(self.map.fd().as_fd())?;
            self.loose.extend(all.iter().filter(|(sk, _)| !tallied.contains(sk)).map(|(_, entry)| *entry));
        }
        Ok(())
    }

    /// Numbers of the sockets whose entries are not what they were at the reading before.
    pub(super) fn changed(&self) -> impl Iterator<Item = u64> {
        let known = self.known.iter().filter(|known| known.news == News::Entry).map(|known| known.id);
        known.chain(self.loose.iter().map(counted_id)).filter(|id| *id != 0)
    }

    /// What sockets counted of which nothing else is new.
    pub(super) fn plain(&self) -> impl Iterator<Item = PlainSample> {
        let counted = self
            .known
            .iter()
            .filter(|known| known.news == News::Counted && known.id != 0 && known.tally.id == known.id);
        counted.filter_map(|Known { id, tally, entry, .. }| {
            let (path, calls, bytes) = entry.home();
            let (calls, bytes) = (calls + tally.calls, bytes + tally.bytes);
            Some(PlainSample { socket: *id, path: path_of(u64::from(path))?, calls, bytes })
        })
    }

    /// Every entry, without what its tally counted.
    pub(super) fn entries(&self) -> impl Iterator<Item = &E> {
        self.known.iter().map(|known| &*known.entry).chain(&self.loose)
    }

    /// The entries to be counted whose number is wanted, with everything they have counted.
    pub(super) fn wanted(&self, wanted: impl Fn(u64) -> bool) -> impl Iterator<Item = E> {
        let is_wanted = move |id: u64| id != 0 && wanted(id);
        let known = self.known.iter().map(|known| (known.id, &*known.entry, Some(&known.tally)));
        let loose = self.loose.iter().map(|entry| (counted_id(entry), entry, None));
        known.chain(loose).filter(move |(id, ..)| is_wanted(*id)).map(|(_, entry, tally)| whole(entry, tally))
    }

    /// Removes those that are over although the kernel side did not see it, and returns them.
    ///
    /// # Errors
    /// The table of entries can no longer be changed.
    pub(super) fn remove(&mut self, tallies: &Tallies, over: impl Fn(&E) -> bool) -> io::Result<Vec<E>> {
        let mut removed = Vec::new();
        for known in &self.known {
            if over(&known.entry) {
                raw::delete(self.map.fd().as_fd(), &known.entry.sk())?;
                tallies.free(known.slot);
                removed.push(whole(&*known.entry, Some(&known.tally)));
            }
        }
        self.known.retain(|known| !over(&known.entry));
        for entry in self.loose.extract_if(.., |entry| over(entry)) {
            raw::delete(self.map.fd().as_fd(), &entry.sk())?;
            removed.push(entry);
        }
        Ok(removed)
    }
}

/// The number of an entry, 0 when it is not to be counted.
fn counted_id<E: Entry>(entry: &E) -> u64 {
    if entry.flags() & sock_flags::IGNORED == 0 { entry.id() } else { 0 }
}

/// What a tally has counted.
fn counted(tally: &Tally) -> (u64, u64) {
    (tally.calls, tally.bytes)
}

/// Whether calls went to the entry between these two looks at its tally.
fn touched(before: &Tally, now: &Tally) -> bool {
    before.state == tally_state::ENTRY
        || now.state == tally_state::ENTRY
        || (before.touched, before.id) != (now.touched, now.id)
}

/// An entry and its tally together.
fn whole<E: Entry>(entry: &E, tally: Option<&Tally>) -> E {
    let mut entry = *entry;
    if let Some(tally) = tally.filter(|tally| tally.id == entry.id()) {
        entry.add(tally.calls, tally.bytes);
    }
    entry
}
