//! What happened between two snapshots, as a snapshot of its own: every figure that grows, less what it was at the mark.
//!
//! What is a level and no sum (in flight, gauges, rates, unread notifications) stays as it is now. So requested =
//! zero-copied + copied + in flight holds as before, with *requested* being what was accepted since the mark or was in
//! flight at it; a byte requested before the mark that was copied only after it counts as both. Percentiles cannot be
//! subtracted: those with a histogram are computed anew, of the others only what began after the mark is known.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use zcscope_common::{LatencyKind, Path};

use super::distributions::{difference, percentiles};
use super::sample::{BounceSample, FileReads, FileSample, ProgramCosts, ProgramSample};
use super::snapshot::{
    Completions, CopyFigures, DeviceFigures, LatencyFigures, Ledger, Lost, PathFigures, ProcessFigures,
    Snapshot, SocketFigures, WrongSends,
};
use super::sparse::SparseHist;

impl Snapshot {
    /// What happened since an earlier snapshot of the same trace. Subjects (sockets, processes, devices, files) on
    /// which nothing moved are left out; the duration is the time in between.
    #[must_use]
    pub fn since(&self, mark: &Snapshot) -> Snapshot {
        let latency = latencies(&self.latency, &mark.latency);
        let mut paths = paths(&self.paths, &mark.paths);
        paths.iter_mut().for_each(|path| put_percentiles(path, &latency));
        Snapshot {
            session: self.session.clone(),
            duration_ns: self.duration_ns.saturating_sub(mark.duration_ns),
            interval_ns: self.interval_ns,
            lost: lost(&self.lost, &mark.lost),
            paths,
            processes: processes(&self.processes, &mark.processes),
            sockets: sockets(&self.sockets, &mark.sockets),
            devices: devices(&self.devices, &mark.devices),
            files: self.files.as_ref().map(|now| files(now, mark.files.as_deref().unwrap_or_default())),
            file_reads: self
                .file_reads
                .as_ref()
                .map(|now| reads(now, mark.file_reads.as_deref().unwrap_or_default())),
            bounces: self
                .bounces
                .as_ref()
                .map(|now| bounces(now, mark.bounces.as_deref().unwrap_or_default())),
            active_ns: grown(&self.active_ns, &mark.active_ns),
            latency,
            maps: self.maps.clone(),
            programs: self.programs.as_ref().map(|now| programs(now, mark.programs.as_ref())),
            host: Arc::clone(&self.host),
        }
    }
}

fn programs(now: &ProgramCosts, mark: Option<&ProgramCosts>) -> ProgramCosts {
    let before = |name: &str| mark?.programs.iter().find(|program| program.name == name);
    let grown = now.programs.iter().map(|now| {
        let (runs, run_ns) = before(&now.name).map_or((0, 0), |mark| (mark.runs, mark.run_ns));
        let name = now.name.clone();
        ProgramSample { name, runs: now.runs.saturating_sub(runs), run_ns: now.run_ns.saturating_sub(run_ns) }
    });
    ProgramCosts { programs: grown.collect(), filtered: now.filtered }
}

/// How much it grew; unknown at either end is unknown.
fn grew(now: Option<u64>, before: Option<u64>) -> Option<u64> {
    now.zip(before).map(|(now, before)| now.saturating_sub(before))
}

/// The counters that grew.
fn grown<K: Ord + Clone>(now: &BTreeMap<K, u64>, before: &BTreeMap<K, u64>) -> BTreeMap<K, u64> {
    let grew = now.iter().map(|(key, n)| (key.clone(), n - before.get(key).copied().unwrap_or(0).min(*n)));
    grew.filter(|(_, n)| *n > 0).collect()
}

/// The same for a list.
fn grown_list<K: PartialEq + Copy>(now: &[(K, u64)], before: &[(K, u64)]) -> Vec<(K, u64)> {
    let old = |key| before.iter().find(|(k, _)| *k == key).map_or(0, |(_, n)| *n);
    now.iter().map(|(key, n)| (*key, n.saturating_sub(old(*key)))).filter(|(_, n)| *n > 0).collect()
}

/// A distribution that cannot be subtracted: known only when there was none at the mark.
fn begun<T: Clone>(now: Option<&T>, before: Option<&T>) -> Option<T> {
    if before.is_some() { None } else { now.cloned() }
}

fn lost(now: &Lost, mark: &Lost) -> Lost {
    Lost { total: now.total.saturating_sub(mark.total), by_cause: grown(&now.by_cause, &mark.by_cause) }
}

