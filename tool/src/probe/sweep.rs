//! Sends whose end never comes, because the kernel skipped an event: once in a while the records of all sends are
//! looked through, and those that cannot be in flight any more are given up, so that a lost end does not look like an
//! endless send.
//!
//! The rules: the application has read of the send's end; or the send is old, and a later one of the socket was
//! released before it and long ago; or the socket was destroyed long ago. TCP releases in order, give or take what
//! queues on the way.

use std::collections::{HashMap, HashSet};
use std::os::fd::AsFd;

use anyhow::{Context, Result, bail};
use aya::maps::{HashMap as BpfHash, Map};
use nix::time::{ClockId, clock_gettime};
use zcscope_common::{Path, SendEntry, SendKey, SockEntry, send_state, sock_flags};

use super::live::Live;
use super::raw::Batch;
use super::tallies::Tallies;
use crate::model::sample::SocketSample;

const SECOND: u64 = 1_000_000_000;
/// Time between two sweeps.
const EVERY: u64 = 2 * SECOND;
/// A send this old is given up when a later one was released before it ...
const OLD: u64 = 30 * SECOND;
/// ... this long ago.
const OVERTAKEN: u64 = 10 * SECOND;
/// After this a destroyed socket holds nothing any more.
const DESTROYED: u64 = 120 * SECOND;
/// A record that was read, or whose socket is unknown, is given up after this: its other events are under way.
const GRACE: u64 = 5 * SECOND;

/// Sends given up on one socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lost {
    sends: u64,
    bytes: u64,
    pages: u64,
}

/// What is to be done with the record of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Keep,
    /// A later send of its socket was released before it: give it up when it stays so.
    Overtaken,
    /// Its end was missed: count it.
    GiveUp,
    /// Nobody asks for it any more.
    Drop,
}

/// See the module.
pub(super) struct Sweeper {
    sends: Map,
    batch: Batch<SendKey, SendEntry>,
    last_ns: u64,
    /// Sends found overtaken, by socket, id and start, and when they first were.
    overtaken: HashMap<(u64, u64, u64), u64>,
    /// By `SockEntry::id`.
    lost: HashMap<u64, Lost>,
}

impl Sweeper {
    pub(super) fn new(sends: Map) -> Self {
        Self { sends, batch: Batch::new(), last_ns: 0, overtaken: HashMap::new(), lost: HashMap::new() }
    }

    /// Looks through all records, when it is time. Returns the sockets that are over although the kernel side did
    /// not see it, removed from their table.
    ///
    /// # Errors
    /// A map can no longer be read.
    pub(super) fn sweep(
        &mut self,
        at_ns: u64,
        sockets: &mut Live<SockEntry>,
        tallies: &Tallies,
    ) -> Result<Vec<SockEntry>> {
        if at_ns.saturating_sub(self.last_ns) < EVERY {
            return Ok(Vec::new());
        }
        self.last_ns = at_ns;
        let now = monotonic_ns()?;
        let Map::HashMap(sends) = &self.sends else { bail!("map SENDS has an unexpected type") };
        self.batch.fill(sends.fd().as_fd()).context("reading sends")?;
        let by_address: HashMap<u64, &SockEntry> = sockets.entries().map(|entry| (entry.sk, entry)).collect();
        let mut records = BpfHash::<_, SendKey, SendEntry>::try_from(&mut self.sends)?;
        let mut overtaken = HashMap::new();
        for (key, send) in self.batch.iter() {
            let socket = by_address.get(&key.sk).copied();
            let mut verdict = judge(key.id, send, socket, now);
            if verdict == Verdict::Overtaken {
                let which = (key.sk, key.id, send.start_ns);
                let since = self.overtaken.get(&which).copied().unwrap_or(now);
                overtaken.insert(which, since);
                let long = now.saturating_sub(since) > OVERTAKEN && now.saturating_sub(send.start_ns) > OLD;
                verdict = if long { Verdict::GiveUp } else { Verdict::Keep };
            }
            // Whoever removes a record counts it.
            if verdict == Verdict::Keep || records.remove(key).is_err() {
                continue;
            }
            if let (Verdict::GiveUp, Some(entry)) = (verdict, socket) {
                let lost = self.lost.entry(entry.id).or_default();
                lost.sends += 1;
                lost.bytes += send.bytes;
                lost.pages += send.pages;
            }
        }
        self.overtaken = overtaken;
        let over =
            |entry: &SockEntry| entry.closing_ns != 0 && now.saturating_sub(entry.closing_ns) > DESTROYED;
        sockets.remove(tallies, over).context("removing an ended socket")
    }

