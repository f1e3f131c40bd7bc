//! The rows of the view Copies: copy events by kind, refusals by reason, and what is no copy and worth telling. Pure.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use zcscope_common::{Path, Reason};

use crate::model::sample::CopyKind;
use crate::model::snapshot::{CopyFigures, PathFigures};
use crate::tui::shown::Shown;

/// What a row is about, and what tells it from the others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::tui) enum What {
    /// Copy events of one kind on all send paths, or on all receive paths.
    Copy { kind: Arc<CopyKind>, receives: bool },
    /// Calls refused.
    Refused(Reason),
    /// No copy, or none that is counted by kind, and worth telling.
    Note(Reason),
}

/// One row. `None` does not apply, or is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) what: What,
    /// Copy events, calls refused, packets noted.
    pub(super) count: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) bytes_per_s: Option<u64>,
    /// All bytes copied the same way: on the wire, for a clone, or on receive.
    pub(super) whole: u64,
    /// First and last seen, ns since tracing began.
    pub(super) seen: Option<(u64, u64)>,
    /// The paths it was met on, with bytes (copies) or counts.
    pub(super) paths: Vec<(Path, u64)>,
}

impl What {
    pub(super) fn reason(&self) -> Reason {
        match self {
            What::Copy { kind, .. } => kind.reason,
            What::Refused(reason) | What::Note(reason) => *reason,
        }
    }

    pub(super) fn dev(&self) -> Option<&str> {
        match self {
            What::Copy { kind, .. } => kind.dev.as_deref(),
            _ => None,
        }
    }

    /// How the bytes were copied, in a word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            What::Copy { receives: true, .. } => "recv",
            What::Copy { kind, .. } if kind.clone => "clone",
            What::Copy { .. } => "wire",
            What::Refused(_) => "refused",
            What::Note(_) => "note",
        }
    }

    /// What the application was told of it; empty where there was nothing to tell.
    pub(super) fn told(&self) -> &'static str {
        match self {
            What::Copy { receives: true, .. } | What::Note(_) => "",
            What::Copy { kind, .. } if kind.told => "told",
            What::Copy { .. } => "not told",
            What::Refused(_) => "refused",
        }
    }

    /// Where it was copied, who asked for it; `~` when concluded and not seen.
    pub(super) fn place(&self) -> String {
        let What::Copy { kind, .. } = self else { return String::new() };
        let inferred = if kind.inferred { "~" } else { "" };
        match &kind.caller {
            Some(caller) => format!("{inferred}{} ← {caller}", kind.site),
            None => format!("{inferred}{}", kind.site),
        }
    }
}

impl Row {
    const fn nothing(what: What) -> Self {
        Self { what, count: None, bytes: None, bytes_per_s: None, whole: 0, seen: None, paths: Vec::new() }
    }

    /// All figures in one line, for pasting.
    pub(super) fn text(&self) -> String {
        let what = &self.what;
        let mut parts = vec![what.reason().name().to_owned()];
        parts.extend(what.dev().map(|dev| format!("dev {dev}")));
        parts.extend(Some(what.place()).filter(|place| !place.is_empty()));
        parts.push(what.word().to_owned());
        parts.extend(Some(what.told().to_owned()).filter(|told| !told.is_empty() && told != what.word()));
        parts.extend(self.bytes.map(|bytes| format!("{bytes} bytes")));
        parts.extend(self.count.map(|count| format!("{count} events")));
        parts.extend(self.paths.iter().map(|(path, _)| path.name().to_owned()));
        parts.join(", ")
    }

    fn add_copy(&mut self, path: Path, copy: &CopyFigures) {
        self.count = Some(self.count.unwrap_or(0) + copy.count);
        self.bytes = Some(self.bytes.unwrap_or(0) + copy.bytes);
        self.bytes_per_s = Some(self.bytes_per_s.unwrap_or(0) + copy.bytes_per_s);
        let (first, last) = self.seen.unwrap_or((copy.first_ns, copy.last_ns));
        self.seen = Some((first.min(copy.first_ns), last.max(copy.last_ns)));
        self.paths.push((path, copy.bytes));
    }
}

