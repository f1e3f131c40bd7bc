//! The arithmetic of `zcscope matrix`: which cells to run in which order, medians with intervals, what may be called
//! zero-copy, where it begins to pay, and what changed between two results. Pure: no clock, no terminal, no kernel.
//!
//! The statistics, in short. A cell (path, size, streams, depth) is run several times, interleaved with all others.
//! Its figure is the median, with a bootstrap interval of 95 %. Two cells differ when their intervals do not overlap;
//! with five runs each that happens to equal cells about once in a hundred comparisons. Fewer than
//! [`stats::MIN_REPETITIONS`] runs have no interval, and so no verdict.

pub mod breakeven;
pub mod diff;
pub mod document;
pub mod knobs;
pub mod measure;
pub mod plan;
pub mod random;
pub mod result;
pub mod sizes;
pub mod stats;
pub mod verdict;

#[cfg(test)]
pub(crate) mod fixture;