    /// Puts what was given up into the counters of its sockets.
    pub(super) fn apply(&self, sockets: &mut [SocketSample]) {
        if self.lost.is_empty() {
            return;
        }
        for socket in sockets {
            let Some(lost) = self.lost.get(&socket.id) else { continue };
            socket.gauges.pages_in_flight = socket.gauges.pages_in_flight.saturating_sub(lost.pages);
            if let Some((_, flow)) = socket.flows.iter_mut().find(|(path, _)| *path == Path::MsgZerocopy) {
                flow.lost_end_sends += lost.sends;
                flow.lost_end_bytes += lost.bytes;
            }
        }
    }

    /// True when sends of this socket were given up.
    pub(super) fn has(&self, id: u64) -> bool {
        self.lost.contains_key(&id)
    }

    /// Sockets that have ended are not asked for again.
    pub(super) fn forget(&mut self, ended: &HashSet<u64>) {
        self.lost.retain(|id, _| !ended.contains(id));
    }
}

/// What becomes of one record.
fn judge(id: u64, send: &SendEntry, socket: Option<&SockEntry>, now: u64) -> Verdict {
    let age = now.saturating_sub(send.start_ns);
    let Some(socket) = socket.filter(|socket| socket.flags & sock_flags::IGNORED == 0) else {
        return if age > GRACE { Verdict::Drop } else { Verdict::Keep };
    };
    if send.state & send_state::ACCEPTED == 0 || send.state & send_state::RELEASED != 0 {
        return Verdict::Keep;
    }
    let read = send.state & send_state::READ != 0 && now.saturating_sub(send.read_ns) > GRACE;
    let destroyed = socket.closing_ns != 0 && now.saturating_sub(socket.closing_ns) > DESTROYED;
    if read || destroyed {
        return Verdict::GiveUp;
    }
    let latest = (socket.last_released as u32).wrapping_sub(1);
    let later = socket.last_released != 0 && latest.wrapping_sub(id as u32).cast_signed() > 0;
    if later { Verdict::Overtaken } else { Verdict::Keep }
}

/// The clock of the kernel programs (`bpf_ktime_get_ns`).
fn monotonic_ns() -> Result<u64> {
    let now: std::time::Duration = clock_gettime(ClockId::CLOCK_MONOTONIC)?.into();
    Ok(u64::try_from(now.as_nanos())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000 * SECOND;

    fn socket() -> SockEntry {
        let bytes = [0u8; size_of::<SockEntry>()];
        crate::probe::raw::value(&bytes).unwrap()
    }

    fn send(age: u64, state: u64) -> SendEntry {
        SendEntry { start_ns: NOW - age, state, ..SendEntry::default() }
    }

    #[test]
    fn a_send_in_flight_is_kept_however_old() {
        let open = send(900 * SECOND, send_state::ACCEPTED);
        assert_eq!(judge(7, &open, Some(&socket()), NOW), Verdict::Keep);
        let earlier = SockEntry { last_released: 7, ..socket() };
        assert_eq!(judge(7, &open, Some(&earlier), NOW), Verdict::Keep, "only ids below it were released");
    }

    #[test]
    fn a_send_is_overtaken_by_a_later_one() {
        let open = send(31 * SECOND, send_state::ACCEPTED);
        let later = SockEntry { last_released: 9, ..socket() };
        assert_eq!(judge(7, &open, Some(&later), NOW), Verdict::Overtaken);
        assert_eq!(judge(8, &open, Some(&later), NOW), Verdict::Keep, "it is the one");
        let wrapped = SockEntry { last_released: 2, ..socket() };
        assert_eq!(judge(u64::from(u32::MAX), &open, Some(&wrapped), NOW), Verdict::Overtaken);
    }

    #[test]
    fn what_was_read_or_destroyed_has_ended() {
        let read = SendEntry {
            read_ns: NOW - 6 * SECOND,
            ..send(7 * SECOND, send_state::ACCEPTED | send_state::READ)
        };
        assert_eq!(judge(7, &read, Some(&socket()), NOW), Verdict::GiveUp);
        let gone = SockEntry { closing_ns: NOW - 121 * SECOND, ..socket() };
        assert_eq!(judge(7, &send(200 * SECOND, send_state::ACCEPTED), Some(&gone), NOW), Verdict::GiveUp);
    }

    #[test]
    fn records_of_unknown_sockets_go() {
        let unread = send(6 * SECOND, send_state::ACCEPTED | send_state::RELEASED);
        assert_eq!(judge(7, &unread, None, NOW), Verdict::Drop);
        let ignored = SockEntry { flags: sock_flags::IGNORED, ..socket() };
        assert_eq!(judge(7, &unread, Some(&ignored), NOW), Verdict::Drop);
        assert_eq!(judge(7, &unread, Some(&socket()), NOW), Verdict::Keep, "it waits for a reader");
        assert_eq!(judge(7, &send(SECOND, 0), None, NOW), Verdict::Keep);
    }
}
