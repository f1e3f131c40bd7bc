//! Sockets that ended badly: with bytes that never left, or with sends whose end was not seen.

use std::collections::HashSet;

use super::{Event, EventKind, event};
use crate::diagnose::Severity;
use crate::model::snapshot::{Completions, Snapshot, SocketFigures};
use crate::units::{bytes, exact};

/// Sockets named one by one in an interval; more of them are one line.
const NAMED: usize = 2;

/// What a socket left behind.
struct Ended<'a> {
    socket: &'a SocketFigures,
    unsent_bytes: u64,
    lost_ends: u64,
}

/// Sockets that ended in the interval.
pub(super) fn ended(before: &Snapshot, after: &Snapshot) -> Vec<Event> {
    let mut now = after.sockets.iter().filter(|socket| !socket.alive).peekable();
    if now.peek().is_none() {
        return Vec::new();
    }
    let known: HashSet<u64> =
        before.sockets.iter().filter(|socket| !socket.alive).map(|socket| socket.id).collect();
    let mut ended: Vec<Ended> =
        now.filter(|socket| !known.contains(&socket.id)).filter_map(|socket| badly(socket)).collect();
    ended.sort_by_key(|of| (std::cmp::Reverse(of.unsent_bytes), of.socket.id));
    match ended.as_slice() {
        few if few.len() <= NAMED => few.iter().map(one).collect(),
        many => vec![several(many)],
    }
}

fn badly(socket: &SocketFigures) -> Option<Ended<'_>> {
    let sum = |of: fn(&Completions) -> u64| {
        socket.paths.iter().filter_map(|path| path.completions.as_deref()).map(of).sum::<u64>()
    };
    let (unsent_bytes, lost_ends) = (sum(|ends| ends.unsent_bytes), sum(|ends| ends.lost_ends));
    (unsent_bytes + lost_ends > 0).then_some(Ended { socket, unsent_bytes, lost_ends })
}

fn one(of: &Ended<'_>) -> Event {
    let text = format!("{} ended with {}", name(of.socket), left(of.unsent_bytes, of.lost_ends));
    Event { socket: Some(of.socket.id), ..line(of.unsent_bytes, of.lost_ends, text) }
}

fn several(all: &[Ended<'_>]) -> Event {
    let (unsent, lost) =
        all.iter().fold((0, 0), |(unsent, lost), of| (unsent + of.unsent_bytes, lost + of.lost_ends));
    let most = all.first().map_or_else(String::new, |of| format!("; most of it {}", name(of.socket)));
    let text = format!("{} sockets ended with {}{most}", all.len(), left(unsent, lost));
    Event { count: all.len() as u64, ..line(unsent, lost, text) }
}

/// Bytes that never left are the connection's affair, an end not seen is ours.
fn line(unsent_bytes: u64, lost_ends: u64, text: String) -> Event {
    let severity = if lost_ends > 0 { Severity::Warning } else { Severity::Info };
    let id = if unsent_bytes > 0 { "unsent_bytes" } else { "lost_ends" };
    event(EventKind::SocketEnd, severity, id, text)
}

fn name(socket: &SocketFigures) -> String {
    format!("{} ({}) {} > {}", socket.comm, socket.pid, socket.local, socket.remote)
}

fn left(unsent_bytes: u64, lost_ends: u64) -> String {
    match (unsent_bytes, lost_ends) {
        (unsent, 0) => format!("{} unsent", bytes(unsent)),
        (0, lost) => format!("{} sends whose end was not seen", exact(lost)),
        (unsent, lost) => {
            format!("{} unsent and {} sends whose end was not seen", bytes(unsent), exact(lost))
        }
    }
}
