//! Expected beside observed, to the byte.

use super::observed::Totals;
use super::rows::{Fate, Row, Told};
use crate::load::result::LoadReport;
use crate::units::exact;

/// Collects what is not as it must be.
#[derive(Default)]
struct Complaints(Vec<String>);

impl Complaints {
    fn same(&mut self, what: &str, seen: impl Into<Option<u64>>, expected: u64) {
        match seen.into() {
            Some(seen) if seen == expected => {}
            Some(seen) => self.0.push(format!("{what}: {}, expected {}", exact(seen), exact(expected))),
            None => self.0.push(format!("{what}: not known, expected {}", exact(expected))),
        }
    }

    fn unless(&mut self, good: bool, complaint: impl FnOnce() -> String) {
        if !good {
            self.0.push(complaint());
        }
    }
}

/// What is wrong, a sentence each; empty when zcscope told the truth. `sink_bytes` is what arrived, where anything does.
pub(super) fn complaints(
    row: &Row,
    load: &LoadReport,
    sink_bytes: Option<u64>,
    seen: &Totals,
) -> Vec<String> {
    let mut wrong = Complaints::default();
    let (sends, size) = row.amount;
    match &load.error {
        Some(error) if !row.is_hole() => wrong.0.push(format!("the load failed: {error}")),
        _ => {}
    }
    wrong.same("bytes the generator sent", load.bytes, (sends * size) as u64);
    if !row.is_hole() {
        wrong.same("bytes that arrived", sink_bytes, load.bytes);
    }
    wrong.same("bytes seen", seen.bytes, load.bytes);
    wrong.same("calls seen on other paths", seen.other_calls, 0);
    wrong.same("events lost", seen.lost, 0);
    fate(row, load, seen, &mut wrong);
    ends(row, load, seen, &mut wrong);
    refusals(row, load, seen, &mut wrong);
    wrong.0
}

/// What became of the bytes, and why.
fn fate(row: &Row, load: &LoadReport, seen: &Totals, wrong: &mut Complaints) {
    let (copied, reason) = match row.expect.fate {
        Fate::Plain => {
            wrong.unless(seen.ledger.is_none(), || "a path that never asks has a copy ledger".into());
            return;
        }
        Fate::ZeroCopy => (0, None),
        Fate::Copied(reason) => (load.bytes, Some(reason.name())),
    };
    let ledger = seen.ledger.unwrap_or_default();
    wrong.same("bytes requested without a copy", ledger.requested_bytes, load.bytes);
    wrong.same("bytes copied", ledger.copied_bytes, copied);
    wrong.same("bytes not copied", ledger.zerocopied_bytes, load.bytes - copied);
    wrong.same("bytes in flight", seen.in_flight_bytes, 0);
    let expected: Vec<&str> = reason.into_iter().collect();
    wrong.unless(seen.reasons(false) == expected, || {
        format!("reasons of the copies: {:?}, expected {expected:?}", seen.reasons(false))
    });
    let expected: Vec<&str> = row.expect.clone.map(|reason| reason.name()).into_iter().collect();
    wrong.unless(seen.reasons(true) == expected, || {
        format!("reasons of copies for others: {:?}, expected {expected:?}", seen.reasons(true))
    });
    if row.expect.clone.is_some() {
        wrong.same("bytes copied for others", ledger.clone_copied_bytes, load.bytes);
    }
}

/// What the application was told, as it counted it itself, and what it was not.
fn ends(row: &Row, load: &LoadReport, seen: &Totals, wrong: &mut Complaints) {
    let silent = seen.ledger.and_then(|ledger| ledger.silent_copied_bytes);
    let copied = matches!(row.expect.fate, Fate::Copied(_));
    match row.expect.told {
        Told::Some => {}
        Told::All if copied => wrong.same("bytes copied silently", silent, 0),
        Told::None if copied => wrong.same("bytes copied silently", silent, load.bytes),
        _ if row.expect.fate == Fate::ZeroCopy => wrong.same("bytes copied silently", silent, 0),
        _ => {}
    }
    let Some(told) = &load.completions else { return };
    wrong.same("ends of sends", seen.ended, told.sends);
    wrong.same("sends told of", seen.told, told.sends);
    wrong.same("sends told copied", seen.told_copied, told.told_copied);
    wrong.same("sends whose end the generator never got", told.outstanding, 0);
    match row.expect.told {
        Told::All => wrong.same("sends told copied", told.told_copied, told.sends),
        Told::None => wrong.same("sends told copied", told.told_copied, 0),
        Told::Some => {}
    }
}

