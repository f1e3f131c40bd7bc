//! One file of a recording: where its blocks are, and what is wrong with it.

use std::io::{self, Read, Seek, SeekFrom};

use super::block::{self, HEADER, Header, Kind, MARK};
use super::error::Error;
use super::start::{self, About};
use crate::model::snapshot::Snapshot;
use crate::timeline::Timeline;
use crate::units::{bytes, clock};

/// Anything recorded bytes can be read from.
pub(super) trait Bytes: Read + Seek + Send {}
impl<T: Read + Seek + Send> Bytes for T {}

/// Bytes looked at together in search of the next block.
const WINDOW: usize = 64 << 10;

/// One file.
pub(super) struct Part {
    source: Box<dyn Bytes>,
    size: u64,
    pub(super) about: About,
    pub(super) blocks: Vec<Block>,
    /// What moved between its frames, however long it is in no more points than a timeline keeps.
    pub(super) timeline: Timeline,
    /// Frames its writer left out.
    pub(super) dropped: u64,
    /// True when it ends as a closed recording does.
    pub(super) closed: bool,
    /// What is wrong with it, a sentence each.
    pub(super) notes: Vec<String>,
}

/// A block whose header and points are good.
pub(super) struct Block {
    header: Header,
    at: u64,
    /// Times of its frames.
    pub(super) times: Vec<u64>,
}

impl Part {
    /// Reads headers and points of a file called `name`.
    ///
    /// # Errors
    /// [`Error::Reading`], and those of a file that is none of ours.
    pub(super) fn open(name: &str, mut source: Box<dyn Bytes>) -> Result<Self, Error> {
        let reading = |error| Error::Reading(name.into(), error);
        let size = source.seek(SeekFrom::End(0)).map_err(reading)?;
        let begin = read_at(&mut *source, 0, size.min(start::enough())).map_err(reading)?;
        let start = start::parse(name, &begin)?;
        let (mut notes, damaged_begin) = (Vec::new(), start.about.is_none());
        let about = start.about.unwrap_or_else(|| {
            notes.push("the begin of the file is damaged: what was traced, and when, is not known".into());
            About::default()
        });
        let (blocks, timeline) = (Vec::new(), Timeline::new(u64::MAX));
        let mut part = Self { source, size, about, blocks, timeline, dropped: 0, closed: false, notes };
        let first = match damaged_begin {
            true => part.next_mark(start.end).map_err(reading)?.unwrap_or(size),
            false => start.end,
        };
        part.scan(first).map_err(reading)?;
        Ok(part)
    }

    fn scan(&mut self, mut at: u64) -> io::Result<()> {
        while at < self.size {
            at = match self.block(at)? {
                Found::Whole(next) => next,
                Found::Cut => {
                    let known = self.blocks.last().map_or(0, |block| block.header.last_ns);
                    self.notes.push(format!(
                        "the file was cut in a block that begins at byte {at}: what came after {} is missing",
                        clock(known)
                    ));
                    return Ok(());
                }
                Found::None => match self.next_mark(at + 1)? {
                    Some(next) => {
                        self.notes
                            .push(format!("{} from byte {at} on are damaged and left out", bytes(next - at)));
                        next
                    }
                    None => {
                        let rest = bytes(self.size - at);
                        self.notes.push(format!("the last {rest}, from byte {at} on, are cut or damaged"));
                        return Ok(());
                    }
                },
            };
        }
        if !self.closed {
            self.notes.push(
                "the recording was not closed: zcscope was killed, or the file was cut; the last seconds are missing"
                    .into(),
            );
        }
        Ok(())
    }

    /// Takes in the block that begins at `at`.
    fn block(&mut self, at: u64) -> io::Result<Found> {
        let begin = read_at(&mut *self.source, at, (HEADER as u64).min(self.size - at))?;
        let Some(length) = Header::length(&begin) else { return Ok(Found::None) };
        let bytes = if length > HEADER { read_at(&mut *self.source, at, length as u64)? } else { begin };
        let Some(header) = Header::parse(&bytes) else { return Ok(Found::None) };
        let body = at + u64::from(header.header_len);
        let next = body + header.body_len();
        if next > self.size {
            return Ok(Found::Cut);
        }
        self.dropped = self.dropped.max(header.dropped);
        match header.kind {
            Kind::End => self.closed = true,
            Kind::Frames => {
                let packed = read_at(&mut *self.source, body, u64::from(header.points_len))?;
                match block::points(&header, &packed) {
                    Ok(points) => {
                        let times = points.iter().map(|point| point.at_ns).collect();
                        self.blocks.push(Block { header, at, times });
                        points.into_iter().for_each(|point| self.timeline.push(point));
                    }
                    Err(error) => self.notes.push(damaged(&header, at, &error)),
                }
            }
            Kind::Other => {}
        }
        Ok(Found::Whole(next))
    }

    /// The next good header from `from` on.
    fn next_mark(&mut self, from: u64) -> io::Result<Option<u64>> {
        let mut at = from;
        while at < self.size {
            let window = read_at(&mut *self.source, at, (WINDOW as u64).min(self.size - at))?;
            for found in window.windows(MARK.len()).enumerate().filter(|(_, bytes)| **bytes == MARK) {
                let found = at + found.0 as u64;
                let header = read_at(&mut *self.source, found, (HEADER as u64).min(self.size - found))?;
                let header = match Header::length(&header) {
                    Some(length) if length > HEADER => read_at(&mut *self.source, found, length as u64)?,
                    _ => header,
                };
                if Header::parse(&header).is_some() {
                    return Ok(Some(found));
                }
            }
            // A mark may lie across the border of two windows.
            at += (window.len() as u64).saturating_sub(MARK.len() as u64 - 1).max(1);
        }
        Ok(None)
    }

    /// The snapshots of a block; what could not be read of it is noted.
    pub(super) fn snapshots(&mut self, index: usize) -> Vec<Snapshot> {
        let Some(block) = self.blocks.get(index) else { return Vec::new() };
        let header = block.header;
        let at = block.at;
        let body = at + u64::from(header.header_len) + u64::from(header.points_len);
        let packed = read_at(&mut *self.source, body, u64::from(header.frames_len));
        let read = packed
            .map_err(|error| error.to_string())
            .and_then(|packed| block::frames(&header, &packed).map_err(|error| error.to_string()));
        let (snapshots, trouble) = match read {
            Ok((snapshots, rest)) => (snapshots, rest.map(|error| error.to_string())),
            Err(error) => (Vec::new(), Some(error)),
        };
        if let Some(error) = trouble {
            let note = damaged(&header, at, &error);
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        snapshots
    }
}

/// What stands at a place.
enum Found {
    /// A block that was taken in; the next one begins here.
    Whole(u64),
    /// A block that ends after the end of the file.
    Cut,
    /// No block.
    None,
}

fn damaged(header: &Header, at: u64, why: &dyn std::fmt::Display) -> String {
    format!(
        "the block at byte {at}, from {} to {}, is left out: {why}",
        clock(header.first_ns),
        clock(header.last_ns)
    )
}

/// Up to `length` bytes from `at` on; fewer at the end.
fn read_at(source: &mut dyn Bytes, at: u64, length: u64) -> io::Result<Vec<u8>> {
    source.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    source.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}