/// Paths on which something moved, or is held.
fn paths(now: &[PathFigures], mark: &[PathFigures]) -> Vec<PathFigures> {
    let before = |path: Path| mark.iter().find(|old| old.path == path);
    let since = now.iter().map(|figures| match before(figures.path) {
        Some(before) => path_since(figures, before),
        None => figures.clone(),
    });
    since.filter(moved).collect()
}

fn moved(path: &PathFigures) -> bool {
    let ends = path.completions.as_deref();
    path.calls > 0
        || path.bytes > 0
        || !path.copies.is_empty()
        || path.ledger.is_some_and(|ledger| ledger.copied_bytes > Some(0))
        || !path.refused.is_empty()
        || path.in_flight.is_some_and(|held| held.sends > 0)
        || ends.is_some_and(|ends| ends.sends > 0 || ends.notifications > Some(0))
}

fn path_since(now: &PathFigures, mark: &PathFigures) -> PathFigures {
    let completions = match (&now.completions, &mark.completions) {
        (Some(now), Some(mark)) => Some(Box::new(ends(now, mark))),
        (now, _) => now.clone(),
    };
    let mut errors = now.errors.clone();
    for (name, n) in &mut errors {
        *n = n.saturating_sub(mark.errors.get(name).copied().unwrap_or(0));
    }
    // Every path that had this at 0 keeps it; only what did not happen goes.
    errors.retain(|name, n| *n > 0 || *name == "ENOBUFS");
    PathFigures {
        path: now.path,
        calls: now.calls.saturating_sub(mark.calls),
        errors,
        bytes: now.bytes.saturating_sub(mark.bytes),
        bytes_per_s: now.bytes_per_s,
        attached_bytes: grew(now.attached_bytes, mark.attached_bytes),
        frags: grew(now.frags, mark.frags),
        pages: grew(now.pages, mark.pages),
        frags_per_skb: begun(now.frags_per_skb.as_ref(), mark.frags_per_skb.as_ref()),
        bytes_per_frag: begun(now.bytes_per_frag.as_ref(), mark.bytes_per_frag.as_ref()),
        notes: now.notes.as_ref().map(|now| grown_list(now, mark.notes.as_deref().unwrap_or_default())),
        skip_hint_bytes: grew(now.skip_hint_bytes, mark.skip_hint_bytes),
        ledger: ledger(now, mark),
        copies: copies(&now.copies, &mark.copies),
        refused: grown_list(&now.refused, &mark.refused),
        completions,
        in_flight: now.in_flight,
        send_ns: begun(now.send_ns.as_ref(), mark.send_ns.as_ref()),
        send_ns_per_kib: begun(now.send_ns_per_kib.as_ref(), mark.send_ns_per_kib.as_ref()),
    }
}

/// See the module for what keeps the identity.
fn ledger(now: &PathFigures, mark: &PathFigures) -> Option<Ledger> {
    let after = now.ledger?;
    let Some(before) = mark.ledger else { return Some(after) };
    let held = |path: &PathFigures| path.in_flight.map_or(0, |held| held.bytes);
    let lost_ends = |path: &PathFigures| path.completions.as_deref().map_or(0, |ends| ends.lost_end_bytes);
    // Neither copied nor zero-copied.
    let rest = held(now) + lost_ends(now).saturating_sub(lost_ends(mark));
    let copied = grew(after.copied_bytes, before.copied_bytes);
    let accepted = after.requested_bytes.saturating_sub(before.requested_bytes) + held(mark);
    let requested = accepted.max(copied.unwrap_or(0).saturating_add(rest));
    let zerocopied = copied.map(|copied| requested - copied - rest);
    Some(Ledger {
        requested_bytes: requested,
        zerocopied_bytes: after.zerocopied_bytes.and(before.zerocopied_bytes).and(zerocopied),
        copied_bytes: copied,
        clone_copied_bytes: grew(after.clone_copied_bytes, before.clone_copied_bytes),
        silent_copied_bytes: grew(after.silent_copied_bytes, before.silent_copied_bytes)
            .map(|silent| copied.map_or(silent, |copied| silent.min(copied))),
    })
}