/// Calls the kernel refused.
fn refusals(row: &Row, load: &LoadReport, seen: &Totals, wrong: &mut Complaints) {
    let enobufs = load.errors.get("ENOBUFS").copied().unwrap_or(0);
    wrong.same("calls refused with ENOBUFS", seen.enobufs, enobufs);
    match row.expect.refused {
        None => wrong.same("calls refused with ENOBUFS", enobufs, 0),
        Some(reason) => {
            wrong.unless(enobufs > 0, || "nothing was refused".into());
            wrong.same(
                &format!("calls refused for {}", reason.name()),
                seen.refused.get(reason.name()).copied(),
                enobufs,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::ROWS;
    use super::*;
    use crate::load::result::Completions;
    use crate::model::snapshot::Ledger;

    fn row(name: &str) -> &'static Row {
        ROWS.iter().find(|row| row.name == name).unwrap()
    }

    /// What a row that goes as it must looks like.
    fn right(row: &Row) -> (LoadReport, Totals) {
        let bytes = (row.amount.0 * row.amount.1) as u64;
        let sends = row.amount.0 as u64;
        let (copied, silent) = match (row.expect.fate, row.expect.told) {
            (Fate::Copied(_), Told::All) => (bytes, 0),
            (Fate::Copied(_), _) => (bytes, bytes),
            _ => (0, 0),
        };
        let told_copied = if row.expect.told == Told::All { sends } else { 0 };
        let has_ends = row.path.contains("z") && !row.name.contains("unset");
        let ends = Completions { sends, told_copied, ..Completions::default() };
        let refused = row.expect.refused.map(|reason| (reason.name(), 9));
        let load = LoadReport {
            bytes,
            completions: has_ends.then_some(ends),
            errors: refused.map(|_| ("ENOBUFS".to_owned(), 9)).into_iter().collect(),
            ..LoadReport::default()
        };
        let mut copies = std::collections::BTreeMap::new();
        if let Fate::Copied(reason) = row.expect.fate {
            copies.insert((reason.name(), false, true), bytes);
        }
        if let Some(reason) = row.expect.clone {
            copies.insert((reason.name(), true, true), bytes);
        }
        let ledger = Ledger {
            requested_bytes: bytes,
            copied_bytes: Some(copied),
            zerocopied_bytes: Some(bytes - copied),
            clone_copied_bytes: Some(if row.expect.clone.is_some() { bytes } else { 0 }),
            silent_copied_bytes: Some(silent),
        };
        let seen = Totals {
            bytes,
            ledger: (row.expect.fate != Fate::Plain).then_some(ledger),
            ended: if has_ends { sends } else { 0 },
            told: has_ends.then_some(sends),
            told_copied: has_ends.then_some(told_copied),
            enobufs: refused.map_or(0, |(_, n)| n),
            refused: refused.into_iter().collect(),
            copies,
            ..Totals::default()
        };
        (load, seen)
    }

    fn judged(row: &Row, load: &LoadReport, seen: &Totals) -> Vec<String> {
        complaints(row, load, (!row.is_hole()).then_some(load.bytes), seen)
    }

    #[test]
    fn what_is_as_expected_is_right() {
        for row in ROWS {
            let (load, seen) = right(row);
            assert_eq!(judged(row, &load, &seen), Vec::<String>::new(), "{}", row.name);
        }
    }

    #[test]
    fn a_byte_too_few_is_wrong_in_every_row() {
        for row in ROWS {
            let (load, mut seen) = right(row);
            seen.bytes -= 1;
            assert_eq!(judged(row, &load, &seen).len(), 1, "{}", row.name);
        }
    }

    #[test]
    fn every_lie_is_found() {
        let found = |name: &str, lie: fn(&mut Totals), words: &str| {
            let (load, mut seen) = right(row(name));
            lie(&mut seen);
            let all = judged(row(name), &load, &seen);
            assert!(all.iter().any(|complaint| complaint.contains(words)), "{name}: {all:?}");
        };
        let zero_copy = |seen: &mut Totals| seen.ledger.as_mut().unwrap().copied_bytes = Some(0);
        found("zerocopy_lo", zero_copy, "bytes copied: 0, expected");
        found(
            "zerocopy_true",
            |seen| {
                seen.copies.insert(("loopback", false, true), 9);
            },
            "reasons of the copies",
        );
        found("zerocopy_veth", |seen| seen.copies.clear(), "reasons of the copies");
        found("zerocopy_lo", |seen| seen.told_copied = Some(1), "sends told copied");
        found("zerocopy_lo", |seen| seen.told = None, "not known");
        found("zerocopy_refused", |seen| seen.refused.clear(), "refused for optmem");
        found(
            "zerocopy_capture",
            |seen| seen.ledger.as_mut().unwrap().clone_copied_bytes = Some(1),
            "for others",
        );
        found(
            "sendfile_no_sg",
            |seen| seen.ledger.as_mut().unwrap().silent_copied_bytes = Some(0),
            "silently",
        );
        found("copy", |seen| seen.ledger = Some(Ledger::default()), "ledger");
        found("sendfile_lo", |seen| seen.lost = 1, "events lost");
        found("sendfile_lo", |seen| seen.other_calls = 1, "other paths");
    }

    #[test]
    fn a_load_that_failed_proves_nothing() {
        let (mut load, seen) = right(row("copy"));
        load.error = Some("gone".into());
        assert!(judged(row("copy"), &load, &seen)[0].contains("the load failed: gone"));
        let (mut load, seen) = right(row("zerocopy_true"));
        load.error = Some("nobody acknowledges".into());
        assert!(judged(row("zerocopy_true"), &load, &seen).is_empty(), "as it must in a black hole");
    }
}
