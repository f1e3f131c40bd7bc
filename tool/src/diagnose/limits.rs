//! Findings about limits: calls that were refused, and limits that are nearly reached.

use zcscope_common::{Reason, Refusal};

use super::{Finding, Severity, steps};
use crate::model::reason::{fix_for, info};
use crate::model::snapshot::{Limit, PathFigures, Snapshot};
use crate::units::{bytes, percent};

/// From this share of a limit on, one more burst may reach it.
const NEAR_PERCENT: u64 = 80;
/// Sockets or processes named in one finding.
const TOP: usize = 3;

fn near(used: u64, limit: u64) -> bool {
    limit > 0 && used.saturating_mul(100) >= limit.saturating_mul(NEAR_PERCENT)
}

fn was_refused(snapshot: &Snapshot, reason: Reason) -> bool {
    snapshot.paths.iter().flat_map(|path| &path.refused).any(|(of, n)| *of == reason && *n > 0)
}

/// Option memory that came near its limit; when sends were refused for it, that finding says more.
pub(super) fn optmem_near(snapshot: &Snapshot) -> Option<Finding> {
    if was_refused(snapshot, Reason::Optmem) {
        return None;
    }
    let mut sockets: Vec<_> = snapshot
        .sockets
        .iter()
        .filter_map(|s| s.gauges.and_then(|g| Some((s, g.optmem_peak_bytes?, g.optmem_max_bytes?))))
        .filter(|(_, peak, max)| near(*peak, *max))
        .collect();
    sockets.sort_by_key(|(socket, peak, _)| (std::cmp::Reverse(*peak), socket.id));
    let evidence = sockets.iter().take(TOP).map(|(s, peak, max)| {
        let share = percent(*peak, *max);
        format!("{} {} {}: at most {} of {} ({share})", s.pid, s.comm, s.local, bytes(*peak), bytes(*max))
    });
    let evidence: Vec<_> = evidence.collect();
    (!evidence.is_empty()).then(|| Finding {
        id: "optmem_near".into(),
        severity: Severity::Warning,
        title: format!(
            "{} sockets came near net.core.optmem_max: at the limit sends fail with ENOBUFS",
            sockets.len()
        ),
        evidence,
        fix: steps(&fix_for(Reason::Optmem, None)),
        bytes: 0,
    })
}

/// Pinned pages that came near `RLIMIT_MEMLOCK`.
pub(super) fn memlock_near(snapshot: &Snapshot) -> Option<Finding> {
    if was_refused(snapshot, Reason::Memlock) || was_refused(snapshot, Reason::UringMemlock) {
        return None;
    }
    let page = snapshot.session.page_bytes;
    let rows = snapshot.processes.iter().filter_map(|p| {
        let Some(Limit::Bytes(limit)) = p.memlock_limit else { return None };
        let locked = p.gauges?.locked_pages?.saturating_mul(page);
        near(locked, limit).then_some((p, locked, limit))
    });
    let rows: Vec<_> = rows.collect();
    let evidence = rows.iter().take(TOP).map(|(p, locked, limit)| {
        let share = percent(*locked, *limit);
        format!("{} {}: at most {} of {} ({share})", p.pid, p.comm, bytes(*locked), bytes(*limit))
    });
    let evidence: Vec<_> = evidence.collect();
    let pid = rows.first().map(|(p, ..)| p.pid.to_string())?;
    Some(Finding {
        id: "memlock_near".into(),
        severity: Severity::Warning,
        title: format!(
            "{} processes came near RLIMIT_MEMLOCK: pinned pages count per user, and at the limit sends fail",
            rows.len()
        ),
        evidence,
        fix: steps(&fix_for(Reason::Memlock, None).replace("PID", &pid)),
        bytes: 0,
    })
}

/// Refused sends: one finding per reason over all paths, and one where the reason cannot be told apart.
pub(super) fn refusals(snapshot: &Snapshot) -> Vec<Finding> {
    let mut found = Vec::new();
    for reason in Refusal::REASONS {
        let count =
            |path: &PathFigures| path.refused.iter().filter(|(r, _)| *r == reason).map(|(_, n)| *n).sum();
        let title = format!("{}: {}", reason.name(), info(reason).meaning);
        let mut finding = refusal(snapshot, reason.name(), title, steps(&fix_for(reason, None)), count);
        if let Some(finding) = finding.as_mut().filter(|_| reason == Reason::Aborted) {
            // A socket that is full for the moment refuses every sender that does not wait.
            finding.severity = Severity::Info;
        }
        found.extend(finding);
    }
    let unnamed = |path: &PathFigures| {
        let enobufs = path.refused.iter().filter(|(r, _)| matches!(r, Reason::Optmem | Reason::Memlock));
        let named: u64 = enobufs.map(|(_, n)| *n).sum();
        path.errors.get("ENOBUFS").copied().unwrap_or(0).saturating_sub(named)
    };
    let title = "sends refused with ENOBUFS; which limit it was cannot be told apart here".to_owned();
    let both = [Reason::Optmem, Reason::Memlock].map(|reason| steps(&fix_for(reason, None))).concat();
    found.extend(refusal(snapshot, "enobufs", title, both, unnamed));
    found
}

fn refusal(
    snapshot: &Snapshot,
    id: &str,
    title: String,
    fix: Vec<String>,
    count: impl Fn(&PathFigures) -> u64,
) -> Option<Finding> {
    let refused: Vec<_> =
        snapshot.paths.iter().map(|path| (path, count(path))).filter(|(_, n)| *n > 0).collect();
    if refused.is_empty() {
        return None;
    }
    let much = refused.iter().any(|(path, n)| n.saturating_mul(100) > path.calls);
    Some(Finding {
        id: id.into(),
        severity: if much { Severity::Critical } else { Severity::Warning },
        title,
        evidence: refused
            .iter()
            .map(|(p, n)| format!("{}: {n} of {} calls refused", p.path.name(), p.calls))
            .collect(),
        fix,
        bytes: 0,
    })
}
