//! Send buffers: page-aligned, each on its own pages, filled with a pattern that does not compress.

use std::io;

use memmap2::MmapMut;

const PAGE: usize = 4096;

/// What kind of pages send buffers live on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PageKind {
    /// Base pages, 4 KiB.
    #[default]
    #[value(name = "4k")]
    Base,
    /// Transparent huge pages, asked for with `madvise`.
    Thp,
    /// Pages of the hugetlb pool.
    Hugetlb,
}

/// `count` buffers of `size` bytes in one anonymous mapping; no two share a page.
pub(super) struct Buffers {
    map: MmapMut,
    size: usize,
    stride: usize,
}

impl Buffers {
    /// Maps and fills the buffers, so that every page exists before the first send.
    pub(super) fn new(count: usize, size: usize) -> io::Result<Self> {
        let stride = size.next_multiple_of(PAGE);
        let mut map = MmapMut::map_anon(stride * count)?;
        for (index, part) in map.chunks_exact_mut(stride).enumerate() {
            fill_pattern(part, index);
        }
        Ok(Self { map, size, stride })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.map.len() / self.stride
    }

    /// One buffer.
    pub(super) fn slot(&self, index: usize) -> &[u8] {
        &self.map[index * self.stride..][..self.size]
    }
}

/// Fills `part` with bytes that look random and differ between `index`es (xorshift64*).
pub(super) fn fill_pattern(part: &mut [u8], index: usize) {
    let mut state = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for chunk in part.chunks_mut(8) {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let word = state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_ne_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_page_aligned_disjoint_and_filled() {
        let buffers = Buffers::new(3, 5000).unwrap();
        assert_eq!(buffers.count(), 3);
        for index in 0..3 {
            let slot = buffers.slot(index);
            assert_eq!(slot.len(), 5000);
            assert_eq!(slot.as_ptr() as usize % PAGE, 0);
            assert!(slot.windows(16).all(|w| w.iter().any(|b| *b != 0)), "a hole in buffer {index}");
        }
        assert_eq!(buffers.slot(1).as_ptr() as usize - buffers.slot(0).as_ptr() as usize, 2 * PAGE);
        assert_ne!(buffers.slot(0), buffers.slot(1));
    }
}
