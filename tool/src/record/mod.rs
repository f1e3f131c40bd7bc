//! Recordings: snapshots with a point of the timeline each, in compressed blocks, in a file or in memory. Any moment can
//! be shown again without what came before. docs/recording.md describes the format.

mod block;
mod error;
#[cfg(test)]
mod fixture;
mod frame;
mod memory;
#[cfg(test)]
mod memory_tests;
mod output;
mod part;
mod recorder;
#[cfg(test)]
mod recorder_tests;
mod recording;
mod start;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use memory::Memory;
pub use output::LEAST_BYTES;
pub use recorder::{Options, Recorder, Summary};
pub use recording::Recording;
pub use start::About;
