//! What a row is about: a socket, one path of it, or a group of such. Every figure of a row is computed here, from sums;
//! a sum with an unknown part is unknown.

use std::sync::Arc;

use zcscope_common::{Hist, Path, Reason};

use crate::model::snapshot::{PathFigures, SocketFigures};
use crate::tui::totals::Totals;

/// A socket of the snapshot, or one path of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Its place in the snapshot.
    pub(super) socket: u32,
    /// Only this path of it.
    pub(super) path: Option<Path>,
}

/// One row's members with what they are members of. Figures are of what the members do most together, sending or
/// receiving: the two are never added up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    sockets: &'a [Arc<SocketFigures>],
    members: &'a [Member],
    /// Bytes sent and received.
    sent: u64,
    received: u64,
}

/// A figure that can be unknown, or mean nothing for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure<T> {
    Known(T),
    Unknown,
    NotApplicable,
}

impl<T> Figure<T> {
    pub(super) fn known(self) -> Option<T> {
        match self {
            Figure::Known(value) => Some(value),
            Figure::Unknown | Figure::NotApplicable => None,
        }
    }
}

impl<'a> Subject<'a> {
    pub(super) fn of(sockets: &'a [Arc<SocketFigures>], members: &'a [Member]) -> Self {
        let mut subject = Self { sockets, members, sent: 0, received: 0 };
        let (mut sent, mut received) = (0, 0);
        for figures in subject.all_paths() {
            *(if figures.path.receives() { &mut received } else { &mut sent }) += figures.bytes;
        }
        (subject.sent, subject.received) = (sent, received);
        subject
    }

    /// Its sockets, in the order of the snapshot.
    pub(super) fn sockets(&self) -> impl Iterator<Item = &'a SocketFigures> + use<'a> {
        let sockets = self.sockets;
        self.members.iter().filter_map(move |m| sockets.get(m.socket as usize)).map(Arc::as_ref)
    }

    /// The socket a row is about when it is no group.
    pub(super) fn first(&self) -> Option<&'a SocketFigures> {
        self.sockets().next()
    }

    pub(super) const fn len(&self) -> usize {
        self.members.len()
    }

    /// Every path, sent and received.
    pub(super) fn all_paths(&self) -> impl Iterator<Item = &'a PathFigures> + use<'a> {
        let sockets = self.sockets;
        self.members.iter().filter_map(move |m| Some((m.path, sockets.get(m.socket as usize)?))).flat_map(
            |(only, socket)| socket.paths.iter().filter(move |p| only.is_none_or(|only| only == p.path)),
        )
    }

    /// True when more was received than sent.
    pub(super) const fn receives(&self) -> bool {
        self.received > self.sent
    }

    /// True when it did both.
    pub(super) const fn both_ways(&self) -> bool {
        self.received > 0 && self.sent > 0
    }

    /// The paths of what it does most.
    pub(super) fn paths(&self) -> impl Iterator<Item = &'a PathFigures> + use<'a> {
        let receives = self.receives();
        self.all_paths().filter(move |p| p.path.receives() == receives)
    }

    pub(super) const fn bytes(&self) -> u64 {
        if self.receives() { self.received } else { self.sent }
    }

    pub(super) fn bytes_per_s(&self) -> u64 {
        self.paths().map(|p| p.bytes_per_s).sum()
    }

    pub(super) fn totals(&self) -> Totals {
        Totals::over(self.paths())
    }

    /// The path with most bytes, and how many others there are, whichever way.
    pub(super) fn main_path(&self) -> Option<(Path, usize)> {
        let mut bytes = [None; Path::COUNT];
        for figures in self.all_paths() {
            *bytes[figures.path as usize].get_or_insert(0) += figures.bytes;
        }
        let used = || Path::ALL.iter().zip(bytes).filter_map(|(path, bytes)| Some((*path, bytes?)));
        // Of equals the first.
        let main = used().rev().max_by_key(|(path, bytes)| (path.receives() == self.receives(), *bytes))?;
        Some((main.0, used().count() - 1))
    }

    /// The reason with most copied bytes, and whether it was concluded and not seen.
    pub(super) fn top_reason(&self) -> Option<(Reason, bool)> {
        let mut sums: Vec<(Reason, u64, bool)> = Vec::new();
        for copy in self.paths().flat_map(|p| &p.copies) {
            match sums.iter_mut().find(|(reason, ..)| *reason == copy.kind.reason) {
                Some((_, bytes, inferred)) => {
                    *bytes += copy.bytes;
                    *inferred |= copy.kind.inferred;
                }
                None => sums.push((copy.kind.reason, copy.bytes, copy.kind.inferred)),
            }
        }
        sums.into_iter().max_by_key(|(_, bytes, _)| *bytes).map(|(reason, _, inferred)| (reason, inferred))
    }

    /// How long 99 % of the buffers were held, over all releases of all members. Percentiles are not added up: without
    /// the durations of every member that has releases it is unknown.
    pub(super) fn held_p99(&self) -> Figure<u64> {
        let mut ending = self.paths().filter(|p| p.path.has_completion()).peekable();
        if ending.peek().is_none() {
            return Figure::NotApplicable;
        }
        let released = |p: &&PathFigures| p.completions.as_deref().is_none_or(|c| c.sends > 0);
        let mut with: Vec<&PathFigures> = ending.filter(released).collect();
        if let (Some(only), true) = (with.pop(), with.is_empty()) {
            let latency = only.completions.as_deref().and_then(|c| c.latency);
            return latency.map_or(Figure::Unknown, |latency| Figure::Known(latency.p99));
        }
        self.merged_p99()
    }

    fn merged_p99(&self) -> Figure<u64> {
        let mut merged = Hist::default();
        for figures in self.paths().filter(|p| p.path.has_completion()) {
            match &figures.completions {
                Some(ends) if ends.sends == 0 => {}
                Some(ends) => match &ends.release {
                    Some(release) => release.add_to(&mut merged),
                    None => return Figure::Unknown,
                },
                None => return Figure::Unknown,
            }
        }
        merged.percentile(990).map_or(Figure::Unknown, Figure::Known)
    }

    /// Pages held for sends in flight.
    pub(super) fn pinned(&self) -> Figure<u64> {
        let mut pages = Figure::NotApplicable;
        for member in self.members {
            let Some(socket) = self.sockets.get(member.socket as usize) else { continue };
            let more = match member.path {
                None => socket.gauges.as_deref().map(|gauges| gauges.pages_in_flight),
                Some(path) => socket
                    .paths
                    .iter()
                    .find(|p| p.path == path && path.has_completion())
                    .map(|p| p.in_flight.and_then(|open| open.pages)),
            };
            pages = match (pages, more) {
                (pages, None) => pages,
                (Figure::Unknown, _) | (_, Some(None)) => Figure::Unknown,
                (Figure::Known(sum), Some(Some(more))) => Figure::Known(sum + more),
                (Figure::NotApplicable, Some(Some(more))) => Figure::Known(more),
            };
        }
        pages
    }

    /// Refused calls.
    pub(super) fn refused(&self) -> u64 {
        self.paths().flat_map(|p| &p.refused).map(|(_, count)| count).sum()
    }

    /// True while one of its sockets lives.
    pub(super) fn alive(&self) -> bool {
        self.sockets().any(|socket| socket.alive)
    }
}
