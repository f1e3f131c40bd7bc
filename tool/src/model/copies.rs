//! Copy events: each kind gets a number once, each socket remembers the rows it had, so that only changes travel.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::quality::FixedState;
use zcscope_common::Path;

use super::sample::{CopyKind, CopySample};

/// Kinds told apart; later ones lose caller and device, so that devices coming and going cannot fill the memory.
const MAX_KINDS: usize = 4_096;

/// Every kind of copy seen, numbered.
#[derive(Clone, Debug, Default)]
pub(super) struct Kinds {
    list: Vec<Arc<CopyKind>>,
    numbers: HashMap<Arc<CopyKind>, u32>,
}

impl Kinds {
    /// The kind with this number.
    pub(super) fn get(&self, number: u32) -> Option<&Arc<CopyKind>> {
        self.list.get(number as usize)
    }

    fn number(&mut self, kind: &CopyKind) -> u32 {
        if let Some(number) = self.numbers.get(kind) {
            return *number;
        }
        let crowded = self.list.len() >= MAX_KINDS && (kind.dev.is_some() || kind.caller.is_some());
        if crowded {
            return self.number(&CopyKind { dev: None, caller: None, ..kind.clone() });
        }
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        let kind = Arc::new(kind.clone());
        self.list.push(Arc::clone(&kind));
        self.numbers.insert(kind, number);
        number
    }
}

/// One row as last seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Tells the source's rows apart, even those whose kinds share a number.
    key: u64,
    /// Path.
    pub(super) path: Path,
    /// Number of the kind.
    pub(super) kind: u32,
    /// Events so far.
    pub(super) count: u64,
    /// Bytes so far.
    pub(super) bytes: u64,
    /// When it grew.
    seen: Seen,
}

/// When something was first and last seen, ns since tracing began: the ends of the intervals it happened in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) first_ns: u64,
    pub(super) last_ns: u64,
}

impl Seen {
    /// At one moment only.
    pub(super) const fn at(ns: u64) -> Self {
        Self { first_ns: ns, last_ns: ns }
    }

    /// Whatever either has seen.
    pub(super) fn and(self, other: Self) -> Self {
        Self { first_ns: self.first_ns.min(other.first_ns), last_ns: self.last_ns.max(other.last_ns) }
    }
}

/// What a row grew by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growth {
    /// Path.
    pub(super) path: Path,
    /// Number of the kind.
    pub(super) kind: u32,
    /// New events.
    pub(super) count: u64,
    /// New bytes.
    pub(super) bytes: u64,
    /// When.
    pub(super) seen: Seen,
}

impl Row {
    /// Everything the row holds, as growth from nothing.
    pub(super) fn whole(&self) -> Growth {
        Growth { path: self.path, kind: self.kind, count: self.count, bytes: self.bytes, seen: self.seen }
    }
}

/// Takes one cumulative row of the sample at `at_ns` in and returns what it grew by, `None` when it did not.
pub(super) fn take(
    rows: &mut Vec<Row>,
    kinds: &mut Kinds,
    sample: &CopySample,
    at_ns: u64,
) -> Option<Growth> {
    let key = FixedState::default().hash_one((sample.path, &sample.kind));
    let at = rows.iter().position(|row| row.key == key).unwrap_or_else(|| {
        let kind = kinds.number(&sample.kind);
        rows.push(Row { key, path: sample.path, kind, count: 0, bytes: 0, seen: Seen::at(at_ns) });
        rows.len() - 1
    });
    let row = &mut rows[at];
    let count = sample.count.saturating_sub(row.count);
    let bytes = sample.bytes.saturating_sub(row.bytes);
    row.count += count;
    row.bytes += bytes;
    let seen = Seen::at(at_ns);
    (count > 0 || bytes > 0).then(|| {
        row.seen = row.seen.and(seen);
        Growth { path: row.path, kind: row.kind, count, bytes, seen }
    })
}

#[cfg(test)]
mod tests {
    use zcscope_common::Reason;

    use super::*;

    fn sample(dev: &str, bytes: u64) -> CopySample {
        let kind = CopyKind {
            reason: Reason::Loopback,
            site: "skb_copy_ubufs".into(),
            caller: None,
            dev: Some(dev.into()),
            clone: false,
            told: true,
            inferred: false,
        };
        CopySample { socket: None, path: Path::MsgZerocopy, kind, count: 1, bytes }
    }

    #[test]
    fn only_growth_comes_out() {
        let (mut rows, mut kinds) = (Vec::new(), Kinds::default());
        assert_eq!(take(&mut rows, &mut kinds, &sample("lo", 10), 1).unwrap().bytes, 10);
        assert!(take(&mut rows, &mut kinds, &sample("lo", 10), 2).is_none());
        assert_eq!(take(&mut rows, &mut kinds, &sample("lo", 25), 3).unwrap().bytes, 15);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].whole().seen, Seen { first_ns: 1, last_ns: 3 });
    }

    #[test]
    fn too_many_devices_share_a_kind_and_lose_no_bytes() {
        let (mut rows, mut kinds) = (Vec::new(), Kinds::default());
        let total: u64 = (0..MAX_KINDS + 100)
            .map(|i| take(&mut rows, &mut kinds, &sample(&format!("veth{i}"), 3), 0).unwrap().bytes)
            .sum();
        assert_eq!(total, 3 * (MAX_KINDS as u64 + 100));
        assert_eq!(kinds.list.len(), MAX_KINDS + 1);
        assert_eq!(kinds.get(rows[MAX_KINDS + 5].kind).unwrap().dev, None);
    }
}
