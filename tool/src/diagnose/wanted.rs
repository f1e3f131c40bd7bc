//! Which connections' facts the rules would look at: those that ask for no copy first, then those that move most.

use std::cmp::Reverse;

use zcscope_common::Path;

use super::requested;
use crate::host::facts::Wanted;
use crate::model::snapshot::{PathFigures, Snapshot, SocketFigures};

/// Connections asked about at most: each costs a question to the kernel.
const MOST: usize = 32;

/// The connections whose facts [`super::findings`] can use.
#[must_use]
pub fn wanted(snapshot: &Snapshot) -> Vec<Wanted> {
    let moved = |socket: &SocketFigures| {
        let counts = |path: Path| !path.receives() || path == Path::RecvZerocopy;
        let paths = socket.paths.iter().filter(|path| counts(path.path));
        // Who is refused moves nothing, and is the one to be helped.
        let refused = |path: &PathFigures| path.refused.iter().map(|(_, n)| *n).sum::<u64>();
        paths.fold((0, 0), |(asked, all), path| {
            (asked + requested(path) + refused(path), all + path.bytes + refused(path))
        })
    };
    let mut sockets: Vec<_> = snapshot
        .sockets
        .iter()
        .map(|socket| (moved(socket), socket))
        .filter(|((_, all), _)| *all > 0)
        .collect();
    sockets.sort_by_key(|((asked, all), socket)| (Reverse(*asked), Reverse(*all), socket.id));
    let wanted = sockets.into_iter().filter_map(|(_, socket)| {
        Some(Wanted {
            id: socket.id,
            cookie: socket.cookie,
            pid: socket.pid,
            netns: socket.place.netns?,
            local: socket.local,
            remote: socket.remote,
            dev: socket.dev.clone(),
        })
    });
    wanted.take(MOST).collect()
}
