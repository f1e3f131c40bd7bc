//! Reads the table of devices whose DMA went through bounce buffers.

use std::os::fd::AsFd;

use anyhow::{Context, Result};
use aya::maps::MapData;
use zcscope_common::BounceEntry;

use super::raw::Batch;
use super::samples::text;
use crate::model::sample::BounceSample;

/// The table.
pub(super) struct Bounces {
    map: MapData,
    batch: Batch<u64, BounceEntry>,
}

impl Bounces {
    pub(super) fn new(map: MapData) -> Bounces {
        Bounces { map, batch: Batch::new() }
    }

    /// All devices that bounced anything.
    pub(super) fn read(&mut self) -> Result<Vec<BounceSample>> {
        self.batch.fill(self.map.fd().as_fd()).context("reading bounce buffers")?;
        let sample = |e: &BounceEntry| BounceSample { device: text(&e.name), count: e.count, bytes: e.bytes };
        Ok(self.batch.iter().map(|(_, entry)| sample(entry)).collect())
    }
}
