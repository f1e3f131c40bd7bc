//! Which sockets moved since the reading before. Only they are handed on: ten thousand idle sockets then cost the
//! reading of their tables, and nothing behind it.

use aya::Pod;

use super::raw;
use crate::model::hash::ById;

/// A fingerprint of all parts of every socket, from the reading before and from this one.
#[derive(Debug, Default)]
pub(super) struct Changed {
    before: ById<u64>,
    now: ById<u64>,
}

impl Changed {
    /// One part of a socket as read now: an entry of a table, in any order.
    pub(super) fn note<T: Pod>(&mut self, id: u64, part: &T) {
        let prints = self.now.entry(id).or_default();
        *prints = prints.wrapping_add(raw::fingerprint(part));
    }

    /// True when this socket is new, or is not what it was.
    pub(super) fn is_changed(&self, id: u64) -> bool {
        self.now.get(&id) != self.before.get(&id)
    }

    /// Ends a reading.
    pub(super) fn turn(&mut self) {
        std::mem::swap(&mut self.before, &mut self.now);
        self.now.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_the_same_in_any_order_is_unchanged() {
        let mut changed = Changed::default();
        let mut read = |parts: &[(u64, u64)]| {
            changed.turn();
            parts.iter().for_each(|(id, part)| changed.note(*id, part));
            [1, 2, 3].map(|id| changed.is_changed(id))
        };
        assert_eq!(read(&[(1, 10), (1, 11), (2, 20)]), [true, true, false]);
        assert_eq!(read(&[(2, 20), (1, 11), (1, 10)]), [false, false, false]);
        assert_eq!(read(&[(1, 10), (1, 12), (2, 20), (3, 0)]), [true, false, true]);
        assert_eq!(read(&[(1, 10), (3, 0)]), [true, true, false], "a part, and a whole socket, are gone");
    }
}
