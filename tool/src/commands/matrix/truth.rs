//! What the kernel did with the sends of one run: one trace for the whole matrix, and the difference between the state
//! before a run and after everything of it has ended.

use zcscope_common::Path;

use crate::commands::own_trace::OwnTrace;
use crate::matrix::result::Copied;
use crate::model::snapshot::Snapshot;
use crate::probe::{Backend, Filter, Options};

/// The trace of this process.
pub(super) struct Truth(OwnTrace);

/// Totals at one moment, of one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    requested: u64,
    copied: Option<u64>,
    in_flight: Option<u64>,
    lost_ends: u64,
    lost_events: u64,
}

impl Truth {
    /// Begins to trace exactly this process, or says why not.
    ///
    /// # Errors
    /// One sentence: no rights, no kernel types, nothing to attach to.
    pub(super) fn start(no_trace: bool, backend: Backend) -> Result<Self, String> {
        if no_trace {
            return Err("switched off with --no-trace".into());
        }
        let filter = Filter { pids: vec![std::process::id()], ..Filter::default() };
        OwnTrace::start(&Options { filter, backend, ..Options::default() }).map(Self)
    }

    /// Name of the back end.
    pub(super) fn backend(&self) -> String {
        self.0.session().backend
    }

    /// The totals of `path`, once every send so far has ended; connections may still be open.
    ///
    /// # Errors
    /// The kernel's maps cannot be read.
    pub(super) fn mark(&mut self, path: Path) -> Result<Mark, String> {
        self.0.settled(true).map(|snapshot| Mark::of(&snapshot, path))
    }

    /// What was done with the sends since `before`, once all of them have ended.
    ///
    /// # Errors
    /// One sentence: not all of it can be known.
    pub(super) fn since(&mut self, before: Mark, path: Path) -> Result<Copied, String> {
        let snapshot = self.0.settled(false)?;
        let causes = snapshot.lost.by_cause.keys().cloned().collect::<Vec<_>>().join(", ");
        difference(before, Mark::of(&snapshot, path)).map_err(|why| match causes.as_str() {
            "" => why,
            causes => format!("{why} (lost so far: {causes})"),
        })
    }
}

impl Mark {
    fn of(snapshot: &Snapshot, path: Path) -> Self {
        let lost_events = snapshot.lost.total;
        let figures = snapshot.paths.iter().find(|figures| figures.path == path);
        let Some(ledger) = figures.and_then(|figures| figures.ledger) else {
            // Nothing yet, or a path that never asks.
            return Self { copied: Some(0), in_flight: Some(0), lost_events, ..Self::default() };
        };
        let figures = figures.into_iter();
        let (open, lost_ends) = figures.fold((None, 0), |_, figures| {
            let lost = figures.completions.as_deref().map_or(0, |ends| ends.lost_end_bytes);
            (figures.in_flight.map(|open| open.bytes), lost)
        });
        let in_flight = if path.has_completion() { open } else { Some(0) };
        Self {
            requested: ledger.requested_bytes,
            copied: ledger.copied_bytes,
            in_flight,
            lost_ends,
            lost_events,
        }
    }
}

fn difference(before: Mark, after: Mark) -> Result<Copied, String> {
    let unknown = || "this back end cannot see copies on this path".to_owned();
    if after.lost_events > before.lost_events || after.lost_ends > before.lost_ends {
        return Err("events of this run were lost".into());
    }
    if before.in_flight.ok_or_else(unknown)? > 0 {
        return Err("sends of the run before had not ended".into());
    }
    if after.in_flight.ok_or_else(unknown)? > 0 {
        return Err("not every send of this run had ended after a second".into());
    }
    let copied =
        after.copied.ok_or_else(unknown)? - before.copied.ok_or_else(unknown)?.min(after.copied.unwrap_or(0));
    Ok(Copied { requested_bytes: after.requested.saturating_sub(before.requested), copied_bytes: copied })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn mark(requested: u64, copied: Option<u64>) -> Mark {
        Mark { requested, copied, in_flight: Some(0), lost_ends: 0, lost_events: 0 }
    }

    #[test]
    fn a_run_is_the_difference() {
        let (before, after) = (mark(1000, Some(300)), mark(5000, Some(310)));
        assert_eq!(difference(before, after), Ok(Copied { requested_bytes: 4000, copied_bytes: 10 }));
    }

    #[test]
    fn what_is_not_whole_is_unknown() {
        let before = mark(1000, Some(300));
        let after = mark(5000, Some(310));
        assert!(difference(before, mark(5000, None)).unwrap_err().contains("cannot see"));
        assert!(difference(before, Mark { in_flight: None, ..after }).is_err());
        assert!(difference(before, Mark { in_flight: Some(1), ..after }).unwrap_err().contains("had ended"));
        let open = Mark { in_flight: Some(1), ..before };
        assert!(difference(open, after).unwrap_err().contains("the run before"));
        assert!(difference(before, Mark { lost_events: 1, ..after }).unwrap_err().contains("lost"));
        assert!(difference(before, Mark { lost_ends: 1, ..after }).is_err());
        let lossy = Mark { lost_events: 7, ..before };
        assert!(difference(lossy, Mark { lost_events: 7, ..after }).is_ok(), "another run's loss");
    }
}
