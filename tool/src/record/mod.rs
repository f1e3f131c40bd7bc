//! Recordings: snapshots with a point of the timeline each, in compressed blocks, in a file or in memory. Any moment can
//! be shown again without what came before. docs/recording.md describes the format.

mod block;
mod error;
mod frame;
mod memory;
mod output;
mod part;
mod recorder;
mod recording;
mod start;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use memory::Memory;
pub use recorder::{Options, Recorder, Summary};
pub use recording::Recording;
pub use start::About;
