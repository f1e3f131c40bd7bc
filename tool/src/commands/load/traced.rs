//! A load, traced: what the kernel did with exactly the sends that count.
//!
//! Everything is attached before the load begins, but counts only when the warm-up is over and every connection is at
//! rest. So no send is seen by halves, and none of the warm-up is counted.

use std::os::fd::BorrowedFd;

use crate::commands::own_trace::OwnTrace;
use crate::load::LoadError;
use crate::load::engine::{self, Plan, Progress, Watcher};
use crate::load::result::{Copied, LoadReport};
use crate::model::snapshot::Snapshot;
use crate::probe::{Filter, Options, Probe};
use crate::report::beside::KernelDoc;

/// Runs `plan`; with `trace`, and where tracing is possible, the report has the kernel's ledger, which is returned as
/// a snapshot, too.
///
/// # Errors
/// See [`engine::run_watched`].
pub fn run_traced(
    plan: &Plan,
    trace: bool,
    stop: Option<BorrowedFd<'_>>,
    watcher: &mut impl Watcher,
) -> Result<(LoadReport, Option<Snapshot>), LoadError> {
    let mut both = Both { watcher, probe: start(trace), began: false };
    let mut report = engine::run_watched(plan, stop, &mut both)?;
    let ended_early = || Err("the run ended before the measuring began".to_owned());
    let kernel =
        if both.began { both.probe.and_then(settled) } else { both.probe.and_then(|_| ended_early()) };
    match kernel {
        Ok(snapshot) => {
            let document = KernelDoc::of(&snapshot);
            report.copied = copied(&report, &document);
            report.kernel = serde_json::to_value(document).ok();
            Ok((report, Some(snapshot)))
        }
        Err(why) => {
            report.kernel_missing = Some(why);
            Ok((report, None))
        }
    }
}

/// The kernel's count and the notifications', where each is known.
fn copied(report: &LoadReport, kernel: &KernelDoc) -> Option<Copied> {
    let seen = kernel.paths.iter().filter_map(|path| Some((path.copied_bytes?, path.requested_bytes?)));
    let seen = seen.reduce(|sum, path| (sum.0 + path.0, sum.1 + path.1)).filter(|_| kernel.lost.total == 0);
    let told = report.copied.as_ref().and_then(|c| Some((c.told_bytes?, c.told_of_bytes?)));
    Copied::of(seen, told)
}

/// Attaches to this process, without counting yet.
fn start(trace: bool) -> Result<Probe, String> {
    if !trace {
        return Err("switched off with --no-trace".into());
    }
    let filter = Filter { pids: vec![std::process::id()], ..Filter::default() };
    Probe::prepare(&Options { filter, ..Options::default() }).map_err(|error| error.to_string())
}

/// Lets the tracing begin when the measuring does.
struct Both<'a, W> {
    watcher: &'a mut W,
    probe: Result<Probe, String>,
    began: bool,
}

impl<W: Watcher> Watcher for Both<'_, W> {
    fn progress(&mut self, now: &Progress) {
        self.watcher.progress(now);
    }

    fn measuring(&mut self) {
        if let Ok(probe) = &mut self.probe
            && let Err(error) = probe.begin()
        {
            self.probe = Err(error.to_string());
        }
        self.began = true;
        self.watcher.measuring();
    }
}

/// What the kernel did with the sends of this process; all of them have ended, or are given a moment to.
fn settled(probe: Probe) -> Result<Snapshot, String> {
    OwnTrace::of(probe).settled(false)
}
