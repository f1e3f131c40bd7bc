//! The definitions: from counters to figures. Everything that states copied, zero-copied or in-flight bytes (for
//! all traffic, a process, a socket or a device) comes through here.

use std::collections::BTreeMap;

use zcscope_common::{Disagreement, Err, FlowCounters, Path, Reason, Refusal};

use super::known::{Known, is_uring};
use super::snapshot::{Completions, InFlight, Ledger, WrongSends};

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
    /// Pages of sends in flight.
    pub(super) open_pages: u64,
    /// Living sockets whose pages in flight cannot be divided among their paths.
    pub(super) undivided: u64,
}

impl Sums {
    /// What one socket counted on one path.
    pub(super) fn of_socket(path: Path, c: &FlowCounters) -> Self {
        if path.has_completion() || !path.wants_zerocopy() {
            return Self { c: *c, ..Self::default() };
        }
        let copied = c.start_copied_bytes.saturating_add(c.raw_wire_bytes).min(c.bytes);
        // A receive call returns what it copied: nothing of that is silent.
        let untold =
            if path.receives() { 0 } else { c.start_copied_bytes.saturating_add(c.raw_silent_bytes) };
        let clone = c.raw_clone_bytes.min(c.bytes);
        Self { c: *c, copied, clone, silent: untold.min(copied), ..Self::default() }
    }

    /// The same with the pages its sends in flight hold; `None` when a socket's pages belong to several paths.
    pub(super) fn holding(self, pages: Option<u64>) -> Self {
        Self { open_pages: pages.unwrap_or(0), undivided: u64::from(pages.is_none()), ..self }
    }

    /// Replaces `old`, which is part of this sum, by `new`.
    pub(super) fn replace(&mut self, old: &Self, new: &Self) {
        let change = |sum: u64, old: u64, new: u64| sum.wrapping_sub(old).wrapping_add(new);
        self.c = self.c.zip(&old.c, u64::wrapping_sub).zip(&new.c, u64::wrapping_add);
        self.copied = change(self.copied, old.copied, new.copied);
        self.clone = change(self.clone, old.clone, new.clone);
        self.silent = change(self.silent, old.silent, new.silent);
        self.open_pages = change(self.open_pages, old.open_pages, new.open_pages);
        self.undivided = change(self.undivided, old.undivided, new.undivided);
    }
}

/// Field by field the larger value: counters never go back.
pub(super) fn never_back(old: &FlowCounters, new: &FlowCounters) -> FlowCounters {
    old.zip(new, u64::max)
}

/// Bytes whose end was never seen; never more than the sends without an end have.
fn lost_end_bytes(c: &FlowCounters) -> u64 {
    c.lost_end_bytes.min(c.bytes.saturating_sub(c.start_copied_bytes).saturating_sub(c.completed_bytes))
}

/// Bytes of sends not released yet, by the counters alone.
fn open_bytes(c: &FlowCounters) -> u64 {
    let begun = c.bytes.saturating_sub(c.start_copied_bytes);
    begun.saturating_sub(c.completed_bytes).saturating_sub(c.lost_end_bytes)
}

/// Sends not released yet; `None` without completions.
pub(super) fn in_flight(path: Path, sums: &Sums, known: &Known) -> Option<InFlight> {
    let c = &sums.c;
    known.completions_of(path).then(|| InFlight {
        sends: c.zc_sends.saturating_sub(c.completed_sends).saturating_sub(c.lost_end_sends),
        bytes: open_bytes(c),
        pages: (known.open_pages_of(path) && sums.undivided == 0).then_some(sums.open_pages),
    })
}

