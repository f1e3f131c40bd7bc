//! One socket as screens and reports read it. Of ten thousand busy sockets every snapshot has new figures, and two or
//! three snapshots are held at a time: so what does not change stands apart, once, and is shared by all of them.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::snapshot::{GaugeFigures, PathFigures, Place};

/// Who a socket belongs to, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketIdentity {
    /// zcscope's own number.
    pub id: u64,
    /// The kernel's cookie.
    pub cookie: Option<u64>,
    /// Process id.
    pub pid: u32,
    /// Process name.
    pub comm: String,
    /// Local address.
    pub local: SocketAddr,
    /// Remote address.
    pub remote: SocketAddr,
    /// Device of the route.
    pub dev: Option<String>,
    /// User id of the process.
    pub uid: u32,
    /// Where it runs.
    pub place: Place,
}

/// One socket. What is in its identity reads as if it stood here; writing to it makes it an identity of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketFigures {
    /// Who and where; shared by the snapshots in which it is the same.
    pub identity: Arc<SocketIdentity>,
    /// What it holds; `None` on sockets that never sent with notifications.
    pub gauges: Option<Box<GaugeFigures>>,
    /// False once the socket has ended.
    pub alive: bool,
    /// Its ledger per path.
    pub paths: Vec<PathFigures>,
}

impl Deref for SocketFigures {
    type Target = SocketIdentity;

    fn deref(&self) -> &SocketIdentity {
        &self.identity
    }
}

impl DerefMut for SocketFigures {
    fn deref_mut(&mut self) -> &mut SocketIdentity {
        Arc::make_mut(&mut self.identity)
    }
}

/// How it stands in recordings: all of it side by side.
#[derive(Serialize, Deserialize)]
#[serde(rename = "SocketFigures")]
struct Flat<'a> {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cookie: Option<u64>,
    pid: u32,
    comm: Cow<'a, str>,
    local: SocketAddr,
    remote: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    dev: Option<Cow<'a, str>>,
    uid: u32,
    place: Cow<'a, Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gauges: Option<Cow<'a, GaugeFigures>>,
    alive: bool,
    paths: Cow<'a, [PathFigures]>,
}

impl Serialize for SocketFigures {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let SocketIdentity { id, cookie, pid, comm, local, remote, dev, uid, place } = &*self.identity;
        let flat = Flat {
            id: *id,
            cookie: *cookie,
            pid: *pid,
            comm: Cow::Borrowed(comm),
            local: *local,
            remote: *remote,
            dev: dev.as_deref().map(Cow::Borrowed),
            uid: *uid,
            place: Cow::Borrowed(place),
            gauges: self.gauges.as_deref().map(Cow::Borrowed),
            alive: self.alive,
            paths: Cow::Borrowed(&self.paths),
        };
        flat.serialize(to)
    }
}

impl<'de> Deserialize<'de> for SocketFigures {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Flat { id, cookie, pid, comm, local, remote, dev, uid, place, gauges, alive, paths } =
            Flat::deserialize(from)?;
        let identity = SocketIdentity {
            id,
            cookie,
            pid,
            comm: comm.into_owned(),
            local,
            remote,
            dev: dev.map(Cow::into_owned),
            uid,
            place: place.into_owned(),
        };
        Ok(Self {
            identity: Arc::new(identity),
            gauges: gauges.map(|gauges| Box::new(gauges.into_owned())),
            alive,
            paths: paths.into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_of_before_is_read_and_what_is_not_known_takes_no_room() {
        // As written when every field was there, known or not.
        #[derive(Serialize)]
        struct Before {
            id: u64,
            cookie: Option<u64>,
            pid: u32,
            comm: &'static str,
            local: SocketAddr,
            remote: SocketAddr,
            dev: Option<&'static str>,
            uid: u32,
            place: Place,
            gauges: Option<GaugeFigures>,
            alive: bool,
            paths: Vec<PathFigures>,
        }
        let (local, remote) = (([127, 0, 0, 1], 1).into(), ([0x2001, 0, 0, 0, 0, 0, 0, 9], 2).into());
        let before = Before {
            id: 3,
            cookie: None,
            pid: 7,
            comm: "curl",
            local,
            remote,
            dev: Some("eth0"),
            uid: 5,
            place: Place { netns: Some(4), ..Place::default() },
            gauges: Some(GaugeFigures { optmem_bytes: Some(8), ..GaugeFigures::default() }),
            alive: true,
            paths: vec![PathFigures::nothing(zcscope_common::Path::Copy)],
        };
        let written = rmp_serde::to_vec_named(&before).unwrap();
        let read: SocketFigures = rmp_serde::from_slice(&written).unwrap();
        assert_eq!((read.id, read.comm.as_str(), read.local, read.remote), (3, "curl", local, remote));
        assert_eq!((read.dev.as_deref(), read.place.netns, read.alive), (Some("eth0"), Some(4), true));
        assert_eq!((read.gauges.as_deref().copied(), &read.paths), (before.gauges, &before.paths));
        let again = rmp_serde::to_vec_named(&read).unwrap();
        assert_eq!(rmp_serde::from_slice::<SocketFigures>(&again).unwrap(), read);
        assert!(again.len() < written.len());
    }

    #[test]
    fn an_identity_is_shared_until_it_is_written_to() {
        let written = SocketFigures {
            identity: Arc::new(SocketIdentity {
                id: 1,
                cookie: None,
                pid: 7,
                comm: "curl".into(),
                local: ([127, 0, 0, 1], 1).into(),
                remote: ([127, 0, 0, 1], 2).into(),
                dev: None,
                uid: 0,
                place: Place::default(),
            }),
            gauges: None,
            alive: true,
            paths: Vec::new(),
        };
        let mut other = written.clone();
        assert!(Arc::ptr_eq(&written.identity, &other.identity));
        other.dev = Some("lo".into());
        assert_eq!((written.dev.as_deref(), other.dev.as_deref()), (None, Some("lo")));
    }
}
