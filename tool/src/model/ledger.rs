//! The definitions: from counters to figures. Everything that states copied, zero-copied or in-flight bytes (for
//! all traffic, a process, a socket or a device) comes through here.

use std::collections::BTreeMap;

use zcscope_common::{Err, FlowCounters, Path, Reason, Refusal};

use super::known::{Known, is_uring};
use super::snapshot::{Completions, InFlight, Ledger};

/// Counters of one path, of one socket or added up over many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Plain sums.
    pub(super) c: FlowCounters,
    /// Paths without completion units: copied bytes, each socket's limited to its own bytes before adding up.
    pub(super) copied: u64,
    /// The same for clone copies.
    pub(super) clone: u64,
    /// The same for silent copies.
    pub(super) silent: u64,
}

impl Sums {
    /// What one socket counted on one path.
    pub(super) fn of_socket(path: Path, c: FlowCounters) -> Self {
        if path.has_completion() || !path.wants_zerocopy() {
            return Self { c, ..Self::default() };
        }
        let copied = c.start_copied_bytes.saturating_add(c.raw_wire_bytes).min(c.bytes);
        let silent = c.start_copied_bytes.saturating_add(c.raw_silent_bytes).min(copied);
        Self { c, copied, clone: c.raw_clone_bytes.min(c.bytes), silent }
    }

    /// Replaces `old`, which is part of this sum, by `new`.
    pub(super) fn replace(&mut self, old: &Self, new: &Self) {
        let change = |sum: u64, old: u64, new: u64| sum.wrapping_sub(old).wrapping_add(new);
        self.c = self.c.zip(&old.c, u64::wrapping_sub).zip(&new.c, u64::wrapping_add);
        self.copied = change(self.copied, old.copied, new.copied);
        self.clone = change(self.clone, old.clone, new.clone);
        self.silent = change(self.silent, old.silent, new.silent);
    }
}

/// Field by field the larger value: counters never go back.
pub(super) fn never_back(old: &FlowCounters, new: &FlowCounters) -> FlowCounters {
    old.zip(new, u64::max)
}

/// Sends and bytes not released yet, by the counters alone.
fn open_sends(c: &FlowCounters) -> InFlight {
    InFlight {
        sends: c.zc_sends.saturating_sub(c.completed_sends).saturating_sub(c.lost_end_sends),
        bytes: c
            .bytes
            .saturating_sub(c.start_copied_bytes)
            .saturating_sub(c.completed_bytes)
            .saturating_sub(c.lost_end_bytes),
    }
}

/// Sends not released yet; `None` without completions.
pub(super) fn in_flight(path: Path, sums: &Sums, known: &Known) -> Option<InFlight> {
    known.completions_of(path).then(|| open_sends(&sums.c))
}

/// The ledger of a path; `None` when it never asked for zero-copy. Copied + zero-copied + in flight = requested;
/// counters that contradict this are cut at what was requested.
pub(super) fn ledger(path: Path, sums: &Sums, known: &Known) -> Option<Ledger> {
    if !path.wants_zerocopy() {
        return None;
    }
    let c = &sums.c;
    let requested = c.bytes;
    if !known.copies_of(path) {
        return Some(Ledger { requested_bytes: requested, ..Ledger::default() });
    }
    let (open, copied, clone, silent) = if path.has_completion() {
        let start = c.start_copied_bytes;
        (
            open_sends(c).bytes,
            start.saturating_add(c.unit_copied_bytes),
            c.unit_clone_bytes,
            start.saturating_add(c.unit_silent_bytes),
        )
    } else {
        (0, sums.copied, sums.clone, sums.silent)
    };
    let settled = requested.saturating_sub(open);
    let copied = copied.min(settled);
    Some(Ledger {
        requested_bytes: requested,
        zerocopied_bytes: Some(settled - copied),
        copied_bytes: Some(copied),
        clone_copied_bytes: Some(clone.min(requested)),
        silent_copied_bytes: Some(silent.min(copied)),
    })
}

/// Ends of sends; `None` when they cannot be seen. Latencies are filled in where they are known.
pub(super) fn completions(path: Path, sums: &Sums, known: &Known) -> Option<Completions> {
    if !known.completions_of(path) {
        return None;
    }
    let c = &sums.c;
    // An io_uring program takes its notifications from memory it shares with the kernel: no read to be seen.
    let told = known.told && (!is_uring(path) || c.told_reads > 0);
    Some(Completions {
        sends: c.completed_sends,
        units: c.units,
        kernel_copied: c.kernel_copied_sends,
        notifications: told.then_some(c.told_reads),
        told_sends: told.then_some(c.told_sends),
        told_copied: told.then_some(c.told_copied_sends),
        latency: None,
        app_read_latency: None,
    })
}

/// Failed calls by errno name: those above zero, and `ENOBUFS` always on zero-copy paths.
pub(super) fn errors(path: Path, sums: &Sums) -> BTreeMap<&'static str, u64> {
    Err::ALL
        .iter()
        .map(|(class, name)| (*class, *name, sums.c.errors[*class as usize]))
        .filter(|(class, _, n)| *n > 0 || (*class == Err::Enobufs && path.wants_zerocopy()))
        .map(|(_, name, n)| (name, n))
        .collect()
}

