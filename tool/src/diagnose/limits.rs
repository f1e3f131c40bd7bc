//! Findings about limits: calls that were refused, and limits that are nearly reached.

use zcscope_common::Reason;

use super::{About, Finding, Severity, network, steps};
use crate::host::facts::NamespaceFacts;
use crate::model::reason::{fix_for, info};
use crate::model::snapshot::{Limit, PathFigures, ProcessFigures, Snapshot, SocketFigures};
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
    let mut sockets = optmem_use(snapshot);
    sockets.retain(|(_, peak, max)| near(*peak, *max));
    let evidence = sockets.iter().take(TOP).map(|(s, peak, max)| optmem_line(s, *peak, *max));
    let evidence: Vec<_> = evidence.chain(other_namespaces(snapshot)).collect();
    (!sockets.is_empty()).then(|| Finding {
        id: "optmem_near".into(),
        severity: Severity::Warning,
        title: format!(
            "{} sockets came near net.core.optmem_max: at the limit sends fail with ENOBUFS",
            sockets.len()
        ),
        evidence,
        fix: optmem_fix(snapshot),
        bytes: 0,
        ..Finding::default()
    })
}

/// Pinned pages that came near `RLIMIT_MEMLOCK`.
pub(super) fn memlock_near(snapshot: &Snapshot) -> Option<Finding> {
    if was_refused(snapshot, Reason::Memlock) || was_refused(snapshot, Reason::UringMemlock) {
        return None;
    }
    let mut rows = memlock_use(snapshot);
    rows.retain(|(_, locked, limit)| near(*locked, *limit));
    let evidence = rows.iter().take(TOP).map(|(p, locked, limit)| memlock_line(p, *locked, *limit)).collect();
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
        ..Finding::default()
    })
}

/// Every sender that does not wait finds its socket full now and then; up to this share of its calls is ordinary.
const FULL_PERCENT: u64 = 1;

/// Calls refused for a reason, over all paths, with the limit they ran into.
pub(super) fn refused(snapshot: &Snapshot, reason: Reason) -> Option<Finding> {
    let count = |path: &PathFigures| refusals(path, reason);
    let title = format!("{}: {}", reason.name(), info(reason).meaning);
    let fix = || match reason {
        Reason::Optmem => optmem_fix(snapshot),
        _ => steps(&with_pid(&fix_for(reason, None), snapshot, reason)),
    };
    let often =
        |path: &PathFigures| count(path).saturating_mul(100) > path.calls.saturating_mul(FULL_PERCENT);
    if reason == Reason::Aborted && !snapshot.paths.iter().any(often) {
        return None;
    }
    let mut finding = refusal(snapshot, reason.name(), title, fix, count)?;
    finding.evidence.extend(usage(snapshot, reason));
    if reason == Reason::Aborted {
        // A socket that is full for the moment refuses every sender that does not wait.
        finding.severity = Severity::Info;
    }
    Some(finding)
}

/// Calls refused for a reason on one path.
fn refusals(path: &PathFigures, reason: Reason) -> u64 {
    path.refused.iter().filter(|(of, _)| *of == reason).map(|(_, n)| *n).sum()
}

/// The fix with the process that was refused most often in it.
fn with_pid(fix: &str, snapshot: &Snapshot, reason: Reason) -> String {
    let count =
        |process: &ProcessFigures| -> u64 { process.paths.iter().map(|path| refusals(path, reason)).sum() };
    let most = snapshot.processes.iter().filter(|process| count(process) > 0);
    match most.max_by_key(|process| (count(process), std::cmp::Reverse(process.pid))) {
        Some(process) => fix.replace("PID", &process.pid.to_string()),
        None => fix.to_owned(),
    }
}

/// `ENOBUFS` where the two limits cannot be told apart; how near each is says which one it will have been.
pub(super) fn enobufs(snapshot: &Snapshot) -> Option<Finding> {
    let unnamed = |path: &PathFigures| {
        let enobufs = path.refused.iter().filter(|(r, _)| matches!(r, Reason::Optmem | Reason::Memlock));
        let named: u64 = enobufs.map(|(_, n)| *n).sum();
        path.errors.get("ENOBUFS").copied().unwrap_or(0).saturating_sub(named)
    };
    let title = "sends refused with ENOBUFS; which limit it was cannot be told apart here".to_owned();
    let both = || [optmem_fix(snapshot), steps(&fix_for(Reason::Memlock, None))].concat();
    let mut finding = refusal(snapshot, "enobufs", title, both, unnamed)?;
    finding.evidence.extend([Reason::Optmem, Reason::Memlock].iter().flat_map(|of| usage(snapshot, *of)));
    Some(finding)
}

