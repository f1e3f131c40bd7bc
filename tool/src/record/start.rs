//! How a recording begins: eight bytes no text has, the version of the format, and what is recorded.

use serde::{Deserialize, Serialize};

use super::block::{pack, unpack};
use super::error::Error;

/// The first bytes; line ends and a high bit show when a transfer has changed them.
const MAGIC: [u8; 8] = [0x89, b'Z', b'C', b'R', b'\r', b'\n', 0x1a, b'\n'];
/// A reader of another major version cannot make sense of a file; a minor one only adds.
pub(super) const MAJOR: u16 = 1;
const MINOR: u16 = 0;
/// Magic, major, minor, length and checksum of what follows.
const FIXED: usize = 8 + 2 + 2 + 4 + 4;
/// As much as `About` may take; a damaged length must not make the reader look for gigabytes.
const MAX_ABOUT: usize = 1 << 20;

/// What is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// Version of zcscope that recorded.
    pub version: String,
    /// Drawn at random: files of one recording have the same.
    pub id: u64,
    /// Number of this file in its recording, from 0.
    pub part: u32,
    /// When tracing began, ns since 1970 (UTC).
    pub began_unix_ns: u64,
    /// Time between two frames asked for, ns.
    pub interval_ns: u64,
    /// The traced command with its arguments; empty when there was none.
    pub command: Vec<String>,
}

/// The first bytes of a file.
///
/// # Errors
/// [`Error::Encoding`].
pub(super) fn to_bytes(about: &About) -> Result<Vec<u8>, Error> {
    let packed = pack(about)?;
    let length =
        u32::try_from(packed.len()).map_err(|_| Error::Encoding("the command is too long".into()))?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend(MAJOR.to_le_bytes());
    bytes.extend(MINOR.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(crc32fast::hash(&packed).to_le_bytes());
    bytes.extend(packed);
    Ok(bytes)
}

/// The begin of a file, as far as it can be read.
pub(super) struct Start {
    /// `None` when it is damaged.
    pub(super) about: Option<About>,
    /// Where the first block begins; damaged: where to look for it.
    pub(super) end: u64,
}

/// What stands in the first bytes of a file called `name`, of which `bytes` has [`enough`].
///
/// # Errors
/// [`Error::NotARecording`], [`Error::Newer`], and [`Error::Empty`] when it was cut here.
pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Start, Error> {
    let whole = bytes.starts_with(&MAGIC);
    if !whole && (bytes.is_empty() || !MAGIC.starts_with(bytes)) {
        return Err(Error::NotARecording(name.into()));
    }
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED) else { return Err(Error::Empty(name.into())) };
    let half = |at: usize| u16::from_le_bytes([fixed[at], fixed[at + 1]]);
    let word = |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    if half(8) > MAJOR {
        return Err(Error::Newer(name.into(), half(8), MAJOR));
    }
    let packed = usize::try_from(word(12)).ok().and_then(|length| rest.get(..length));
    let about = packed.filter(|packed| crc32fast::hash(packed) == word(16));
    let about = about.and_then(|packed| Some((packed.len(), unpack(packed).ok()?)));
    let end = about.as_ref().map_or(0, |(length, _)| *length) + FIXED;
    Ok(Start { about: about.map(|(_, about)| about), end: end as u64 })
}

/// As many bytes as [`parse`] may need.
pub(super) const fn enough() -> u64 {
    (FIXED + MAX_ABOUT) as u64
}

/// True when a file that begins like this is a recording, of whatever version.
pub(super) fn is_recording(begin: &[u8]) -> bool {
    begin.starts_with(&MAGIC)
}