/// Kinds of copies that happened, most bytes first.
fn copies(now: &[CopyFigures], mark: &[CopyFigures]) -> Vec<CopyFigures> {
    let since = now.iter().filter_map(|figures| {
        let before = mark.iter().find(|old| old.kind == figures.kind);
        let (count, bytes) = before.map_or((0, 0), |old| (old.count, old.bytes));
        let (count, bytes) = (figures.count.saturating_sub(count), figures.bytes.saturating_sub(bytes));
        (count > 0).then(|| CopyFigures { count, bytes, ..figures.clone() })
    });
    let mut since: Vec<_> = since.collect();
    since.sort_by_key(|figures| Reverse(figures.bytes));
    since
}

fn ends(now: &Completions, mark: &Completions) -> Completions {
    let disagreements = now.disagreements.as_ref().map(|now| {
        let old = |kind| mark.disagreements.iter().flatten().find(|old| old.kind == kind);
        let since = now.iter().map(|wrong| {
            let sends = wrong.sends.saturating_sub(old(wrong.kind).map_or(0, |old| old.sends));
            WrongSends { sends, ..*wrong }
        });
        since.filter(|wrong| wrong.sends > 0).collect()
    });
    let mut delayed_acks = now.delayed_acks;
    if let Some((now, mark)) = delayed_acks.as_mut().zip(mark.delayed_acks) {
        now.sends = now.sends.saturating_sub(mark.sends);
        now.before = now.before.saturating_sub(mark.before);
    }
    let release = match (&now.release, &mark.release) {
        (Some(now), Some(mark)) => Some(difference(&now.widen(), &mark.widen())),
        (Some(now), None) if mark.latency.is_none() => Some(now.widen()),
        _ => None,
    };
    Completions {
        sends: now.sends.saturating_sub(mark.sends),
        units: now.units.saturating_sub(mark.units),
        kernel_copied: now.kernel_copied.saturating_sub(mark.kernel_copied),
        notifications: grew(now.notifications, mark.notifications),
        told_sends: grew(now.told_sends, mark.told_sends),
        told_copied: grew(now.told_copied, mark.told_copied),
        unread_sends: now.unread_sends,
        before_attach: now.before_attach.saturating_sub(mark.before_attach),
        lost_ends: now.lost_ends.saturating_sub(mark.lost_ends),
        lost_end_bytes: now.lost_end_bytes.saturating_sub(mark.lost_end_bytes),
        unsent_bytes: now.unsent_bytes.saturating_sub(mark.unsent_bytes),
        disagreements,
        range_length: begun(now.range_length.as_ref(), mark.range_length.as_ref()),
        latency: release
            .as_ref()
            .map_or_else(|| begun(now.latency.as_ref(), mark.latency.as_ref()), percentiles),
        release: release.map(|hist| Arc::new(SparseHist::of(&hist))),
        delayed_acks,
        queue_latency: begun(now.queue_latency.as_ref(), mark.queue_latency.as_ref()),
        read_latency: begun(now.read_latency.as_ref(), mark.read_latency.as_ref()),
        app_read_latency: begun(now.app_read_latency.as_ref(), mark.app_read_latency.as_ref()),
    }
}

/// Durations that ended since the mark.
fn latencies(now: &[LatencyFigures], mark: &[LatencyFigures]) -> Vec<LatencyFigures> {
    let since = now.iter().map(|figures| {
        let before = mark.iter().find(|old| (old.path, old.kind) == (figures.path, figures.kind));
        match before {
            Some(before) => {
                LatencyFigures { hist: Arc::new(difference(&figures.hist, &before.hist)), ..figures.clone() }
            }
            None => figures.clone(),
        }
    });
    since.filter(|figures| figures.hist.count > 0).collect()
}

/// Percentiles of all traffic, of the durations that ended since the mark.
fn put_percentiles(path: &mut PathFigures, latency: &[LatencyFigures]) {
    let of = |kind| {
        let figures = latency.iter().find(|figures| (figures.path, figures.kind) == (path.path, kind));
        figures.and_then(|figures| percentiles(&figures.hist))
    };
    path.send_ns = of(LatencyKind::SendCall).map(Box::new).or(path.send_ns.take());
    let [release, queue, read, app_read] =
        [LatencyKind::Release, LatencyKind::Queue, LatencyKind::Read, LatencyKind::AppRead].map(of);
    if let Some(ends) = &mut path.completions {
        ends.latency = release.or(ends.latency);
        ends.queue_latency = queue.or(ends.queue_latency);
        ends.read_latency = read.or(ends.read_latency);
        ends.app_read_latency = app_read.or(ends.app_read_latency);
    }
}

