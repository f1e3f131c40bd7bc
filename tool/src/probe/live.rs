//! Living sockets of one direction, read with as few calls as there is news: a socket's entry is read when its tally
//! says that it was touched, and once more at the next reading, because whoever touched it may not have been done.
//! Sockets that only made plain calls since, and idle ones, cost a look at their tally.

use std::io;
use std::os::fd::AsFd;

use aya::Pod;
use aya::maps::MapData;
use zcscope_common::{RecvEntry, SockEntry, Tally, sock_flags, tally_state};

use super::raw::{self, Batch};
use super::tallies::Tallies;
use crate::model::hash::{ById, FastSet};

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
    /// Adds what was counted elsewhere to the path of its own.
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
            fn add(&mut self, calls: u64, bytes: u64) {
                self.home.calls += calls;
                self.home.bytes += bytes;
            }
        }
    )+ };
}

entry!(SockEntry 0, RecvEntry Tally::RECEIVES);

/// What is known of one socket.
struct Known<E> {
    tally: Tally,
    entry: Box<E>,
    /// Of the entry; 0 when it is not to be counted.
    id: u64,
    /// Its entry is read at the next reading in any case.
    again: bool,
    /// It is not what it was at the reading before.
    changed: bool,
    reading: u32,
}

/// All living sockets of one direction.
pub(super) struct Live<E: Entry> {
    map: MapData,
    /// By slot of the tally.
    known: ById<Known<E>>,
    /// Entries without a tally.
    loose: Vec<E>,
    reading: u32,
}

impl<E: Entry> Live<E> {
    pub(super) fn new(map: MapData) -> Self {
        Self { map, known: ById::default(), loose: Vec::new(), reading: 0 }
    }

    /// Begins a reading.
    pub(super) fn begin(&mut self) {
        self.reading = self.reading.wrapping_add(1);
    }

    /// Looks at one tally, if it is of this direction.
    ///
    /// # Errors
    /// The table of entries can no longer be read.
    pub(super) fn look(&mut self, slot: u32, tally: Tally) -> io::Result<()> {
        if tally.key & Tally::RECEIVES != E::SIDE {
            return Ok(());
        }
        let slot = u64::from(slot);
        let before = self.known.get_mut(&slot).filter(|known| known.tally.key == tally.key);
        let news = before.as_ref().is_none_or(|known| touched(&known.tally, &tally));
        if let Some(known) = before {
            known.reading = self.reading;
            known.changed = counted(&known.tally) != counted(&tally);
            known.tally = tally;
            if !news && !known.again {
                return Ok(());
            }
        }
        let sk = tally.key - E::SIDE;
        let Some(entry) = raw::lookup::<u64, E>(self.map.fd().as_fd(), &sk)? else {
            // Its end is in the ring.
            self.known.remove(&slot);
            return Ok(());
        };
        let id = counted_id(&entry);
        match self.known.get_mut(&slot) {
            Some(known) if known.tally.key == tally.key => {
                known.changed |= *known.entry != entry;
                *known.entry = entry;
                (known.id, known.again) = (id, news);
            }
            _ => {
                let (entry, reading) = (Box::new(entry), self.reading);
                self.known.insert(slot, Known { tally, entry, id, again: true, changed: true, reading });
            }
        }
        Ok(())
    }

    /// Ends a reading: drops what is gone, and reads what has no tally.
    ///
    /// # Errors
    /// The table of entries can no longer be read.
    pub(super) fn end(&mut self, tallies: &Tallies) -> io::Result<()> {
        let reading = self.reading;
        self.known.retain(|_, known| known.reading == reading);
        self.loose.clear();
        if tallies.too_few() {
            let tallied: FastSet<u64> = self.known.values().map(|known| known.entry.sk()).collect();
            let mut all = Batch::<u64, E>::new();
            all.fill(self.map.fd().as_fd())?;
            self.loose.extend(all.iter().filter(|(sk, _)| !tallied.contains(sk)).map(|(_, entry)| *entry));
        }
        Ok(())
    }

    /// Numbers of the sockets that are not what they were at the reading before.
    pub(super) fn changed(&self) -> impl Iterator<Item = u64> {
        let known = self.known.values().filter(|known| known.changed).map(|known| known.id);
        known.chain(self.loose.iter().map(counted_id)).filter(|id| *id != 0)
    }

    /// Every entry, without what its tally counted.
    pub(super) fn entries(&self) -> impl Iterator<Item = &E> {
        self.known.values().map(|known| &*known.entry).chain(&self.loose)
    }

    /// The entries to be counted whose number is wanted, with everything they have counted.
    pub(super) fn wanted(&self, wanted: impl Fn(u64) -> bool) -> impl Iterator<Item = E> {
        let is_wanted = move |id: u64| id != 0 && wanted(id);
        let known = self.known.values().map(|known| (known.id, &*known.entry, Some(&known.tally)));
        let loose = self.loose.iter().map(|entry| (counted_id(entry), entry, None));
        known.chain(loose).filter(move |(id, ..)| is_wanted(*id)).map(|(_, entry, tally)| whole(entry, tally))
    }

    /// Removes those that are over although the kernel side did not see it, and returns them.
    ///
    /// # Errors
    /// The table of entries can no longer be changed.
    pub(super) fn remove(&mut self, tallies: &Tallies, over: impl Fn(&E) -> bool) -> io::Result<Vec<E>> {
        let mut removed = Vec::new();
        for (slot, known) in &self.known {
            if over(&known.entry) {
                raw::delete(self.map.fd().as_fd(), &known.entry.sk())?;
                tallies.free(u32::try_from(*slot).unwrap_or(Tally::SLOTS));
                removed.push(whole(&*known.entry, Some(&known.tally)));
            }
        }
        self.known.retain(|_, known| !over(&known.entry));
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