/// Every row, in no order that matters.
pub(super) fn rows(shown: &Shown) -> Vec<Row> {
    let paths = &shown.snapshot.paths;
    let mut rows = copies(paths);
    rows.extend(counted(paths, What::Refused, |path| &path.refused));
    rows.extend(counted(paths, What::Note, |path| path.notes.as_deref().unwrap_or_default()));
    for finding in &shown.findings {
        let Some(reason) = Reason::from_name(&finding.id) else { continue };
        if !rows.iter().any(|row| row.what.reason() == reason) {
            let bytes = Some(finding.bytes).filter(|bytes| *bytes > 0);
            let paths = finding.about.paths.iter().map(|path| (*path, 0)).collect();
            rows.push(Row { bytes, paths, ..Row::nothing(What::Note(reason)) });
        }
    }
    rows
}

fn copies(paths: &[PathFigures]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut at: HashMap<(bool, &CopyKind), usize> = HashMap::new();
    for (path, copy) in paths.iter().flat_map(|p| p.copies.iter().map(move |copy| (p.path, copy))) {
        let receives = path.receives();
        let at = *at.entry((receives, &copy.kind)).or_insert_with(|| {
            rows.push(Row::nothing(What::Copy { kind: copy.kind.clone(), receives }));
            rows.len() - 1
        });
        rows[at].add_copy(path, copy);
    }
    let mut wholes: HashMap<&'static str, u64> = HashMap::new();
    for row in &rows {
        *wholes.entry(row.what.word()).or_default() += row.bytes.unwrap_or(0);
    }
    rows.iter_mut().for_each(|row| row.whole = wholes[row.what.word()]);
    rows
}

/// One row per reason of a list of counts.
fn counted(
    paths: &[PathFigures],
    what: fn(Reason) -> What,
    list: fn(&PathFigures) -> &[(Reason, u64)],
) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (path, (reason, n)) in paths.iter().flat_map(|p| list(p).iter().map(move |entry| (p.path, *entry))) {
        let what = what(reason);
        let row = match rows.iter().position(|row| row.what == what) {
            Some(at) => &mut rows[at],
            None => {
                rows.push(Row::nothing(what));
                let last = rows.len() - 1;
                &mut rows[last]
            }
        };
        row.count = Some(row.count.unwrap_or(0) + n);
        row.paths.push((path, n));
    }
    rows
}

/// A column rows can be ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::tui) enum By {
    Reason,
    Dev,
    #[default]
    Bytes,
    Rate,
    Share,
    Kind,
    Told,
    Events,
    Place,
    First,
    Last,
}

impl By {
    /// In the order of the columns.
    pub(super) const ALL: [By; 11] = [
        By::Reason,
        By::Dev,
        By::Bytes,
        By::Rate,
        By::Share,
        By::Kind,
        By::Told,
        By::Events,
        By::Place,
        By::First,
        By::Last,
    ];

    /// The figure, for columns of figures; most first.
    fn figure(self, row: &Row) -> Option<u64> {
        match self {
            By::Bytes => row.bytes,
            By::Rate => row.bytes_per_s,
            // In hundredths of a per cent.
            By::Share => row.bytes.and_then(|bytes| {
                u64::try_from(u128::from(bytes) * 10_000 / u128::from(row.whole.max(1))).ok()
            }),
            By::Events => row.count,
            By::First => row.seen.map(|(first, _)| first),
            By::Last => row.seen.map(|(_, last)| last),
            _ => None,
        }
    }

    /// The text, for columns of names; in alphabetical order.
    fn text(self, row: &Row) -> String {
        match self {
            By::Reason => row.what.reason().name().to_owned(),
            By::Dev => row.what.dev().unwrap_or_default().to_owned(),
            By::Kind => row.what.word().to_owned(),
            By::Told => row.what.told().to_owned(),
            By::Place => row.what.place(),
            _ => String::new(),
        }
    }

