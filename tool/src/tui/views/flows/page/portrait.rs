//! What a snapshot knows of one socket or process.

use zcscope_common::{Hist, Path};

use super::Of;
use crate::host::facts::TcpFacts;
use crate::model::snapshot::{GaugeFigures, Limit, PathFigures, Place, Snapshot, SocketFigures};
use crate::tui::text;

/// See the module.
pub(super) struct Portrait<'a> {
    /// One line that names it.
    pub(super) title: String,
    /// The socket, unless it is a process.
    pub(super) socket: Option<&'a SocketFigures>,
    /// The sockets of the process, or the one.
    pub(super) sockets: Vec<&'a SocketFigures>,
    pub(super) pid: u32,
    pub(super) comm: &'a str,
    pub(super) place: &'a Place,
    pub(super) paths: &'a [PathFigures],
    pub(super) gauges: Option<GaugeFigures>,
    pub(super) memlock: Option<Limit>,
    pub(super) tcp: Option<&'a TcpFacts>,
}

impl<'a> Portrait<'a> {
    /// `None` when the snapshot does not know it.
    pub(super) fn of(snapshot: &'a Snapshot, of: Of) -> Option<Self> {
        match of {
            Of::Socket(id) => Self::of_socket(snapshot, id),
            Of::Process(pid) => Self::of_process(snapshot, pid),
        }
    }

    fn of_socket(snapshot: &'a Snapshot, id: u64) -> Option<Self> {
        let socket = snapshot.sockets.iter().find(|socket| socket.id == id)?;
        let process = snapshot.processes.iter().find(|process| process.pid == socket.pid);
        let address = |address| text::address(address, usize::MAX);
        let title = format!(
            "{} [{}] {} - {}",
            socket.comm,
            socket.pid,
            address(socket.local),
            address(socket.remote)
        );
        Some(Self {
            title: if socket.alive { title } else { title + " (ended)" },
            socket: Some(socket),
            sockets: vec![socket],
            pid: socket.pid,
            comm: &socket.comm,
            place: &socket.place,
            paths: &socket.paths,
            gauges: socket.gauges.as_deref().copied(),
            memlock: process.and_then(|process| process.memlock_limit),
            tcp: snapshot.host.sockets.get(&id),
        })
    }

    fn of_process(snapshot: &'a Snapshot, pid: u32) -> Option<Self> {
        let process = snapshot.processes.iter().find(|process| process.pid == pid)?;
        let sockets = snapshot.sockets.iter().map(std::convert::AsRef::as_ref);
        Some(Self {
            title: format!("process {} [{pid}]", process.comm),
            socket: None,
            sockets: sockets.filter(|socket| socket.pid == pid).collect(),
            pid,
            comm: &process.comm,
            place: &process.place,
            paths: &process.paths,
            gauges: process.gauges,
            memlock: process.memlock_limit,
            tcp: None,
        })
    }

    /// Devices of its routes, each once.
    pub(super) fn devices(&self) -> Vec<&'a str> {
        let mut devices: Vec<&str> = self.sockets.iter().filter_map(|socket| socket.dev.as_deref()).collect();
        devices.sort_unstable();
        devices.dedup();
        devices
    }

    /// How long buffers of a path were held; and whether that is of all its sockets that have releases.
    pub(super) fn releases(&self, path: Path) -> (Hist, bool) {
        let (mut merged, mut complete) = (Hist::default(), true);
        let figures = self.sockets.iter().flat_map(|socket| &socket.paths).filter(|p| p.path == path);
        for figures in figures {
            match figures.completions.as_deref().map(|ends| (ends.sends, &ends.release)) {
                Some((0, _)) => {}
                Some((_, Some(release))) => release.add_to(&mut merged),
                Some((_, None)) | None => complete = false,
            }
        }
        (merged, complete)
    }

    /// Its paths that have ends, in the order of their table.
    pub(super) fn ending(&self) -> impl Iterator<Item = &'a PathFigures> + use<'a> {
        self.paths.iter().filter(|p| p.path.has_completion())
    }
}
