//! One line for what goes on: events of one sort in a row become an episode; and the bound on what a point keeps.

use std::collections::HashMap;

use super::{Event, EventKind};
use crate::diagnose::Severity;

/// Events of one sort that follow each other within this time belong together, ns.
const GAP_NS: u64 = 10 * 1_000_000_000;
/// Events one point of the timeline keeps. Only the thinned points of long recordings come near it.
const KEPT: usize = 64;

/// One event, or several of one sort in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode<'a> {
    /// The newest of them.
    pub latest: &'a Event,
    /// When the first was noticed, ns since tracing began.
    pub first_ns: u64,
    /// Events in it.
    pub events: u64,
    /// What they stand for together (`Event::count`).
    pub count: u64,
    /// The most severe of them.
    pub severity: Severity,
    /// The socket all of them are about.
    pub socket: Option<u64>,
}

/// Folds events, given newest first, into episodes, newest first.
pub fn episodes<'a>(newest_first: impl Iterator<Item = &'a Event>) -> Vec<Episode<'a>> {
    let mut found: Vec<Episode<'a>> = Vec::new();
    // Where the episode of each sort stands that may still grow into the past.
    let mut open: HashMap<(EventKind, &str), usize> = HashMap::new();
    for event in newest_first {
        let key = (event.kind, event.id.as_str());
        let at = open.get(&key).copied().filter(|_| event.kind.goes_on());
        let episode = at.and_then(|at| found.get_mut(at));
        match episode.filter(|of| of.first_ns.saturating_sub(event.at_ns) <= GAP_NS) {
            Some(episode) => {
                episode.first_ns = event.at_ns;
                episode.events += 1;
                episode.count += event.count;
                episode.severity = episode.severity.min(event.severity);
                episode.socket = episode.socket.filter(|socket| event.socket == Some(*socket));
            }
            None => {
                open.insert(key, found.len());
                found.push(Episode {
                    latest: event,
                    first_ns: event.at_ns,
                    events: 1,
                    count: event.count,
                    severity: event.severity,
                    socket: event.socket,
                });
            }
        }
    }
    found
}

/// Adds the events of the next point to those of one. Where they become too many, the least severe go, and one event
/// says how many.
pub(in crate::timeline) fn append(events: &mut Vec<Event>, next: &[Event]) {
    events.extend_from_slice(next);
    if events.len() <= KEPT {
        return;
    }
    let mut thinned: u64 = 0;
    events.retain(|event| {
        let counts = event.kind == EventKind::Thinned;
        thinned += if counts { event.count } else { 0 };
        !counts
    });
    // Stable: among equals the oldest stay.
    events.sort_by_key(|event| event.severity);
    let gone = events.split_off(KEPT.min(events.len()) - 1);
    events.sort_by_key(|event| event.at_ns);
    thinned += gone.len() as u64;
    if let Some(at_ns) = gone.iter().map(|event| event.at_ns).max() {
        let text = format!("{thinned} further events are left out: too many for one point of time");
        let line = super::event(EventKind::Thinned, Severity::Info, "", text);
        events.push(Event { at_ns, count: thinned, ..line });
    }
}
