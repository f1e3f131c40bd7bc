//! The visible rows of a long list in order, without ordering the rest.

use std::cmp::Ordering;

/// The keys at the places `first..first + visible` of the ordered list, in time linear in their number. Keys are
/// distinct.
pub(super) fn visible<K: Ord>(keys: Vec<K>, first: usize, visible: usize) -> Vec<K> {
    visible_by(keys, first, visible, K::cmp)
}

/// The same in another order, in which no two keys are equal.
pub(super) fn visible_by<K>(
    mut keys: Vec<K>,
    first: usize,
    visible: usize,
    by: impl Fn(&K, &K) -> Ordering,
) -> Vec<K> {
    let end = first.saturating_add(visible).min(keys.len());
    if first >= end {
        return Vec::new();
    }
    if end < keys.len() {
        keys.select_nth_unstable_by(end, &by);
        keys.truncate(end);
    }
    if first > 0 {
        keys.select_nth_unstable_by(first, &by);
        keys.drain(..first);
    }
    keys.sort_unstable_by(by);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_equals_the_fully_sorted_list() {
        let keys: Vec<u64> = (0..300).map(|n| n * 7_919 % 307).collect();
        let mut all = keys.clone();
        all.sort_unstable();
        for (first, count) in [(0, 10), (0, 0), (5, 20), (290, 10), (299, 1), (0, 300), (0, 900), (400, 5)] {
            let window: Vec<u64> = all.iter().copied().skip(first).take(count).collect();
            assert_eq!(visible(keys.clone(), first, count), window, "{first}+{count}");
        }
    }
}
