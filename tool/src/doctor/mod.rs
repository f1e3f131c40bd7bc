//! What zero-copy can do on this host and on a route, before anything is sent: pure predictions over facts, and how
//! they compare with what was then observed. The facts are the document itself, so a prediction can be made again
//! from its JSON.

pub mod document;
pub mod observe;
pub mod receive;
pub mod send;

mod ids;
mod rules;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use document::{Document, Route};

/// Fills in what follows from the facts of the document: the predictions of every route.
pub fn predict(document: &mut Document) {
    let mut routes = std::mem::take(&mut document.routes);
    for route in &mut routes {
        if route.why_not.is_none() {
            (route.send, route.receive) = predictions(document, route);
        }
    }
    document.routes = routes;
}

fn predictions(document: &Document, route: &Route) -> (Vec<document::Prediction>, Vec<document::Prediction>) {
    let ground = rules::Ground { document, route };
    (send::predictions(&ground), receive::predictions(&ground))
}
