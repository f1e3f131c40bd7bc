//! The verdict on what is received. Pure.

use super::{receiving, unseen};
use crate::model::reason;
use crate::model::snapshot::{CopyFigures, PathFigures, Snapshot};
use crate::tui::views::overview::verdict::{Answer, Verdict};
use crate::units;

/// What a path offered for mapping, and what became of it, bytes.
pub(super) struct Offered {
    /// Mapped, copied and left together; `None` when a part is not known.
    pub(super) all: Option<u64>,
    pub(super) mapped: Option<u64>,
    pub(super) copied: Option<u64>,
    /// Left to a plain read, which counts it again.
    pub(super) left: Option<u64>,
}

impl Offered {
    /// Of a path that maps; `None` for those that read plainly.
    pub(super) fn of(path: &PathFigures) -> Option<Self> {
        let ledger = path.ledger?;
        let left = path.skip_hint_bytes;
        let all = ledger.requested_bytes.saturating_add(left.unwrap_or(0));
        let known = ledger.zerocopied_bytes.and(ledger.copied_bytes);
        let (mapped, copied) = (ledger.zerocopied_bytes, ledger.copied_bytes);
        Some(Self { all: known.map(|_| all), mapped, copied, left })
    }

    /// What was not mapped; `None` when not known.
    pub(super) fn not_mapped(&self) -> Option<u64> {
        Some(self.all?.saturating_sub(self.mapped?))
    }
}

pub(super) fn verdict(snapshot: &Snapshot) -> Verdict {
    let offered: Vec<Offered> = receiving(snapshot).filter_map(Offered::of).collect();
    let received: u64 = receiving(snapshot).map(|path| path.bytes).sum();
    match (received, offered.is_empty()) {
        (0, true) => nothing(snapshot),
        (_, true) => plain(snapshot, received),
        _ => mapped(snapshot, &offered),
    }
}

/// The reason why the fact is missing, in a sentence of its own.
fn missing(snapshot: &Snapshot, fact: &str) -> String {
    unseen(snapshot).find(|(of, _)| *of == fact).map_or_else(String::new, |(_, why)| why.to_owned())
}

fn nothing(snapshot: &Snapshot) -> Verdict {
    let blind = missing(snapshot, "recv");
    let (answer, sentence) = if blind.is_empty() {
        (Answer::Waiting, "nothing has been received since tracing began")
    } else {
        (Answer::NotKnown, "receiving is not watched here")
    };
    Verdict {
        answer,
        long: String::new(),
        sentence: sentence.into(),
        short: sentence.into(),
        why: blind,
        fix: Vec::new(),
    }
}

fn plain(snapshot: &Snapshot, received: u64) -> Verdict {
    let bytes = units::bytes(received);
    let unseen = missing(snapshot, "recv_zerocopy");
    let why = match unseen.as_str() {
        "" => "nobody maps (TCP_ZEROCOPY_RECEIVE, io_uring zero-copy receive)".to_owned(),
        why => format!("whether anybody maps cannot be seen here: {why}"),
    };
    Verdict {
        answer: Answer::NotAsked,
        long: String::new(),
        sentence: format!("{bytes} received by plain reads: copied out of the receive queue"),
        short: format!("{bytes} read plainly"),
        why,
        fix: Vec::new(),
    }
}

fn mapped(snapshot: &Snapshot, offered: &[Offered]) -> Verdict {
    let sum = |of: fn(&Offered) -> Option<u64>| offered.iter().map(of).sum::<Option<u64>>();
    let (Some(all), Some(not_mapped)) = (sum(|path| path.all), sum(Offered::not_mapped)) else {
        let sentence = "bytes are mapped; how many were copied instead cannot be seen here".to_owned();
        let short = "mapped: n/a".to_owned();
        return Verdict {
            answer: Answer::NotKnown,
            long: String::new(),
            sentence,
            short,
            why: String::new(),
            fix: Vec::new(),
        };
    };
    let share = units::percent(not_mapped, all);
    let copied = units::bytes(sum(|path| path.copied).unwrap_or(0));
    let left: u64 = offered.iter().filter_map(|path| path.left).sum();
    let parts = format!("{copied} copied, {} left to a plain read", units::bytes(left));
    let sentence = match not_mapped {
        0 => format!("all of {} offered for mapping was mapped", units::bytes(all)),
        _ => format!("{share} of {} offered for mapping was not mapped: {parts}", units::bytes(all)),
    };
    let rows = reasons(snapshot);
    let top = rows.first();
    let why = top.map_or_else(String::new, |(_, copy, _)| {
        let same = rows.iter().filter(|(_, other, _)| other.kind.reason == copy.kind.reason);
        let bytes: u64 = same.map(|(.., bytes)| bytes).sum();
        let mark = if copy.kind.inferred { "~" } else { "" };
        let on = copy.kind.dev.as_ref().map_or_else(String::new, |dev| format!(" on {dev}"));
        let name = copy.kind.reason.name();
        let share = units::percent(bytes, not_mapped);
        format!("{mark}{name}{on} ({share}): {}", reason::info(copy.kind.reason).meaning)
    });
    let fix = top.map_or_else(Vec::new, |(_, copy, _)| {
        let fix = reason::fix_for(copy.kind.reason, copy.kind.dev.as_deref());
        fix.lines().map(str::to_owned).collect()
    });
    let short = format!("{share} of {} not mapped", units::bytes(all));
    Verdict { answer: Answer::of(not_mapped, all), long: String::new(), sentence, short, why, fix }
}

/// Why bytes were not mapped: path, one of the copies of each reason and device, its bytes; most bytes first.
pub(super) fn reasons(snapshot: &Snapshot) -> Vec<(&PathFigures, &CopyFigures, u64)> {
    let mut rows: Vec<_> = receiving(snapshot)
        .flat_map(|path| path.copies.iter().map(move |copy| (path, copy, copy.bytes)))
        .collect();
    rows.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.1.kind.cmp(&b.1.kind)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::Missing;
    use crate::tui::fixtures;

    #[test]
    fn offered_is_mapped_copied_and_left() {
        let paths = fixtures::receiving();
        let offered = paths.iter().find_map(Offered::of).expect("a path that maps");
        let parts = [offered.mapped, offered.copied, offered.left];
        assert_eq!(offered.all, parts.into_iter().sum());
        let not_mapped = offered.copied.zip(offered.left).map(|(copied, left)| copied + left);
        assert_eq!(offered.not_mapped(), not_mapped);
    }

    #[test]
    fn each_state_has_its_answer() {
        assert_eq!(verdict(&fixtures::copied()).answer, Answer::Partly);
        assert!(verdict(&fixtures::copied()).why.starts_with("rx_unaligned on eth0"));
        assert_eq!(verdict(&fixtures::empty()).answer, Answer::Waiting);
        let mut snapshot = fixtures::copied();
        snapshot.paths.retain(|path| path.ledger.is_none());
        assert_eq!(verdict(&snapshot).answer, Answer::NotAsked);
    }

    #[test]
    fn what_cannot_be_seen_is_not_denied() {
        let mut snapshot = fixtures::empty();
        let missing = |fact: &str| Missing { fact: fact.into(), why: "no way here".into() };
        snapshot.session.missing = vec![missing("recv")];
        assert_eq!(verdict(&snapshot).answer, Answer::NotKnown);
        snapshot = fixtures::copied();
        snapshot.paths.retain(|path| path.ledger.is_none());
        snapshot.session.missing = vec![missing("recv_zerocopy")];
        assert!(verdict(&snapshot).why.contains("no way here"));
    }
}
