//! What is sent from buffers: static bytes, or, when verifying, the bytes of the stream at the place of the send.
//!
//! A verifying sender fills a buffer just before it is sent and overwrites it with [`POISON`] as soon as it is free
//! again; or, to test the check, while the kernel still holds it.

use std::io;

use crate::load::memory::Buffers;
use crate::load::pattern::{self, POISON, Poison};

use super::Setup;

/// Most parts of one send: what one `sendmsg(2)` takes (`UIO_MAXIOV`).
const MAX_PARTS: usize = 1024;

/// The buffers of one connection and how far its stream has come.
pub(super) struct Payload {
    buffers: Buffers,
    verify: Option<Poison>,
    /// Bytes of the stream the kernel has taken; only kept when verifying.
    offset: u64,
    /// The buffer that holds the bytes from `offset` on, and how many.
    filled: Option<(usize, usize)>,
}

impl Payload {
    /// Maps the buffers, each in `parts` parts.
    pub(super) fn new(setup: &Setup, parts: usize) -> io::Result<Self> {
        let parts = parts.clamp(1, MAX_PARTS);
        let buffers = Buffers::new(setup.buffers(), setup.size, parts, setup.pages)?;
        Ok(Self { buffers, verify: setup.verify, offset: 0, filled: None })
    }

    /// The buffers.
    pub(super) fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    /// Makes the first `len` bytes of a free buffer what the stream has next.
    pub(super) fn prepare(&mut self, slot: usize, len: usize) {
        if self.verify.is_none() || self.filled.is_some_and(|(s, l)| s == slot && l >= len) {
            return;
        }
        for (from, place) in self.buffers.places(slot, len) {
            pattern::fill(&mut self.buffers.bytes_mut()[place], self.offset + from as u64);
        }
        self.filled = Some((slot, len));
    }

    /// [`Self::prepare`], and the bytes themselves, of a buffer in one part.
    pub(super) fn bytes(&mut self, slot: usize, len: usize) -> &[u8] {
        self.prepare(slot, len);
        self.buffers.slot(slot, len)
    }

    /// The kernel took `n` bytes of this buffer, and may hold it.
    pub(super) fn taken(&mut self, slot: usize, n: usize) {
        if self.verify.is_some() {
            self.offset += n as u64;
            self.filled = None;
            if self.verify == Some(Poison::TooEarly) {
                self.poison(slot);
            }
        }
    }

    /// The kernel says that it does not hold this buffer any more.
    pub(super) fn ended(&mut self, slot: usize) {
        if self.verify == Some(Poison::AfterEnd) {
            self.poison(slot);
        }
    }

    fn poison(&mut self, slot: usize) {
        for (_, place) in self.buffers.places(slot, self.buffers.size()) {
            self.buffers.bytes_mut()[place].fill(POISON);
        }
    }
}

/// A payload of a path that holds no buffer after the call: each send uses the next one.
pub(super) struct Rotation {
    payload: Payload,
    next: usize,
}

impl Rotation {
    /// Maps the buffers, each in `parts` parts.
    pub(super) fn new(setup: &Setup, parts: usize) -> io::Result<Self> {
        Ok(Self { payload: Payload::new(setup, parts)?, next: 0 })
    }

    /// The next `len` bytes to send, of buffers in one part.
    pub(super) fn bytes(&mut self, len: usize) -> &[u8] {
        self.payload.bytes(self.next, len)
    }

    /// The buffer to send from, made ready for `len` bytes, and all buffers.
    pub(super) fn prepare(&mut self, len: usize) -> (usize, &Buffers) {
        self.payload.prepare(self.next, len);
        (self.next, self.payload.buffers())
    }

    /// The kernel copied `n` bytes.
    pub(super) fn taken(&mut self, n: usize) {
        self.payload.taken(self.next, n);
        self.payload.ended(self.next);
        self.next = (self.next + 1) % self.payload.buffers().count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(verify: Option<Poison>) -> Setup {
        Setup { size: 5000, depth: 3, verify, ..Setup::default() }
    }

    #[test]
    fn partial_sends_go_on_at_the_right_byte() {
        let mut rotation = Rotation::new(&setup(Some(Poison::AfterEnd)), 1).unwrap();
        let mut offset = 0;
        for n in [5000, 1, 4999, 3, 5000] {
            assert_eq!(pattern::check(rotation.bytes(5000), offset), None);
            rotation.taken(n);
            offset += n as u64;
        }
    }

    #[test]
    fn buffers_are_poisoned_at_their_end_or_too_early() {
        let whole = |payload: &Payload, byte| payload.buffers.slot(1, 5000).iter().all(|b| *b == byte);
        let mut payload = Payload::new(&setup(Some(Poison::AfterEnd)), 1).unwrap();
        payload.prepare(1, 5000);
        payload.taken(1, 5000);
        assert!(!whole(&payload, POISON), "the kernel holds it");
        payload.ended(1);
        assert!(whole(&payload, POISON));
        let mut payload = Payload::new(&setup(Some(Poison::TooEarly)), 1).unwrap();
        payload.prepare(1, 5000);
        payload.taken(1, 10);
        assert!(whole(&payload, POISON));
    }

    #[test]
    fn without_verification_nothing_is_ever_written() {
        let mut payload = Payload::new(&setup(None), 4).unwrap();
        let before = payload.buffers.bytes().to_vec();
        payload.prepare(2, 5000);
        payload.taken(2, 5000);
        payload.ended(2);
        assert!(payload.buffers.bytes() == before);
    }

    #[test]
    fn the_parts_of_a_send_carry_the_stream_in_order() {
        let setup = Setup { size: 5000, depth: 6, verify: Some(Poison::AfterEnd), ..Setup::default() };
        let mut payload = Payload::new(&setup, 3).unwrap();
        payload.prepare(0, 4000);
        let mut got = Vec::new();
        for (_, place) in payload.buffers.places(0, 4000) {
            got.extend_from_slice(&payload.buffers.bytes()[place]);
        }
        assert_eq!((got.len(), pattern::check(&got, 0)), (4000, None));
    }
}
