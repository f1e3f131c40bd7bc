//! Which sends are outstanding, by the 32-bit ids the kernel numbers them with. Pure.
//!
//! The kernel numbers the accepted `MSG_ZEROCOPY` sends of a socket 0, 1, 2, ... and wraps at 2^32; requests of io_uring
//! carry the number themselves. Send number `n` uses buffer `n % buffers`, and is only made when everything up to
//! `n - depth` has ended. There are at least `depth` buffers, so none is ever re-used early.

use std::time::Instant;

/// One accepted send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// Just before the send call.
    pub(super) at: Instant,
    /// Bytes accepted; 0 when the request failed and only its end is still to come.
    pub(super) bytes: u64,
    /// The buffer it was sent from.
    pub(super) slot: usize,
    busy: bool,
}

/// The sends that have not ended, at most `depth` apart.
pub(super) struct Window {
    slots: Box<[Sent]>,
    buffers: u64,
    /// Every send before this one has ended.
    oldest: u64,
    /// Number of the next send.
    next: u64,
    outstanding: u64,
    /// Of those, sends of which the kernel took bytes.
    held: u64,
}

impl Window {
    /// A window of `depth` sends that go through `buffers` buffers in turn, nothing sent yet.
    pub(super) fn new(depth: usize, buffers: usize) -> Self {
        Self::starting_at(depth, buffers, 0)
    }

    fn starting_at(depth: usize, buffers: usize, first: u64) -> Self {
        let depth = depth.max(1);
        let empty = Sent { at: Instant::now(), bytes: 0, slot: 0, busy: false };
        Self {
            slots: vec![empty; depth].into(),
            buffers: buffers.max(depth) as u64,
            oldest: first,
            next: first,
            outstanding: 0,
            held: 0,
        }
    }

    fn index(&self, number: u64) -> usize {
        (number % self.slots.len() as u64) as usize
    }

    /// The buffer the next send may use; `None` while the send `depth` before it, or an older one, is outstanding.
    pub(super) fn free_slot(&self) -> Option<usize> {
        (self.next - self.oldest < self.slots.len() as u64).then(|| (self.next % self.buffers) as usize)
    }

    /// The number the next send will have.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// How many sends have not ended.
    pub(super) fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// How many sends that took bytes have not ended.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// Notes that the kernel accepted a send from the buffer [`Self::free_slot`] named. A partial send is one send.
    pub(super) fn accept(&mut self, at: Instant, bytes: u64) {
        debug_assert!(self.free_slot().is_some(), "a buffer would be used twice");
        let index = self.index(self.next);
        let slot = (self.next % self.buffers) as usize;
        self.slots[index] = Sent { at, bytes, slot, busy: true };
        self.next += 1;
        self.outstanding += 1;
        self.held += u64::from(bytes > 0);
    }

    /// Ends the sends `lo..=hi` (ids as the kernel tells them, wrapping), calling `each` for every one of them.
    /// Returns how many ids of the range were not outstanding.
    pub(super) fn complete(&mut self, lo: u32, hi: u32, mut each: impl FnMut(&Sent)) -> u64 {
        let told = u64::from(hi.wrapping_sub(lo)) + 1;
        let live = self.next - self.oldest;
        let first = self.oldest as u32;
        // Where the range begins and ends, counted from the oldest send; a range may begin before it.
        let ahead = u64::from(lo.wrapping_sub(first));
        let (begin, end) = if ahead < live {
            (ahead, ahead + told)
        } else {
            let behind = u64::from(first.wrapping_sub(lo));
            (0, told.saturating_sub(behind))
        };
        let mut ended = 0;
        for number in begin..end.min(live) {
            let index = self.index(self.oldest + number);
            let sent = &mut self.slots[index];
            if sent.busy {
                sent.busy = false;
                ended += 1;
                self.held -= u64::from(sent.bytes > 0);
                each(sent);
            }
        }
        self.outstanding -= ended;
        self.pass_ended();
        told - ended
    }

    /// Ends the send with this number; `None` when it is not outstanding.
    pub(super) fn complete_one(&mut self, number: u64) -> Option<Sent> {
        let index = self.index(number);
        if !(self.oldest..self.next).contains(&number) || !self.slots[index].busy {
            return None;
        }
        self.slots[index].busy = false;
        self.outstanding -= 1;
        self.held -= u64::from(self.slots[index].bytes > 0);
        self.pass_ended();
        Some(self.slots[index])
    }

