//! A recording, read: any moment of it, in any order. Opening reads the points of all blocks into one bounded timeline;
//! frames are read when they are asked for. What is damaged is left out and said.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::{Path, PathBuf};

use super::error::Error;
use super::part::{Bytes, Part};
use super::start::About;
use crate::model::snapshot::Snapshot;
use crate::timeline::Timeline;

/// A recording: one file, or two when it was rotated.
pub struct Recording {
    parts: Vec<Part>,
    /// What moved between the frames, until it is taken.
    timeline: Timeline,
    /// Per frame, its time.
    times: Vec<u64>,
    /// Per frame, where it is: part, block, number in the block.
    frames: Vec<(usize, usize, usize)>,
    /// The block read last.
    held: Option<((usize, usize), Vec<Snapshot>)>,
}

impl Recording {
    /// Opens a file, and the older one beside it (`FILE.1`) when both are parts of one recording.
    ///
    /// # Errors
    /// It cannot be read, is no recording, is of a newer format, or has not one whole block.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let part = |path: &Path| {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|error| Error::Reading(name.clone(), error))?;
            Part::open(&name, Box::new(BufReader::new(file)))
        };
        let newest = part(path)?;
        let older = if newest.about.part == 0 { None } else { part(&older(path)).ok() };
        let fits =
            |older: &Part| older.about.id == newest.about.id && older.about.part + 1 == newest.about.part;
        let parts: Vec<Part> = older.filter(fits).into_iter().chain([newest]).collect();
        Self::of(&path.display().to_string(), parts)
    }

    /// Reads a recording from memory; `name` is what messages call it.
    ///
    /// # Errors
    /// As [`Recording::open`].
    pub fn from_bytes(name: &str, bytes: impl AsRef<[u8]> + Send + 'static) -> Result<Self, Error> {
        let source: Box<dyn Bytes> = Box::new(Cursor::new(bytes));
        Self::of(name, vec![Part::open(name, source)?])
    }

    fn of(name: &str, mut parts: Vec<Part>) -> Result<Self, Error> {
        let (mut times, mut frames, mut timeline) = (Vec::new(), Vec::new(), Timeline::default());
        for (p, part) in parts.iter_mut().enumerate() {
            for (b, block) in part.blocks.iter_mut().enumerate() {
                let read = std::mem::take(&mut block.times);
                frames.extend((0..read.len()).map(|n| (p, b, n)));
                times.extend(read);
            }
            let read = std::mem::take(&mut part.timeline);
            if p == 0 {
                timeline = read;
            } else {
                read.into_points().for_each(|point| timeline.push(point));
            }
        }
        if times.is_empty() || !times.is_sorted() {
            return Err(Error::Empty(name.into()));
        }
        Ok(Self { parts, timeline, times, frames, held: None })
    }

    /// What is recorded.
    #[must_use]
    pub fn about(&self) -> &About {
        // There is at least one part, or there would be no point.
        &self.parts[self.parts.len() - 1].about
    }

    /// What moved between the frames. A long recording has fewer points than frames: its memory is bounded.
    #[must_use]
    pub const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The same, to keep; frames can be read without it.
    #[must_use]
    pub fn take_timeline(&mut self) -> Timeline {
        std::mem::take(&mut self.timeline)
    }

    /// Times of all frames, ns since tracing began, oldest first.
    #[must_use]
    pub fn times_ns(&self) -> &[u64] {
        &self.times
    }

    /// What is wrong with the recording, a sentence each; grows when damaged frames are met.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let notes = self.parts.iter().flat_map(|part| part.notes.iter().cloned());
        let dropped = self.parts.iter().map(|part| part.dropped).max().filter(|dropped| *dropped > 0);
        let dropped = dropped.map(|n| format!("{n} frames are missing: writing could not follow"));
        let first = self.parts.first().filter(|part| part.about.part > 0);
        let first = first.map(|_| "the begin was given up to keep within the size asked for".to_owned());
        first.into_iter().chain(notes).chain(dropped).collect()
    }

    /// Times of the oldest and the newest frame, ns since tracing began.
    #[must_use]
    pub fn range_ns(&self) -> Option<(u64, u64)> {
        Some((*self.times.first()?, *self.times.last()?))
    }

    /// Time of the first frame after `ns`.
    #[must_use]
    pub fn after(&self, ns: u64) -> Option<u64> {
        self.times.get(self.times.partition_point(|at| *at <= ns)).copied()
    }

    /// Time of the last frame before `ns`.
    #[must_use]
    pub fn before(&self, ns: u64) -> Option<u64> {
        let behind = self.times.partition_point(|at| *at < ns);
        self.times.get(behind.checked_sub(1)?).copied()
    }

    /// The newest snapshot at or before `ns` that can be read; its own time says which one it is.
    #[must_use]
    pub fn at(&mut self, ns: u64) -> Option<Snapshot> {
        let behind = self.times.partition_point(|at| *at <= ns);
        let (mut part, mut block, mut number) = *self.frames.get(behind.checked_sub(1)?)?;
        loop {
            let held = self.block(part, block);
            if let Some(last) = held.len().checked_sub(1) {
                return held.get(number.min(last)).cloned();
            }
            // The block is damaged: the last frame before it.
            let first = self.frames.partition_point(|frame| *frame < (part, block, 0));
            (part, block, number) = *self.frames.get(first.checked_sub(1)?)?;
        }
    }

    fn block(&mut self, part: usize, block: usize) -> &[Snapshot] {
        if self.held.as_ref().is_none_or(|(of, _)| *of != (part, block)) {
            let snapshots = self.parts.get_mut(part).map_or_else(Vec::new, |part| part.snapshots(block));
            self.held = Some(((part, block), snapshots));
        }
        self.held.as_ref().map_or(&[], |(_, snapshots)| snapshots)
    }
}

/// Where the older half of a rotated recording is.
pub(super) fn older(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".1");
    name.into()
}
