//! A frame: one snapshot as bytes (MessagePack with the names of all fields, so that a reader skips what it does not
//! know). Within a block a frame holds only what is new since the frame before: sockets that moved, the session and
//! the facts of the host when they changed.

use std::sync::{Arc, Weak};

use serde::{Deserialize, Serialize};

use super::error::Error;
use crate::host::facts::HostFacts;
use crate::model::hash::FastMap;
use crate::model::snapshot::{Session, Snapshot, SocketFigures};

/// What is written.
#[derive(Serialize)]
struct Written<'a> {
    snapshot: &'a Snapshot,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a Session>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a HostFacts>,
    new_sockets: Vec<&'a SocketFigures>,
    sockets: Vec<Run>,
}

/// The same, read.
#[derive(Deserialize)]
struct Read {
    snapshot: Snapshot,
    #[serde(default)]
    session: Option<Session>,
    #[serde(default)]
    host: Option<HostFacts>,
    new_sockets: Vec<Arc<SocketFigures>>,
    sockets: Vec<Run>,
}

/// Sockets in the order of the snapshot, as runs (first, length) of their numbers; the sockets of a block are numbered
/// as they come.
type Run = (u32, u32);

/// Turns the snapshots of one block into bytes, in order.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    /// The sockets of the last frame by address, with their numbers. Their addresses are held, so that one stands for
    /// one state of a socket, but not what is in them: of ten thousand busy sockets that is megabytes.
    sockets: FastMap<usize, (u32, Weak<SocketFigures>)>,
    next: u32,
    session: Option<Session>,
    host: Option<Arc<HostFacts>>,
}

impl Encoder {
    /// Appends a frame to `out`.
    ///
    /// # Errors
    /// A figure that cannot be serialized; none is known.
    pub(super) fn encode(&mut self, snapshot: &Snapshot, out: &mut Vec<u8>) -> Result<(), Error> {
        let mut known = FastMap::default();
        known.reserve(snapshot.sockets.len());
        let mut new_sockets = Vec::new();
        let mut sockets: Vec<Run> = Vec::new();
        for socket in &snapshot.sockets {
            let at = Arc::as_ptr(socket).addr();
            let number = match self.sockets.get(&at) {
                Some((number, _)) => *number,
                None => {
                    new_sockets.push(socket.as_ref());
                    self.next += 1;
                    self.next - 1
                }
            };
            known.insert(at, (number, Arc::downgrade(socket)));
            match sockets.last_mut() {
                Some((first, length)) if *first + *length == number => *length += 1,
                _ => sockets.push((number, 1)),
            }
        }
        self.sockets = known;
        let frame = Written {
            snapshot,
            session: self.changed_session(snapshot).then_some(&snapshot.session),
            host: self.changed_host(snapshot).then_some(&*snapshot.host),
            new_sockets,
            sockets,
        };
        rmp_serde::encode::write_named(out, &frame).map_err(|error| Error::Encoding(error.to_string()))
    }

    fn changed_session(&mut self, snapshot: &Snapshot) -> bool {
        let changed = self.session.as_ref() != Some(&snapshot.session);
        if changed {
            self.session = Some(snapshot.session.clone());
        }
        changed
    }

    fn changed_host(&mut self, snapshot: &Snapshot) -> bool {
        let same = self.host.as_ref().is_some_and(|host| Arc::ptr_eq(host, &snapshot.host));
        if !same {
            self.host = Some(Arc::clone(&snapshot.host));
        }
        !same
    }
}

/// Turns the frames of one block back into snapshots, in order.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    sockets: Vec<Arc<SocketFigures>>,
    session: Session,
    host: Arc<HostFacts>,
}

impl Decoder {
    /// The snapshot of the next frame.
    ///
    /// # Errors
    /// [`Error::Decoding`] when these bytes are no frame, or name what this version does not know.
    pub(super) fn decode(&mut self, bytes: &[u8]) -> Result<Snapshot, Error> {
        let frame: Read = rmp_serde::from_slice(bytes).map_err(|error| Error::Decoding(error.to_string()))?;
        self.sockets.extend(frame.new_sockets);
        if let Some(session) = frame.session {
            self.session = session;
        }
        if let Some(host) = frame.host {
            self.host = Arc::new(host);
        }
        let mut snapshot = frame.snapshot;
        for (first, length) in frame.sockets {
            let (first, length) = (first as usize, length as usize);
            let run = self.sockets.get(first..first.saturating_add(length));
            let run = run.ok_or_else(|| Error::Decoding("a socket that was never written".into()))?;
            snapshot.sockets.extend_from_slice(run);
        }
        snapshot.session = self.session.clone();
        snapshot.host = Arc::clone(&self.host);
        Ok(snapshot)
    }
}
