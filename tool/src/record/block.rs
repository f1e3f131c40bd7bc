//! A block: some seconds of frames, and a point for each. Points and frames are compressed apart, so that opening a
//! recording reads points only. A header of fixed size says how long both are, from when to when they reach, and holds
//! checksums of everything.

use std::io::{Read as _, Write as _};

use serde::{Serialize, de::DeserializeOwned};

use super::error::Error;
use super::frame::{Decoder, Encoder};
use crate::model::snapshot::Snapshot;
use crate::timeline::Point;

/// How a block begins: found again after damage.
pub(super) const MARK: [u8; 4] = [0xf5, b'Z', b'C', 0xb1];
/// Bytes of a header of this version; a newer one may be longer, and says so.
pub(super) const HEADER: usize = 64;
/// Speed matters more than size: twice the level saves little.
const LEVEL: i32 = 3;
/// No block of ours comes near; a header that says more is damaged, or made to harm.
const MAX_RAW: u64 = 1 << 30;

/// A block is closed when it is as long as this, ns,
const SPAN_NS: u64 = 5_000_000_000;
/// or as large as this, compressed,
const MAX_BYTES: usize = 1 << 20;
/// or takes as much as this to read.
const MAX_RAW_BYTES: usize = 32 << 20;
/// The room for a frame that is kept from one to the next, bytes.
const MAX_KEPT: usize = 64 << 10;

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Frames with their points.
    Frames,
    /// The end of a recording that was closed.
    End,
    /// Of a newer version: passed over.
    Other,
}

/// The header of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Bytes of the header itself.
    pub(super) header_len: u16,
    /// Bytes of the points, compressed, and their checksum.
    pub(super) points_len: u32,
    pub(super) points_crc: u32,
    /// The same of the frames.
    pub(super) frames_len: u32,
    pub(super) frames_crc: u32,
    /// Frames.
    pub(super) count: u32,
    /// Time of the first and the last frame, ns since tracing began.
    pub(super) first_ns: u64,
    pub(super) last_ns: u64,
    /// Frames left out since the recording began, because the writer could not follow.
    pub(super) dropped: u64,
}

impl Header {
    /// As it stands in the file: little endian, the checksum last.
    pub(super) fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        put(&MARK);
        put(&[if self.kind == Kind::End { 2 } else { 1 }, 0]);
        put(&self.header_len.to_le_bytes());
        for n in [self.points_len, self.points_crc, self.frames_len, self.frames_crc, self.count, 0] {
            put(&n.to_le_bytes());
        }
        for n in [self.first_ns, self.last_ns, self.dropped] {
            put(&n.to_le_bytes());
        }
        put(&[0; 4]);
        let crc = crc32fast::hash(&bytes[..HEADER - 4]);
        bytes[HEADER - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Bytes of the header that begins here, by its own word; `None` when none begins here.
    pub(super) fn length(begin: &[u8]) -> Option<usize> {
        let length = usize::from(u16::from_le_bytes(begin.get(6..8)?.try_into().ok()?));
        (begin.starts_with(&MARK) && length >= HEADER).then_some(length)
    }

    /// The header in exactly these bytes; `None` when they are none.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let length = Self::length(bytes)?;
        let (content, crc) = bytes.get(..length)?.split_at(length - 4);
        if crc32fast::hash(content).to_le_bytes() != *crc {
            return None;
        }
        let u32_at = |at: usize| Some(u32::from_le_bytes(content.get(at..at + 4)?.try_into().ok()?));
        let u64_at = |at: usize| Some(u64::from_le_bytes(content.get(at..at + 8)?.try_into().ok()?));
        Some(Self {
            kind: match content[4] {
                1 => Kind::Frames,
                2 => Kind::End,
                _ => Kind::Other,
            },
            header_len: u16::try_from(length).ok()?,
            points_len: u32_at(8)?,
            points_crc: u32_at(12)?,
            frames_len: u32_at(16)?,
            frames_crc: u32_at(20)?,
            count: u32_at(24)?,
            first_ns: u64_at(32)?,
            last_ns: u64_at(40)?,
            dropped: u64_at(48)?,
        })
    }

