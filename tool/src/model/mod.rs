//! Samples in, state, snapshots out. Owns every definition of the ledger; knows no terminal, no eBPF, no clock.

pub mod reason;
pub mod sample;
pub mod snapshot;
pub mod state;

pub use state::Model;