/// Refused calls by reason, only those above zero.
pub(super) fn refused(sums: &Sums, known: &Known) -> Vec<(Reason, u64)> {
    if !known.refused {
        return Vec::new();
    }
    Refusal::REASONS.into_iter().zip(sums.c.refused).filter(|(_, n)| *n > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::{Missing, Session};
    use super::*;

    fn all_known() -> Known {
        Known::of(&Session::default())
    }

    fn without(fact: &str) -> Known {
        let missing = vec![Missing { fact: fact.into(), why: String::new() }];
        Known::of(&Session { missing, ..Session::default() })
    }

    fn units() -> FlowCounters {
        FlowCounters {
            bytes: 1_000,
            start_copied_bytes: 100,
            zc_sends: 9,
            completed_sends: 6,
            completed_bytes: 600,
            unit_copied_bytes: 250,
            unit_clone_bytes: 40,
            unit_silent_bytes: 50,
            ..FlowCounters::default()
        }
    }

    #[test]
    fn a_path_with_units_settles_what_has_completed() {
        let sums = Sums::of_socket(Path::MsgZerocopy, units());
        let ledger = ledger(Path::MsgZerocopy, &sums, &all_known()).unwrap();
        assert_eq!(ledger.copied_bytes, Some(350));
        assert_eq!(ledger.zerocopied_bytes, Some(350));
        assert_eq!(ledger.clone_copied_bytes, Some(40));
        assert_eq!(ledger.silent_copied_bytes, Some(150));
        let open = in_flight(Path::MsgZerocopy, &sums, &all_known());
        assert_eq!(open, Some(InFlight { sends: 3, bytes: 300 }));
    }

    #[test]
    fn a_path_without_units_saturates_per_socket_before_adding() {
        let flow = |bytes, raw| {
            let c = FlowCounters { bytes, raw_wire_bytes: raw, raw_silent_bytes: raw, ..Default::default() };
            Sums::of_socket(Path::Sendfile, c)
        };
        let mut sums = Sums::default();
        sums.replace(&Sums::default(), &flow(100, 500));
        sums.replace(&Sums::default(), &flow(900, 0));
        let ledger = ledger(Path::Sendfile, &sums, &all_known()).unwrap();
        assert_eq!(
            ledger.copied_bytes,
            Some(100),
            "retransmitted copies of one socket must not eat the other's bytes"
        );
        assert_eq!(ledger.zerocopied_bytes, Some(900));
        assert_eq!(ledger.silent_copied_bytes, Some(100));
        assert_eq!(in_flight(Path::Sendfile, &sums, &all_known()), None);
    }

    #[test]
    fn a_plain_path_has_no_ledger() {
        let sums = Sums::of_socket(Path::Copy, units());
        assert_eq!(ledger(Path::Copy, &sums, &all_known()), None);
        assert_eq!(completions(Path::Copy, &sums, &all_known()), None);
    }

    #[test]
    fn a_missing_fact_takes_its_figures_with_it() {
        let only_requested = Ledger { requested_bytes: 1_000, ..Ledger::default() };
        let zc = Sums::of_socket(Path::MsgZerocopy, units());
        assert_eq!(ledger(Path::MsgZerocopy, &zc, &without("copy")), Some(only_requested));
        assert_eq!(ledger(Path::MsgZerocopy, &zc, &without("completion")), Some(only_requested));
        assert_eq!(completions(Path::MsgZerocopy, &zc, &without("completion")), None);
        assert_eq!(in_flight(Path::MsgZerocopy, &zc, &without("completion")), None);
        assert!(completions(Path::MsgZerocopy, &zc, &without("copy")).is_some());
        let told = completions(Path::MsgZerocopy, &zc, &without("told")).unwrap();
        assert_eq!((told.sends, told.notifications, told.told_copied), (6, None, None));

        let uring = Sums::of_socket(Path::UringSendZc, units());
        assert_eq!(ledger(Path::UringSendZc, &uring, &without("uring_completion")), Some(only_requested));
        assert!(ledger(Path::MsgZerocopy, &zc, &without("uring_completion")).unwrap().copied_bytes.is_some());
        let sendfile = Sums::of_socket(Path::Sendfile, units());
        assert!(ledger(Path::Sendfile, &sendfile, &without("completion")).unwrap().copied_bytes.is_some());
    }

    /// A small generator of pseudo-random numbers (xorshift), so that a failure can be repeated.
    fn random(seed: &mut u64) -> u64 {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed
    }

    #[test]
    fn the_ledger_always_adds_up_even_when_counters_contradict() {
        let mut seed = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..20_000 {
            let mut n = || {
                let scale = random(&mut seed) % 40;
                random(&mut seed) >> (24 + scale)
            };
            let c = FlowCounters {
                bytes: n(),
                start_copied_bytes: n(),
                raw_wire_bytes: n(),
                raw_clone_bytes: n(),
                raw_silent_bytes: n(),
                completed_bytes: n(),
                unit_copied_bytes: n(),
                unit_clone_bytes: n(),
                unit_silent_bytes: n(),
                ..FlowCounters::default()
            };
            for path in Path::ALL.iter().copied().filter(|p| p.wants_zerocopy()) {
                let sums = Sums::of_socket(path, c);
                let l = ledger(path, &sums, &all_known()).unwrap();
                let open = in_flight(path, &sums, &all_known()).map_or(0, |f| f.bytes);
                let (copied, zero) = (l.copied_bytes.unwrap(), l.zerocopied_bytes.unwrap());
                assert_eq!(copied + zero + open, l.requested_bytes, "{path:?} {c:?}");
                assert!(l.silent_copied_bytes.unwrap() <= copied);
                assert!(l.clone_copied_bytes.unwrap() <= l.requested_bytes);
            }
        }
    }
}
