//! What happened between two snapshots and is worth telling. Pure: two snapshots and what they mean in, a few lines
//! out. One file per source of events.
//!
//! Most things are told once, when they are seen for the first time. What goes on and on (loss, sockets that end
//! badly, resent segments, delayed ACKs) is told in every interval in which it happened, and [`episodes`] makes one
//! line of it. A storm gives few lines per interval, whatever happens.

mod fold;
mod host;
mod sockets;
#[cfg(test)]
mod tests;
mod traffic;

use serde::{Deserialize, Serialize};

use crate::diagnose::{Finding, Severity};
use crate::model::snapshot::Snapshot;

pub(super) use fold::append;
pub use fold::{Episode, episodes};

/// Something that happened once and is worth telling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When it was noticed, ns since tracing began.
    pub at_ns: u64,
    /// How much it matters.
    pub severity: Severity,
    /// What sort of event it is.
    pub kind: EventKind,
    /// Id of the finding, reason, path or figure it is about, for `explain`.
    pub id: String,
    /// One sentence with figures.
    pub text: String,
    /// The socket it is about, by zcscope's number; `None` when it is about several, or none.
    pub socket: Option<u64>,
    /// How many things of this sort it stands for: sockets, sends, events lost; 1 where it happened once.
    pub count: u64,
}

/// Sorts of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A path carries traffic for the first time.
    Path,
    /// Bytes were copied for a reason, on a device, for the first time.
    Copy,
    /// Calls were refused for a reason for the first time.
    Refused,
    /// The application was told something wrong for the first time.
    Told,
    /// A finding came up.
    Finding,
    /// A finding no longer holds.
    Gone,
    /// A packet capture began to listen.
    TapOpened,
    /// A packet capture ended.
    TapClosed,
    /// An offload of a device was switched.
    Feature,
    /// Sockets ended with bytes unsent, or with ends of sends not seen. Goes on.
    SocketEnd,
    /// Events were lost. Goes on.
    Loss,
    /// A connection sent bytes again. Goes on.
    Resent,
    /// Releases wait for delayed ACKs. Goes on.
    DelayedAck,
    /// Events left out of a long recording.
    Thinned,
}

impl EventKind {
    /// One word for a column.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            EventKind::Path => "new path",
            EventKind::Copy => "first copy",
            EventKind::Refused => "refused",
            EventKind::Told => "told wrong",
            EventKind::Finding => "finding",
            EventKind::Gone => "over",
            EventKind::TapOpened => "tap opened",
            EventKind::TapClosed => "tap closed",
            EventKind::Feature => "offload",
            EventKind::SocketEnd => "socket end",
            EventKind::Loss => "lost",
            EventKind::Resent => "sent again",
            EventKind::DelayedAck => "delayed ACK",
            EventKind::Thinned => "left out",
        }
    }

    /// True for what is told in every interval in which it happens.
    #[must_use]
    pub const fn goes_on(self) -> bool {
        matches!(
            self,
            EventKind::SocketEnd
                | EventKind::Loss
                | EventKind::Resent
                | EventKind::DelayedAck
                | EventKind::Thinned
        )
    }
}

/// Lines of one source in one interval at most; what is more is one line with a count.
const MOST: usize = 4;

/// What happened from one snapshot to the next, and what changed in what they mean.
#[must_use]
pub fn between(
    before: &Snapshot,
    after: &Snapshot,
    findings_before: &[Finding],
    findings_after: &[Finding],
) -> Vec<Event> {
    let sources = [
        traffic::paths(before, after),
        traffic::copies(before, after),
        traffic::refused(before, after),
        traffic::told(before, after),
        traffic::loss(before, after),
        traffic::delayed_acks(before, after),
        sockets::ended(before, after),
        host::taps(before, after),
        host::features(before, after),
        host::resent(before, after),
        changed(findings_before, findings_after, EventKind::Gone),
        changed(findings_after, findings_before, EventKind::Finding),
    ];
    let limited = sources.into_iter().flat_map(limit);
    limited.map(|event| Event { at_ns: after.duration_ns, ..event }).collect()
}

/// An event of which the time is still to be told.
fn event(kind: EventKind, severity: Severity, id: &str, text: String) -> Event {
    Event { at_ns: 0, severity, kind, id: id.to_owned(), text, socket: None, count: 1 }
}

/// Keeps the first few, and makes one line of the others.
fn limit(mut events: Vec<Event>) -> Vec<Event> {
    if events.len() <= MOST {
        return events;
    }
    // Those that matter most stay.
    events.sort_by_key(|event| event.severity);
    let more = events.split_off(MOST - 1);
    let count = more.iter().map(|event| event.count).sum();
    let text = |first: &Event| format!("{} more like this, the first: {}", more.len(), first.text);
    if let Some(first) = more.first() {
        let same = more.iter().all(|event| event.id == first.id);
        let id = if same { first.id.clone() } else { String::new() };
        events.push(Event { text: text(first), id, socket: None, count, ..first.clone() });
    }
    events
}

/// Findings of the first list that have no like in the second.
fn changed(findings: &[Finding], others: &[Finding], kind: EventKind) -> Vec<Event> {
    let new = findings.iter().filter(|finding| !others.iter().any(|other| is_same(finding, other)));
    let line = |finding: &Finding| match kind {
        EventKind::Gone => event(kind, Severity::Info, &finding.id, format!("no longer: {}", finding.title)),
        _ => event(kind, finding.severity, &finding.id, finding.title.clone()),
    };
    new.map(line).collect()
}

/// The same finding at another moment: its figures and what else it is about may have changed.
fn is_same(a: &Finding, b: &Finding) -> bool {
    fn overlap<T: PartialEq>(a: &[T], b: &[T]) -> bool {
        a.is_empty() || b.is_empty() || a.iter().any(|one| b.contains(one))
    }
    a.id == b.id && overlap(&a.about.paths, &b.about.paths) && overlap(&a.about.devices, &b.about.devices)
}
