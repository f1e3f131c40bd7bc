//! Sums over the send paths, or over the receive paths, of one row (all traffic, or one socket). A sum with an unknown
//! part is unknown.

use crate::model::snapshot::{Completions, InFlight, PathFigures};

/// One row's ledger over all its paths. `None` means not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Totals {
    /// Bytes accepted (or received) on every path.
    pub(super) bytes: u64,
    /// Bytes per second on every path.
    pub(super) bytes_per_s: u64,
    /// True when at least one path asked for zero-copy; otherwise the figures below mean nothing.
    pub(super) has_ledger: bool,
    pub(super) requested: u64,
    pub(super) zerocopied: Option<u64>,
    pub(super) copied: Option<u64>,
    pub(super) clone_copied: Option<u64>,
    pub(super) silent: Option<u64>,
    pub(super) in_flight: Option<InFlight>,
    /// Sends whose end was seen by the kernel side, and how many of them it flagged as copied.
    pub(super) kernel: Option<Sends>,
    /// Sends whose end the application read, and how many of them it was told were copied.
    pub(super) told: Option<Sends>,
    /// Sends the application was told something wrong about, on the paths that know.
    pub(super) told_wrongly: u64,
    /// True when some of these were concluded, not seen.
    pub(super) wrongly_inferred: bool,
    /// False when some path does not know what was told wrongly.
    pub(super) all_told: bool,
}

/// Ended sends and how many of them were copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sends {
    pub(super) all: u64,
    pub(super) copied: u64,
}

/// Adds what may be unknown to a sum that may be unknown.
fn add(sum: &mut Option<u64>, part: Option<u64>) {
    *sum = sum.zip(part).map(|(a, b)| a.saturating_add(b));
}

/// What the kernel flagged.
pub(super) fn kernel_sends(completions: &Completions) -> Sends {
    Sends { all: completions.sends, copied: completions.kernel_copied }
}

/// What the application was told, where that can be seen.
pub(super) fn told_sends(completions: &Completions) -> Option<Sends> {
    completions.told_sends.zip(completions.told_copied).map(|(all, copied)| Sends { all, copied })
}

/// The path with most bytes.
pub(super) fn main_path(paths: &[PathFigures]) -> Option<&PathFigures> {
    paths.iter().max_by_key(|p| p.bytes)
}

fn add_sends(sum: &mut Option<Sends>, part: Option<Sends>) {
    *sum = sum.zip(part).map(|(a, b)| Sends { all: a.all + b.all, copied: a.copied + b.copied });
}

impl Totals {
    /// Sums the send paths of one row.
    pub(super) fn of(paths: &[PathFigures]) -> Self {
        Self::over(paths.iter().filter(|p| !p.path.receives()))
    }

    /// Sums what the row does most: its send paths or its receive paths.
    pub(super) fn of_main(paths: &[PathFigures]) -> Self {
        let receive = main_path(paths).is_some_and(|p| p.path.receives());
        Self::over(paths.iter().filter(|p| p.path.receives() == receive))
    }

    /// Bytes received per second; `None` when no receive path is in use.
    pub(super) fn received_per_s(paths: &[PathFigures]) -> Option<u64> {
        let received = paths.iter().filter(|p| p.path.receives());
        received.map(|p| p.bytes_per_s).reduce(u64::saturating_add)
    }

    /// Sums some paths.
    pub(super) fn over<'a>(paths: impl Iterator<Item = &'a PathFigures>) -> Self {
        let mut t = Totals {
            bytes: 0,
            bytes_per_s: 0,
            has_ledger: false,
            requested: 0,
            zerocopied: Some(0),
            copied: Some(0),
            clone_copied: Some(0),
            silent: Some(0),
            in_flight: Some(InFlight { sends: 0, bytes: 0, pages: Some(0) }),
            kernel: Some(Sends::default()),
            told: Some(Sends::default()),
            told_wrongly: 0,
            wrongly_inferred: false,
            all_told: true,
        };
        for figures in paths {
            t.bytes = t.bytes.saturating_add(figures.bytes);
            t.bytes_per_s = t.bytes_per_s.saturating_add(figures.bytes_per_s);
            let Some(ledger) = &figures.ledger else { continue };
            t.has_ledger = true;
            t.requested = t.requested.saturating_add(ledger.requested_bytes);
            add(&mut t.zerocopied, ledger.zerocopied_bytes);
            add(&mut t.copied, ledger.copied_bytes);
            add(&mut t.clone_copied, ledger.clone_copied_bytes);
            add(&mut t.silent, ledger.silent_copied_bytes);
            // A path without completions (sendfile) holds nothing back; it does not make the sum unknown.
            if figures.path.has_completion() {
                t.add_completion_facts(figures);
            }
        }
        t
    }

    fn add_completion_facts(&mut self, figures: &PathFigures) {
        self.in_flight = self.in_flight.zip(figures.in_flight).map(|(a, b)| InFlight {
            sends: a.sends + b.sends,
            bytes: a.bytes + b.bytes,
            pages: a.pages.zip(b.pages).map(|(a, b)| a + b),
        });
        add_sends(&mut self.kernel, figures.completions.as_deref().map(kernel_sends));
        add_sends(&mut self.told, figures.completions.as_deref().and_then(told_sends));
        let wrong = figures.completions.as_deref().and_then(|c| c.disagreements.as_ref());
        self.all_told &= wrong.is_some();
        for wrong in wrong.into_iter().flatten() {
            self.told_wrongly += wrong.sends;
            self.wrongly_inferred |= wrong.inferred;
        }
    }

    /// Copied share of the requested bytes, as text.
    pub(super) fn copied_share(&self) -> String {
        use crate::units::{NOT_APPLICABLE, UNKNOWN, percent};
        match (self.has_ledger, self.copied) {
            (false, _) => NOT_APPLICABLE.into(),
            (true, None) => UNKNOWN.into(),
            (true, Some(copied)) => percent(copied, self.requested),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    #[test]
    fn the_sum_keeps_the_ledger_identity() {
        let t = Totals::of(&fixtures::healthy().paths);
        let in_flight = t.in_flight.expect("known").bytes;
        assert_eq!(t.requested, t.zerocopied.expect("known") + t.copied.expect("known") + in_flight);
    }

    #[test]
    fn one_unknown_part_makes_the_sum_unknown() {
        let mut paths = fixtures::healthy().paths;
        let ledger = paths.iter_mut().find_map(|p| p.ledger.as_mut()).expect("a ledger");
        ledger.copied_bytes = None;
        let t = Totals::of(&paths);
        assert_eq!(t.copied, None);
        assert_eq!(t.copied_share(), "n/a");
        assert!(t.zerocopied.is_some());
    }

    #[test]
    fn received_bytes_are_no_sent_bytes() {
        let mut paths = fixtures::healthy().paths;
        let sent = Totals::of(&paths);
        assert_eq!(Totals::received_per_s(&paths), None);
        paths.extend(fixtures::receiving());
        assert_eq!(Totals::of(&paths), sent);
        assert!(Totals::received_per_s(&paths) > Some(0));
        let only = fixtures::receiving();
        assert_eq!(Totals::of(&only).bytes, 0);
        assert_eq!(Totals::of_main(&only).bytes, only.iter().map(|p| p.bytes).sum::<u64>());
    }

    #[test]
    fn a_path_that_never_asked_has_no_share() {
        let mut paths = fixtures::healthy().paths;
        paths.retain(|p| p.ledger.is_none());
        assert!(!paths.is_empty());
        assert_eq!(Totals::of(&paths).copied_share(), "-");
    }
}
