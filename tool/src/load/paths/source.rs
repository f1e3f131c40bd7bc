//! The file that file paths send: a memory file, or one in the page cache of a directory asked for; it has no name and
//! is gone when the run is over.
//!
//! It is as long as the working set. When verifying it is one period of the pattern, shared by all connections.

#![allow(unsafe_code, reason = "mapping a file; nobody else has a name or a descriptor of it to change it")]

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use memmap2::{Mmap, MmapOptions};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::{Setup, Source};
use crate::load::memory::fill_pattern;
use crate::load::pattern::{self, PERIOD};
use crate::units::bytes;

/// Bytes written at a time.
const CHUNK: usize = 1 << 20;

/// A place in a file that starts over at its end.
pub(super) struct SourceFile {
    file: Arc<File>,
    len: u64,
    offset: u64,
}

impl SourceFile {
    /// Makes the file, or takes the shared one.
    ///
    /// # Errors
    /// The file cannot be made or written.
    pub(super) fn open(setup: &Setup) -> io::Result<Self> {
        let (file, len) = if setup.verify.is_some() {
            (period(&setup.source)?, PERIOD)
        } else {
            let len = setup.buffers() as u64 * setup.size as u64;
            (Arc::new(create(&setup.source, len, fill_static)?), len)
        };
        Ok(Self { file, len, offset: 0 })
    }

    /// The whole file as memory, all pages present.
    pub(super) fn map(&self) -> io::Result<Mapped> {
        // SAFETY: the file has no name and is neither written nor cut after `create`, so the bytes never change.
        let map = unsafe { MmapOptions::new().populate().map(&*self.file) };
        map.map(Mapped)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot map the file to send: {error}")))
    }

    /// The file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Where the next byte is.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// As much of `len` as there is before the end of the file.
    pub(super) fn cut(&self, len: usize) -> usize {
        usize::try_from(self.len - self.offset).map_or(len, |left| len.min(left))
    }

    /// The next `n` bytes were used.
    pub(super) fn advance(&mut self, n: usize) {
        self.offset = (self.offset + n as u64) % self.len;
    }
}

/// A file mapped to be read.
pub(super) struct Mapped(Mmap);

impl Mapped {
    /// `len` bytes from `offset` on.
    pub(super) fn bytes(&self, offset: u64, len: usize) -> &[u8] {
        &self.0[offset as usize..][..len]
    }
}

/// One period of the pattern as a file; made by the first who needs it, gone with the last.
fn period(source: &Source) -> io::Result<Arc<File>> {
    static SHARED: Mutex<Vec<(Source, Weak<File>)>> = Mutex::new(Vec::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.retain(|(_, file)| file.strong_count() > 0);
    if let Some(file) = shared.iter().find(|(of, _)| of == source).and_then(|(_, file)| file.upgrade()) {
        return Ok(file);
    }
    let file = Arc::new(create(source, PERIOD, pattern::fill)?);
    shared.push((source.clone(), Arc::downgrade(&file)));
    Ok(file)
}

fn fill_static(part: &mut [u8], offset: u64) {
    fill_pattern(part, (offset / CHUNK as u64) as usize);
}

/// A file without a name, `len` bytes long, filled piece by piece.
fn create(source: &Source, len: u64, fill: impl Fn(&mut [u8], u64)) -> io::Result<File> {
    let made = match source {
        Source::Memfd => {
            memfd_create("zcscope-load", MFdFlags::MFD_CLOEXEC).map(File::from).map_err(Into::into)
        }
        Source::Directory(directory) => tempfile::tempfile_in(directory),
    };
    let mut file = made.map_err(|error| refusal("make", source, &error))?;
    let mut part = vec![0; CHUNK];
    let mut offset = 0;
    while offset < len {
        let part = &mut part[..usize::try_from(len - offset).map_or(CHUNK, |left| left.min(CHUNK))];
        fill(part, offset);
        file.write_all(part).map_err(|error| full(source, offset, len, &error))?;
        offset += part.len() as u64;
    }
    if let Source::Directory(_) = source {
        // Written back now, not by the kernel in the middle of the run.
        file.sync_all().map_err(|error| full(source, len, len, &error))?;
    }
    Ok(file)
}

fn place(source: &Source) -> String {
    match source {
        Source::Memfd => "in memory".into(),
        Source::Directory(directory) => format!("in {}", Path::display(directory)),
    }
}

fn refusal(what: &str, source: &Source, error: &io::Error) -> io::Error {
    // Another place would not help; what would is said of every path alike.
    if let Some(errno @ (libc::EMFILE | libc::ENFILE)) = error.raw_os_error() {
        return io::Error::from_raw_os_error(errno);
    }
    let text =
        format!("cannot {what} the file to send {}: {error}; choose another place for it", place(source));
    io::Error::new(error.kind(), text)
}

fn full(source: &Source, at: u64, len: u64, error: &io::Error) -> io::Error {
    let text = format!(
        "cannot write the file to send {}: {error} after {} of {}; make room there, choose another place or a smaller \
         working set",
        place(source),
        bytes(at),
        bytes(len)
    );
    io::Error::new(error.kind(), text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::load::pattern::Poison;

    #[test]
    fn a_working_set_is_written_and_gone_through() {
        let setup = Setup { size: 3000, depth: 4, ..Setup::default() };
        let mut source = SourceFile::open(&setup).unwrap();
        assert_eq!((source.len, source.file().metadata().unwrap().len()), (12000, 12000));
        source.advance(11000);
        assert_eq!((source.cut(3000), source.cut(10)), (1000, 10));
        source.advance(1000);
        assert_eq!(source.offset(), 0);
    }

    #[test]
    fn a_verifying_file_is_one_period_and_shared() {
        let setup = Setup { verify: Some(Poison::AfterEnd), ..Setup::default() };
        let one = SourceFile::open(&setup).unwrap();
        let other = SourceFile::open(&setup).unwrap();
        assert!(Arc::ptr_eq(&one.file, &other.file));
        let mut part = vec![0; 10_000];
        one.file().read_exact_at(&mut part, PERIOD - 10_000).unwrap();
        assert_eq!(pattern::check(&part, PERIOD - 10_000), None);
    }

    #[test]
    fn a_directory_that_is_not_there_or_full_is_one_sentence() {
        let setup =
            |directory: &str| Setup { source: Source::Directory(directory.into()), ..Setup::default() };
        let error = SourceFile::open(&setup("/nonexistent/dir")).err().unwrap().to_string();
        assert!(error.contains("in /nonexistent/dir: ") && error.contains("another place"), "{error}");
        let no_space = io::Error::from_raw_os_error(libc::ENOSPC);
        let error = full(&Source::Directory("/d".into()), 1 << 20, 4 << 20, &no_space).to_string();
        assert!(
            error.contains("No space left on device") && error.contains("1.00 MiB of 4.00 MiB"),
            "{error}"
        );
    }

    #[test]
    fn a_file_in_a_directory_leaves_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let setup = Setup { source: Source::Directory(directory.path().into()), ..Setup::default() };
        let _source = SourceFile::open(&setup).unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
