//! The kernel side's tallies, mapped into memory: what plain calls counted, and which sockets' entries were touched
//! besides. Walking them costs a cache line a socket and no call into the kernel.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use aya::maps::MapData;
use zcscope_common::Tally;

use super::raw::Words;

/// Words before the one that counts entries without a tally; the one behind it is the kernel side's own.
const USED: usize = Tally::USED_WORDS as usize;

/// Both tables.
pub(super) struct Tallies {
    tallies: Words,
    /// A bit for each slot in use.
    used: Words,
    /// Their descriptors are asked for memory and fill.
    _held: [MapData; 2],
}

impl Tallies {
    /// Maps both.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(super) fn map(tallies: MapData, used: MapData) -> io::Result<Tallies> {
        Ok(Tallies {
            tallies: Words::map(tallies.fd().as_fd(), Tally::SLOTS as usize * Tally::WORDS)?,
            used: Words::map(used.fd().as_fd(), USED + 1)?,
            _held: [tallies, used],
        })
    }

    /// Every slot in use with its tally as it is now.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, Tally)> {
        (0..Tally::USED_WORDS).flat_map(|word| {
            let mut bits = self.load(&self.used, word as usize);
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros())?;
                bits &= bits - 1;
                Some(word * u64::BITS + bit)
            })
            .map(|slot| (slot, self.tally(slot)))
            .filter(|(_, tally)| tally.key != 0)
        })
    }

    /// True when entries exist that found no slot, or existed.
    pub(super) fn too_few(&self) -> bool {
        self.load(&self.used, USED) != 0
    }

    /// Gives back a slot whose entry was removed here.
    pub(super) fn free(&self, slot: u32) {
        let (word, bit) = ((slot / u64::BITS) as usize, 1 << (slot % u64::BITS));
        if let (Some(key), Some(used)) = (self.tallies.get(slot as usize * Tally::WORDS), self.used.get(word))
        {
            key.store(0, Ordering::SeqCst);
            used.fetch_and(!bit, Ordering::SeqCst);
        }
    }

    fn tally(&self, slot: u32) -> Tally {
        let first = slot as usize * Tally::WORDS;
        Tally::from_words(std::array::from_fn(|n| self.load(&self.tallies, first + n)))
    }

    fn load(&self, words: &Words, n: usize) -> u64 {
        words.get(n).map_or(0, |word| word.load(Ordering::Relaxed))
    }
}
