//! Bytes that carry their place in the stream, so that a receiver finds what is lost, doubled, out of order or
//! overwritten. Pure.
//!
//! The stream is a row of 8-byte little-endian words; word `i` is a mix of `i` modulo [`PERIOD`] / 8. The period is
//! longer than any TCP window, and short enough to be kept in a file.

/// Bytes after which the pattern starts over.
pub const PERIOD: u64 = 64 << 20;
/// What a poisoned buffer is filled with; never a whole word of the pattern.
pub const POISON: u8 = 0xdb;

/// When a verifying sender overwrites a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poison {
    /// As soon as the kernel says it is done with it: a notification that comes too early is caught.
    AfterEnd,
    /// Right after the send call, on purpose too early: the check itself must catch it.
    TooEarly,
}

/// A byte that is not what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Offset in the stream.
    pub offset: u64,
    /// What should be there.
    pub expected: u8,
    /// What came.
    pub found: u8,
}

fn word(index: u64) -> [u8; 8] {
    let mut z = (index % (PERIOD / 8)).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).to_le_bytes()
}

/// Fills `part` with the bytes of the stream from `offset` on.
pub fn fill(part: &mut [u8], offset: u64) {
    let skip = (offset % 8) as usize;
    let (head, rest) = part.split_at_mut(((8 - skip) % 8).min(part.len()));
    head.copy_from_slice(&word(offset / 8)[skip..][..head.len()]);
    let first = offset.div_ceil(8);
    for (index, chunk) in rest.chunks_mut(8).enumerate() {
        chunk.copy_from_slice(&word(first + index as u64)[..chunk.len()]);
    }
}

/// The first byte of `part` that is not the stream's from `offset` on.
#[must_use]
pub fn check(part: &[u8], offset: u64) -> Option<Mismatch> {
    let skip = (offset % 8) as usize;
    let (head, rest) = part.split_at(((8 - skip) % 8).min(part.len()));
    let first = offset.div_ceil(8);
    let wrong = |at: u64, found: &[u8], expected: &[u8]| {
        let index = found.iter().zip(expected).position(|(a, b)| a != b)?;
        Some(Mismatch { offset: at + index as u64, expected: expected[index], found: found[index] })
    };
    wrong(offset, head, &word(offset / 8)[skip..]).or_else(|| {
        rest.chunks(8).enumerate().find_map(|(index, chunk)| {
            let index = first + index as u64;
            wrong(index * 8, chunk, &word(index))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_of_the_stream_checks() {
        let mut whole = vec![0; 4096];
        fill(&mut whole, 24);
        for (from, to) in [(0, 4096), (1, 9), (3, 4), (5, 5), (7, 1000), (8, 16)] {
            assert_eq!(check(&whole[from..to], 24 + from as u64), None, "{from}..{to}");
            let mut part = vec![0; to - from];
            fill(&mut part, 24 + from as u64);
            assert_eq!(part, whole[from..to]);
        }
    }

    #[test]
    fn the_first_wrong_byte_is_named() {
        let mut part = vec![0; 100];
        fill(&mut part, 5);
        let right = part[42];
        part[42] ^= 0x40;
        part[70] ^= 1;
        assert_eq!(check(&part, 5), Some(Mismatch { offset: 47, expected: right, found: right ^ 0x40 }));
    }

    #[test]
    fn a_shift_a_repeat_and_poison_are_found() {
        let mut part = vec![0; 64];
        fill(&mut part, 4096);
        assert!(check(&part, 4097).is_some(), "shifted by one");
        assert!(check(&part, 4096 + 64).is_some(), "repeated");
        assert!(check(&[POISON; 64], 4096).is_some_and(|wrong| wrong.offset < 4104));
    }

    #[test]
    fn the_pattern_starts_over_after_its_period() {
        let (mut one, mut two) = ([0; 32], [0; 32]);
        fill(&mut one, PERIOD - 16);
        fill(&mut two, 0);
        assert_eq!(one[16..], two[..16]);
    }
}