    /// Bytes after the header.
    pub(super) fn body_len(&self) -> u64 {
        u64::from(self.points_len) + u64::from(self.frames_len)
    }

    /// The mark of a closed recording.
    pub(super) fn end(at_ns: u64, dropped: u64) -> Self {
        Self {
            kind: Kind::End,
            header_len: HEADER as u16,
            points_len: 0,
            points_crc: 0,
            frames_len: 0,
            frames_crc: 0,
            count: 0,
            first_ns: at_ns,
            last_ns: at_ns,
            dropped,
        }
    }
}

/// A block that is being filled. Frames are compressed as they come, one after another, so that what repeats costs
/// little.
pub(super) struct Builder {
    encoder: Encoder,
    frames: zstd::stream::write::Encoder<'static, Vec<u8>>,
    points: Vec<Point>,
    /// Bytes of a frame; kept for the next one, unless it is large.
    frame: Vec<u8>,
    /// Bytes before compression: of the first frame, of all.
    lengths: (usize, usize),
}

impl Builder {
    /// An empty one.
    ///
    /// # Errors
    /// Out of memory.
    pub(super) fn new() -> Result<Self, Error> {
        let frames = zstd::stream::write::Encoder::new(Vec::new(), LEVEL).map_err(encoding)?;
        Ok(Self {
            encoder: Encoder::default(),
            frames,
            points: Vec::new(),
            frame: Vec::new(),
            lengths: (0, 0),
        })
    }

    /// Adds a snapshot and what moved since the one before.
    ///
    /// # Errors
    /// [`Error::Encoding`].
    pub(super) fn push(&mut self, snapshot: &Snapshot, point: Point) -> Result<(), Error> {
        self.frame.clear();
        self.encoder.encode(snapshot, &mut self.frame)?;
        let length =
            u32::try_from(self.frame.len()).map_err(|_| Error::Encoding("it is too large".into()))?;
        self.frames.write_all(&length.to_le_bytes()).map_err(encoding)?;
        self.frames.write_all(&self.frame).map_err(encoding)?;
        self.lengths.0 = if self.points.is_empty() { self.frame.len() } else { self.lengths.0 };
        self.lengths.1 += self.frame.len();
        self.frame.shrink_to(MAX_KEPT);
        self.points.push(point);
        Ok(())
    }

    /// Time of the last frame.
    pub(super) fn last_ns(&self) -> Option<u64> {
        self.points.last().map(|point| point.at_ns)
    }

    /// Times of its frames, ns.
    pub(super) fn times_ns(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.points.iter().map(|point| point.at_ns)
    }

    /// Number of its frames.
    pub(super) fn len(&self) -> usize {
        self.points.len()
    }

    /// Their bytes before compression.
    pub(super) fn raw_bytes(&self) -> usize {
        self.lengths.1
    }

    /// The same without the first one, which holds all there is: what the others have that is new.
    pub(super) fn raw_bytes_of_news(&self) -> usize {
        self.lengths.1 - self.lengths.0
    }

    /// The snapshots in it; it can be filled further.
    ///
    /// # Errors
    /// [`Error::Encoding`], [`Error::Decoding`].
    pub(super) fn so_far(&mut self) -> Result<Vec<Snapshot>, Error> {
        self.frames.flush().map_err(encoding)?;
        let (snapshots, trouble) = read_frames(&decompress(self.frames.get_ref(), Whole::No)?);
        trouble.map_or(Ok(snapshots), Err)
    }

    /// True when it should be closed.
    pub(super) fn is_full(&self) -> bool {
        let span =
            self.points.first().zip(self.points.last()).map_or(0, |(a, b)| b.at_ns.saturating_sub(a.at_ns));
        span >= SPAN_NS || self.frames.get_ref().len() >= MAX_BYTES || self.raw_bytes() >= MAX_RAW_BYTES
    }

