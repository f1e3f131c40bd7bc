//! How near sockets and processes are to their limits, and the order that follows from it. Only what is visible is put
//! in order.

use std::cmp::Reverse;

use ratatui::style::Style;

use crate::model::snapshot::{GaugeFigures, Limit, ProcessFigures, Snapshot, SocketFigures};
use crate::tui::order;
use crate::tui::theme::Theme;

/// Whose limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum By {
    /// Sockets: option memory.
    #[default]
    Socket,
    /// Processes: option memory of their fullest socket, and locked memory.
    Process,
}

impl By {
    pub(super) const fn other(self) -> Self {
        match self {
            By::Socket => By::Process,
            By::Process => By::Socket,
        }
    }
}

/// A share of a limit in millionths.
pub(super) type Share = u64;

const WHOLE: Share = 1_000_000;
/// From here on one more burst may reach the limit.
const NEAR: Share = 800_000;
const FULL: Share = 950_000;

/// The share that is used; `None` without a limit.
pub(super) fn share(used: u64, limit: u64) -> Option<Share> {
    let share = (u128::from(used) * u128::from(WHOLE)).checked_div(u128::from(limit))?;
    Some(u64::try_from(share).unwrap_or(u64::MAX))
}

pub(super) fn percent(share: Share) -> String {
    crate::units::percent(share, WHOLE)
}

/// Cells of a bar of this width that are filled: none only for nothing.
pub(super) fn cells(share: Share, width: usize) -> usize {
    let cells = (u128::from(share.min(WHOLE)) * width as u128).div_ceil(u128::from(WHOLE));
    cells as usize
}

/// How it is written: worth a look near the limit, an alarm at it.
pub(super) const fn style(theme: &Theme, share: Option<Share>) -> Style {
    match share {
        Some(FULL..) => theme.alarm,
        Some(NEAR..) => theme.warn,
        Some(_) => theme.text,
        None => theme.dim,
    }
}

/// Option memory charged now.
pub(super) fn optmem(gauges: &GaugeFigures) -> Option<Share> {
    share(gauges.optmem_bytes?, gauges.optmem_max_bytes?)
}

/// The most option memory seen on one socket.
pub(super) fn optmem_peak(gauges: &GaugeFigures) -> Option<Share> {
    share(gauges.optmem_peak_bytes?, gauges.optmem_max_bytes?)
}

/// Pages the process's user pinned, in bytes.
pub(super) fn locked_bytes(process: &ProcessFigures, page_bytes: u64) -> Option<u64> {
    process.gauges?.locked_pages.filter(|_| page_bytes > 0).map(|pages| pages.saturating_mul(page_bytes))
}

/// Locked memory against the process's own limit; `None` without one, and where either is not known.
pub(super) fn memlock(process: &ProcessFigures, page_bytes: u64) -> Option<Share> {
    match process.memlock_limit? {
        Limit::Unlimited => None,
        Limit::Bytes(limit) => share(locked_bytes(process, page_bytes)?, limit),
    }
}

/// What a row is ordered by: the fullest first, then what came nearest, then its place in the snapshot.
type Key = (Reverse<Share>, Reverse<Share>, usize);

fn socket_key(socket: &SocketFigures, place: usize) -> Option<Key> {
    let gauges = socket.gauges.as_ref().filter(|_| socket.alive)?;
    Some((Reverse(optmem(gauges).unwrap_or(0)), Reverse(optmem_peak(gauges).unwrap_or(0)), place))
}

fn process_key(process: &ProcessFigures, page_bytes: u64, place: usize) -> Option<Key> {
    let gauges = process.gauges.as_ref()?;
    let peak = optmem_peak(gauges).unwrap_or(0);
    let locked = memlock(process, page_bytes).unwrap_or(0);
    Some((Reverse(peak.max(locked)), Reverse(peak.min(locked)), place))
}

fn keys(snapshot: &Snapshot, by: By) -> Vec<Key> {
    match by {
        By::Socket => {
            let sockets = snapshot.sockets.iter().enumerate();
            sockets.filter_map(|(at, socket)| socket_key(socket, at)).collect()
        }
        By::Process => {
            let page = snapshot.session.page_bytes;
            let processes = snapshot.processes.iter().enumerate();
            processes.filter_map(|(at, process)| process_key(process, page, at)).collect()
        }
    }
}

/// Rows there are.
pub(super) fn count(snapshot: &Snapshot, by: By) -> usize {
    keys(snapshot, by).len()
}

/// Places in the snapshot of the rows `first..first + visible`.
pub(super) fn rows(snapshot: &Snapshot, by: By, first: usize, visible: usize) -> Vec<usize> {
    order::visible(keys(snapshot, by), first, visible).into_iter().map(|(.., at)| at).collect()
}

fn id(snapshot: &Snapshot, by: By, at: usize) -> Option<u64> {
    match by {
        By::Socket => snapshot.sockets.get(at).map(|socket| socket.id),
        By::Process => snapshot.processes.get(at).map(|process| process.pid.into()),
    }
}

/// Socket number or process id of the row at this place, or of the last one.
pub(super) fn id_at(snapshot: &Snapshot, by: By, row: usize) -> Option<u64> {
    let row = row.min(count(snapshot, by).checked_sub(1)?);
    id(snapshot, by, *rows(snapshot, by, row, 1).first()?)
}

/// The row of this socket or process; the first when there is none.
pub(super) fn place(snapshot: &Snapshot, by: By, selected: Option<u64>) -> usize {
    let keys = keys(snapshot, by);
    let of = |key: &&Key| id(snapshot, by, key.2) == selected;
    let Some(key) = selected.and_then(|_| keys.iter().find(of)) else { return 0 };
    keys.iter().filter(|other| *other < key).count()
}

/// The fullest limit of all, and whose it is.
pub(super) fn fullest(snapshot: &Snapshot) -> Option<(Share, String)> {
    let gauges = |socket: &SocketFigures| socket.gauges.as_deref().filter(|_| socket.alive).and_then(optmem);
    let sockets = snapshot.sockets.iter().filter_map(|socket| Some((gauges(socket)?, socket)));
    let socket = sockets.max_by_key(|(share, _)| *share);
    let page = snapshot.session.page_bytes;
    let processes = snapshot.processes.iter().filter_map(|of| Some((memlock(of, page)?, of)));
    let process = processes.max_by_key(|(share, _)| *share);
    let optmem = socket.map(|(share, of)| (share, format!("option memory of {} ({})", of.comm, of.pid)));
    let locked = process.map(|(share, of)| (share, format!("locked memory of {} ({})", of.comm, of.pid)));
    optmem.into_iter().chain(locked).max_by_key(|(share, _)| *share)
}