    fn pass_ended(&mut self) {
        while self.oldest < self.next && !self.slots[self.index(self.oldest)].busy {
            self.oldest += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(window: &mut Window, count: usize) -> Vec<usize> {
        (0..count)
            .map(|_| {
                let slot = window.free_slot().unwrap();
                window.accept(Instant::now(), 10);
                slot
            })
            .collect()
    }

    fn ended(window: &mut Window, lo: u32, hi: u32) -> (u64, u64) {
        let mut bytes = 0;
        let unexpected = window.complete(lo, hi, |sent| bytes += sent.bytes);
        (bytes / 10, unexpected)
    }

    #[test]
    fn a_full_window_has_no_free_buffer_until_the_oldest_ends() {
        let mut w = Window::new(3, 3);
        assert_eq!(send(&mut w, 3), [0, 1, 2]);
        assert_eq!(w.free_slot(), None);
        assert_eq!(ended(&mut w, 1, 2), (2, 0));
        assert_eq!(w.free_slot(), None, "buffer 0 is next and still held");
        assert_eq!(ended(&mut w, 0, 0), (1, 0));
        assert_eq!((w.outstanding(), send(&mut w, 3)), (0, vec![0, 1, 2]));
    }

    #[test]
    fn ranges_cross_the_end_of_32_bits() {
        let start = (1u64 << 32) - 2;
        let mut w = Window::starting_at(5, 5, start);
        send(&mut w, 5);
        assert_eq!(ended(&mut w, u32::MAX - 1, 2), (5, 0));
        assert_eq!(w.outstanding(), 0);
        send(&mut w, 1);
        assert_eq!(ended(&mut w, 3, 3), (1, 0));
    }

    #[test]
    fn ends_told_twice_or_never_sent_are_unexpected() {
        let mut w = Window::new(4, 4);
        assert_eq!(ended(&mut w, 0, 0), (0, 1), "nothing was sent");
        send(&mut w, 4);
        assert_eq!(ended(&mut w, 1, 1), (1, 0));
        assert_eq!(ended(&mut w, 1, 1), (0, 1), "told twice");
        assert_eq!(ended(&mut w, 0, 1), (1, 1));
        assert_eq!(ended(&mut w, 0, 2), (1, 2), "begins before the oldest");
        assert_eq!(ended(&mut w, 3, 9), (1, 6), "passes the newest");
        assert_eq!(w.outstanding(), 0);
    }

    #[test]
    fn a_long_range_costs_no_more_than_the_window() {
        let mut w = Window::new(2, 2);
        send(&mut w, 1);
        assert_eq!(ended(&mut w, 0, u32::MAX), (1, u64::from(u32::MAX)));
    }

    #[test]
    fn every_buffer_rests_until_its_end_whatever_the_order() {
        let mut w = Window::starting_at(7, 7, (1 << 32) - 50);
        let mut held = std::collections::BTreeMap::new();
        let mut number = (1u64 << 32) - 50;
        for round in 0..500u64 {
            while let Some(slot) = w.free_slot() {
                assert!(held.values().all(|s| *s != slot), "buffer {slot} used while held");
                held.insert(number, slot);
                w.accept(Instant::now(), 10);
                number += 1;
            }
            // End one that is neither always the oldest nor always the newest.
            let pick = *held.keys().nth((round * 5 % 7) as usize % held.len()).unwrap();
            held.remove(&pick);
            assert_eq!(ended(&mut w, pick as u32, pick as u32), (1, 0));
            assert_eq!(w.outstanding() as usize, held.len());
        }
    }

    #[test]
    fn a_working_set_is_gone_through_while_few_sends_are_outstanding() {
        let mut w = Window::new(2, 5);
        let mut seen = Vec::new();
        for number in 0..7u32 {
            seen.extend(send(&mut w, 1));
            assert_eq!(w.outstanding(), 1 + u64::from(number > 0));
            if number > 0 {
                let mut slot = None;
                assert_eq!(w.complete(number - 1, number - 1, |sent| slot = Some(sent.slot)), 0);
                assert_eq!(slot, Some((number as usize - 1) % 5));
            }
        }
        assert_eq!(seen, [0, 1, 2, 3, 4, 0, 1]);
    }

    #[test]
    fn single_ends_come_in_any_order_and_only_once() {
        let mut w = Window::new(3, 4);
        send(&mut w, 3);
        assert_eq!(w.next(), 3);
        assert_eq!(w.complete_one(1).map(|sent| sent.slot), Some(1));
        assert!(w.complete_one(1).is_none() && w.complete_one(3).is_none());
        assert_eq!(w.free_slot(), None, "send 0 is still outstanding");
        assert!(w.complete_one(0).is_some());
        assert_eq!((w.free_slot(), w.outstanding(), w.held()), (Some(3), 1, 1));
        w.accept(Instant::now(), 0);
        assert_eq!((w.outstanding(), w.held()), (2, 1), "a failed request is outstanding but took nothing");
    }
}