/// The ledger of a path; `None` when it never asked for zero-copy. Copied + zero-copied + in flight + lost ends =
/// requested; counters that contradict this are cut at what was requested.
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
            open_bytes(c).saturating_add(lost_end_bytes(c)),
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
    let told = known.told_of(path);
    // A program takes its io_uring notifications from memory: what is seen is that they are posted.
    let reads = told && !is_uring(path);
    Some(Completions {
        sends: c.completed_sends,
        units: c.units,
        kernel_copied: c.kernel_copied_sends,
        notifications: told.then_some(c.told_reads),
        told_sends: told.then_some(c.told_sends),
        told_copied: told.then_some(c.told_copied_sends),
        unread_sends: reads.then_some(c.completed_sends.saturating_sub(c.told_sends)),
        before_attach: c.before_attach_sends,
        lost_ends: c.lost_end_sends,
        lost_end_bytes: lost_end_bytes(c),
        unsent_bytes: c.unsent_bytes,
        disagreements: (told && known.copy).then(|| disagreements(c, known.copy_inferred)),
        ..Completions::default()
    })
}

/// What the application was told is seen; whether it was true is as sure as the copies are. Nothing of a failed send was
/// copied in any case.
fn disagreements(c: &FlowCounters, concluded: bool) -> Vec<WrongSends> {
    let kinds = Disagreement::ALL.into_iter().zip(c.disagreements).filter(|(_, sends)| *sends > 0);
    let wrong =
        |(kind, sends)| WrongSends { kind, sends, inferred: concluded && kind != Disagreement::FailedSend };
    kinds.map(wrong).collect()
}

/// What is no copy and worth telling; `None` when none of it can be seen.
pub(super) fn notes(path: Path, sums: &Sums, known: &Known) -> Option<Vec<(Reason, u64)>> {
    let seen = [
        (known.frags, Reason::FragLimit, sums.c.frag_limit),
        (known.mixed_socket, Reason::MixedSocket, sums.c.mixed_socket),
    ];
    let sends = path.wants_zerocopy() && !path.receives();
    let mut known = seen.into_iter().filter(|(known, ..)| *known && sends).peekable();
    known.peek()?;
    Some(known.filter(|(.., n)| *n > 0).map(|(_, reason, n)| (reason, n)).collect())
}

/// Time in the send call per 1,024 bytes, ns; `None` when not measured.
pub(super) fn ns_per_kib(timed_bytes: u64, timed_ns: u64, known: &Known) -> Option<u64> {
    let per_kib = (u128::from(timed_ns) * 1_024).checked_div(u128::from(timed_bytes))?;
    known.send_time.then(|| u64::try_from(per_kib).unwrap_or(u64::MAX))
}