/// Subjects as they were at the mark, by what tells them apart.
fn index<'a, T, K: Eq + Hash>(mark: &'a [T], key: impl Fn(&'a T) -> K) -> HashMap<K, &'a T> {
    mark.iter().map(|row| (key(row), row)).collect()
}

fn bytes(paths: &[PathFigures]) -> u64 {
    paths.iter().map(|path| path.bytes).sum()
}

fn processes(now: &[ProcessFigures], mark: &[ProcessFigures]) -> Vec<ProcessFigures> {
    let before = index(mark, |row| row.pid);
    let since = now.iter().filter_map(|row| {
        let paths = paths(&row.paths, before.get(&row.pid).map_or(&[], |old| &old.paths));
        (!paths.is_empty()).then(|| ProcessFigures { paths, ..row.clone() })
    });
    let mut since: Vec<_> = since.collect();
    since.sort_by_cached_key(|row| Reverse(bytes(&row.paths)));
    since
}

fn sockets(now: &[Arc<SocketFigures>], mark: &[Arc<SocketFigures>]) -> Vec<Arc<SocketFigures>> {
    let before = index(mark, |row| row.id);
    let since = now.iter().filter_map(|row| {
        let Some(old) = before.get(&row.id) else { return Some(Arc::clone(row)) };
        // Most of many sockets are idle, and an idle one is shared between snapshots.
        let holds = || row.paths.iter().any(|path| path.in_flight.is_some_and(|held| held.sends > 0));
        if Arc::ptr_eq(old, row) && !holds() {
            return None;
        }
        let paths = paths(&row.paths, &old.paths);
        (!paths.is_empty()).then(|| Arc::new(SocketFigures { paths, ..(**row).clone() }))
    });
    let mut since: Vec<_> = since.collect();
    since.sort_by_cached_key(|row| Reverse(bytes(&row.paths)));
    since
}

fn devices(now: &[DeviceFigures], mark: &[DeviceFigures]) -> Vec<DeviceFigures> {
    let before = index(mark, |row| row.dev.as_str());
    let since = now.iter().map(|row| DeviceFigures {
        paths: paths(&row.paths, before.get(row.dev.as_str()).map_or(&[], |old| &old.paths)),
        dev: row.dev.clone(),
    });
    since.filter(|row| !row.paths.is_empty()).collect()
}

fn files(now: &[Arc<FileSample>], mark: &[Arc<FileSample>]) -> Vec<Arc<FileSample>> {
    // A process may send one file on two paths.
    let key = |row: &Arc<FileSample>| (row.pid, row.path, row.inode, row.filesystem.clone());
    let before: HashMap<_, _> = mark.iter().map(|row| (key(row), row)).collect();
    let since = now.iter().filter_map(|row| {
        let Some(old) = before.get(&key(row)) else { return Some(Arc::clone(row)) };
        let since = FileSample {
            calls: grew(row.calls, old.calls),
            chunks: row.chunks.saturating_sub(old.chunks),
            bytes: row.bytes.saturating_sub(old.bytes),
            cache_miss_bytes: grew(row.cache_miss_bytes, old.cache_miss_bytes),
            copy_read_bytes: grew(row.copy_read_bytes, old.copy_read_bytes),
            ..(**row).clone()
        };
        (since.bytes > 0 || since.chunks > 0).then(|| Arc::new(since))
    });
    let mut since: Vec<_> = since.collect();
    since.sort_by_key(|row| Reverse(row.bytes));
    since
}

fn reads(now: &[FileReads], mark: &[FileReads]) -> Vec<FileReads> {
    let before = index(mark, |row| row.pid);
    let since = now.iter().map(|row| {
        let old = before.get(&row.pid).map_or(0, |old| old.bytes);
        FileReads { bytes: row.bytes.saturating_sub(old), ..row.clone() }
    });
    let mut since: Vec<_> = since.filter(|row| row.bytes > 0).collect();
    since.sort_by_key(|row| Reverse(row.bytes));
    since
}

fn bounces(now: &[BounceSample], mark: &[BounceSample]) -> Vec<BounceSample> {
    let before = index(mark, |row| row.device.as_str());
    let since = now.iter().map(|row| {
        let (count, bytes) = before.get(row.device.as_str()).map_or((0, 0), |old| (old.count, old.bytes));
        BounceSample {
            device: row.device.clone(),
            count: row.count.saturating_sub(count),
            bytes: row.bytes.saturating_sub(bytes),
        }
    });
    let mut since: Vec<_> = since.filter(|row| row.count > 0).collect();
    since.sort_by_key(|row| Reverse(row.bytes));
    since
}

#[cfg(test)]
#[path = "since_tests.rs"]
mod tests;
