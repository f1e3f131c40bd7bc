//! The files of a recording that is being written: blocks are appended whole, and a file that has become half as large
//! as allowed makes room for a new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::block::Header;
use super::error::Error;
use super::recording::older;
use super::start::{self, About};
use crate::host::owner;

/// Half of it must have room for the largest block.
pub const LEAST_BYTES: u64 = 4 << 20;

/// The file in use, and what is in it.
pub(super) struct Output {
    path: PathBuf,
    file: File,
    about: About,
    /// Bytes of the file in use; all of them whole blocks.
    size: u64,
    /// Bytes written to all files.
    pub(super) written: u64,
    max_bytes: u64,
    /// A device or a pipe: no turning over, and nothing to take back.
    regular: bool,
}

impl Output {
    /// Creates the file, or replaces a recording of this name.
    ///
    /// # Errors
    /// [`Error::InTheWay`] when something else has this name or that of the rotated file, [`Error::Writing`].
    pub(super) fn create(path: &Path, about: About, max_bytes: u64) -> Result<Self, Error> {
        refuse_others(path)?;
        refuse_others(&older(path))?;
        let regular = !fs::metadata(path).is_ok_and(|meta| !meta.is_file());
        let file = open(path, regular)?;
        let max_bytes = max_bytes.max(LEAST_BYTES);
        let mut output = Self { path: path.to_owned(), file, about, size: 0, written: 0, max_bytes, regular };
        output.begin()?;
        Ok(output)
    }

    /// Appends a block; a file that grew too large is turned over first.
    ///
    /// # Errors
    /// [`Error::Writing`]; what was written before stays as it is.
    pub(super) fn append(&mut self, block: &[u8], last_ns: u64, dropped: u64) -> Result<(), Error> {
        let full = self.size + block.len() as u64 > self.max_bytes / 2;
        if full && self.regular && self.about.part < u32::MAX && self.has_blocks()? {
            self.turn_over(last_ns, dropped)?;
        }
        self.write(block)
    }

    /// Closes the recording.
    ///
    /// # Errors
    /// [`Error::Writing`].
    pub(super) fn close(mut self, last_ns: u64, dropped: u64) -> Result<u64, Error> {
        self.write(&Header::end(last_ns, dropped).to_bytes())?;
        Ok(self.written)
    }

    /// True when the recording has more than one file.
    pub(super) fn is_rotated(&self) -> bool {
        self.about.part > 0
    }

    fn has_blocks(&self) -> Result<bool, Error> {
        Ok(self.size > start::to_bytes(&self.about)?.len() as u64)
    }

    fn turn_over(&mut self, last_ns: u64, dropped: u64) -> Result<(), Error> {
        self.write(&Header::end(last_ns, dropped).to_bytes())?;
        let old = older(&self.path);
        fs::rename(&self.path, &old).map_err(|error| writing(&old, error))?;
        self.file = open(&self.path, true)?;
        self.size = 0;
        self.about.part += 1;
        self.begin()
    }

    fn begin(&mut self) -> Result<(), Error> {
        let start = start::to_bytes(&self.about)?;
        self.write(&start)
    }

    /// Writes all of it or nothing.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Err(error) = self.file.write_all(bytes) {
            if self.regular {
                // What is there stays readable without this, too; only the reader would have to say why it ends.
                let _ = self.file.set_len(self.size);
            }
            return Err(writing(&self.path, error));
        }
        self.size += bytes.len() as u64;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

/// Only recordings are replaced.
fn refuse_others(path: &Path) -> Result<(), Error> {
    let Ok(meta) = fs::metadata(path) else { return Ok(()) };
    if !meta.is_file() {
        return if meta.is_dir() { Err(Error::InTheWay(path.display().to_string())) } else { Ok(()) };
    }
    let mut begin = Vec::new();
    let read = File::open(path).and_then(|file| file.take(start::enough()).read_to_end(&mut begin));
    read.map_err(|error| Error::Reading(path.display().to_string(), error))?;
    let ours = begin.is_empty() || start::is_recording(&begin);
    ours.then_some(()).ok_or_else(|| Error::InTheWay(path.display().to_string()))
}

/// A new file belongs to the user who called sudo; one that is replaced keeps its owner. Nothing is created through a link.
fn open(path: &Path, regular: bool) -> Result<File, Error> {
    let file = match regular.then(|| owner::create_new(path)) {
        Some(Err(error)) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Some(Ok(file)) => Ok(file),
        _ => OpenOptions::new().write(true).truncate(regular).open(path),
    };
    file.map_err(|error| writing(path, error))
}

fn writing(path: &Path, error: io::Error) -> Error {
    Error::Writing(path.display().to_string(), error)
}
