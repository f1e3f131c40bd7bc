//! Samples in, state, snapshots out. Owns every definition of the ledger; knows no terminal, no eBPF, no clock.

mod account;
mod copies;
pub(crate) mod distributions;
mod files;
mod gauges;
mod groups;
pub(crate) mod hash;
mod known;
mod ledger;
mod places;
pub mod reason;
pub mod sample;
pub(crate) mod serial;
mod since;
pub mod snapshot;
mod socket_figures;
mod sockets;
pub mod sparse;
mod state;

pub use state::Model;
