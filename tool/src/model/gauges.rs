//! Gauges: what sockets hold now, and the sum over the living sockets of a process, kept as running sums of what
//! changed.

use zcscope_common::{Gauges, Path};

use super::known::{Known, is_uring};
use super::sample::SocketSample;
use super::snapshot::GaugeFigures;

/// Gauges are read on sends whose notifications pass the error queue.
pub(super) fn counts(path: Path) -> bool {
    path.has_completion() && !is_uring(path)
}

/// What one socket holds, and the most it held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SocketGauges {
    now: Gauges,
    omem_peak: u32,
    locked_peak: u64,
}

impl SocketGauges {
    /// The gauges of a sample; `None` for a socket that never sent with notifications on its error queue: nobody looks at its gauges.
    pub(super) fn of(sample: &SocketSample) -> Option<Gauges> {
        let looked_at = sample.flows.iter().any(|(path, flow)| counts(*path) && flow.calls > 0);
        looked_at.then_some(sample.gauges)
    }

    /// Takes the newest gauges in.
    pub(super) fn update(&mut self, now: Gauges) {
        self.now = now;
        self.omem_peak = self.omem_peak.max(now.omem);
        self.locked_peak = self.locked_peak.max(now.locked_pages);
    }

    /// What the socket holds as last seen.
    pub(super) fn now(&self) -> &Gauges {
        &self.now
    }

    /// As shown; an ended socket holds nothing.
    pub(super) fn figures(&self, alive: bool, known: &Known) -> GaugeFigures {
        let now = |n: u64| if alive { n } else { 0 };
        GaugeFigures {
            optmem_bytes: known.gauges.then(|| now(self.now.omem.into())),
            optmem_peak_bytes: known.gauges.then_some(self.omem_peak.into()),
            optmem_max_bytes: (self.now.omem_max > 0).then_some(self.now.omem_max.into()),
            unread_notifications: known.gauges.then(|| now(self.now.unread.into())),
            pages_in_flight: known.pages.then(|| now(self.now.pages_in_flight)),
            locked_pages: known.locked_pages.then_some(self.locked_peak),
        }
    }
}

/// Sums over the living sockets of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GaugeSums {
    /// True once one of its sockets had gauges.
    any: bool,
    omem: u64,
    unread: u64,
    pages: u64,
    omem_peak: u32,
    omem_max: u32,
    locked_peak: u64,
}

impl GaugeSums {
    /// The gauges of one socket went from `old` (nothing when it is new) to `new` (nothing when it ended).
    pub(super) fn replace(&mut self, old: &Gauges, new: &Gauges) {
        let change = |sum: u64, old: u64, new: u64| sum.wrapping_sub(old).wrapping_add(new);
        self.any = true;
        self.omem = change(self.omem, old.omem.into(), new.omem.into());
        self.unread = change(self.unread, old.unread.into(), new.unread.into());
        self.pages = change(self.pages, old.pages_in_flight, new.pages_in_flight);
        self.omem_peak = self.omem_peak.max(new.omem);
        self.omem_max = self.omem_max.max(new.omem_max);
        self.locked_peak = self.locked_peak.max(new.locked_pages);
    }

    /// As shown; `None` when no socket had gauges.
    pub(super) fn figures(&self, known: &Known) -> Option<GaugeFigures> {
        self.any.then(|| GaugeFigures {
            optmem_bytes: known.gauges.then_some(self.omem),
            optmem_peak_bytes: known.gauges.then_some(self.omem_peak.into()),
            optmem_max_bytes: (self.omem_max > 0).then_some(self.omem_max.into()),
            unread_notifications: known.gauges.then_some(self.unread),
            pages_in_flight: known.pages.then_some(self.pages),
            locked_pages: known.locked_pages.then_some(self.locked_peak),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::Session;
    use super::*;

    #[test]
    fn sums_follow_the_living_and_peaks_stay() {
        let known = Known::of(&Session::default());
        let gauges = |omem, pages_in_flight, locked_pages| Gauges {
            omem,
            pages_in_flight,
            locked_pages,
            omem_max: 1_000,
            ..Gauges::default()
        };
        let mut sums = GaugeSums::default();
        assert_eq!(sums.figures(&known), None);
        let (a, b) = (gauges(100, 5, 50), gauges(300, 7, 20));
        sums.replace(&Gauges::default(), &a);
        sums.replace(&Gauges::default(), &b);
        sums.replace(&a, &Gauges::default());
        let figures = sums.figures(&known).unwrap();
        assert_eq!((figures.optmem_bytes, figures.pages_in_flight), (Some(300), Some(7)));
        assert_eq!((figures.optmem_peak_bytes, figures.locked_pages), (Some(300), Some(50)));
        assert_eq!(figures.optmem_max_bytes, Some(1_000));
    }
}