/// Use of a limit against it, the fullest first.
fn usage(snapshot: &Snapshot, reason: Reason) -> Vec<String> {
    match reason {
        Reason::Optmem => {
            let sockets = optmem_use(snapshot);
            let lines = sockets.iter().take(TOP).map(|(s, peak, max)| optmem_line(s, *peak, *max));
            lines.chain(other_namespaces(snapshot)).collect()
        }
        Reason::Memlock | Reason::UringMemlock => {
            let rows = memlock_use(snapshot);
            rows.iter().take(TOP).map(|(p, locked, limit)| memlock_line(p, *locked, *limit)).collect()
        }
        _ => Vec::new(),
    }
}

/// Sockets with their option memory and its limit, bytes, the fullest first.
fn optmem_use(snapshot: &Snapshot) -> Vec<(&SocketFigures, u64, u64)> {
    let known = |s: &SocketFigures| {
        s.gauges.as_deref().and_then(|g| Some((g.optmem_peak_bytes?, g.optmem_max_bytes?)))
    };
    let mut sockets: Vec<_> = snapshot
        .sockets
        .iter()
        .filter_map(|s| known(s).filter(|(peak, _)| *peak > 0).map(|(peak, max)| (s.as_ref(), peak, max)))
        .collect();
    sockets.sort_by_key(|(socket, peak, _)| (std::cmp::Reverse(*peak), socket.id));
    sockets
}

fn optmem_line(s: &SocketFigures, peak: u64, max: u64) -> String {
    format!(
        "{} {} {}: at most {} of {} ({})",
        s.pid,
        s.comm,
        s.local,
        bytes(peak),
        bytes(max),
        percent(peak, max)
    )
}

/// Processes with the pages their user pinned and their limit, bytes, the fullest first.
fn memlock_use(snapshot: &Snapshot) -> Vec<(&ProcessFigures, u64, u64)> {
    let page = snapshot.session.page_bytes;
    let known = |p: &ProcessFigures| {
        let Some(Limit::Bytes(limit)) = p.memlock_limit else { return None };
        Some((p.gauges?.locked_pages?.saturating_mul(page), limit))
    };
    let rows = snapshot.processes.iter().filter_map(|p| known(p).map(|(locked, limit)| (p, locked, limit)));
    let mut rows: Vec<_> = rows.filter(|(_, locked, _)| *locked > 0).collect();
    rows.sort_by_key(|(p, locked, _)| (std::cmp::Reverse(*locked), p.pid));
    rows
}

fn memlock_line(p: &ProcessFigures, locked: u64, limit: u64) -> String {
    let share = percent(locked, limit);
    format!("{} {}: at most {} of {} ({share})", p.pid, p.comm, bytes(locked), bytes(limit))
}

/// `net.core.optmem_max` where the namespaces of the traffic differ: raised in one, it stays low in another.
fn other_namespaces(snapshot: &Snapshot) -> Vec<String> {
    let spaces: Vec<_> = snapshot
        .host
        .namespaces
        .iter()
        .filter_map(|(inode, space)| Some((inode, space, space.optmem_max?)))
        .collect();
    let differ = spaces.iter().any(|(.., max)| *max != spaces[0].2);
    let name = |inode: &u32, space: &NamespaceFacts| match &space.name {
        Some(name) => name.clone(),
        None => format!("net:[{inode}]"),
    };
    let line = |(inode, space, max): &(&u32, &NamespaceFacts, u64)| {
        format!("net.core.optmem_max of network namespace {} is {}", name(inode, space), bytes(*max))
    };
    if differ { spaces.iter().take(TOP).map(line).collect() } else { Vec::new() }
}

/// The limit is per network namespace in newer kernels: the command that raises it where the socket is.
fn optmem_fix(snapshot: &Snapshot) -> Vec<String> {
    let refused =
        |socket: &&SocketFigures| socket.paths.iter().any(|path| refusals(path, Reason::Optmem) > 0);
    // Where gauges are not seen, whoever was refused.
    let fullest = optmem_use(snapshot).first().map(|(socket, ..)| *socket);
    let fullest = fullest.or_else(|| snapshot.sockets.iter().map(AsRef::as_ref).find(refused));
    let fullest = fullest.and_then(|socket| socket.place.netns);
    let own_limit = snapshot.host.namespace(fullest).is_some_and(|space| space.optmem_max.is_some());
    let prefix = if own_limit { network::inside(&snapshot.host, fullest) } else { String::new() };
    let step = |step: String| match step.starts_with("sysctl") {
        true => format!("{prefix}{step}"),
        false => step,
    };
    steps(&fix_for(Reason::Optmem, None)).into_iter().map(step).collect()
}

fn refusal(
    snapshot: &Snapshot,
    id: &str,
    title: String,
    fix: impl FnOnce() -> Vec<String>,
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
        fix: fix(),
        bytes: 0,
        about: About { paths: refused.iter().map(|(path, _)| path.path).collect(), ..About::default() },
        ..Finding::default()
    })
}