/// Failed calls by errno name: those above zero, and `ENOBUFS` always on paths that send without a copy.
pub(super) fn errors(path: Path, sums: &Sums) -> BTreeMap<&'static str, u64> {
    Err::ALL
        .iter()
        .map(|(class, name)| (*class, *name, sums.c.errors[*class as usize]))
        .filter(|(class, _, n)| {
            *n > 0 || (*class == Err::Enobufs && path.wants_zerocopy() && !path.receives())
        })
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

    fn concluding() -> Known {
        let sources = [("copy".to_owned(), "tracepoint:net_dev_queue".to_owned())].into();
        Known::of(&Session { sources, ..Session::default() })
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
        let sums = Sums::of_socket(Path::MsgZerocopy, &units());
        let ledger = ledger(Path::MsgZerocopy, &sums, &all_known()).unwrap();
        assert_eq!(ledger.copied_bytes, Some(350));
        assert_eq!(ledger.zerocopied_bytes, Some(350));
        assert_eq!(ledger.clone_copied_bytes, Some(40));
        assert_eq!(ledger.silent_copied_bytes, Some(150));
        let open = in_flight(Path::MsgZerocopy, &sums, &all_known());
        assert_eq!(open, Some(InFlight { sends: 3, bytes: 300, pages: Some(0) }));
    }

    #[test]
    fn a_path_without_units_saturates_per_socket_before_adding() {
        let flow = |bytes, raw| {
            let c = FlowCounters { bytes, raw_wire_bytes: raw, raw_silent_bytes: raw, ..Default::default() };
            Sums::of_socket(Path::Sendfile, &c)
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
        let sums = Sums::of_socket(Path::Copy, &units());
        assert_eq!(ledger(Path::Copy, &sums, &all_known()), None);
        assert_eq!(completions(Path::Copy, &sums, &all_known()), None);
    }

    #[test]
    fn a_missing_fact_takes_its_figures_with_it() {
        let only_requested = Ledger { requested_bytes: 1_000, ..Ledger::default() };
        let zc = Sums::of_socket(Path::MsgZerocopy, &units());
        assert_eq!(ledger(Path::MsgZerocopy, &zc, &without("copy")), Some(only_requested));
        assert_eq!(ledger(Path::MsgZerocopy, &zc, &without("completion")), Some(only_requested));
        assert_eq!(completions(Path::MsgZerocopy, &zc, &without("completion")), None);
        assert_eq!(in_flight(Path::MsgZerocopy, &zc, &without("completion")), None);
        assert!(completions(Path::MsgZerocopy, &zc, &without("copy")).is_some());
        let told = completions(Path::MsgZerocopy, &zc, &without("told")).unwrap();
        assert_eq!((told.sends, told.notifications, told.told_copied), (6, None, None));

        let uring = Sums::of_socket(Path::UringSendZc, &units());
        assert_eq!(ledger(Path::UringSendZc, &uring, &without("uring_completion")), Some(only_requested));
        assert!(ledger(Path::MsgZerocopy, &zc, &without("uring_completion")).unwrap().copied_bytes.is_some());
        let sendfile = Sums::of_socket(Path::Sendfile, &units());
        assert!(ledger(Path::Sendfile, &sendfile, &without("completion")).unwrap().copied_bytes.is_some());
    }

    #[test]
    fn a_send_without_an_end_is_neither_copied_nor_zero_copied_nor_in_flight() {
        let mut c = units();
        (c.lost_end_sends, c.lost_end_bytes) = (3, 300);
        let sums = Sums::of_socket(Path::MsgZerocopy, &c);
        let l = ledger(Path::MsgZerocopy, &sums, &all_known()).unwrap();
        assert_eq!((l.copied_bytes, l.zerocopied_bytes), (Some(350), Some(350)));
        let open = in_flight(Path::MsgZerocopy, &sums, &all_known()).unwrap();
        assert_eq!((open.sends, open.bytes), (0, 0));
        let ends = completions(Path::MsgZerocopy, &sums, &all_known()).unwrap();
        assert_eq!((ends.lost_ends, ends.lost_end_bytes), (3, 300));
    }

    #[test]
    fn what_was_received_is_mapped_or_copied_and_never_silent() {
        let c = FlowCounters {
            bytes: 1_000,
            attached_bytes: 700,
            start_copied_bytes: 300,
            skip_hint_bytes: 99,
            ..FlowCounters::default()
        };
        let sums = Sums::of_socket(Path::RecvZerocopy, &c);
        for known in [all_known(), without("copy")] {
            let l = ledger(Path::RecvZerocopy, &sums, &known).unwrap();
            assert_eq!((l.zerocopied_bytes, l.copied_bytes), (Some(700), Some(300)));
            assert_eq!(l.silent_copied_bytes, Some(0));
        }
        assert_eq!(ledger(Path::Recv, &Sums::of_socket(Path::Recv, &c), &all_known()), None);
        assert_eq!(notes(Path::RecvZerocopy, &sums, &all_known()), None);
    }

    #[test]
    fn disagreements_and_unread_sends_rest_on_what_was_told() {
        let mut c = units();
        (c.told_reads, c.told_sends) = (2, 4);
        c.disagreements = [2, 0, 3, 1, 0];
        let sums = Sums::of_socket(Path::MsgZerocopy, &c);
        let of = |known: &Known| completions(Path::MsgZerocopy, &sums, known).unwrap();
        let all = of(&all_known());
        assert_eq!(all.unread_sends, Some(2));
        let wrong = |inferred| {
            let kinds = [
                (Disagreement::FailedSend, 2),
                (Disagreement::MergedRange, 3),
                (Disagreement::ToldZerocopyButCopied, 1),
            ];
            let wrong = |(kind, sends)| WrongSends {
                kind,
                sends,
                inferred: inferred && kind != Disagreement::FailedSend,
            };
            Some(kinds.map(wrong).to_vec())
        };
        assert_eq!(all.disagreements, wrong(false));
        assert_eq!(of(&concluding()).disagreements, wrong(true));
        assert_eq!(of(&without("copy")).disagreements, None);
        let untold = of(&without("told"));
        assert_eq!((untold.disagreements, untold.unread_sends), (None, None));
        let ring = completions(Path::UringSendZc, &sums, &all_known()).unwrap();
        assert_eq!(in_flight(Path::UringSendZc, &sums, &all_known()).unwrap().pages, None);
        assert_eq!((ring.told_sends, ring.unread_sends), (Some(4), None));
    }

    #[test]
    fn notes_and_cost_rest_on_their_facts() {
        let mut c = units();
        c.frag_limit = 5;
        let sums = Sums::of_socket(Path::MsgZerocopy, &c);
        assert_eq!(notes(Path::MsgZerocopy, &sums, &all_known()), Some(vec![(Reason::FragLimit, 5)]));
        assert_eq!(notes(Path::MsgZerocopy, &sums, &without("frags")), Some(vec![]));
        let none = Session {
            missing: ["frags", "mixed_socket"]
                .map(|fact| Missing { fact: fact.into(), why: String::new() })
                .into(),
            ..Session::default()
        };
        assert_eq!(notes(Path::MsgZerocopy, &sums, &Known::of(&none)), None);
        assert_eq!(notes(Path::Copy, &sums, &all_known()), None);
        assert_eq!(ns_per_kib(4_096, 8_000, &all_known()), Some(2_000));
        assert_eq!(ns_per_kib(4_096, 8_000, &without("send_time")), None);
        assert_eq!(ns_per_kib(0, 0, &all_known()), None, "nothing measured");
    }

    #[test]
    fn pages_that_belong_to_several_paths_are_not_known() {
        let mut all = Sums::default();
        let one = Sums::of_socket(Path::MsgZerocopy, &units()).holding(Some(7));
        let mixed = Sums::of_socket(Path::MsgZerocopy, &units()).holding(None);
        let pages = |all: &Sums| in_flight(Path::MsgZerocopy, all, &all_known()).unwrap().pages;
        all.replace(&Sums::default(), &one);
        assert_eq!(pages(&all), Some(7));
        all.replace(&Sums::default(), &mixed);
        assert_eq!(pages(&all), None);
        all.replace(&mixed, &mixed.holding(Some(0)));
        assert_eq!(pages(&all), Some(7));
        assert_eq!(in_flight(Path::MsgZerocopy, &all, &without("pages")).unwrap().pages, None);
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
                lost_end_bytes: n(),
                unit_copied_bytes: n(),
                unit_clone_bytes: n(),
                unit_silent_bytes: n(),
                ..FlowCounters::default()
            };
            for path in Path::ALL.iter().copied().filter(|p| p.wants_zerocopy() && *p != Path::RecvDevmem) {
                let sums = Sums::of_socket(path, &c);
                let l = ledger(path, &sums, &all_known()).unwrap();
                let open = in_flight(path, &sums, &all_known()).map_or(0, |f| f.bytes);
                let lost = completions(path, &sums, &all_known()).map_or(0, |c| c.lost_end_bytes);
                let (copied, zero) = (l.copied_bytes.unwrap(), l.zerocopied_bytes.unwrap());
                assert_eq!(copied + zero + open + lost, l.requested_bytes, "{path:?} {c:?}");
                assert!(l.silent_copied_bytes.unwrap() <= copied);
                assert!(l.clone_copied_bytes.unwrap() <= l.requested_bytes);
            }
        }
    }
}
