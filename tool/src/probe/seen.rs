//! What is known of the living sockets of one direction, and what is new at a reading: a socket's entry is read when
//! its tally says that it was touched, and once more at the next reading, because whoever touched it may not have been
//! done. Sockets that only made plain calls since, and idle ones, cost a look at their tally. Entries are kept for the
//! reading that has read them: of ten thousand sockets they would take megabytes.

use std::collections::VecDeque;
use std::io;

use zcscope_common::{Path, RecvEntry, SockEntry, Tally, sock_flags, tally_state};

use super::raw;
use super::samples::path_of;
use crate::model::sample::PlainSample;

/// An entry that has a tally.
pub(super) trait Entry: Copy {
    /// What is added to the address of the socket in the tally's key.
    const SIDE: u64;
    /// Its number, 0 when it is not to be counted: the filter does not want it, or it is being made.
    fn id(&self) -> u64;
    /// Its `struct sock`.
    fn sk(&self) -> u64;
    /// A number that differs when anything in it does.
    fn fingerprint(&self) -> u64;
    /// The path that has its counters here, its calls and bytes.
    fn home(&self) -> (Option<Path>, u64, u64);
    /// Adds what was counted elsewhere to that path.
    fn add(&mut self, calls: u64, bytes: u64);
}

macro_rules! entry {
    ($($entry:ident $side:expr),+) => { $(
        impl Entry for $entry {
            const SIDE: u64 = $side;
            fn id(&self) -> u64 {
                if self.flags & sock_flags::IGNORED == 0 { self.id } else { 0 }
            }
            fn sk(&self) -> u64 {
                self.sk
            }
            fn fingerprint(&self) -> u64 {
                raw::fingerprint(self)
            }
            fn home(&self) -> (Option<Path>, u64, u64) {
                (path_of(u64::from(self.home_path)), self.home.calls, self.home.bytes)
            }
            fn add(&mut self, calls: u64, bytes: u64) {
                self.home.calls += calls;
                self.home.bytes += bytes;
            }
        }
    )+ };
}

entry!(SockEntry 0, RecvEntry Tally::RECEIVES);

/// Entries there is room for in any case.
const KEPT: usize = 256;

/// What is new of a socket since the reading before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Nothing,
    /// Its tally counted more.
    Counted,
    /// Its entry is not what it was.
    Entry,
}

/// What is known of one socket. All of them are walked at every reading: no more than that needs.
#[derive(Clone, Copy, Debug)]
struct Known {
    tally: Last,
    /// Of the entry as last read: its number, calls and bytes of its own path, all of it.
    id: u64,
    calls: u64,
    bytes: u64,
    fingerprint: u64,
    slot: u32,
    /// Where it stands among those read now; [`NOT_READ`].
    read: u32,
    /// The entry's own path.
    path: Option<Path>,
    news: News,
    /// Its entry is read at the next reading in any case.
    again: bool,
}

/// No place among those read now.
const NOT_READ: u32 = u32::MAX;

/// A tally as last looked at, without what only the kernel side compares.
#[derive(Clone, Copy, Debug)]
struct Last {
    key: u64,
    id: u64,
    calls: u64,
    bytes: u64,
    touched: u32,
    /// Whether calls go to the entry.
    is_entry: bool,
}