    /// The whole block: header, points, frames.
    ///
    /// # Errors
    /// [`Error::Encoding`].
    pub(super) fn finish(self, dropped: u64) -> Result<Vec<u8>, Error> {
        let points = pack(&self.points)?;
        let (first_ns, last_ns) = (self.times_ns().next(), self.times_ns().next_back());
        let frames = self.frames.finish().map_err(encoding)?;
        let length = |part: &[u8]| u32::try_from(part.len()).map_err(|_| Error::Encoding("too large".into()));
        let header = Header {
            kind: Kind::Frames,
            header_len: HEADER as u16,
            points_len: length(&points)?,
            points_crc: crc32fast::hash(&points),
            frames_len: length(&frames)?,
            frames_crc: crc32fast::hash(&frames),
            count: u32::try_from(self.points.len()).unwrap_or(u32::MAX),
            first_ns: first_ns.unwrap_or(0),
            last_ns: last_ns.unwrap_or(0),
            dropped,
        };
        let mut block = header.to_bytes().to_vec();
        block.extend_from_slice(&points);
        block.extend_from_slice(&frames);
        Ok(block)
    }
}

/// The points of a block, from its compressed part.
///
/// # Errors
/// [`Error::Damaged`], [`Error::Decoding`].
pub(super) fn points(header: &Header, bytes: &[u8]) -> Result<Vec<Point>, Error> {
    check(bytes, header.points_len, header.points_crc)?;
    let points: Vec<Point> = unpack(bytes)?;
    let right = points.len() == header.count as usize && points.is_sorted_by_key(|point| point.at_ns);
    right.then_some(points).ok_or(Error::Damaged("its points are not those of its frames"))
}

/// The snapshots of a block, from its compressed part, and why the rest of them could not be read.
///
/// # Errors
/// [`Error::Damaged`] when these are not the bytes that were written.
pub(super) fn frames(header: &Header, bytes: &[u8]) -> Result<(Vec<Snapshot>, Option<Error>), Error> {
    check(bytes, header.frames_len, header.frames_crc)?;
    Ok(read_frames(&decompress(bytes, Whole::Yes)?))
}

/// Frame after frame, and why the rest of them could not be read.
fn read_frames(raw: &[u8]) -> (Vec<Snapshot>, Option<Error>) {
    let (mut decoder, mut rest, mut snapshots) = (Decoder::default(), raw, Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let Some((frame, after)) = after.split_at_checked(length) else {
            return (snapshots, Some(Error::Damaged("its last frame is not whole")));
        };
        match decoder.decode(frame) {
            Ok(snapshot) => snapshots.push(snapshot),
            // The frames after it may build on it.
            Err(error) => return (snapshots, Some(error)),
        }
        rest = after;
    }
    (snapshots, None)
}

fn check(bytes: &[u8], length: u32, crc: u32) -> Result<(), Error> {
    let right = bytes.len() == length as usize && crc32fast::hash(bytes) == crc;
    right.then_some(()).ok_or(Error::Damaged("its checksum does not match"))
}

/// Anything as compressed MessagePack with names.
pub(super) fn pack<T: Serialize>(what: &T) -> Result<Vec<u8>, Error> {
    let plain = rmp_serde::to_vec_named(what).map_err(|error| Error::Encoding(error.to_string()))?;
    zstd::encode_all(plain.as_slice(), LEVEL).map_err(encoding)
}

/// The other way.
pub(super) fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    rmp_serde::from_slice(&decompress(bytes, Whole::Yes)?).map_err(|error| Error::Decoding(error.to_string()))
}

/// Whether a compressed stream must have come to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    No,
}

fn decompress(bytes: &[u8], whole: Whole) -> Result<Vec<u8>, Error> {
    let decoding = |error: std::io::Error| Error::Decoding(error.to_string());
    let mut plain = Vec::new();
    let stream = zstd::stream::read::Decoder::new(bytes).map_err(decoding)?;
    match stream.take(MAX_RAW).read_to_end(&mut plain) {
        Err(error) if whole == Whole::No && error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(plain),
        read => read.map(|_| plain).map_err(decoding),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "used as a function of map_err")]
fn encoding(error: std::io::Error) -> Error {
    Error::Encoding(error.to_string())
}
