//! Checks one connection's stream against the pattern, and says what kind of wrong it is. Pure.

use super::result::{Fault, FirstMismatch};
use crate::load::pattern::{self, PERIOD, POISON};

/// Parts after the first wrong one in which its origin is still looked for (a part may be too short to tell).
const GUESSES: u32 = 4;
/// So many bytes of poison (or zeroes) in a row are no accident.
const RUN: usize = 8;

/// The check of one stream: feed it every byte in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Checker {
    offset: u64,
    right: u64,
    wrong: u64,
    first: Option<FirstMismatch>,
    guesses: u32,
}

impl Checker {
    /// Takes the next bytes of the stream.
    pub(super) fn feed(&mut self, part: &[u8]) {
        let len = part.len() as u64;
        match pattern::check(part, self.offset) {
            None => self.right += len,
            Some(found) => {
                let wrong = pattern::count_wrong(part, self.offset);
                self.wrong += wrong;
                self.right += len - wrong;
                self.explain(part, found);
            }
        }
        self.offset += len;
    }

    fn explain(&mut self, part: &[u8], found: pattern::Mismatch) {
        let first = self.first.get_or_insert(FirstMismatch {
            offset: found.offset,
            expected: found.expected,
            found: found.found,
            fault: Fault::Unknown,
            belongs_at: None,
            send: None,
        });
        if first.fault == Fault::Unknown && self.guesses < GUESSES {
            self.guesses += 1;
            let from = usize::try_from(found.offset - self.offset).unwrap_or(usize::MAX);
            (first.fault, first.belongs_at) = origin(part.get(from..).unwrap_or_default(), found.offset);
        }
    }

    /// Bytes compared and right, and wrong.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.right, self.wrong)
    }

    /// The first wrong byte.
    pub(super) fn first(&self) -> Option<&FirstMismatch> {
        self.first.as_ref()
    }
}

/// Where bytes come from that stand at `offset` and do not belong there.
fn origin(found: &[u8], offset: u64) -> (Fault, Option<u64>) {
    let starts_with = |byte| found.len() >= RUN && found.iter().take(RUN).all(|b| *b == byte);
    if starts_with(POISON) {
        return (Fault::Poison, None);
    }
    if starts_with(0) {
        return (Fault::Zeroes, None);
    }
    let Some(place) = pattern::locate(found) else { return (Fault::Unknown, None) };
    // The pattern repeats: of all places it may come from, the nearest.
    let ahead = (place + PERIOD - offset % PERIOD) % PERIOD;
    let back = PERIOD - ahead;
    if back <= ahead && back <= offset {
        (Fault::EarlierPart, Some(offset - back))
    } else {
        (Fault::LaterPart, Some(offset + ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(from: u64, len: usize) -> Vec<u8> {
        let mut part = vec![0; len];
        pattern::fill(&mut part, from);
        part
    }

    fn fed(parts: &[&[u8]]) -> Checker {
        let mut checker = Checker::default();
        parts.iter().for_each(|part| checker.feed(part));
        checker
    }

    fn fault(checker: &Checker) -> (u64, Fault, Option<u64>) {
        checker.first().map(|first| (first.offset, first.fault, first.belongs_at)).unwrap()
    }

    #[test]
    fn the_right_stream_passes_however_it_is_cut() {
        let all = stream(0, 100_000);
        let checker = fed(&[&all[..1], &all[1..4097], &all[4097..4100], &all[4100..]]);
        assert_eq!((checker.counts(), checker.first()), ((100_000, 0), None));
    }

    #[test]
    fn poison_is_named() {
        let mut all = stream(0, 4096);
        all[1000..2000].fill(POISON);
        let checker = fed(&[&all]);
        assert_eq!(fault(&checker), (1000, Fault::Poison, None));
        let (right, wrong) = checker.counts();
        assert_eq!(right + wrong, 4096);
        assert!((950..=1000).contains(&wrong), "{wrong}");
    }

    #[test]
    fn lost_doubled_and_swapped_parts_are_told_apart() {
        let all = stream(0, 300_000);
        let lost = fed(&[&all[..65_536], &all[131_072..]]);
        assert_eq!(fault(&lost), (65_536, Fault::LaterPart, Some(131_072)));
        let doubled = fed(&[&all[..65_536], &all[..]]);
        assert_eq!(fault(&doubled), (65_536, Fault::EarlierPart, Some(0)));
        let swapped = fed(&[&all[..1000], &all[2000..3000], &all[1000..2000], &all[3000..]]);
        assert_eq!(fault(&swapped), (1000, Fault::LaterPart, Some(2000)));
        let (right, wrong) = swapped.counts();
        assert!(right >= 298_000 && wrong > 1900, "the rest is right again: {right} {wrong}");
    }

    #[test]
    fn a_mismatch_at_the_end_of_a_part_is_explained_by_the_next() {
        let all = stream(0, 4096);
        let one_lost = fed(&[&all[..100], &all[101..104], &all[104..]]);
        assert_eq!(fault(&one_lost).1, Fault::LaterPart);
    }

    #[test]
    fn other_bytes_stay_unknown_and_zeroes_are_zeroes() {
        let mut all = stream(0, 64);
        all[20] ^= 1;
        assert_eq!(fault(&fed(&[&all])), (20, Fault::Unknown, None));
        assert_eq!(fault(&fed(&[&[0; 64]])), (0, Fault::Zeroes, None));
    }
}