impl Last {
    fn of(tally: &Tally) -> Self {
        let Tally { key, id, calls, bytes, touched, state, .. } = *tally;
        Self { key, id, calls, bytes, touched, is_entry: state == tally_state::ENTRY }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Seen<E> {
    /// In the order of their slots, which is that of the tallies: both are walked as they lie in memory. What the present
    /// reading has not come to yet stands before what it has seen.
    known: VecDeque<Known>,
    /// How many it has not come to.
    ahead: usize,
    /// The entries read now: of all sockets that were touched, and of those whose calls do not end in their tally.
    read: Vec<E>,
}

impl<E: Entry> Seen<E> {
    pub(super) fn new() -> Self {
        Self { known: VecDeque::new(), ahead: 0, read: Vec::new() }
    }

    /// Begins a reading.
    pub(super) fn begin(&mut self) {
        self.ahead = self.known.len();
        self.read.clear();
        self.read.shrink_to(KEPT);
    }

    /// Looks at one tally, if it is of this direction; they come in the order of their slots. `read` gets the entry of
    /// a `struct sock`, if it is still there.
    ///
    /// # Errors
    /// Those of `read`.
    pub(super) fn look(
        &mut self,
        slot: u32,
        tally: Tally,
        read: impl FnOnce(u64) -> io::Result<Option<E>>,
    ) -> io::Result<()> {
        if tally.key & Tally::RECEIVES != E::SIDE {
            return Ok(());
        }
        while self.next_if(|known| known.slot < slot).is_some() {}
        let tally = Last::of(&tally);
        let known = self.next_if(|known| known.slot == slot && known.tally.key == tally.key);
        let touched = known.as_ref().is_none_or(|known| is_touched(&known.tally, &tally));
        if let Some(known) = known.filter(|known| !touched && !known.again) {
            let news = counted_since(&known, &tally);
            self.known.push_back(Known { news, tally, read: NOT_READ, ..known });
            return Ok(());
        }
        // Without an entry its end is in the ring.
        let Some(entry) = read(tally.key - E::SIDE)? else { return Ok(()) };
        let fingerprint = entry.fingerprint();
        let at = u32::try_from(self.read.len()).unwrap_or(NOT_READ);
        let same = known.filter(|known| known.fingerprint == fingerprint);
        let news = same.map_or(News::Entry, |known| counted_since(&known, &tally));
        let (path, calls, bytes) = entry.home();
        self.known.push_back(Known {
            tally,
            id: entry.id(),
            calls,
            bytes,
            fingerprint,
            slot,
            read: at,
            path,
            news,
            again: touched,
        });
        self.read.push(entry);
        Ok(())
    }

    /// Ends a reading.
    pub(super) fn end(&mut self) {
        self.known.drain(..self.ahead);
        self.ahead = 0;
    }

    /// Takes out the next one of the reading before, if it is so.
    fn next_if(&mut self, is: impl Fn(&Known) -> bool) -> Option<Known> {
        let next = if self.ahead == 0 { None } else { self.known.pop_front_if(|known| is(known)) };
        self.ahead -= usize::from(next.is_some());
        next
    }

    /// Numbers of the sockets whose entries are not what they were at the reading before.
    pub(super) fn changed(&self) -> impl Iterator<Item = u64> {
        let changed = self.known.iter().filter(|known| known.news == News::Entry);
        changed.map(|known| known.id).filter(|id| *id != 0)
    }

    /// What sockets counted of which nothing else is new.
    pub(super) fn plain(&self) -> impl Iterator<Item = PlainSample> {
        let counted = self.known.iter().filter(|known| known.news == News::Counted && known.id != 0);
        counted.filter(|known| known.tally.id == known.id).filter_map(|known| {
            let (calls, bytes) = (known.calls + known.tally.calls, known.bytes + known.tally.bytes);
            Some(PlainSample { socket: known.id, path: known.path?, calls, bytes })
        })
    }

    /// How many sockets there are.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// The `struct sock` of every socket.
    pub(super) fn addresses(&self) -> impl Iterator<Item = u64> {
        self.known.iter().map(|known| known.tally.key - E::SIDE)
    }

    /// The entries read now, without what their tallies counted: at least those of all sockets that keep state.
    pub(super) fn entries(&self) -> impl Iterator<Item = &E> {
        self.read.iter()
    }

    /// The entries to be counted whose number is wanted, with everything they have counted. `read` gets those that were
    /// not read now.
    ///
    /// # Errors
    /// Those of `read`.
    pub(super) fn wanted(
        &self,
        wanted: impl Fn(u64) -> bool,
        mut read: impl FnMut(u64) -> io::Result<Option<E>>,
    ) -> io::Result<Vec<E>> {
        let mut entries = Vec::new();
        for known in self.known.iter().filter(|known| known.id != 0 && wanted(known.id)) {
            let entry = match self.read.get(known.read as usize) {
                Some(entry) => Some(*entry),
                None => read(known.tally.key - E::SIDE)?,
            };
            entries.extend(entry.map(|entry| whole(entry, &known.tally)));
        }
        Ok(entries)
    }

    /// Takes out those of the entries read now that are over, with everything they have counted and their slots.
    pub(super) fn remove(&mut self, over: impl Fn(&E) -> bool) -> Vec<(u32, E)> {
        let mut removed = Vec::new();
        self.known.retain(|known| match self.read.get(known.read as usize) {
            Some(entry) if over(entry) => {
                removed.push((known.slot, whole(*entry, &known.tally)));
                false
            }
            _ => true,
        });
        removed
    }
}

/// What is new, as far as the tally tells.
fn counted_since(known: &Known, tally: &Last) -> News {
    let same = (known.tally.calls, known.tally.bytes) == (tally.calls, tally.bytes);
    if same { News::Nothing } else { News::Counted }
}

/// Whether calls went to the entry between these two looks at its tally.
fn is_touched(before: &Last, now: &Last) -> bool {
    before.is_entry || now.is_entry || (before.touched, before.id) != (now.touched, now.id)
}

/// An entry and its tally together.
fn whole<E: Entry>(mut entry: E, tally: &Last) -> E {
    if tally.id == entry.id() {
        entry.add(tally.calls, tally.bytes);
    }
    entry
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// An entry with nothing in it but what matters here.
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Simple {
        id: u64,
        calls: u64,
        bytes: u64,
        errors: u64,
    }

    impl Entry for Simple {
        const SIDE: u64 = 0;
        fn id(&self) -> u64 {
            self.id
        }
        fn sk(&self) -> u64 {
            64
        }
        fn fingerprint(&self) -> u64 {
            self.id << 32 | self.calls << 16 | self.errors
        }
        fn home(&self) -> (Option<Path>, u64, u64) {
            (Some(Path::Copy), self.calls, self.bytes)
        }
        fn add(&mut self, calls: u64, bytes: u64) {
            self.calls += calls;
            self.bytes += bytes;
        }
    }

    const ENTRY: Simple = Simple { id: 7, calls: 1, bytes: 100, errors: 0 };
    const TALLY: Tally = Tally {
        key: 64,
        id: 7,
        calls: 10,
        bytes: 1000,
        dst: 0,
        prot: 0,
        tgid: 1,
        touched: 0,
        state: tally_state::PLAIN,
    };

    /// One reading of these tallies; returns for which sockets the entry was read.
    fn read(seen: &mut Seen<Simple>, tallies: &[(u32, Tally)], entry: Option<Simple>) -> Vec<u64> {
        let asked = RefCell::new(Vec::new());
        seen.begin();
        for (slot, tally) in tallies {
            let entry = |sk| {
                asked.borrow_mut().push(sk);
                Ok(entry)
            };
            seen.look(*slot, *tally, entry).unwrap();
        }
        seen.end();
        asked.into_inner()
    }

    #[test]
    fn a_new_socket_is_read_twice_and_then_only_its_tally() {
        let mut seen = Seen::new();
        assert_eq!(read(&mut seen, &[(3, TALLY)], Some(ENTRY)), [64]);
        assert_eq!(seen.changed().collect::<Vec<_>>(), [7]);
        let whole = seen.wanted(|id| id == 7, |_| Ok(None)).unwrap()[0];
        assert_eq!((whole.calls, whole.bytes), (11, 1100), "the entry and its tally together");
        assert_eq!(
            read(&mut seen, &[(3, TALLY)], Some(ENTRY)),
            [64],
            "whoever made it may not have been done"
        );
        assert_eq!(read(&mut seen, &[(3, TALLY)], Some(ENTRY)), [0_u64; 0]);
        assert_eq!((seen.changed().count(), seen.plain().count()), (0, 0), "idle");
        let more = Tally { calls: 12, bytes: 1200, ..TALLY };
        assert_eq!(read(&mut seen, &[(3, more)], Some(ENTRY)), [0_u64; 0]);
        assert_eq!(seen.changed().count(), 0);
        let plain = PlainSample { socket: 7, path: Path::Copy, calls: 13, bytes: 1300 };
        assert_eq!(seen.plain().collect::<Vec<_>>(), [plain]);
        let whole = seen.wanted(|_| true, |_| Ok(Some(ENTRY))).unwrap()[0];
        assert_eq!((whole.calls, whole.bytes), (13, 1300), "read because it is wanted");
    }

    #[test]
    fn a_touched_entry_is_read_now_and_at_the_next_reading() {
        let mut seen = Seen::new();
        (0..3).for_each(|_| drop(read(&mut seen, &[(3, TALLY)], Some(ENTRY))));
        let touched = Tally { touched: 1, ..TALLY };
        assert_eq!(read(&mut seen, &[(3, touched)], Some(ENTRY)), [64]);
        assert_eq!(seen.changed().count(), 0, "touched, and not changed yet");
        let failed = Simple { errors: 1, ..ENTRY };
        assert_eq!(read(&mut seen, &[(3, touched)], Some(failed)), [64]);
        assert_eq!(seen.changed().collect::<Vec<_>>(), [7]);
        assert_eq!(read(&mut seen, &[(3, touched)], Some(failed)), [0_u64; 0]);
    }

    #[test]
    fn a_socket_whose_calls_look_at_its_entry_is_read_each_time() {
        let mut seen = Seen::new();
        let stopped = Tally { state: tally_state::ENTRY, ..TALLY };
        (0..5).for_each(|_| assert_eq!(read(&mut seen, &[(3, stopped)], Some(ENTRY)), [64]));
        assert_eq!(read(&mut seen, &[(3, TALLY)], Some(ENTRY)), [64], "what came before it was started");
    }

    #[test]
    fn what_is_gone_or_another_is_told_apart() {
        let mut seen = Seen::new();
        let behind = Tally { key: 128, id: 8, ..TALLY };
        read(&mut seen, &[(3, TALLY), (9, behind)], Some(ENTRY));
        assert_eq!(seen.addresses().count(), 2);
        read(&mut seen, &[(9, behind)], Some(ENTRY));
        assert_eq!(seen.addresses().count(), 1, "its slot is free");
        read(&mut seen, &[(9, Tally { touched: 1, ..behind })], None);
        assert_eq!(seen.addresses().count(), 0, "its entry is gone");
        (0..3).for_each(|_| drop(read(&mut seen, &[(3, TALLY)], Some(ENTRY))));
        let another = Tally { id: 9, calls: 0, bytes: 0, ..TALLY };
        assert_eq!(read(&mut seen, &[(3, another)], Some(ENTRY)), [64], "another owner");
        let whole = seen.wanted(|_| true, |_| Ok(None)).unwrap()[0];
        assert_eq!(whole.calls, 1, "a tally of another owner is not added");
        let (slot, removed) = seen.remove(|entry| entry.id == 7).remove(0);
        assert_eq!((slot, removed.id, seen.addresses().count()), (3, 7, 0));
    }

    #[test]
    fn the_other_direction_is_left_alone() {
        let mut seen = Seen::new();
        let receiving = Tally { key: 64 + Tally::RECEIVES, ..TALLY };
        assert_eq!(read(&mut seen, &[(3, receiving)], Some(ENTRY)), [0_u64; 0]);
        assert_eq!(seen.addresses().count(), 0);
    }
}
