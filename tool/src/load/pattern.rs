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

/// The multipliers of the mix (splitmix64), each odd and so invertible.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
const MIX_A: u64 = 0xbf58_476d_1ce4_e5b9;
const MIX_B: u64 = 0x94d0_49bb_1331_11eb;

fn mix(index: u64) -> u64 {
    let mut z = (index % (PERIOD / 8)).wrapping_add(1).wrapping_mul(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(MIX_A);
    z = (z ^ (z >> 27)).wrapping_mul(MIX_B);
    z ^ (z >> 31)
}

/// The place in the period a word stands at; `None` when it is no word of the pattern.
fn unmix(word: u64) -> Option<u64> {
    let mut z = word ^ (word >> 31) ^ (word >> 62);
    z = z.wrapping_mul(const { inverse(MIX_B) });
    z = z ^ (z >> 27) ^ (z >> 54);
    z = z.wrapping_mul(const { inverse(MIX_A) });
    z = z ^ (z >> 30) ^ (z >> 60);
    let index = z.wrapping_mul(const { inverse(STEP) }).wrapping_sub(1);
    (index < PERIOD / 8).then_some(index)
}

/// The inverse of an odd number modulo 2^64 (Newton: each step doubles the bits that are right, from 3 on).
const fn inverse(odd: u64) -> u64 {
    let (mut x, mut step) = (odd, 0);
    while step < 5 {
        x = x.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(x)));
        step += 1;
    }
    x
}

fn word(index: u64) -> [u8; 8] {
    mix(index).to_le_bytes()
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
    let (words, tail) = rest.as_chunks::<8>();
    let at_word = |index: usize| first + index as u64;
    wrong(offset, head, &word(offset / 8)[skip..])
        .or_else(|| {
            let bad = |(index, found): (usize, &[u8; 8])| u64::from_le_bytes(*found) != mix(at_word(index));
            let index = words.iter().enumerate().position(bad)?;
            wrong(at_word(index) * 8, &words[index], &word(at_word(index)))
        })
        .or_else(|| wrong(at_word(words.len()) * 8, tail, &word(at_word(words.len()))))
}

/// How many bytes of `part` are not the stream's from `offset` on.
#[must_use]
pub fn count_wrong(part: &[u8], offset: u64) -> u64 {
    let (mut wrong, mut left, mut at) = (0, part, offset);
    while !left.is_empty() {
        let skip = (at % 8) as usize;
        let (now, later) = left.split_at((8 - skip).min(left.len()));
        wrong += now.iter().zip(&word(at / 8)[skip..]).filter(|(a, b)| a != b).count() as u64;
        at += now.len() as u64;
        left = later;
    }
    wrong
}

/// Bytes [`locate`] needs to see.
pub const LOCATABLE: usize = 16;

/// Where in the stream `found` belongs: its place in the period. `None` when it is no part of the stream, or
/// shorter than [`LOCATABLE`].
#[must_use]
pub fn locate(found: &[u8]) -> Option<u64> {
    let sample = found.get(..LOCATABLE)?;
    (0..8).find_map(|skip| {
        let (_, from) = sample.split_at(skip);
        let index = unmix(u64::from_le_bytes(*from.first_chunk()?))?;
        let at = (index * 8 + PERIOD - skip as u64) % PERIOD;
        check(sample, at).is_none().then_some(at)
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

    #[test]
    fn a_part_of_the_stream_is_located_wherever_it_is_cut() {
        for at in [0, 1, 7, 8, 4095, PERIOD - 3, PERIOD - 8] {
            let mut part = [0; 24];
            fill(&mut part, at);
            assert_eq!(locate(&part), Some(at));
        }
        assert_eq!(locate(&[POISON; 32]), None);
        assert_eq!(locate(&[0; 32]), None);
        assert_eq!(locate(&[1; 15]), None);
    }

    #[test]
    fn wrong_bytes_are_counted() {
        let mut part = vec![0; 1003];
        fill(&mut part, 13);
        assert_eq!(count_wrong(&part, 13), 0);
        for index in [0, 5, 500, 1002] {
            part[index] ^= 0x80;
            assert_eq!(check(&part[index..], 13 + index as u64).map(|m| m.offset), Some(13 + index as u64));
        }
        assert_eq!(count_wrong(&part, 13), 4);
    }
}
