//! Finding a row by its words: names, addresses, devices, paths and reasons; figures are asked for by the filter.

use std::net::SocketAddr;

use super::order::{Place, Rows};
use super::state::State;
use super::subject::Subject;
use crate::tui::find::{Found, Wanted};
use crate::tui::shown::Shown;

/// Puts the cursor on the row.
pub(super) fn find(state: &mut State, shown: &Shown, wanted: &Wanted) -> Option<Found> {
    let listing = state.listing(shown);
    let rows = state.rows(shown, &listing);
    let places = rows.window(0, rows.len());
    let found =
        wanted.among(places.len(), state.row(&rows), |row| says(state, &rows, places[*row], wanted))?;
    state.stand(&rows, found.row);
    Some(found)
}

/// A closed group says what its members say.
fn says(state: &State, rows: &Rows<'_>, place: Place, wanted: &Wanted) -> bool {
    let subject = rows.subject(place);
    match place {
        Place::Member(..) => has(&subject, wanted),
        Place::Group(at) => {
            let (label, key) = rows.label(at);
            wanted.is_in([label.as_str()]) || (!state.is_open(key) && has(&subject, wanted))
        }
    }
}

fn has(subject: &Subject<'_>, wanted: &Wanted) -> bool {
    let address = |of: SocketAddr| SocketAddr::new(of.ip().to_canonical(), of.port()).to_string();
    let of_socket = |socket: &crate::model::snapshot::SocketFigures| {
        let dev = socket.dev.as_deref().unwrap_or_default();
        wanted.is_in([&*socket.comm, dev, &socket.pid.to_string()])
            || wanted.is_in([&*address(socket.local), &*address(socket.remote)])
    };
    let paths = || subject.all_paths();
    subject.sockets().any(of_socket)
        || wanted.is_in(paths().map(|of| of.path.name()))
        || wanted.is_in(paths().flat_map(|of| &of.copies).map(|copy| copy.kind.reason.name()))
}