    fn compare(self, a: &Row, b: &Row, reverse: bool) -> Ordering {
        let turn = |order: Ordering| if reverse { order.reverse() } else { order };
        let figures = match (self.figure(a), self.figure(b)) {
            (Some(a), Some(b)) => turn(b.cmp(&a)),
            // Rows without the figure stand last, whichever way.
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        figures.then_with(|| turn(self.text(a).cmp(&self.text(b))))
    }
}

/// Orders rows by a column; what is equal there by bytes, then by what it is, so that nothing changes places.
pub(super) fn sort(rows: &mut [Row], by: By, reverse: bool) {
    rows.sort_by(|a, b| {
        let rest = || By::Bytes.compare(a, b, false).then_with(|| a.what.cmp(&b.what));
        by.compare(a, b, reverse).then_with(rest)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixtures;

    fn sorted(by: By, reverse: bool) -> Vec<Row> {
        let mut rows = rows(&Shown::of(fixtures::copied()));
        sort(&mut rows, by, reverse);
        rows
    }

    #[test]
    fn kinds_are_summed_over_paths_and_no_byte_is_lost() {
        let snapshot = fixtures::copied();
        let rows = sorted(By::Bytes, false);
        let copied = |row: &&Row| matches!(row.what, What::Copy { .. });
        let all: u64 = snapshot.paths.iter().flat_map(|p| &p.copies).map(|c| c.bytes).sum();
        assert_eq!(rows.iter().filter(copied).filter_map(|row| row.bytes).sum::<u64>(), all);
        let two = rows.iter().find(|row| row.paths.len() == 2).expect("one kind on two paths");
        assert_eq!(two.bytes, Some(two.paths.iter().map(|(_, bytes)| bytes).sum()));
        let share =
            |word: &str| rows.iter().filter(|row| row.what.word() == word).map(|row| row.whole).next();
        assert_eq!(["wire", "clone", "recv"].iter().filter_map(|word| share(word)).sum::<u64>(), all);
    }

    #[test]
    fn a_row_as_text_holds_exact_figures() {
        let text = sorted(By::Bytes, false)[0].text();
        let expected = "no_scatter_gather, dev eth0, skb_segment ← validate_xmit_skb, wire, not told, \
                        5368709120 bytes, ";
        assert!(text.starts_with(expected) && text.ends_with(" events, msg_zerocopy, sendfile"), "{text}");
    }

    #[test]
    fn refusals_and_findings_without_copies_have_rows() {
        let rows = sorted(By::Bytes, false);
        let refused = rows.iter().find(|row| row.what == What::Refused(Reason::Optmem)).expect("a refusal");
        assert_eq!((refused.count, refused.bytes), (Some(1_204), None));
        let ids: Vec<Reason> = rows.iter().map(|row| row.what.reason()).collect();
        for finding in Shown::of(fixtures::copied()).findings {
            assert!(Reason::from_name(&finding.id).is_none_or(|reason| ids.contains(&reason)), "{finding:?}");
        }
    }

    #[test]
    fn every_column_orders_and_what_has_no_figure_stands_last() {
        for by in By::ALL {
            for reverse in [false, true] {
                let rows = sorted(by, reverse);
                let figures: Vec<_> = rows.iter().map(|row| by.figure(row)).collect();
                let known = figures.iter().take_while(|figure| figure.is_some()).count();
                assert!(figures[known..].iter().all(Option::is_none), "{by:?}");
                let ordered = |a: &Option<u64>, b: &Option<u64>| if reverse { a <= b } else { a >= b };
                assert!(figures[..known].is_sorted_by(ordered), "{by:?} {reverse}");
            }
        }
        let names: Vec<&str> = sorted(By::Reason, false).iter().map(|row| row.what.reason().name()).collect();
        assert!(names.is_sorted());
    }
}
