//! A fast hash for keys nobody outside chooses: our own numbers, and names of kernel functions and devices.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Mixes eight bytes at a time by rotate, xor and multiply.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FastHasher(u64);

impl Hasher for FastHasher {
    fn finish(&self) -> u64 {
        // Maps look at the low bits, and multiplying carries upwards only.
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.write_u64(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.write_u64(u64::from_le_bytes(last));
    }

    fn write_u8(&mut self, n: u8) {
        self.write_u64(u64::from(n));
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    fn write_isize(&mut self, n: isize) {
        self.write_u64(n as u64);
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// A map with such a key.
pub(super) type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<FastHasher>>;

/// A map keyed by socket id.
pub(super) type ById<V> = FastMap<u64, V>;

#[cfg(test)]
mod tests {
    use std::hash::Hash;

    use super::*;

    #[test]
    fn different_keys_have_different_hashes() {
        let hash = |key: (&str, Option<&str>, u8)| {
            let mut hasher = FastHasher::default();
            key.hash(&mut hasher);
            hasher.finish()
        };
        let names: Vec<String> = (0..2_000).map(|i| format!("veth{i:x}")).collect();
        let keys = names.iter().flat_map(|n| {
            ["skb_segment", "skb_copy_ubufs"].into_iter().flat_map(move |site| {
                (0..8u8).flat_map(move |flags| [(site, Some(n.as_str()), flags), (n.as_str(), None, flags)])
            })
        });
        let mut keys: Vec<_> = keys.collect();
        keys.sort_unstable();
        keys.dedup();
        let mut hashes: Vec<u64> = keys.iter().map(|key| hash(*key)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), keys.len());
    }
}
