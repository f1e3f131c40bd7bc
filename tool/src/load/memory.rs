//! Send buffers: in one anonymous mapping, each on its own pages, on the kind of pages asked for, filled with bytes
//! that do not compress.

use std::io;
use std::ops::Range;

use memmap2::{Advice, MmapMut, MmapOptions};

const PAGE: usize = 4096;
/// Size of the huge pages asked for, and its logarithm.
const HUGE: usize = 1 << HUGE_BITS;
const HUGE_BITS: u8 = 21;

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

impl PageKind {
    /// As it is written on the command line, and in JSON.
    #[must_use]
    pub fn name(self) -> String {
        use clap::ValueEnum;
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// `count` buffers of `size` bytes, each in `parts` parts.
///
/// A buffer in one part lies in one place. The parts of a buffer in several lie each in another place of the mapping:
/// part `j` of buffer `n` in place `n + j * step`, so that every byte belongs to one buffer.
pub(super) struct Buffers {
    region: Region,
    size: usize,
    stride: usize,
    count: usize,
    parts: usize,
    part_len: usize,
}

impl Buffers {
    /// Maps and fills the buffers, so that every page exists before the first send.
    ///
    /// # Errors
    /// There is no memory, or not of the kind asked for.
    pub(super) fn new(count: usize, size: usize, parts: usize, kind: PageKind) -> io::Result<Self> {
        let (count, size) = (count.max(1), size.max(1));
        let parts = parts.clamp(1, size);
        let stride = size.next_multiple_of(PAGE);
        let mut region = Region::new(stride * count, kind)?;
        for (index, part) in region.bytes_mut().chunks_mut(stride).enumerate() {
            fill_pattern(part, index);
        }
        region.check()?;
        Ok(Self { region, size, stride, count, parts, part_len: size.div_ceil(parts) })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Bytes of each.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Into how many parts each is divided.
    pub(super) fn parts(&self) -> usize {
        self.parts
    }

    /// The first `len` bytes of a buffer that is in one part.
    pub(super) fn slot(&self, index: usize, len: usize) -> &[u8] {
        &self.region.bytes()[index * self.stride..][..len]
    }

    /// Where the first `len` bytes of a buffer are: for each part its distance from the beginning of the buffer, and
    /// its place in [`Self::bytes`].
    pub(super) fn places(
        &self,
        index: usize,
        len: usize,
    ) -> impl Iterator<Item = (usize, Range<usize>)> + use<> {
        let (stride, count, part_len) = (self.stride, self.count, self.part_len);
        let step = (count / self.parts).max(1);
        (0..self.parts).map_while(move |part| {
            let from = part * part_len;
            let to = (from + part_len).min(len);
            let base = (index + part * step) % count * stride;
            (from < to).then(|| (from, base + from..base + to))
        })
    }

    /// The whole mapping.
    pub(super) fn bytes(&self) -> &[u8] {
        self.region.bytes()
    }

    /// The whole mapping, to write.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.region.bytes_mut()
    }
}

/// A part of an anonymous mapping that begins where its kind of pages begins.
struct Region {
    map: MmapMut,
    start: usize,
    len: usize,
    kind: PageKind,
}

impl Region {
    fn new(len: usize, kind: PageKind) -> io::Result<Self> {
        match kind {
            PageKind::Base => Self::base(len),
            PageKind::Thp => Self::thp(len.next_multiple_of(HUGE)),
            PageKind::Hugetlb => Self::hugetlb(len.next_multiple_of(HUGE)),
        }
    }

    fn base(len: usize) -> io::Result<Self> {
        let map = MmapMut::map_anon(len).map_err(|error| no_memory(len, &error))?;
        // A host may make every large mapping huge; a kernel that has no huge pages refuses the advice, rightly.
        let _ = map.advise(Advice::NoHugePage);
        Ok(Self { map, start: 0, len, kind: PageKind::Base })
    }

    fn thp(len: usize) -> io::Result<Self> {
        let map = MmapMut::map_anon(len + HUGE).map_err(|error| no_memory(len, &error))?;
        let address = map.as_ptr() as usize;
        let start = address.next_multiple_of(HUGE) - address;
        map.advise_range(Advice::HugePage, start, len).map_err(|error| {
            io::Error::other(format!("this kernel has no transparent huge pages ({error}); use 4K pages"))
        })?;
        Ok(Self { map, start, len, kind: PageKind::Thp })
    }

    fn hugetlb(len: usize) -> io::Result<Self> {
        let map = MmapOptions::new().len(len).huge(Some(HUGE_BITS)).map_anon().map_err(|error| {
            io::Error::other(format!(
                "the buffers need {} free huge pages of 2 MiB ({error}); reserve them with `sysctl -w vm.nr_hugepages=N` \
                 (/proc/sys/vm/nr_hugepages)",
                len / HUGE
            ))
        })?;
        Ok(Self { map, start: 0, len, kind: PageKind::Hugetlb })
    }

    /// Whether the pages, now that all of them exist, are of the kind asked for.
    fn check(&self) -> io::Result<()> {
        if self.kind != PageKind::Thp {
            return Ok(());
        }
        let address = self.bytes().as_ptr() as usize;
        let smaps = std::fs::read_to_string("/proc/self/smaps")?;
        match huge_share(&smaps, address) {
            Some((huge, present)) if huge == present && present > 0 => Ok(()),
            Some((huge, present)) => Err(io::Error::other(format!(
                "only {huge} of {present} KiB of the buffers are on transparent huge pages; see \
                 /sys/kernel/mm/transparent_hugepage/enabled, or free memory in large pieces with `sysctl -w \
                 vm.compact_memory=1`"
            ))),
            None => Err(io::Error::other("/proc/self/smaps does not tell what pages the buffers are on")),
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.map[self.start..][..self.len]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.map[self.start..][..self.len]
    }
}

fn no_memory(len: usize, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot map {} MiB of send buffers: {error}", len.div_ceil(1 << 20)))
}

/// Of the mapping that holds `address`: KiB on transparent huge pages, and KiB present at all.
fn huge_share(smaps: &str, address: usize) -> Option<(u64, u64)> {
    let holds = |line: &str| {
        let (from, to) = line.split_once(' ')?.0.split_once('-')?;
        let range = usize::from_str_radix(from, 16).ok()?..usize::from_str_radix(to, 16).ok()?;
        range.contains(&address).then_some(())
    };
    let mut lines = smaps.lines().skip_while(|line| holds(line).is_none()).skip(1);
    let mut figure = |name: &str| {
        let line = lines.find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    // They stand in this order.
    let present = figure("Anonymous:")?;
    Some((figure("AnonHugePages:")?, present))
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
        let buffers = Buffers::new(3, 5000, 1, PageKind::Base).unwrap();
        assert_eq!(buffers.count(), 3);
        for index in 0..3 {
            let slot = buffers.slot(index, 5000);
            assert_eq!(slot.as_ptr() as usize % PAGE, 0);
            assert!(slot.windows(16).all(|w| w.iter().any(|b| *b != 0)), "a hole in buffer {index}");
            let places: Vec<_> = buffers.places(index, 5000).collect();
            assert_eq!(places, [(0, index * 8192..index * 8192 + 5000)]);
        }
        assert_eq!(buffers.slot(1, 1).as_ptr() as usize - buffers.slot(0, 1).as_ptr() as usize, 2 * PAGE);
        assert_ne!(buffers.slot(0, 5000), buffers.slot(1, 5000));
    }

    #[test]
    fn parts_lie_apart_and_every_byte_belongs_to_one_buffer() {
        for (count, size, parts) in [(8, 4096, 4), (3, 1000, 7), (1, 100, 3), (5, 3, 64), (16, 65536, 16)] {
            let buffers = Buffers::new(count, size, parts, PageKind::Base).unwrap();
            let mut owners = vec![0u8; buffers.bytes().len()];
            for index in 0..count {
                let places: Vec<_> = buffers.places(index, size).collect();
                assert_eq!(places.iter().map(|(_, at)| at.len()).sum::<usize>(), size);
                let mut next = 0;
                for (from, at) in places {
                    assert_eq!(from, next, "parts follow each other in the stream");
                    next += at.len();
                    owners[at].iter_mut().for_each(|owner| *owner += 1);
                }
            }
            assert!(
                owners.iter().all(|owner| *owner <= 1),
                "{count} x {size} in {parts}: a byte has two owners"
            );
        }
        let buffers = Buffers::new(8, 4096, 4, PageKind::Base).unwrap();
        let pages: Vec<_> = buffers.places(1, 4096).map(|(_, at)| at.start / PAGE).collect();
        assert_eq!(pages, [1, 3, 5, 7]);
        assert_eq!(buffers.places(1, 1025).map(|(_, at)| at.len()).collect::<Vec<_>>(), [1024, 1]);
    }

    #[test]
    fn the_share_of_huge_pages_is_read_from_the_right_mapping() {
        let smaps = "1000-2000 rw-p 0 00:00 0\nAnonymous: 4 kB\nAnonHugePages: 0 kB\n\
                     200000-600000 rw-p 0 00:00 0\nRss: 4096 kB\nAnonymous: 4096 kB\nKSM: 0 kB\nAnonHugePages: 2048 kB\n";
        assert_eq!(huge_share(smaps, 0x20_0000), Some((2048, 4096)));
        assert_eq!(huge_share(smaps, 0x1800), Some((0, 4)));
        assert_eq!(huge_share(smaps, 0x3000), None);
    }

    #[test]
    fn huge_pages_are_there_or_the_refusal_is_a_sentence() {
        for kind in [PageKind::Thp, PageKind::Hugetlb] {
            match Buffers::new(2, 100_000, 1, kind) {
                Ok(buffers) => assert_eq!(buffers.slot(0, 1).as_ptr() as usize % HUGE, 0),
                Err(error) => assert!(error.to_string().contains("huge"), "{error}"),
            }
        }
    }
}
