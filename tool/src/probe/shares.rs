//! One socket, two tables: what a process sends stands in one and what it receives in the other, under one number.
//! Each part ends by itself; the socket ends with the last one, and until then what has ended is kept here.

use std::collections::{HashMap, HashSet};

use crate::model::sample::SocketSample;

/// What the tables and the ring held at one moment.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Living entries of the table of senders: at least those that changed, and those of sockets with a parked part.
    pub(super) senders: Vec<SocketSample>,
    /// The same of the table of receivers.
    pub(super) receivers: Vec<SocketSample>,
    /// Senders that ended since.
    pub(super) ended_senders: Vec<SocketSample>,
    /// Receivers that ended since.
    pub(super) ended_receivers: Vec<SocketSample>,
}

/// Parts that ended while the other one lives, by the socket's number.
#[derive(Debug, Default)]
pub(super) struct Shares {
    parked: HashMap<u64, SocketSample>,
}

impl Shares {
    /// True when a part of this socket has ended.
    pub(super) fn has(&self, id: u64) -> bool {
        self.parked.contains_key(&id)
    }

    /// Puts the parts together: living sockets, and sockets that ended.
    pub(super) fn join(&mut self, parts: Parts) -> (Vec<SocketSample>, Vec<SocketSample>) {
        // An entry that ended between the reading of its table and of the ring is in both, and its end wins.
        let mut live = without(parts.senders, &parts.ended_senders);
        let receivers = without(parts.receivers, &parts.ended_receivers);
        for ended in parts.ended_senders.into_iter().chain(parts.ended_receivers) {
            match self.parked.get_mut(&ended.id) {
                Some(parked) => absorb(parked, &ended),
                None => {
                    self.parked.insert(ended.id, ended);
                }
            }
        }
        merge(&mut live, receivers);
        if self.parked.is_empty() {
            return (live, Vec::new());
        }
        let mut alive = HashSet::new();
        for socket in &mut live {
            if let Some(parked) = self.parked.get(&socket.id) {
                absorb(socket, parked);
                alive.insert(socket.id);
            }
        }
        let ended = self.parked.extract_if(|id, _| !alive.contains(id)).map(|(_, socket)| socket).collect();
        (live, ended)
    }
}

/// `live` without those in `ended`.
fn without(mut live: Vec<SocketSample>, ended: &[SocketSample]) -> Vec<SocketSample> {
    if !ended.is_empty() {
        let gone: HashSet<u64> = ended.iter().map(|socket| socket.id).collect();
        live.retain(|socket| !gone.contains(&socket.id));
    }
    live
}

/// Adds the receivers to the sockets they are, or as sockets of their own.
fn merge(live: &mut Vec<SocketSample>, receivers: Vec<SocketSample>) {
    if receivers.is_empty() {
        return;
    }
    let places: HashMap<u64, usize> = live.iter().enumerate().map(|(at, socket)| (socket.id, at)).collect();
    for receiver in receivers {
        match places.get(&receiver.id).and_then(|at| live.get_mut(*at)) {
            Some(socket) => absorb(socket, &receiver),
            None => live.push(receiver),
        }
    }
}

/// Adds the counters of another part of the same socket.
fn absorb(socket: &mut SocketSample, other: &SocketSample) {
    for (path, counters) in &other.flows {
        match socket.flows.iter_mut().find(|(known, _)| known == path) {
            Some((_, sum)) => *sum = *sum + *counters,
            None => socket.flows.push((*path, *counters)),
        }
    }
}

#[cfg(test)]
mod tests {
    use zcscope_common::{FlowCounters, Gauges, Path};

    use super::*;

    fn part(id: u64, path: Path, bytes: u64) -> SocketSample {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        SocketSample {
            id,
            cookie: None,
            pid: 1,
            comm: "x".into(),
            local: address,
            remote: address,
            dev: None,
            netns: 1,
            cgroup: 0,
            uid: 0,
            gauges: Gauges::default(),
            flows: vec![(path, FlowCounters { bytes, ..FlowCounters::default() })],
        }
    }

    fn bytes(socket: &SocketSample, path: Path) -> u64 {
        socket.flows.iter().filter(|(p, _)| *p == path).map(|(_, c)| c.bytes).sum()
    }

    #[test]
    fn a_socket_that_sends_and_receives_is_one() {
        let (live, ended) = Shares::default().join(Parts {
            senders: vec![part(1, Path::Copy, 10)],
            receivers: vec![part(1, Path::Recv, 20), part(2, Path::Recv, 30)],
            ..Parts::default()
        });
        assert_eq!((live.len(), ended.len()), (2, 0));
        assert_eq!((bytes(&live[0], Path::Copy), bytes(&live[0], Path::Recv)), (10, 20));
        assert_eq!(bytes(&live[1], Path::Recv), 30);
    }

    #[test]
    fn it_ends_with_its_last_part_and_nothing_is_lost_or_counted_twice() {
        let mut shares = Shares::default();
        let first = Parts {
            receivers: vec![part(1, Path::Recv, 20)],
            senders: vec![part(1, Path::Copy, 9)],
            ended_senders: vec![part(1, Path::Copy, 10)],
            ..Parts::default()
        };
        let (live, ended) = shares.join(first);
        assert_eq!((live.len(), ended.len()), (1, 0));
        assert_eq!((bytes(&live[0], Path::Copy), bytes(&live[0], Path::Recv)), (10, 20));

        let second = Parts {
            senders: vec![part(1, Path::Copy, 5)],
            receivers: vec![part(1, Path::Recv, 21)],
            ..Parts::default()
        };
        let (live, _) = shares.join(second);
        assert_eq!(bytes(&live[0], Path::Copy), 15, "the same process sends again under the same number");

        let third = Parts {
            ended_senders: vec![part(1, Path::Copy, 5)],
            ended_receivers: vec![part(1, Path::Recv, 22)],
            ..Parts::default()
        };
        let (live, ended) = shares.join(third);
        assert_eq!((live.len(), ended.len()), (0, 1));
        assert_eq!((bytes(&ended[0], Path::Copy), bytes(&ended[0], Path::Recv)), (15, 22));
        assert_eq!(shares.join(Parts::default()).1.len(), 0);
    }

    #[test]
    fn a_part_whose_partner_vanished_ends() {
        let mut shares = Shares::default();
        let parts = Parts {
            senders: vec![part(1, Path::Copy, 10)],
            ended_receivers: vec![part(1, Path::Recv, 20)],
            ..Parts::default()
        };
        shares.join(parts);
        let (live, ended) = shares.join(Parts::default());
        assert_eq!((live.len(), ended.len()), (0, 1));
        assert_eq!(bytes(&ended[0], Path::Recv), 20);
    }
}
