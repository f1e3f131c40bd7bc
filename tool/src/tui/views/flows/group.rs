//! Which sockets pass the filter, in groups. Pure; its result is kept until the data or the question changes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use zcscope_common::Path;

use super::subject::Member;
use crate::model::snapshot::SocketFigures;
use crate::query::Query;
use crate::units::UNKNOWN;

/// What rows are put together by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Grouping {
    #[default]
    Sockets,
    Processes,
    Containers,
    Hosts,
    Devices,
    Paths,
}

impl Grouping {
    /// In the order of the key.
    pub(super) const ALL: [Grouping; 6] = [
        Grouping::Sockets,
        Grouping::Processes,
        Grouping::Containers,
        Grouping::Hosts,
        Grouping::Devices,
        Grouping::Paths,
    ];

    pub(super) const fn next(self) -> Self {
        Self::ALL[(self as usize + 1) % Self::ALL.len()]
    }

    /// The title of the panel.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Grouping::Sockets => "Flows",
            Grouping::Processes => "Flows by process",
            Grouping::Containers => "Flows by container or cgroup",
            Grouping::Hosts => "Flows by remote host",
            Grouping::Devices => "Flows by device",
            Grouping::Paths => "Flows by path",
        }
    }
}

/// Who a group is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key {
    /// The one group of what is not grouped.
    All,
    Process(u32),
    Name(Arc<str>),
    Host(IpAddr),
    Path(Path),
    /// Its sockets do not say.
    Unknown,
}

/// The same while it is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum KeyRef<'a> {
    All,
    Process(u32),
    Name(&'a str),
    Host(IpAddr),
    Path(u8),
    Unknown,
}

impl KeyRef<'_> {
    fn keep(self) -> Key {
        match self {
            KeyRef::All => Key::All,
            KeyRef::Process(pid) => Key::Process(pid),
            KeyRef::Name(name) => Key::Name(name.into()),
            KeyRef::Host(host) => Key::Host(host),
            KeyRef::Path(path) => Path::from_u8(path).map_or(Key::Unknown, Key::Path),
            KeyRef::Unknown => Key::Unknown,
        }
    }
}

/// Sockets that belong together.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) key: Key,
    pub(super) members: Vec<Member>,
}

/// What passes the filter.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    pub(super) grouping: Grouping,
    pub(super) groups: Vec<Group>,
    /// Sockets that pass.
    pub(super) sockets: usize,
}

impl Listing {
    pub(super) fn build(sockets: &[Arc<SocketFigures>], query: &Query, grouping: Grouping) -> Self {
        let mut listing = Self { grouping, groups: Vec::new(), sockets: 0 };
        let mut index = HashMap::new();
        for (at, socket) in sockets.iter().enumerate().filter(|(_, socket)| query.matches(socket)) {
            listing.sockets += 1;
            let at = at as u32;
            if grouping == Grouping::Paths {
                for figures in &socket.paths {
                    let member = Member { socket: at, path: Some(figures.path) };
                    listing.put(&mut index, KeyRef::Path(figures.path as u8), member);
                }
            } else {
                listing.put(&mut index, key(socket, grouping), Member { socket: at, path: None });
            }
        }
        listing
    }

    fn put<'a>(&mut self, index: &mut HashMap<KeyRef<'a>, usize>, key: KeyRef<'a>, member: Member) {
        let at = *index.entry(key).or_insert_with(|| {
            self.groups.push(Group { key: key.keep(), members: Vec::new() });
            self.groups.len() - 1
        });
        self.groups[at].members.push(member);
    }
}

fn key(socket: &SocketFigures, grouping: Grouping) -> KeyRef<'_> {
    match grouping {
        Grouping::Sockets | Grouping::Paths => KeyRef::All,
        Grouping::Processes => KeyRef::Process(socket.pid),
        Grouping::Containers => match (&socket.place.container, &socket.place.cgroup) {
            (Some(name), _) | (None, Some(name)) => KeyRef::Name(name),
            (None, None) => KeyRef::Unknown,
        },
        Grouping::Hosts => KeyRef::Host(socket.remote.ip().to_canonical()),
        Grouping::Devices => socket.dev.as_deref().map_or(KeyRef::Unknown, KeyRef::Name),
    }
}

impl Group {
    /// Its name on screen.
    pub(super) fn label(&self, sockets: &[Arc<SocketFigures>]) -> String {
        match &self.key {
            Key::All => "all".into(),
            Key::Unknown => UNKNOWN.into(),
            Key::Name(name) => name.to_string(),
            Key::Host(host) => host.to_string(),
            Key::Path(path) => path.name().into(),
            Key::Process(pid) => {
                let first = self.members.first().and_then(|m| sockets.get(m.socket as usize));
                format!("{} [{pid}]", first.map_or("", |socket| socket.comm.as_str()))
            }
        }
    }
}
